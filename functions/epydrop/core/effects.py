"""Effects: what to do after a decision is saved. Values with stable ids, idempotent to perform."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class _Action:
    """An action and its subject: a job id, or the notification to send."""

    about: str

    verb: ClassVar[str]

    @property
    def id(self) -> str:
        """Identifies the effect across repeated performances."""
        return f"{self.verb}:{self.about}"


class SubmitJob(_Action):
    """Ensure that the job of this attempt exists."""

    verb = "submit"


class CancelJob(_Action):
    """Ensure that this job ends soon."""

    verb = "cancel"


class WriteReply(_Action):
    """Write the reply beside the dropped file."""

    verb = "reply"


class Publish(_Action):
    """Publish a notification on the runs topic."""

    verb = "publish"


Effect = SubmitJob | CancelJob | WriteReply | Publish
