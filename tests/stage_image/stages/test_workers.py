"""Worker processes: their answers come in order, their failures are told, and none outlives its stage."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from epydrop.errors import BadInput, ExitCode, Problem
from epydrop_stages.artifacts.usage import Usage, cpu_seconds
from epydrop_stages.stages import workers as workers_module
from epydrop_stages.stages.failures import FailedInWorker, Failure, exit_code_of
from epydrop_stages.stages.workers import Work, WorkerLost, Workers, reading_ahead


def opened(usage):
    """The work: what a question asks for; counted as bytes read."""

    def answer(question, fetched):
        usage.bytes_in += 10
        return question()

    return Work(fetch=lambda question: None, answer=answer)


def never_opened(usage):
    """Work that cannot even begin."""
    raise OSError("the store does not answer")


def workers(count=2, usage=None):
    return Workers(count, opened, usage or Usage())


class Slow:
    """An answer that takes a while; pickled, so it is a class."""

    def __init__(self, value, seconds):
        self.value, self.seconds = value, seconds

    def __call__(self):
        time.sleep(self.seconds)
        return self.value


class Dies:
    def __init__(self, how):
        self.how = how

    def __call__(self):
        return self.how(os.getpid())


def kill(pid):
    os.kill(pid, signal.SIGKILL)


def terminate(pid):
    os.kill(pid, signal.SIGTERM)


def leave(pid):
    os._exit(3)


def divide(pid):
    return pid / 0


def give_up(pid):
    sys.exit(7)


def run_out_of_memory(pid):
    raise MemoryError


def find_a_problem(pid):
    raise BadInput(Problem("the rate is negative", "experiment.yaml", 4, 2, "make it positive"))


def answer_with_what_cannot_travel(pid):
    return lambda: pid


@pytest.mark.parametrize("count", [1, 2, 3])
def test_answers_come_in_the_order_of_the_questions(count):
    """Whoever is ready first waits for the one that was asked before."""
    questions = [Slow(number, 0.02 if number % 3 == 0 else 0.0) for number in range(20)]

    with workers(count) as pool:
        assert list(pool.answers(questions)) == list(range(20))


@pytest.mark.parametrize("forks", [True, False])
def test_workers_work_in_the_folder_of_their_stage(forks, tmp_path, monkeypatch):
    """Where the files lie that results refer to; spawned ones, too, that begin elsewhere."""
    monkeypatch.setattr(workers_module, "_FORKS", forks)
    monkeypatch.chdir(tmp_path)

    with workers(1) as pool:
        assert list(pool.answers([Path.cwd])) == [tmp_path]


def test_questions_are_taken_no_earlier_than_needed():
    """Three a worker are ahead of the answer that is due, however many there are."""
    taken = []

    def questions():
        for number in range(100):
            taken.append(number)
            yield Slow(number, 0.0)

    with workers(2) as pool:
        answers = pool.answers(questions())
        for given in range(1, 101):
            next(answers)
            assert len(taken) <= given + 6


def test_one_question_is_fetched_for_while_another_is_answered():
    """Reading and computing overlap, and never more than one question waits."""
    fetched = queue.Queue()

    def fetch(question):
        fetched.put(question)
        return -question

    for question, there in reading_ahead(fetch, range(5)):
        assert there == -question
        if question == 0:
            assert fetched.get(timeout=900) == 0
        if question < 4:
            assert fetched.get(timeout=900) == question + 1
        assert fetched.empty()


@pytest.mark.parametrize("count", [1, 2])
def test_work_that_cannot_begin_says_why(count):
    """The reason is the answer to the first question, not a worker that is gone."""
    with pytest.raises(FailedInWorker, match="does not answer"), Workers(count, never_opened, Usage()) as pool:
        list(pool.answers([Slow(0, 0.0)] * 5))


def test_resources_of_workers_count_as_the_stages():
    """Bytes are summed, and their processor time counts once they have ended."""
    usage, before = Usage(), cpu_seconds()

    with workers(2, usage) as pool:
        list(pool.answers([Slow(0, 0.0)] * 7 + [_Burn(0.2)] * 2))

    assert usage.bytes_in == 90
    assert cpu_seconds() - before > 0.3
    assert usage.peak_memory_mib >= usage.workers_mib >= 0.0


class _Burn:
    def __init__(self, seconds):
        self.seconds = seconds

    def __call__(self):
        until = time.process_time() + self.seconds
        while time.process_time() < until:
            pass


@pytest.mark.parametrize(
    ("how", "kind", "code"),
    [
        (divide, "ZeroDivisionError", ExitCode.BUG),
        (run_out_of_memory, "MemoryError", ExitCode.OUT_OF_MEMORY),
        (find_a_problem, "BadInput", ExitCode.BAD_INPUT),
    ],
)
def test_an_exception_keeps_type_traceback_and_fingerprint(how, kind, code):
    """As if the stage itself had raised it."""
    with pytest.raises(FailedInWorker) as raised, workers() as pool:
        list(pool.answers([Slow(0, 0.0), Dies(how), Slow(1, 0.0)]))

    failure = Failure.of(raised.value)
    assert (failure.type, failure.exit_code) == (kind, code)
    assert f"in {how.__name__}" in failure.traceback
    assert len(failure.fingerprint) == 12
    assert exit_code_of(raised.value) == code


def test_problems_of_an_input_travel_whole():
    """File, line and hint, which an exception's own pickling would lose."""
    with pytest.raises(FailedInWorker) as raised, workers() as pool:
        list(pool.answers([Dies(find_a_problem)]))

    (problem,) = raised.value.failure.problems
    assert (problem.file, problem.line, problem.hint) == ("experiment.yaml", 4, "make it positive")


def test_an_answer_that_cannot_travel_is_a_failure():
    """Not a worker that silently ends."""
    with pytest.raises(FailedInWorker, match="pickle"), workers() as pool:
        list(pool.answers([Dies(answer_with_what_cannot_travel)]))


@pytest.mark.parametrize(
    ("how", "code", "words"),
    [
        (kill, ExitCode.OUT_OF_MEMORY, "when memory runs out"),
        (terminate, ExitCode.BUG, "ended by signal 15"),
        (leave, ExitCode.BUG, "ended with exit code 3"),
        (give_up, ExitCode.BUG, "ended with exit code 7"),
    ],
)
def test_a_worker_that_dies_is_reported_and_nothing_hangs(how, code, words):
    """A kill counts as running out of memory: nobody else kills a worker and lets the stage live."""
    with pytest.raises(WorkerLost, match=words) as raised, workers() as pool:
        list(pool.answers([Slow(number, 0.0) for number in range(6)] + [Dies(how)] + [Slow(9, 0.0)] * 6))

    assert exit_code_of(raised.value) == code


def test_a_worker_that_exits_with_its_last_question_ends_the_wait():
    """The thread that listens for the next one does not hold it."""
    with pytest.raises(WorkerLost, match="exit code 7"), workers(2) as pool:
        list(pool.answers([Slow(0, 0.0), Dies(give_up)]))


def test_no_worker_is_left_when_the_block_ends():
    """Neither after success nor after a failure, when some are at work."""
    before = set(psutil.Process().children())

    with workers(3) as pool:
        list(pool.answers([Slow(0, 0.0)]))
    with pytest.raises(FailedInWorker), workers(3) as pool:
        list(pool.answers([Dies(divide), Slow(0, 600.0), Slow(0, 600.0)]))

    assert set(psutil.Process().children()) == before


PARENT = """
import sys
sys.path[:0] = [PATH]
from test_workers import Slow, workers
with workers(2) as pool:
    answers = pool.answers([Slow(0, 0.0), Slow(0, 0.0), Slow(0, 0.2), Slow(0, 0.2), Slow(0, 600.0)])
    next(answers), next(answers)
    print(*[worker.process.pid for worker in pool._workers], flush=True)
    sys.stdin.read()
"""


def test_workers_end_when_their_stage_is_killed():
    """The end of the pipe tells them, although each was forked with the others' pipes open."""
    code = PARENT.replace("PATH", repr(str(Path(__file__).parent))).replace("Slow(0, 600.0)", "Slow(0, 0.3)")
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        parent.kill()

    assert len(pids) == 2
    _, alive = psutil.wait_procs([psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)], timeout=900)
    assert alive == []
