"""What is to be done after a decision was saved: values with stable ids, safe to perform twice."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SubmitJob:
    """Make sure that the job of this attempt exists."""

    job_id: str

    @property
    def id(self) -> str:
        """Stable: names the effect and what it acts on."""
        return f"submit:{self.job_id}"


@dataclass(frozen=True)
class CancelJob:
    """Make sure that this job ends soon."""

    job_id: str

    @property
    def id(self) -> str:
        """Stable: names the effect and what it acts on."""
        return f"cancel:{self.job_id}"


@dataclass(frozen=True)
class WriteReply:
    """Tell the person who dropped the file, beside that file."""

    news: str

    @property
    def id(self) -> str:
        """Stable: names the effect and what it tells."""
        return f"reply:{self.news}"


@dataclass(frozen=True)
class Publish:
    """Tell the programs that listen on the runs topic."""

    news: str

    @property
    def id(self) -> str:
        """Stable: names the effect and what it tells."""
        return f"publish:{self.news}"


Effect = SubmitJob | CancelJob | WriteReply | Publish
