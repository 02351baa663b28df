"""Where a person looks at a run in Google Cloud, and what they type: all addresses are made here. Pure.

The console's paths are those that it showed in late 2025; Google promises nothing about them.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from urllib.parse import quote

from epydrop.core.run import Run
from epydrop.formats.names import REPORT
from epydrop.gcp.run_document import RUNS
from epydrop.service.replies import Signposts, suggested_retry
from epydrop.settings import CloudSettings

_CONSOLE = "https://console.cloud.google.com"
_OBJECTS = "https://storage.cloud.google.com"  # an object in the browser, after signing in


def signposts(settings: CloudSettings, run: Run) -> Signposts:
    """What a reply points to."""
    folder = run.run_url.removeprefix("gs://")
    outputs = folder + run.published if run.published else ""
    return Signposts(
        links={
            "Files": _folder(folder, settings),
            "State": _document(run, settings),
            "Jobs": f"{_CONSOLE}/batch/jobs?project={settings.project}",
        },
        outputs=_folder(outputs, settings) if outputs else "",
        report=f"{_OBJECTS}/{quote(outputs + REPORT)}" if outputs else "",
        cancel=_command({"cancel": run.run_id}, settings),
        retry=_command(suggested_retry(run), settings),
    )


def _folder(path: str, settings: CloudSettings) -> str:
    return f"{_CONSOLE}/storage/browser/{quote(path.rstrip('/'))}?project={settings.project}"


def _document(run: Run, settings: CloudSettings) -> str:
    database = "-default-" if settings.database == "(default)" else settings.database
    return f"{_CONSOLE}/firestore/databases/{database}/data/panel/{RUNS}/{run.run_id}?project={settings.project}"


def _command(kick: Mapping[str, object], settings: CloudSettings) -> str:
    topic = settings.kick_topic.rpartition("/")[2]
    message = shlex.quote(json.dumps(kick))
    return f"gcloud pubsub topics publish {topic} --project={settings.project} --message={message}"
