"""The entry points of the Cloud Functions; nothing is decided here.

A function that raises is called again with the same event; what it returns means nothing. The world, and with it
Google's clients, is made once for each process, when the first event comes.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from threading import Lock

import functions_framework
from cloudevents.http import CloudEvent
from flask import request

from epydrop.gcp.world import cloud_world
from epydrop.logs import log_context, log_latency, set_up_logs, trace_of
from epydrop.service.parse import parse
from epydrop.service.reconcile import reconcile
from epydrop.service.world import World

set_up_logs(as_json=True, stream=sys.stdout)

_making = Lock()


@functions_framework.cloud_event
def on_object_finalized(event: CloudEvent) -> None:
    """An object appeared in the trigger bucket."""
    _deliver(event)


@functions_framework.cloud_event
def on_job_state_changed(event: CloudEvent) -> None:
    """Cloud Batch says that a job entered a state."""
    _deliver(event)


@functions_framework.cloud_event
def on_kick(event: CloudEvent) -> None:
    """A person's command, the schedule's sweep, or one of the checks that a sweep asked for."""
    _deliver(event)


def _deliver(event: CloudEvent) -> None:
    attributes = event.get_attributes()
    headers, project = request.headers, os.environ.get("EPYDROP_PROJECT", "")
    trace = trace_of(headers.get("traceparent", ""), headers.get("X-Cloud-Trace-Context", ""), project)
    with log_context(event_id=str(attributes.get("id", "")), **trace):
        reconcile(parse({**attributes, "data": event.get_data()}), _world())
        log_latency(attributes.get("time"))


def _world() -> World:
    with _making:  # the framework calls from several threads
        return _make_world()


@cache
def _make_world() -> World:
    return cloud_world(os.environ)
