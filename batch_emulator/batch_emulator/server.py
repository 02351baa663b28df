"""The emulator as a whole: the state, the thread that runs tasks, the publisher, and both transports of the API."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batch_emulator.api.calls import all_calls
from batch_emulator.api.grpc_server import HOST, serve_grpc
from batch_emulator.api.jobs import Jobs
from batch_emulator.api.operations import Operations
from batch_emulator.api.rest_server import RestApi, RestServer
from batch_emulator.api.tasks import Tasks
from batch_emulator.engine.errors import InvalidInputError
from batch_emulator.engine.faults import Faults, InvalidFault, parse_faults
from batch_emulator.engine.fork_launcher import ForkLauncher
from batch_emulator.engine.job_store import JobStore
from batch_emulator.engine.launchers import Launcher, SpawnLauncher
from batch_emulator.engine.options import Options, base_environment
from batch_emulator.engine.sqlite_file import SqliteFile
from batch_emulator.engine.supervisor import Supervisor
from batch_emulator.engine.supervisor_lock import SupervisorLock
from batch_emulator.engine.task_logs import log_folder
from batch_emulator.engine.work import Work
from batch_emulator.engine.worker import Worker
from batch_emulator.options import ServerOptions
from batch_emulator.protocol.errors import unavailable
from batch_emulator.protocol.messages import Job
from batch_emulator.runnables.planner import TASK_MODULE, Planner
from batch_emulator.state.event_log import EventLog
from batch_emulator.state.ledger import Ledger
from batch_emulator.state.notifications import Notifications
from batch_emulator.state.outbox import Outbox
from batch_emulator.state.publisher import Publisher, default_publish
from batch_emulator.state.schema import open_state

_BACKOFF = 0.1  # seconds; on Batch a retry takes minutes, because it waits for a machine
_GRACE = 2.0  # seconds for calls at hand when it stops


@dataclass(frozen=True)
class Served:
    """A running server: its addresses, and the folder of its state."""

    grpc_address: str  # 127.0.0.1:PORT
    rest_url: str  # http://127.0.0.1:PORT
    worker: Worker
    folder: Path

    def task_log(self, uid: str, index: int, retry: int = 0) -> Path:
        """The file with the output of one try of a task of the job with this uid."""
        return log_folder(self.folder, uid) / f"{index:05d}-{retry}.log"


@contextmanager
def serve(options: ServerOptions) -> Iterator[Served]:
    """Serves the Batch API until the block ends; then running tasks end, and wait for the next server.

    Raises InvalidInputError for an invalid fault, SetupError for a taken port or an unusable folder, and
    UnavailableError if another server uses the folder; when the block ends, whatever stopped the tasks from being run.
    """
    faults = _server_faults(options)
    with ExitStack() as stack:  # everything closes in reverse order: first the transports, last the database
        database = open_state(options.state)
        stack.callback(database.close)
        publisher = Publisher(options.publish or default_publish(options.state))
        outbox = Outbox(database, publisher.wake)
        store, worker = _start_worker(stack, database, outbox, faults, options)
        publisher.start(outbox)
        stack.callback(publisher.close)
        grpc_port, rest_port = _start_transports(stack, database, store, worker, options)
        yield Served(f"{HOST}:{grpc_port}", f"http://{HOST}:{rest_port}", worker, database.folder)
        if worker.failure is not None:
            raise worker.failure


def _server_faults(options: ServerOptions) -> Faults:
    try:
        return parse_faults(options.faults)
    except InvalidFault as error:
        raise InvalidInputError(f"mischief {error.word}: {error}") from error


def _start_worker(
    stack: ExitStack, database: SqliteFile, outbox: Outbox, faults: Faults, options: ServerOptions
) -> tuple[JobStore, Worker]:
    """Takes the folder's lock and starts the thread that runs tasks."""
    lock = SupervisorLock(database.folder / "supervisor.lock")
    lock_handle = lock.take()
    stack.callback(lock.release)
    planner = Planner(database.folder / "plans", options)
    notifications = Notifications(database, outbox, _faults_of_jobs(faults))
    store = JobStore(database, EventLog(database, notifications, planner.clean_up))
    launcher = _launcher(options)
    stack.callback(launcher.close)
    launcher.open(lock_handle)
    launcher.warm_up()  # now: a module that cannot be preloaded should stop the start, not the first job
    run_options = Options(cores=options.parallelism, env={**base_environment(), **options.env}, backoff=_BACKOFF)
    work_of = _planned_work(store, planner, _faults_of_jobs(faults))
    worker = Worker(Supervisor(store, launcher, run_options, database.folder, work_of))
    worker.start()
    stack.callback(worker.close)
    return store, worker


def _start_transports(
    stack: ExitStack, database: SqliteFile, store: JobStore, worker: Worker, options: ServerOptions
) -> tuple[int, int]:
    """Starts both transports; returns the ports of gRPC and REST."""
    ledger = Ledger(database)
    calls = all_calls(Jobs(ledger, store, options, _waker(worker)), Tasks(ledger), Operations(ledger))
    grpc_server, grpc_port = serve_grpc(calls, options.grpc_port)
    stack.callback(lambda: grpc_server.stop(_GRACE).wait())
    rest_server = RestServer(RestApi(calls), options.rest_port)
    stack.callback(rest_server.close)
    return grpc_port, rest_server.port


def _launcher(options: ServerOptions) -> Launcher:
    """A fork server with the preloaded modules on Linux; elsewhere forks are not safe."""
    if platform.system() != "Linux":
        return SpawnLauncher()
    return ForkLauncher(TASK_MODULE, {**base_environment(), **options.env}, options.preload)


def _faults_of_jobs(faults: Faults) -> Callable[[Any], Faults]:
    """The faults of a job, from the server's options and from the job's own labels."""
    return lambda job: faults.of_job(job.name.rsplit("/", 1)[-1], job.labels)


def _planned_work(store: JobStore, planner: Planner, faults_of: Callable[[Any], Faults]) -> Callable[[str], Work]:
    def work_of(uid: str) -> Work:
        row = store.job(uid)
        if row is None:
            raise RuntimeError(f"job {uid} does not exist")
        job = Job.FromString(row.spec)
        return planner.prepare(job, uid, row.created, faults_of(job))

    return work_of


def _waker(worker: Worker) -> Callable[[], None]:
    def wake() -> None:
        worker.wake()
        if worker.failure is not None:
            raise unavailable(f"tasks are no longer run: {worker.failure}")

    return wake
