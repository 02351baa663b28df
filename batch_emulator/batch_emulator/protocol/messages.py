"""The protobuf messages of the Batch API, without the wrappers that Google's client puts around them.

Typed as Any, because protobuf generates the classes at run time.
"""

from __future__ import annotations

from typing import Any

from google.cloud import batch_v1

Job: Any = batch_v1.Job.pb()
JobStatus: Any = batch_v1.JobStatus.pb()
JobNotification: Any = batch_v1.JobNotification.pb()
LifecyclePolicy: Any = batch_v1.LifecyclePolicy.pb()
LogsPolicy: Any = batch_v1.LogsPolicy.pb()
TaskGroup: Any = batch_v1.TaskGroup.pb()
Task: Any = batch_v1.Task.pb()
TaskStatus: Any = batch_v1.TaskStatus.pb()
StatusEvent: Any = batch_v1.StatusEvent.pb()

CreateJobRequest: Any = batch_v1.CreateJobRequest.pb()
GetJobRequest: Any = batch_v1.GetJobRequest.pb()
ListJobsRequest: Any = batch_v1.ListJobsRequest.pb()
ListJobsResponse: Any = batch_v1.ListJobsResponse.pb()
CancelJobRequest: Any = batch_v1.CancelJobRequest.pb()
CancelJobResponse: Any = batch_v1.CancelJobResponse.pb()
DeleteJobRequest: Any = batch_v1.DeleteJobRequest.pb()
GetTaskRequest: Any = batch_v1.GetTaskRequest.pb()
ListTasksRequest: Any = batch_v1.ListTasksRequest.pb()
ListTasksResponse: Any = batch_v1.ListTasksResponse.pb()
OperationMetadata: Any = batch_v1.OperationMetadata.pb()
