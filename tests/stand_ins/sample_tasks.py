"""What the tasks of the tests do: ``python -m sample_tasks ACTION ...``."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def main(argv):
    """Does the named thing and returns the exit code."""
    action, *values = argv
    return ACTIONS[action](*values)


def _exit(code, *only_at):
    """Exits so in the given tries, or in all."""
    retry = os.environ["BATCH_TASK_RETRY_ATTEMPT"]
    return int(code) if not only_at or retry in only_at else 0


def _odd_fails(code):
    return int(code) if int(os.environ["BATCH_TASK_INDEX"]) % 2 else 0


def _sleep(seconds):
    time.sleep(float(seconds))
    return 0


def _stubborn():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.stdout.write("ignoring SIGTERM\n")
    sys.stdout.flush()
    time.sleep(600)


def _allocate(mebibytes):
    held = bytearray(int(mebibytes) << 20)
    held[::1024] = b"x" * len(held[::1024])
    time.sleep(600)


def _parent(folder):
    """Starts a child that ignores what it can, and says who both are."""
    child = subprocess.Popen(["sh", "-c", "trap '' TERM HUP INT; sleep 600 & sleep 600"])
    name = Path(folder) / os.environ["BATCH_TASK_INDEX"]
    name.with_suffix(".new").write_text(f"{os.getpid()} {child.pid}")
    name.with_suffix(".new").rename(name.with_suffix(".pids"))
    time.sleep(600)


def _leave_child(folder):
    """Ends well while its child goes on."""
    child = subprocess.Popen(["sleep", "600"])
    (Path(folder) / "left").write_text(str(child.pid))
    return 0


def _escape(folder):
    """Ends well while a child goes on outside the task's group, with all files that a child can inherit."""
    child = subprocess.Popen(["sleep", "600"], start_new_session=True, close_fds=False)
    (Path(folder) / "escaped").write_text(str(child.pid))
    return 0


def _report(folder):
    """Leaves behind what it sees of its surroundings."""
    seen = {
        "env": dict(os.environ),
        "cwd": str(Path.cwd()),
        "is_empty": not list(Path.cwd().iterdir()),
        "leads_its_session": os.getsid(0) == os.getpid() == os.getpgid(0),
        "input": sys.stdin.read(),
        "argv": sys.argv[1:],
    }
    (Path(folder) / f"{os.environ['BATCH_TASK_INDEX']}.json").write_text(json.dumps(seen))
    Path("left-behind").write_text("left in the working folder")
    return 0


def _count(folder, seconds):
    """Adds a line for each time that it began, and another when it ended."""
    path = Path(folder) / os.environ["BATCH_TASK_INDEX"]
    with path.open("a") as file:
        file.write("began\n")
    time.sleep(float(seconds))
    with path.open("a") as file:
        file.write("ended\n")
    return 0


def _fail():
    sys.stdout.write("about to fail\n")
    raise RuntimeError("this is the reason")


def _signal(number):
    os.kill(os.getpid(), int(number))
    time.sleep(600)


def _say(words):
    sys.exit(words)


ACTIONS = {
    "exit": _exit,
    "odd-fails": _odd_fails,
    "sleep": _sleep,
    "stubborn": _stubborn,
    "allocate": _allocate,
    "parent": _parent,
    "leave-child": _leave_child,
    "escape": _escape,
    "report": _report,
    "count": _count,
    "fail": _fail,
    "signal": _signal,
    "say": _say,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
