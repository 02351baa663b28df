"""The overhead of the Cloud Batch emulator: calls relative to a bare gRPC server, tasks to bare processes, memory.

All figures of a table come from one run, because only ratios are meaningful on a shared machine.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import grpc
import psutil
from google.auth.credentials import AnonymousCredentials
from google.cloud import batch_v1
from google.cloud.batch_v1.services.batch_service.transports import BatchServiceGrpcTransport

from batch_emulator.engine.options import usable_cores
from batch_emulator.options import ServerOptions
from batch_emulator.server import Served, serve

CALLS = 300
TASKS = 1000
PLACE = "projects/p/locations/us-central1"
HELD = {"mischief-hold": "queued"}  # so that nothing runs while calls are measured


def a_job(tasks: int = 1, labels: dict[str, str] | None = None) -> batch_v1.Job:
    """A job of tasks that do nothing."""
    spec = {"runnables": [{"script": {"text": "true"}}]}
    return batch_v1.Job({"task_groups": [{"task_count": tasks, "task_spec": spec}], "labels": labels or {}})


def grpc_client(address: str) -> batch_v1.BatchServiceClient:
    """Google's client without TLS."""
    return batch_v1.BatchServiceClient(transport=BatchServiceGrpcTransport(channel=grpc.insecure_channel(address)))


def rest_client(url: str) -> batch_v1.BatchServiceClient:
    """Google's client over HTTP."""
    options = {"api_endpoint": url}
    return batch_v1.BatchServiceClient(transport="rest", credentials=AnonymousCredentials(), client_options=options)


def milliseconds(call: Callable[[int], object]) -> float:
    """Mean wall time of one of CALLS sequential calls, after one that is not timed."""
    call(0)
    started = time.perf_counter()
    for n in range(1, CALLS + 1):
        call(n)
    return (time.perf_counter() - started) / CALLS * 1000


def bare_call() -> float:
    """Milliseconds of GetJob at a server that returns a constant."""
    answer = batch_v1.Job.serialize(a_job())
    handler = grpc.unary_unary_rpc_method_handler(lambda *_: answer)
    server = grpc.server(ThreadPoolExecutor(1))
    handlers = grpc.method_handlers_generic_handler("google.cloud.batch.v1.BatchService", {"GetJob": handler})
    server.add_generic_rpc_handlers([handlers])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    client = grpc_client(f"127.0.0.1:{port}")
    taken = milliseconds(lambda _: client.get_job(name=f"{PLACE}/jobs/any"))
    server.stop(None).wait()
    return taken


def measure_calls(served: Served) -> None:
    """Prints one row per call, with columns for both transports."""
    bare = bare_call()
    clients = {"grpc": grpc_client(served.grpc_address), "rest": rest_client(served.rest_url)}
    print(f"milliseconds of a call, and as a ratio to a bare gRPC call of {bare:.2f} ms")
    print(f"{'call':<10}{'gRPC':>8}{'ratio':>8}{'REST':>8}{'ratio':>8}")
    calls: dict[str, Callable[[str, int], object]] = {
        "create": lambda by, n: clients[by].create_job(parent=PLACE, job=a_job(labels=HELD), job_id=f"{by}-{n}"),
        "get": lambda by, n: clients[by].get_job(name=f"{PLACE}/jobs/{by}-{n}"),
        "list 100": lambda by, _: next(clients[by].list_jobs({"parent": PLACE, "page_size": 100}).pages),
        "delete": lambda by, n: clients[by].delete_job(name=f"{PLACE}/jobs/{by}-{n}"),
    }
    for name, call in calls.items():
        taken = [milliseconds(partial(call, by)) for by in clients]
        print(f"{name:<10}" + "".join(f"{one:>8.2f}{one / bare:>8.1f}" for one in taken))


def measure_tasks(served: Served, cores: int) -> None:
    """Prints the time of a job of trivial tasks, and of the same scripts as bare processes."""
    client = grpc_client(served.grpc_address)
    ran(client, a_job(cores))  # not timed: the first job starts the fork server
    started = time.perf_counter()
    ran(client, a_job(TASKS))
    job = time.perf_counter() - started
    started = time.perf_counter()
    with ThreadPoolExecutor(cores) as pool:
        list(pool.map(lambda _: subprocess.run(["/bin/sh", "-c", "true"], check=True), range(TASKS)))
    bare = time.perf_counter() - started
    print(f"\n{TASKS} tasks that do nothing on {cores} cores")
    print(f"{'as a job':<16}{job:>8.2f} s {job / TASKS * cores * 1000:>8.1f} ms of a core for each")
    print(f"{'bare processes':<16}{bare:>8.2f} s {bare / TASKS * cores * 1000:>8.1f} ms of a core for each")
    print(f"{'ratio':<16}{job / bare:>8.2f}")


def ran(client: batch_v1.BatchServiceClient, job: batch_v1.Job) -> None:
    """Runs a job and returns when it has succeeded."""
    created = client.create_job(parent=PLACE, job=job)
    while (state := client.get_job(name=created.name).status.state.name) != "SUCCEEDED":
        assert state != "FAILED", created.name  # noqa: S101 - the time of a failed job means nothing
        time.sleep(0.02)


def main() -> None:
    """Prints the tables."""
    cores = usable_cores()
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        with serve(ServerOptions(state=Path(folder), publish=lambda _: None)) as served:
            print(f"up after {(time.perf_counter() - started) * 1000:.0f} ms\n")
            measure_calls(served)
            measure_tasks(served, cores)
            me = psutil.Process()
            below = sum(child.memory_info().rss for child in me.children(recursive=True))
            print(f"\nmemory: server and client {me.memory_info().rss >> 20} MiB, fork server {below >> 20} MiB")


if __name__ == "__main__":
    main()
