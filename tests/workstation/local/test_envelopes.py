"""The events of one machine have the same JSON as Google's."""

from __future__ import annotations

from datetime import datetime

from epydrop_workstation.local.wiring import local_machine


def test_a_dropped_file_queues_the_event_that_cloud_storage_sends(tmp_path):
    """Numbers are strings; the name in the subject is not percent-encoded."""
    with local_machine(tmp_path) as machine:
        machine.drop("flü.yaml", b"12345")
        envelope = machine.queue.take().envelope
        info = machine.trigger.stat("experiments/flü.yaml")

    assert envelope["type"] == "google.cloud.storage.object.v1.finalized"
    assert envelope["source"] == "//storage.googleapis.com/projects/_/buckets/trigger"
    assert envelope["subject"] == "objects/experiments/flü.yaml"
    data = envelope["data"]
    assert (data["bucket"], data["name"]) == ("trigger", "experiments/flü.yaml")
    assert (data["generation"], data["size"]) == (str(info.generation), "5")
    assert data["md5Hash"] == "gnzLDuqKcGxMNKFokfhOew=="
    assert datetime.fromisoformat(data["timeCreated"]) == info.created
