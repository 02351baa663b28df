"""The emulator as a whole: the state, the thread that runs tasks, the post, and both doors of the API."""

from __future__ import annotations

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
from batch_emulator.engine.job_store import JobStore
from batch_emulator.engine.launchers import Launcher
from batch_emulator.engine.options import Options, base_environment
from batch_emulator.engine.supervisor import Supervisor, log_folder
from batch_emulator.engine.supervisor_lock import SupervisorLock
from batch_emulator.engine.work import Work
from batch_emulator.fault_plans import Mischief, UnknownMischief, mischief_of
from batch_emulator.messages import Job
from batch_emulator.options import ServerOptions
from batch_emulator.state.delivery import Post, default_publish
from batch_emulator.state.event_log import Chronicle
from batch_emulator.state.ledger import Ledger
from batch_emulator.state.notifications import Notices
from batch_emulator.state.tables import prepare
from batch_emulator.workbench import Workbench
from batch_emulator.worker import Engine, launcher_for
from epydrop.errors import BadInput
from epydrop_workstation.local.database import Database
from epydrop_workstation.local.event_queue import SqliteEventQueue

_BACKOFF = 0.1  # seconds; nobody waits for a machine here
_GRACE = 2.0  # seconds for calls under way when it stops


@dataclass(frozen=True)
class Served:
    """A server at work: what to connect to, and where its tasks' logs lie."""

    grpc_address: str  # 127.0.0.1:PORT
    rest_url: str  # http://127.0.0.1:PORT
    engine: Engine
    folder: Path

    def task_log(self, uid: str, index: int, retry: int = 0) -> Path:
        """The output of one try of a task of the job of this uid."""
        return log_folder(self.folder, uid) / f"{index:05d}-{retry}.log"


@contextmanager
def serve(options: ServerOptions) -> Iterator[Served]:
    """Serves the Batch API until the block ends; then running tasks end, and wait for the next server.

    Raises ConfigurationError for a port that is taken or a folder that cannot hold the state, RetryableError when another
    server has the folder, BadInput for mischief that is none; at the end, what stopped the tasks from being run.
    """
    with ExitStack() as stack:
        database = Database(options.state)
        stack.callback(database.close)
        prepare(database)
        post = Post(SqliteEventQueue(database), options.publish or default_publish(options.state))
        store, engine = _engine(stack, database, post.ring, options)
        post.start()
        stack.callback(post.close)
        ledger = Ledger(database)
        calls = all_calls(Jobs(ledger, store, options, engine.wake), Tasks(ledger), Operations(ledger))
        grpc_server, grpc_port = serve_grpc(calls, options.grpc_port)
        stack.callback(lambda: grpc_server.stop(_GRACE).wait())
        rest_server = RestServer(RestApi(calls), options.rest_port)
        stack.callback(rest_server.close)
        yield Served(f"{HOST}:{grpc_port}", f"http://{HOST}:{rest_server.port}", engine, database.folder)
        if engine.failure is not None:
            raise engine.failure


def _engine(
    stack: ExitStack, database: Database, ring: Callable[[], None], options: ServerOptions
) -> tuple[JobStore, Engine]:
    """The jobs of the folder, which nobody else may have, and what runs their tasks."""
    mischief = _mischief(options)
    lock = SupervisorLock(database.folder / "supervisor.lock")
    handle = lock.take()
    stack.callback(lock.release)
    workbench = Workbench(database.folder / "plans", options)
    notices = Notices(database, _of_job(mischief), ring)
    store = JobStore(database, Chronicle(database, notices, workbench.clear))
    launcher = launcher_for(options)
    stack.callback(launcher.close)
    launcher.open(handle)
    launcher.warm_up()
    engine = Engine(_supervisor(store, launcher, options, _work_of(store, workbench, mischief)))
    engine.start()
    stack.callback(engine.close)
    return store, engine


def _mischief(options: ServerOptions) -> Mischief:
    try:
        return mischief_of(options.mischief)
    except UnknownMischief as error:
        raise BadInput(f"mischief {error.word}: {error}") from error


def _of_job(mischief: Mischief) -> Callable[[Any], Mischief]:
    """What is to go wrong with a job, from the start of the server and from the job's own labels."""
    return lambda job: mischief.of_job(job.name.rsplit("/", 1)[-1], job.labels)


def _work_of(store: JobStore, workbench: Workbench, mischief: Mischief) -> Callable[[str], Work]:
    def work_of(uid: str) -> Work:
        row = store.job(uid)
        if row is None:
            raise RuntimeError(f"job {uid} is not there")
        job = Job.FromString(row.spec)
        return workbench.prepare(job, uid, row.created, _of_job(mischief)(job))

    return work_of


def _supervisor(
    store: JobStore, launcher: Launcher, options: ServerOptions, work_of: Callable[[str], Work]
) -> Supervisor:
    environment = {**base_environment(), **options.env}
    run = Options(cores=options.parallelism, env=environment, backoff=_BACKOFF)
    return Supervisor(store, launcher, run, store.database.folder, work_of)
