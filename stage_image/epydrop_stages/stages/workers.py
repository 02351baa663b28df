"""Worker processes that answer a stage's questions in parallel; answers come in the order of the questions.

Knows processes, pipes and exit codes, and nothing about the questions. A worker prefetches for its next question while
it answers the current one. On Linux workers are forked, so they share the memory of the code that the stage has loaded.
The caller must have no other thread, and nothing loaded that starts threads (matplotlib's font cache, Arrow's pool).

A worker exits when its pipe closes. No other process holds the stage's end of the pipe, so no worker outlives the
stage, even if the stage is killed.
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
    """``fetch``: question -> data, called in a thread; ``answer``: (question, data) -> answer."""

    fetch: Callable[[Any], Any]
    answer: Callable[[Any, Any], Any]

    def answers(self, questions: Iterable[Any]) -> Iterator[Any]:
        """Answer the questions in this process, in order, prefetching like a worker."""
        return (self.answer(question, fetched) for question, fetched in reading_ahead(self.fetch, questions))


OpenWork = Callable[[Usage], Work]

_FORKS = sys.platform == "linux"  # macOS's system libraries do not support fork without exec
_QUEUED = 1  # questions sent to a worker ahead of the current one; it prefetches for them
_AHEAD = 3  # per worker, answers that may arrive before the next one in order; bounds memory and disk


class WorkerLost(EpydropError):
    """A worker exited without answering: killed, or by a call of exit."""

    def __init__(self, exit_code: int, question: Any) -> None:
        if exit_code == -signal.SIGKILL:
            why = "was killed (signal 9), as when memory runs out,"  # only the kernel kills a worker and not the stage
            self.exit_code = ExitCode.OUT_OF_MEMORY
        else:
            why = f"ended by signal {-exit_code}" if exit_code < 0 else f"ended with exit code {exit_code}"
        super().__init__(f"a worker process {why} while working on {question}")


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

    def receive(self) -> tuple[int, Any, Usage]:
        """The answer to the oldest question: (number, answer, usage). Raises FailedInWorker, WorkerLost."""
        try:
            reply, usage = self.pipe.recv()
        except (EOFError, ConnectionResetError):
            raise self._lost() from None
        number, _ = self.asked.popleft()
        self.peak_mib = max(self.peak_mib, usage.workers_mib)
        if isinstance(reply, Failure):
            raise FailedInWorker(reply)
        return number, pickle.loads(reply), usage  # noqa: S301 - from our own fork

    def _lost(self) -> WorkerLost:
        self.process.join()  # the exit code is known only then
        return WorkerLost(self.process.exitcode or 0, self.asked[0][1] if self.asked else "nothing")


class Workers:
    """A pool of ``count`` processes. ``open_work`` is called once in each, with the Usage that its answers add to."""

    def __init__(self, count: int, open_work: OpenWork, usage: Usage) -> None:
        self._usage = usage
        self._workers: list[_Worker] = []
        self._context: ForkContext | SpawnContext = (
            multiprocessing.get_context("fork") if _FORKS else multiprocessing.get_context("spawn")
        )
        gc.collect()
        gc.freeze()  # else a collection writes to every object, and so copies all shared pages
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
        """The answer to each question, in order. Questions are taken from the iterable as late as possible.

        Can be called once: after the last answer the workers end, which frees their memory.
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
                found.update(self._received())
            else:
                self._end(kill=False)
                return

    def _started(self, open_work: OpenWork) -> _Worker:
        ours, theirs = self._context.Pipe()
        others = [ours, *(worker.pipe for worker in self._workers)] if _FORKS else []
        process = self._context.Process(target=_serve, args=(theirs, others, open_work, Path.cwd()), daemon=True)
        with warnings.catch_warnings():
            # Python 3.12 and later warn about forking with threads. The only others may be the one that waits for the
            # supervisor's death and the watchdog; they hold no lock that a worker needs.
            warnings.simplefilter("ignore", DeprecationWarning)
            process.start()
        theirs.close()  # the stage must not hold the worker's end, or it would not notice the worker's death
        return _Worker(process, ours)

    def _free(self) -> _Worker | None:
        """The worker with the fewest questions, or None if all have enough."""
        worker = min(self._workers, key=lambda worker: len(worker.asked))
        return worker if len(worker.asked) <= _QUEUED else None

    def _received(self) -> Iterator[tuple[int, Any]]:
        """The answers that have arrived, as (number, answer); waits for at least one."""
        by_pipe = {worker.pipe: worker for worker in self._workers if worker.asked}
        for pipe in wait(list(by_pipe)):
            number, value, usage = by_pipe[pipe].receive()  # type: ignore[index]
            self._usage.bytes_in += usage.bytes_in
            self._usage.bytes_out += usage.bytes_out
            yield number, value

    def _end(self, *, kill: bool) -> None:
        """End the workers and wait for them: only then does the system add their processor time to the stage's."""
        for worker in self._workers:
            worker.pipe.close()
            if kill:
                worker.process.kill()
        for worker in self._workers:
            worker.process.join()
        self._usage.workers_mib += sum(worker.peak_mib for worker in self._workers)
        self._workers = []


def reading_ahead(fetch: Callable[[Any], Any], questions: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    """Each question with its fetched data; a thread fetches for the next question in the meantime."""
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
    """The main function of a worker: answer until the pipe closes."""
    os.chdir(folder)  # a spawned process starts in the program's folder, not the stage's
    for other in others:
        other.close()  # else the pipes would stay open when the stage dies
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the stage gets it too, and ends its workers
    usage, shared_mib = Usage(), own_peak_mib()
    work = _opened(open_work, usage)
    for question, fetched in reading_ahead(work.fetch, _questions_from(pipe)):
        try:
            # Pickled here and not by the pipe, so that an answer that cannot be pickled is reported like any error.
            reply: bytes | Failure = pickle.dumps(work.answer(question, fetched))
        except Exception as error:  # noqa: BLE001 - sent to the stage, which raises it
            reply = Failure.of(error)
        except SystemExit as error:  # a normal exit would wait for the thread that waits for the next question
            os._exit(error.code if isinstance(error.code, int) else ExitCode.BUG)
        usage.workers_mib = own_peak_mib() - shared_mib
        try:
            pipe.send((reply, usage.take()))
        except (BrokenPipeError, ConnectionResetError):
            return


def _opened(open_work: OpenWork, usage: Usage) -> Work:
    """The work, or one that answers every question with the error raised while opening it."""
    try:
        return open_work(usage)
    except Exception as error:  # noqa: BLE001 - sent to the stage, which raises it
        reason = error

    def fail(*_: Any) -> None:
        raise reason

    return Work(fetch=lambda _: None, answer=fail)


def _questions_from(pipe: Connection) -> Iterator[Any]:
    while True:
        try:
            yield pipe.recv()
        except (EOFError, ConnectionResetError):
            return
