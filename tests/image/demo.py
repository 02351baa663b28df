"""A whole experiment inside the image: the packages, the data and the user are the image's, the folder is /tmp's.

    python demo.py EXPERIMENT

Prints what was published; ends with 1 unless the run succeeded.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from epydrop.core.phases import Phase
from epydrop_workstation.local.wiring import local_machine
from epydrop_workstation.packing import pack


def main(file: Path) -> int:
    """The exit code."""
    with tempfile.TemporaryDirectory() as folder, local_machine(Path(folder)) as machine:
        run_id = machine.drop(*pack(file, ()))

        def has_ended() -> bool:
            stored = machine.runs.load(run_id)
            return stored is not None and not stored.run.phase.is_open

        machine.work_on(run_id, has_ended)
        stored = machine.runs.load(run_id)
        assert stored is not None
        print(f"{stored.run.phase}: {stored.run.reason}")
        for path in sorted(Path(folder).glob(f"runs/**/{run_id}/{stored.run.outputs}**/*")):
            print(f"  {path.relative_to(folder)}  {path.stat().st_size} bytes")
        return 0 if stored.run.phase is Phase.SUCCEEDED else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
