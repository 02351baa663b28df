"""What is to be done after a decision was saved: values with stable ids, safe to perform twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class _Deed:
    """Something to do, and what it is about: a job's id, or the news to tell."""

    about: str

    verb: ClassVar[str]

    @property
    def id(self) -> str:
        """The same for the same deed, whoever performs it and however often."""
        return f"{self.verb}:{self.about}"


class SubmitJob(_Deed):
    """Make sure that the job of this attempt exists."""

    verb = "submit"


class CancelJob(_Deed):
    """Make sure that this job ends soon."""

    verb = "cancel"


class WriteReply(_Deed):
    """Tell the person who dropped the file, beside that file."""

    verb = "reply"


class Publish(_Deed):
    """Tell the programs that listen on the runs topic."""

    verb = "publish"


Effect = SubmitJob | CancelJob | WriteReply | Publish
