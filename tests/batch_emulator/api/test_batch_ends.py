"""The calls of BatchService that cancel and delete, by Google's own client over both transports."""

from __future__ import annotations

import asyncio
import uuid

import grpc
import pytest
from google.api_core import exceptions
from google.cloud import batch_v1
from google.cloud.batch_v1.services.batch_service.transports import BatchServiceGrpcAsyncIOTransport
from google.cloud.location import locations_pb2
from google.longrunning import operations_pb2
from support.batch_jobs import a_job, finished, ran, state_of, tasks_of, until

SLOW = "sleep 600"


def test_a_cancelled_job_ends_and_keeps_its_history(client, place):
    """The operation is done when the job is cancelled."""
    job = client.create_job(parent=place, job=a_job(SLOW, tasks=4, parallelism=1))
    until(lambda: state_of(client, job.name) == "RUNNING")

    operation = client.cancel_job(name=job.name)

    assert (operation.metadata.target, operation.metadata.verb) == (job.name, "cancel")
    assert operation.result(timeout=900) == batch_v1.CancelJobResponse()
    assert operation.metadata.end_time >= operation.metadata.create_time
    assert state_of(client, job.name) == "CANCELLED"
    states = [task.status.state.name for task in tasks_of(client, job)]
    assert states == ["FAILED", "UNEXECUTED", "UNEXECUTED", "UNEXECUTED"]


def test_a_job_that_has_ended_cannot_be_cancelled(client, place):
    """A guess about real Batch: its documentation does not say."""
    job = ran(client, place, a_job())

    with pytest.raises(exceptions.BadRequest, match="SUCCEEDED"):
        client.cancel_job(name=job.name)


def test_cancelling_twice_is_harmless(client, place):
    """While it is being cancelled, and with the same request id after that."""
    job = client.create_job(parent=place, job=a_job("trap '' TERM; " + SLOW))
    until(lambda: state_of(client, job.name) == "RUNNING")
    request = batch_v1.CancelJobRequest(name=job.name, request_id=str(uuid.uuid4()))

    first = client.cancel_job(request)
    client.cancel_job(name=job.name).result(timeout=900)
    again = client.cancel_job(request)

    assert again.operation.name == first.operation.name
    assert again.done()


def test_a_deleted_job_is_gone(client, place):
    """While it ran, too; its tasks are ended first."""
    job = client.create_job(parent=place, job=a_job("trap 'sleep 0.5; exit' TERM; sleep 600 & wait"), job_id="job-1")
    until(lambda: state_of(client, job.name) == "RUNNING")

    operation = client.delete_job(name=job.name)

    assert state_of(client, job.name) == "DELETION_IN_PROGRESS"
    assert operation.metadata.verb == "delete"
    operation.result(timeout=900)
    with pytest.raises(exceptions.NotFound):
        client.get_job(name=job.name)
    assert not list(client.list_jobs(parent=place))


def test_the_id_of_a_deleted_job_is_free(client, place):
    """The new job has a uid of its own."""
    first = ran(client, place, a_job(), "job-1")
    client.delete_job(name=first.name).result(timeout=900)

    second = ran(client, place, a_job(), "job-1")

    assert second.uid != first.uid
    assert second.status.state == batch_v1.JobStatus.State.SUCCEEDED


def test_operations_can_be_looked_up_and_forgotten(client, place):
    """As long as somebody is interested in them."""
    job = client.create_job(parent=place, job=a_job(SLOW))
    name = client.cancel_job(name=job.name).operation.name
    until(lambda: client.get_operation(operations_pb2.GetOperationRequest(name=name)).done)

    listed = client.list_operations(operations_pb2.ListOperationsRequest(name=place))
    assert [operation.name for operation in listed.operations] == [name]
    with pytest.raises(exceptions.GoogleAPICallError) as caught:
        client.cancel_operation(operations_pb2.CancelOperationRequest(name=name))
    assert caught.value.code in {501, 400}
    client.delete_operation(operations_pb2.DeleteOperationRequest(name=name))
    with pytest.raises(exceptions.NotFound):
        client.get_operation(operations_pb2.GetOperationRequest(name=name))


def test_an_operation_can_be_waited_for(clients, place):
    """Over gRPC, where the protocol has it."""
    client = clients["grpc"]
    job = client.create_job(parent=place, job=a_job(SLOW))
    until(lambda: state_of(client, job.name) == "RUNNING")
    name = client.cancel_job(name=job.name).operation.name

    wait = client.transport.grpc_channel.unary_unary(
        "/google.longrunning.Operations/WaitOperation",
        operations_pb2.WaitOperationRequest.SerializeToString,
        operations_pb2.Operation.FromString,
    )

    assert wait(operations_pb2.WaitOperationRequest(name=name)).done


def test_locations_are_those_that_have_jobs(client, place):
    """Any other name would do as well."""
    client.create_job(parent=place, job=a_job())
    project = place.split("/locations", maxsplit=1)[0]

    listed = client.list_locations(locations_pb2.ListLocationsRequest(name=project))

    assert [location.location_id for location in listed.locations] == ["us-central1"]
    assert client.get_location(locations_pb2.GetLocationRequest(name=place)).name == place


def test_the_asynchronous_client_works_too(served, place):
    """Over gRPC."""

    async def create_and_get():
        channel = grpc.aio.insecure_channel(served.grpc_address)
        client = batch_v1.BatchServiceAsyncClient(transport=BatchServiceGrpcAsyncIOTransport(channel=channel))
        job = await client.create_job(parent=place, job=a_job())
        found = [found.name async for found in await client.list_jobs(parent=place)]
        await channel.close()
        return job.name, found

    name, found = asyncio.run(create_and_get())

    assert found == [name]


def test_many_clients_at_once_are_served(clients, place):
    """Each of twenty threads gets its own job, and the shared one is created once."""
    from concurrent.futures import ThreadPoolExecutor

    client = clients["grpc"]

    def create(n):
        client.create_job(parent=place, job=a_job(), job_id=f"job-{n}")
        try:
            return client.create_job(parent=place, job=a_job(), job_id="shared").uid
        except exceptions.AlreadyExists:
            return None

    with ThreadPoolExecutor(20) as threads:
        uids = list(threads.map(create, range(20)))

    assert len([uid for uid in uids if uid]) == 1
    assert len(list(client.list_jobs(parent=place))) == 21
    for n in range(20):
        assert finished(client, f"{place}/jobs/job-{n}").status.state == batch_v1.JobStatus.State.SUCCEEDED
