"""What the tasks of a job do and see, and when they are ended, tried again or given up."""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from support.batch_jobs import a_job, a_server, container, exit_codes, is_alive, ran, script, state_of, tasks_of, until
from support.engine_jobs import TASK_PATH

SECRET = "projects/p/secrets/token/versions/1"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A server that knows a secret, an image and a module."""
    with a_server(
        tmp_path_factory.mktemp("batch-api"),
        secrets={SECRET: "hush"},
        entrypoints={"region/greeter": ("echo", "hello")},
        env={"PYTHONPATH": TASK_PATH, "EVERYWHERE": "yes"},
        preload=("preloaded_stage",),
    ) as served:
        yield served


@pytest.fixture
def client(clients):
    """What tasks do is the same whatever way their job came."""
    return clients["grpc"]


@pytest.fixture
def log_of(client, served, place):
    """Runs a job and returns the log of its first task."""

    def run(*runnables, expected="SUCCEEDED", **changes):
        job = ran(client, place, a_job(*runnables, **changes))
        log = served.task_log(job.uid, 0)
        text = log.read_text() if log.exists() else ""
        assert job.status.state.name == expected, text
        return text

    return run


@pytest.fixture
def codes_of(client, place):
    """Runs a job and returns the exit codes of the tries of its first task."""

    def run(*runnables, **changes):
        return exit_codes(tasks_of(client, ran(client, place, a_job(*runnables, **changes)))[0])

    return run


# -- what runs -----------------------------------------------------------------------------------


def test_a_script_runs_in_the_shell_that_its_first_line_names(log_of):
    """Without one it is /bin/sh, as on Batch's machines."""
    assert log_of("#!/bin/bash\n[[ a == a ]] && echo $BASH_VERSION").startswith("5.")
    assert "argv0" in log_of("#!/usr/bin/env python3\nimport sys; print('argv0', sys.argv[0])")
    assert log_of("echo ${BASH_VERSION:-no bash}").strip() == ("no bash" if Path("/bin/dash").exists() else "")


def test_a_script_can_be_a_file_of_this_machine(log_of, tmp_path):
    """It need not be executable."""
    path = tmp_path / "do it.sh"
    path.write_text("#!/bin/bash\necho from a file, task ${BATCH_TASK_INDEX}")

    assert log_of({"script": {"path": str(path)}}) == "from a file, task 0\n"


def test_a_script_that_is_not_there_cannot_be_started(log_of):
    """The log says which."""
    assert "/no/such/script" in log_of({"script": {"path": "/no/such/script"}}, expected="FAILED")


def test_a_container_runs_its_command_as_a_process(log_of):
    """The entrypoint first, if there is one."""
    assert log_of(container("echo", "a b", "c")) == "a b c\n"
    assert log_of(container("-c", "echo $0", entrypoint="/bin/sh")) == "/bin/sh\n"


def test_the_python_of_an_image_is_the_one_that_runs_the_server(log_of):
    """With what is installed beside it."""
    said = log_of(container("python", "-c", "import sys, pydantic; print(sys.prefix)"))

    assert said == f"{sys.prefix}\n"


@pytest.mark.parametrize("image", ["region/greeter", "region/greeter:1.2", "region/greeter@sha256:0a"])
def test_an_image_runs_what_the_server_was_told_of_it(log_of, image):
    """Whatever its tag."""
    assert log_of(container("you", image_uri=image)) == "hello you\n"
    assert log_of({"container": {"image_uri": image}}) == "hello\n"


def test_a_command_that_is_not_there_cannot_be_started(codes_of):
    """With the exit code that a shell gives."""
    assert codes_of(container("no-such-program")) == [127]


def test_a_preloaded_module_runs_in_a_fork_of_what_imported_it(log_of):
    """Where forks are safe; with its own variables and arguments."""
    runnable = container("python", "-m", "preloaded_stage", "a", environment={"variables": {"MOOD": "good"}})

    assert log_of(runnable) == "True ['a'] 0 good\n"
    assert "False ['fail'] 0 None" in log_of(
        container("python", "-m", "preloaded_stage", "fail"), script("true", always_run=True), expected="FAILED"
    )


# -- what it sees --------------------------------------------------------------------------------


def test_a_task_knows_its_place_and_its_job(client, served, place):
    """By Batch's variables."""
    job = ran(client, place, a_job("echo $BATCH_TASK_INDEX/$BATCH_TASK_COUNT $BATCH_JOB_UID", tasks=3))

    for index in range(3):
        assert served.task_log(job.uid, index).read_text() == f"{index}/3 {job.uid}\n"


def test_variables_come_from_the_task_and_the_runnable(log_of):
    """The nearer one counts."""
    said = log_of(
        script("echo $A $B $C $D $EVERYWHERE", environment={"variables": {"B": "runnable"}}),
        environment={"variables": {"A": "task", "B": "task"}},
        environments={"A": "deprecated", "C": "deprecated"},
        task_environments=[{"variables": {"D": "own"}}],
    )

    assert said == "task runnable deprecated own yes\n"


def test_each_task_can_have_variables_of_its_own(client, served, place):
    """There are as many tasks as there are of them."""
    own = [{"variables": {"NAME": name}} for name in ("ann", "bob")]
    job = ran(client, place, a_job("echo $NAME", tasks=7, task_environments=own))

    assert job.task_groups[0].task_count == 2
    assert [served.task_log(job.uid, n).read_text() for n in range(2)] == ["ann\n", "bob\n"]


def test_secrets_come_from_what_the_server_was_given(log_of, served):
    """They are in no file of the server."""
    secret = {"secret_variables": {"TOKEN": SECRET}}

    assert log_of(script("echo ${#TOKEN}", environment=secret)) == "4\n"
    assert log_of("echo ${#TOKEN}; env | grep -c EPYDROP_BATCH; true", environment=secret) == "4\n0\n"
    for file in served.folder.rglob("*"):
        assert not file.is_file() or b"hush" not in file.read_bytes()


def test_variables_among_the_options_of_a_container_are_set(log_of):
    """The options that mean nothing here are left alone."""
    runnable = container("sh", "-c", "echo $A $B", options="--rm --network host -e A=1 --env=B='2 3' --shm-size=1g")

    assert log_of(runnable) == "1 2 3\n"


def test_a_folder_of_this_machine_stands_in_for_a_volume(log_of, tmp_path):
    """If it is where the volume would be mounted."""
    (tmp_path / "data").write_text("here\n")
    volumes = [{"gcs": {"remote_path": "bucket"}, "mount_path": str(tmp_path)}]

    assert log_of(container("cat", f"{tmp_path}/data", volumes=[f"/a:{tmp_path}:ro"]), volumes=volumes) == "here\n"


def test_a_task_works_in_an_empty_folder(log_of):
    """Which is gone when it ends."""
    folder = Path(log_of("pwd; ls -A | wc -l; touch something").splitlines()[0])

    assert not folder.exists()


# -- several runnables ---------------------------------------------------------------------------


def test_runnables_run_in_their_order(log_of):
    """Scripts and containers alike."""
    assert log_of("echo 1 > f", container("cat", "f"), "rm f; echo 3") == "1\n3\n"


def test_after_a_failure_only_those_run_that_always_do(log_of):
    """And it fails the task."""
    said = log_of("exit 3", "echo skipped", script("echo cleaned up", always_run=True), expected="FAILED")

    assert said.startswith("cleaned up\n")
    assert "exit code 3" in said
    assert "skipped" not in said


def test_the_first_failure_is_the_one_that_is_shown(codes_of):
    """As Batch documents it."""
    assert codes_of("exit 3", script("exit 4", always_run=True)) == [3]


def test_an_exit_status_can_be_ignored(log_of):
    """The others go on."""
    assert log_of(script("exit 3", ignore_exit_status=True), "echo went on") == "went on\n"


def test_a_background_runnable_runs_beside_the_others_and_is_ended_with_them(client, served, place, tmp_path):
    """Its being ended is no failure."""
    pid_file = tmp_path / "pid"
    job = a_job(
        script(f"sleep 600 & echo $! > {pid_file}; wait", background=True),
        f"until test -s {pid_file}; do sleep 0.02; done; echo done",
    )

    job = ran(client, place, job)

    assert job.status.state.name == "SUCCEEDED"
    assert served.task_log(job.uid, 0).read_text() == "done\n"
    until(lambda: not is_alive(int(pid_file.read_text())))


def test_a_background_runnable_that_fails_by_itself_fails_the_task(codes_of):
    """It ended before it was ended."""
    assert codes_of(script("exit 5", background=True), "sleep 0.5") == [5]


# -- limits --------------------------------------------------------------------------------------


def test_a_task_over_its_time_is_ended(codes_of):
    """With Batch's own exit code for it."""
    assert codes_of("sleep 600", max_run_duration=timedelta(seconds=1)) == [50005]


def test_after_the_time_of_the_task_nothing_more_runs(log_of):
    """Not even what always runs."""
    said = log_of(
        "sleep 600",
        script("echo still here", always_run=True),
        max_run_duration=timedelta(seconds=1),
        expected="FAILED",
    )

    assert "still here" not in said


def test_a_runnable_over_its_timeout_is_ended_with_all_that_it_started(client, place, tmp_path):
    """The same exit code; what always runs still does."""
    pid_file, after = tmp_path / "pid", tmp_path / "after"
    job = a_job(
        script(f"(trap '' TERM; sleep 600) & echo $! > {pid_file}; sleep 600", timeout=timedelta(seconds=0.5)),
        script(f"touch {after}", always_run=True),
    )

    (task,) = tasks_of(client, ran(client, place, job))

    assert exit_codes(task) == [50005]
    assert (
        "due to task runs over the maximum runtime with exit code 50005." in task.status.status_events[-1].description
    )
    assert after.exists()
    assert not is_alive(int(pid_file.read_text()))


GREEDY = "python", "-c", "x = bytearray(300 << 20); x[::1024] = b'x' * len(x[::1024]); import time; time.sleep(600)"


@pytest.mark.parametrize(
    "limit", [{"options": "--memory 100m"}, {"compute_resource": {"memory_mib": 100}}], ids=["options", "resource"]
)
def test_a_task_over_its_memory_is_killed(codes_of, limit):
    """137, as when the kernel does it; the option of the container counts before what the job asks for."""
    options = limit.pop("options", "")

    assert codes_of(container(*GREEDY, options=options), **limit) == [137]


def test_a_cancelled_task_ends_with_all_that_it_started(client, place, tmp_path):
    """Even what does not listen."""
    pid_file = tmp_path / "pid"
    job = client.create_job(parent=place, job=a_job(f"trap '' TERM; sleep 600 & echo $! > {pid_file}; wait", "true"))
    until(lambda: pid_file.exists() and pid_file.read_text())

    client.cancel_job(name=job.name).result(timeout=900)

    assert not is_alive(int(pid_file.read_text()))
    (task,) = tasks_of(client, job)
    assert task.status.state.name == "FAILED"


# -- retries -------------------------------------------------------------------------------------

TWICE_THEN_WELL = "test $BATCH_TASK_RETRY_ATTEMPT = 2 || exit $((40 + BATCH_TASK_RETRY_ATTEMPT))"


def policy(action, *codes):
    return [{"action": action, "action_condition": {"exit_codes": list(codes)}}]


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        ([], [40, 41, 0]),
        (policy("RETRY_TASK", 40, 41), [40, 41, 0]),
        (policy("RETRY_TASK", 40), [40, 41]),
        (policy("FAIL_TASK", 41), [40, 41]),
        (policy("FAIL_TASK", 1), [40, 41, 0]),
    ],
)
def test_a_lifecycle_policy_decides_which_failures_are_tried_again(codes_of, policies, expected):
    """Without one all are."""
    assert codes_of(TWICE_THEN_WELL, max_retry_count=5, lifecycle_policies=policies) == expected


def test_without_retries_nothing_is_tried_again(codes_of):
    """Whatever the policy says."""
    assert codes_of("exit 40", lifecycle_policies=policy("RETRY_TASK", 40)) == [40]


def test_retries_are_counted(codes_of):
    """All causes together."""
    assert codes_of("exit 1", max_retry_count=3) == [1, 1, 1, 1]


def test_the_killed_signal_shows_in_the_exit_code(codes_of):
    """128 and its number."""
    assert codes_of("kill -9 $$") == [137]


# -- order ---------------------------------------------------------------------------------------


def test_tasks_in_order_run_one_after_the_other(client, place, tmp_path):
    """By their index."""
    order = tmp_path / "order"
    job = a_job(f"echo $BATCH_TASK_INDEX >> {order}", tasks=6, scheduling_policy="IN_ORDER")

    job = ran(client, place, job)

    assert job.task_groups[0].parallelism == 1
    assert order.read_text().split() == ["0", "1", "2", "3", "4", "5"]


def test_the_job_of_higher_priority_goes_first(client, place, tmp_path):
    """Among those that wait."""
    gate, order = tmp_path / "gate", tmp_path / "order"
    blocker = client.create_job(parent=place, job=a_job(f"until test -e {gate}; do sleep 0.02; done", tasks=2))
    until(lambda: state_of(client, blocker.name) == "RUNNING")
    jobs = [
        client.create_job(parent=place, job=a_job(f"echo {n} >> {order}; sleep 0.1", priority=n)) for n in (1, 2, 3)
    ]

    gate.touch()
    until(lambda: all(state_of(client, job.name) == "SUCCEEDED" for job in jobs))

    assert order.read_text().split()[-1] == "1"


def test_the_server_itself_is_not_in_reach_of_a_task(log_of):
    """A task leads a session of its own."""
    assert log_of("ps -o sid= -p $$ | tr -d ' '").strip() != str(os.getsid(0))
