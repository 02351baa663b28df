"""Builds the CloudEvents that Google would send, as dicts, so that local events enter through the same parser.

``epydrop.service.parse`` reads them.
"""

from __future__ import annotations

import base64
import json
import mimetypes
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from epydrop.core.jobs import JobState
from epydrop.stores.port import ObjectInfo

KICK_TOPIC = "epydrop-kicks"
BATCH_TOPIC = "epydrop-batch"

Envelope = dict[str, Any]


def new_message_id() -> str:
    """A message id of digits, like those of Pub/Sub."""
    return str(uuid.uuid4().int >> 64)


def kick_envelope(message: Mapping[str, Any], message_id: str, published: datetime) -> Envelope:
    """A message on the kick topic, as Eventarc hands it to the function."""
    data = base64.b64encode(json.dumps(message).encode()).decode()
    return _pubsub_envelope(KICK_TOPIC, {"data": data, "attributes": {}}, message_id, published)


def job_envelope(job_id: str, uid: str, state: JobState, published: datetime) -> Envelope:
    """Batch's notification that a job entered a state. As from Batch, the attributes say everything."""
    attributes = {
        "Type": "JOB_STATE_CHANGED",
        "JobName": f"projects/local/locations/local/jobs/{job_id}",
        "JobUID": uid,
        "NewJobState": str(state),
    }
    return _pubsub_envelope(BATCH_TOPIC, {"attributes": attributes}, new_message_id(), published)


def finalize_envelope(bucket: str, info: ObjectInfo, md5: str) -> Envelope:
    """Cloud Storage's event for a new generation of an object; ``md5`` is in base64. 64-bit numbers are strings."""
    created = rfc3339(info.created)
    return {
        "specversion": "1.0",
        "id": new_message_id(),
        "type": "google.cloud.storage.object.v1.finalized",
        "source": f"//storage.googleapis.com/projects/_/buckets/{bucket}",
        "subject": f"objects/{info.name}",
        "time": created,
        "datacontenttype": "application/json",
        "bucket": bucket,
        "data": {
            "kind": "storage#object",
            "bucket": bucket,
            "name": info.name,
            "generation": str(info.generation),
            "metageneration": "1",
            "size": str(info.size),
            "timeCreated": created,
            "updated": created,
            "contentType": mimetypes.guess_type(info.name)[0] or "application/octet-stream",
            "storageClass": "STANDARD",
            "md5Hash": md5,
        },
    }


def rfc3339(moment: datetime) -> str:
    """The moment in Google's JSON format: UTC with microseconds and a Z."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _pubsub_envelope(topic: str, message: Envelope, message_id: str, published: datetime) -> Envelope:
    time = rfc3339(published)
    return {
        "specversion": "1.0",
        "id": message_id,
        "type": "google.cloud.pubsub.topic.v1.messagePublished",
        "source": f"//pubsub.googleapis.com/projects/local/topics/{topic}",
        "time": time,
        "datacontenttype": "application/json",
        "data": {
            "message": {**message, "messageId": message_id, "publishTime": time},
            "subscription": f"projects/local/subscriptions/{topic}",
        },
    }
