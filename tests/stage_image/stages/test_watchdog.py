"""A task that makes no progress ends itself and says where it stood; one that works, however slowly, does not."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.forked import exit_code_of
from support.stage_run import INPUTS, SIR, StageRun

from epydrop.errors import ExitCode
from epydrop.formats.index_set import IndexSet
from epydrop.formats.names import Stage, input_name
from epydrop_stages.artifacts.usage import Usage
from epydrop_stages.contract.heartbeat import heartbeat
from epydrop_stages.stages import watchdog
from epydrop_stages.stages.task import main
from epydrop_stages.stages.watchdog import Signs, Silence, watched
from epydrop_stages.stages.workers import Work, Workers

LIMIT, PAUSE = 900.0, 30.0  # seconds
ENOUGH = 0.9  # CPU seconds in the limit that show that a task is alive

forks_only = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere workers are not forked")


# -- the rule, by a clock of the test's own --------------------------------------------------------


def is_found_silent(looks):
    """Whether a task is silent for too long after (elapsed, CPU seconds since the last look, beats since it)."""
    silence, cpu, beats = Silence(LIMIT, PAUSE), 0.0, 0
    for elapsed, used, beaten in [(PAUSE, 5.0, 1), *looks]:
        cpu, beats = cpu + used, beats + beaten
        silence.look(elapsed, Signs(cpu, (beats,)))
        if silence.is_over:
            return True
    return False


NONE = st.just(0)


def a_look(used, beaten=NONE):
    return st.tuples(st.just(PAUSE), used, beaten)


ALMOST_NOTHING = st.floats(0, 0.02)
IDLE = st.lists(a_look(ALMOST_NOTHING), max_size=29)
SIGN = st.one_of(
    a_look(st.floats(ENOUGH, 1e6)),
    a_look(ALMOST_NOTHING, st.integers(1, 1000)),
    a_look(st.floats(-1e6, -1.0)),  # a process has ended whose CPU time nobody can see any more
)


@given(st.lists(st.tuples(IDLE, SIGN), max_size=20))
def test_a_task_with_any_sign_of_life_in_each_window_is_alive(turns):
    """CPU time without a word is one, a word without CPU time is one, and it may go on for days."""
    assert not is_found_silent([look for idle, sign in turns for look in (*idle, sign)])


@given(st.lists(a_look(ALMOST_NOTHING), min_size=30, max_size=40))
def test_a_task_without_any_sign_of_life_is_silent(looks):
    """What threads use that only wake up to wait again is none."""
    assert is_found_silent(looks)


def test_a_little_cpu_time_at_each_look_adds_up():
    """A task that gets a three-hundredth of a core is slow, and not hanging."""
    assert not is_found_silent([(PAUSE, 0.1, 0)] * 1000)


@given(st.floats(PAUSE, 1e7))
def test_a_machine_that_slept_is_no_task_that_hangs(slept):
    """While the watchdog did not run, nothing else did."""
    assert not is_found_silent([*[(PAUSE, 0.0, 0)] * 20, (slept, 0.0, 0)])


# -- what is measured, by a clock of the test's own ------------------------------------------------


class Watched:
    """This process under a watchdog's eye, about to be found silent."""

    def __init__(self, look):
        self._look = look
        self._silence = Silence(100.0, 10.0)
        for _ in range(10):
            self.look()

    def look(self):
        """Looks; returns for how many seconds the process is silent."""
        self._silence.look(10.0, self._look())
        return self._silence.seconds


@pytest.fixture
def usage():
    return Usage()


@pytest.fixture
def task(usage):
    """Looked at from another thread, as a watchdog does: its own CPU time does not count."""
    with ThreadPoolExecutor(1) as thread:
        yield Watched(lambda: thread.submit(Signs.of, usage).result())


def test_a_process_that_waits_is_silent(task):
    """Not even looking at it is a sign of life."""
    assert task.look() == 100.0


def test_computing_is_a_sign_of_life(task):
    """Nothing has to say so."""
    until = time.process_time() + 0.15
    while time.process_time() < until:
        pass

    assert task.look() == 0.0


def test_a_heartbeat_is_a_sign_of_life(task):
    """It takes no CPU time worth the name."""
    heartbeat("waiting for the data server")

    assert task.look() == 0.0


def test_data_is_a_sign_of_life(task, usage):
    """A slow network costs hardly any CPU time."""
    usage.bytes_in += 1

    assert task.look() == 0.0


BURN = "import time\ninput()\nwhile time.process_time() < 0.3: pass\nprint(flush=True)\ninput()"


@pytest.fixture(params=["child", "grandchild"])
def descendant(request):
    """A process that computes when it gets a line, answers with one, and lives on."""
    command = [sys.executable, "-S", "-c", BURN]
    if request.param == "grandchild":
        command = ["sh", "-c", '"$@"; true', "sh", *command]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.stdin.write("\n")


def test_what_a_descendant_computes_is_a_sign_of_life(descendant, task):
    """A suite may leave the work to other processes and only wait for them."""
    descendant.stdin.write("\n")
    descendant.stdin.flush()
    descendant.stdout.readline()

    assert task.look() == 0.0


# -- the end of a task -----------------------------------------------------------------------------


@pytest.fixture
def found(tmp_path):
    """What was recorded in a fork of this process, and how to do it there."""
    path = tmp_path / "found"

    def record(failure):
        path.write_text(f"{failure.message}\n{failure.traceback}")

    def hang(action, limit=0.2):
        def wait():
            with watched(limit, Usage(), record):
                action()

        return exit_code_of(wait), path.read_text() if path.exists() else ""

    return hang


def test_a_task_that_hangs_leaves_its_record_and_asks_for_another_try(tmp_path):
    """The record says for how long, what it was doing, and where every thread stood."""
    run = StageRun.of(tmp_path / "run", SIR)
    assert run.build() == 0
    run.order(Stage.RUNNER, IndexSet.below(2))
    file = run.folder / input_name(INPUTS, 1)
    file.unlink()
    os.mkfifo(file)  # opening it waits for ever, like a file of a network drive that is gone
    environment = {**run.environment(Stage.RUNNER, 1), "EPYDROP_MAX_SILENCE": "1"}

    assert exit_code_of(lambda: sys.exit(main(["runner"], environment))) == ExitCode.TRY_AGAIN

    record = run.error(Stage.RUNNER, 1)
    assert (record.type, record.exit_code, record.index, record.run_id != "") == ("NoProgress", 75, 1, True)
    assert record.message.startswith("no progress for 1 s: no heartbeat, no data and 0.0 s of CPU time")
    assert "while reading its input, in open (" in record.message
    assert "Thread MainThread" in record.traceback
    assert "in read_input" in record.traceback


def test_a_task_that_ends_in_time_is_left_alone(found):
    """And so is what comes after it in the same process."""
    before = threading.active_count()

    assert found(lambda: None) == (0, "")
    with watched(LIMIT, Usage(), print):
        pass

    assert threading.active_count() == before


def test_every_thread_is_named_with_its_stack(found):
    """A task may hang because another of its threads does."""

    def a_thread_that_waits():
        thread = threading.Thread(target=threading.Event().wait, name="downloads", daemon=True)
        thread.start()
        thread.join()

    code, text = found(a_thread_that_waits)

    assert code == ExitCode.TRY_AGAIN
    assert text.index("Thread MainThread") < text.index("in a_thread_that_waits") < text.index("Thread downloads")
    assert "Thread watchdog" not in text


@forks_only
def test_workers_are_named_with_their_stacks(found):
    """The output stage only waits for them, so its own stack says nothing."""

    def digest_that_waits(question, fetched):
        threading.Event().wait()

    def answers():
        with Workers(2, lambda usage: Work(lambda question: None, digest_that_waits), Usage()) as workers:
            list(workers.answers(range(4)))

    code, text = found(answers)

    assert code == ExitCode.TRY_AGAIN
    assert text.count("Worker process") == 2
    assert text.count("in digest_that_waits") == 2


def test_a_task_ends_even_if_nobody_can_hear_its_last_words(found, monkeypatch):
    """What hangs may be the very store that the record goes to."""
    monkeypatch.setattr(watchdog, "_LAST_WORDS", 0.01)
    monkeypatch.setattr(watchdog, "own_stacks", lambda but: threading.Event().wait())

    assert found(lambda: threading.Event().wait()) == (ExitCode.TRY_AGAIN, "")


def test_native_code_that_keeps_the_interpreter_leaves_its_stacks_in_the_log(found, tmp_path):
    """No thread of Python can act then; the limit of the try ends the task."""
    asleep, wake = os.pipe()
    log = tmp_path / "log"

    def keeps_the_interpreter():
        os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT), 2)
        ctypes.PyDLL(None).read(asleep, ctypes.create_string_buffer(1), 1)  # unlike CDLL, it keeps the lock

    def wakes_it():
        while "keeps_the_interpreter" not in (log.read_text() if log.exists() else ""):
            time.sleep(0.01)
        os.write(wake, b".")

    waker = threading.Thread(target=wakes_it)
    waker.start()

    assert found(keeps_the_interpreter) == (0, "")

    waker.join()


def test_a_child_that_code_forks_can_end():
    """What faulthandler leaves in a fork would wait for ever when the interpreter ends."""
    code = (
        "import os, sys\n"
        "from epydrop_stages.artifacts.usage import Usage\n"
        "from epydrop_stages.stages.watchdog import watched\n"
        "with watched(900, Usage(), print):\n"
        "    child = os.fork()\n"
        "    if not child: sys.exit(3)\n"
        "    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) + 1)\n"
    )

    assert subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=False).returncode == 4
