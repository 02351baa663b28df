"""Worker processes: they answer a stage's questions side by side, and the answers come in the order of the questions.

Owns the processes, their pipes and their deaths; knows nothing of what is asked. A worker fetches what its next
question needs while it answers the one before. Workers are forked where that is possible, so they share the code that
the stage has loaded; whoever makes them has no thread that holds a lock, and has neither loaded nor used what starts
threads (matplotlib's fonts, Arrow's thread pool).

A worker ends when its pipe does: no other process holds the stage's end of it, so none outlives the stage.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
import signal
import sys
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkContext, SpawnContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Self

from epydrop.errors import EpydropError, ExitCode
from epydrop_stages.artifacts.usage import Usage, own_peak_mib
from epydrop_stages.stages.failures import FailedInWorker, Failure


@dataclass(frozen=True)
class Work:
    """``fetch`` brings what a question needs, in a thread; ``answer`` takes the question and what was fetched."""

    fetch: Callable[[Any], Any]
    answer: Callable[[Any, Any], Any]

    def answers(self, questions: Iterable[Any]) -> Iterator[Any]:
        """The answers in this process, in order, reading ahead as a worker does."""
        return (self.answer(question, fetched) for question, fetched in reading_ahead(self.fetch, questions))


OpenWork = Callable[[Usage], Work]

_FORKS = sys.platform == "linux"  # elsewhere system libraries do not survive it
_WAITING = 1  # questions that a worker has beside the one it works on; it fetches for them meanwhile
_AHEAD = 3  # answers per worker that may be found before the one that is due: what bounds memory and disk


class WorkerLost(EpydropError):
    """A worker was killed or ended by itself; nobody caught an exception."""

    def __init__(self, exit_code: int, question: Any) -> None:
        if exit_code == -signal.SIGKILL:
            why = "was killed (signal 9), as happens when memory runs out,"
            self.exit_code = ExitCode.OUT_OF_MEMORY
        else:
            why = f"ended by signal {-exit_code}" if exit_code < 0 else f"ended with exit code {exit_code}"
        super().__init__(f"a worker process {why} at work on {question}")


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    asked: deque[tuple[int, Any]] = field(default_factory=deque)
    peak_mib: float = 0.0

    def ask(self, number: int, question: Any) -> None:
        self.asked.append((number, question))
        try:
            self.pipe.send(question)
        except (BrokenPipeError, ConnectionResetError):
            raise self._lost() from None

    def told(self) -> tuple[int, Any, Usage]:
        """The next answer, which is that to its oldest question. Raises FailedInWorker, WorkerLost."""
        try:
            told, usage = self.pipe.recv()
        except (EOFError, ConnectionResetError):
            raise self._lost() from None
        number, _ = self.asked.popleft()
        self.peak_mib = max(self.peak_mib, usage.workers_mib)
        if isinstance(told, Failure):
            raise FailedInWorker(told)
        return number, pickle.loads(told), usage  # noqa: S301 - from our own fork

    def _lost(self) -> WorkerLost:
        self.process.join()
        return WorkerLost(self.process.exitcode or 0, self.asked[0][1] if self.asked else "nothing")


class Workers:
    """So many processes. ``open_work`` is called once in each, with the Usage that its answers add to."""

    def __init__(self, count: int, open_work: OpenWork, usage: Usage) -> None:
        self._usage = usage
        self._workers: list[_Worker] = []
        self._context: ForkContext | SpawnContext = (
            multiprocessing.get_context("fork") if _FORKS else multiprocessing.get_context("spawn")
        )
        gc.collect()
        gc.freeze()  # the collector would otherwise touch, and so copy, every page that the workers share
        try:
            for _ in range(count):
                self._workers.append(self._started(open_work))
        except BaseException:
            self._end(kill=True)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._end(kill=kind is not None)

    def answers(self, questions: Iterable[Any]) -> Iterator[Any]:
        """The answer to each question, in order; questions are taken one by one, as late as they can be.

        Once only: with the last answer the workers are let go, and so is their memory.
        """
        source = enumerate(questions)
        found: dict[int, Any] = {}
        asked, given, is_over = 0, 0, False
        while True:
            while not is_over and asked - given < _AHEAD * len(self._workers) and (worker := self._free()):
                question = next(source, None)
                if question is None:
                    is_over = True
                else:
                    worker.ask(*question)
                    asked += 1
            if given in found:
                yield found.pop(given)
                given += 1
            elif given < asked:
                found.update(self._heard())
            else:
                self._end(kill=False)
                return

    def _started(self, open_work: OpenWork) -> _Worker:
        ours, theirs = self._context.Pipe()
        others = [ours, *(worker.pipe for worker in self._workers)] if _FORKS else []
        process = self._context.Process(target=_serve, args=(theirs, others, open_work, Path.cwd()), daemon=True)
        with warnings.catch_warnings():
            # Python 3.12 and later warn of threads; the one there may be waits for the supervisor's death.
            warnings.simplefilter("ignore", DeprecationWarning)
            process.start()
        theirs.close()
        return _Worker(process, ours)

    def _free(self) -> _Worker | None:
        """The worker with the least to do, if it may have one question more."""
        worker = min(self._workers, key=lambda worker: len(worker.asked))
        return worker if len(worker.asked) <= _WAITING else None

    def _heard(self) -> Iterator[tuple[int, Any]]:
        """The answers that are there; waits for the first."""
        by_pipe = {worker.pipe: worker for worker in self._workers if worker.asked}
        for pipe in wait(list(by_pipe)):
            number, value, usage = by_pipe[pipe].told()  # type: ignore[index]
            self._usage.bytes_in += usage.bytes_in
            self._usage.bytes_out += usage.bytes_out
            yield number, value

    def _end(self, *, kill: bool) -> None:
        """Lets them go, or makes them, and waits; only then does the system count their time as the stage's."""
        for worker in self._workers:
            worker.pipe.close()
            if kill:
                worker.process.kill()
        for worker in self._workers:
            worker.process.join()
        self._usage.workers_mib += sum(worker.peak_mib for worker in self._workers)
        self._workers = []


def reading_ahead(fetch: Callable[[Any], Any], questions: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    """Each question with what ``fetch`` brought for it; meanwhile a thread takes the next and fetches for that."""
    source = iter(questions)

    def next_pair() -> tuple[Any, Any] | None:
        for question in source:
            return question, fetch(question)
        return None

    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next_pair)
        while pair := coming.result():
            coming = thread.submit(next_pair)
            yield pair


def _serve(pipe: Connection, others: Sequence[Connection], open_work: OpenWork, folder: Path) -> None:
    """A worker's life: answers until the pipe ends."""
    os.chdir(folder)  # a spawned process begins where the program did, not where the stage is
    for other in others:
        other.close()  # else the stage's death would not show as the end of the pipe
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the stage hears it too, and ends its workers
    usage, shared_mib = Usage(), own_peak_mib()
    work = _opened(open_work, usage)
    for question, fetched in reading_ahead(work.fetch, _received(pipe)):
        try:
            told: bytes | Failure = pickle.dumps(work.answer(question, fetched))
        except Exception as error:  # noqa: BLE001 - told to the stage, which raises it there
            told = Failure.of(error)
        except SystemExit as error:  # at once: the thread that waits for the next question would keep the process
            os._exit(error.code if isinstance(error.code, int) else ExitCode.BUG)
        usage.workers_mib = own_peak_mib() - shared_mib
        try:
            pipe.send((told, usage.take()))
        except (BrokenPipeError, ConnectionResetError):
            return


def _opened(open_work: OpenWork, usage: Usage) -> Work:
    """The work, or one whose every answer is the reason why it could not be opened."""
    try:
        return open_work(usage)
    except Exception as error:  # noqa: BLE001 - told to the stage, which raises it there
        reason = error

    def fail(*_: Any) -> None:
        raise reason

    return Work(fetch=lambda _: None, answer=fail)


def _received(pipe: Connection) -> Iterator[Any]:
    while True:
        try:
            yield pipe.recv()
        except (EOFError, ConnectionResetError):
            return
