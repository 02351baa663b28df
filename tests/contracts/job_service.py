"""What every job service promises. A subclass supplies the service, and the means to have tasks end as a test wants."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from support.local_jobs import a_spec

from epydrop.core.jobs import JobState, TaskEnd, TaskExit
from epydrop.errors import BadInput

UNKNOWN = "runner-20260101-000000-00000000-1"


class JobServiceContract:
    """Subclasses give the fixture ``service`` and these methods.

    The actions in the commands are 'exit CODE [RETRY]', 'odd-fails CODE' and 'sleep SECONDS': a twin
    without processes reads them from the specification.
    """

    def finish(self, service, job_id):
        """Returns once the job has ended."""
        raise NotImplementedError

    def begin(self, service, job_id):
        """Returns once a task of the job runs."""
        raise NotImplementedError

    def occupy(self, service):
        """Keeps the tasks of the next job from beginning; without it they begin only when the test asks."""

    def announced(self):
        """The (job id, state) of all notifications so far, read without the service."""
        raise NotImplementedError

    def raw_jobs(self):
        """The ids of all jobs, read without the service."""
        raise NotImplementedError

    def test_a_submitted_job_waits_and_is_shown_as_asked_for(self, service):
        """With a uid of the service's own."""
        view = service.submit(a_spec("exit", 0, tasks=3, labels={"stage": "runner", "run_id": "x"}))

        assert view.job_id == "runner-x-1"
        assert view.state.is_waiting
        assert view.uid
        assert view.labels == {"stage": "runner", "run_id": "x"}
        assert view.counts.pending == 3
        assert abs(view.created - datetime.now(UTC)) < timedelta(minutes=5)
        assert service.get("runner-x-1").uid == view.uid

    def test_submitting_again_finds_the_first_job(self, service):
        """So an effect may be performed twice."""
        first = service.submit(a_spec("exit", 0))
        again = service.submit(a_spec("exit", 0))

        assert (again.uid, again.created) == (first.uid, first.created)
        assert self.raw_jobs() == ["runner-x-1"]

    def test_submitting_a_job_that_has_ended_starts_nothing(self, service):
        """Whatever became of it."""
        service.submit(a_spec("exit", 3))
        self.finish(service, "runner-x-1")

        assert service.submit(a_spec("exit", 3)).state is JobState.FAILED

    def test_another_job_of_the_same_id_is_refused(self, service):
        """Recognised by its labels, which contain a digest of the orders."""
        service.submit(a_spec("exit", 0, labels={"orders": "a"}))

        with pytest.raises(BadInput, match="runner-x-1"):
            service.submit(a_spec("exit", 0, labels={"orders": "b"}))

        assert service.get("runner-x-1").labels == {"orders": "a"}

    @pytest.mark.parametrize(
        "changes", [{"tasks": 0}, {"tasks": 100_001}, {"job_id": "Runner_1"}, {"job_id": "a" * 64}]
    )
    def test_a_specification_out_of_bounds_is_refused(self, service, changes):
        """Permanently: a retry would not help."""
        with pytest.raises(BadInput):
            service.submit(a_spec("exit", 0, **changes))

        assert self.raw_jobs() == []

    def test_a_job_that_was_never_submitted_does_not_exist(self, service):
        """No question about it is an error."""
        assert service.get(UNKNOWN) is None
        assert list(service.failed_tasks(UNKNOWN)) == []
        service.cancel(UNKNOWN)
        assert service.get(UNKNOWN) is None

    def test_a_job_whose_tasks_all_succeed_has_succeeded(self, service):
        """And lists no failures."""
        service.submit(a_spec("exit", 0, tasks=5))
        self.finish(service, "runner-x-1")

        view = service.get("runner-x-1")
        assert view.state is JobState.SUCCEEDED
        assert (view.counts.succeeded, view.counts.pending, view.counts.running) == (5, 0, 0)
        assert list(service.failed_tasks("runner-x-1")) == []

    def test_a_job_with_a_failed_task_fails_after_all_have_run(self, service):
        """Every other task gets its chance first."""
        service.submit(a_spec("odd-fails", 65, tasks=6, parallelism=1))
        self.finish(service, "runner-x-1")

        view = service.get("runner-x-1")
        assert view.state is JobState.FAILED
        assert (view.counts.succeeded, view.counts.failed, view.counts.never_ran) == (3, 3, 0)
        assert view.detail
        assert list(service.failed_tasks("runner-x-1")) == [TaskEnd(1, 65), TaskEnd(3, 65), TaskEnd(5, 65)]

    def test_an_exit_code_that_may_pass_is_tried_again(self, service):
        """Here it passes at the third try."""
        service.submit(a_spec("exit", 75, 0, 1))
        self.finish(service, "runner-x-1")

        assert service.get("runner-x-1").state is JobState.SUCCEEDED

    def test_the_tries_are_counted(self, service):
        """The exit code that stands is that of the last."""
        service.submit(a_spec("exit", 75, max_task_retries=1))
        self.finish(service, "runner-x-1")

        assert service.get("runner-x-1").state is JobState.FAILED
        assert list(service.failed_tasks("runner-x-1")) == [TaskEnd(0, 75)]

    def test_other_exit_codes_are_not_tried_again(self, service):
        """It would have succeeded at the second try."""
        service.submit(a_spec("exit", 1, 0))
        self.finish(service, "runner-x-1")

        assert list(service.failed_tasks("runner-x-1")) == [TaskEnd(0, 1)]

    def test_a_task_that_runs_too_long_is_ended_by_the_service(self, service):
        """With Batch's own exit code for it."""
        service.submit(a_spec("sleep", 600, max_run_duration=1))
        self.finish(service, "runner-x-1")

        assert list(service.failed_tasks("runner-x-1")) == [TaskEnd(0, TaskExit.TIMED_OUT)]

    def test_a_cancelled_job_ends_soon(self, service):
        """What has not begun never runs."""
        service.submit(a_spec("sleep", 600, tasks=4, parallelism=1))
        self.begin(service, "runner-x-1")

        service.cancel("runner-x-1")
        assert service.get("runner-x-1").state in (JobState.CANCELLATION_IN_PROGRESS, JobState.CANCELLED)
        self.finish(service, "runner-x-1")

        view = service.get("runner-x-1")
        assert view.state is JobState.CANCELLED
        assert (view.counts.succeeded, view.counts.running, view.counts.never_ran) == (0, 0, 3)
        assert [end.position for end in service.failed_tasks("runner-x-1")] == [0, 1, 2, 3]
        assert [end.exit_code for end in service.failed_tasks("runner-x-1")][1:] == [None] * 3

    def test_a_job_can_be_cancelled_before_it_began(self, service):
        """No task of it runs."""
        self.occupy(service)
        service.submit(a_spec("exit", 0, tasks=2))
        service.cancel("runner-x-1")
        self.finish(service, "runner-x-1")

        assert service.get("runner-x-1").state is JobState.CANCELLED
        assert service.get("runner-x-1").counts.never_ran == 2

    def test_cancelling_twice_or_late_does_nothing(self, service):
        """An ended job stays what it is."""
        service.submit(a_spec("exit", 0))
        self.finish(service, "runner-x-1")

        service.cancel("runner-x-1")
        service.cancel("runner-x-1")

        assert service.get("runner-x-1").state is JobState.SUCCEEDED

    def test_a_long_list_of_failures_is_whole(self, service):
        """In the order of the positions, over several pages."""
        self.occupy(service)
        service.submit(a_spec("exit", 0, tasks=1300))
        service.cancel("runner-x-1")
        self.finish(service, "runner-x-1")

        assert [end.position for end in service.failed_tasks("runner-x-1")] == list(range(1300))

    def test_the_end_of_a_job_is_announced(self, service):
        """Once, after all else that was announced of it."""
        service.submit(a_spec("exit", 0, job_id="runner-a-1"))
        service.submit(a_spec("exit", 1, job_id="runner-b-1"))
        self.finish(service, "runner-a-1")
        self.finish(service, "runner-b-1")

        for job_id, end in (("runner-a-1", JobState.SUCCEEDED), ("runner-b-1", JobState.FAILED)):
            states = [state for job, state in self.announced() if job == job_id]
            assert states[-1] is end
            assert len(states) == len(set(states))
