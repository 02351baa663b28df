"""A git repository in a folder, made by git itself, with only what a test cares about spelled out."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

_ENV = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "tester",
    "GIT_AUTHOR_EMAIL": "tester@localhost",
    "GIT_COMMITTER_NAME": "tester",
    "GIT_COMMITTER_EMAIL": "tester@localhost",
    "GIT_AUTHOR_DATE": "2026-11-22T12:00:00Z",
    "GIT_COMMITTER_DATE": "2026-11-22T12:00:00Z",
}

# An experiment whose observations are in its repository.
WITH_SOURCE = """
exp_id: sir
seed: 7
source: {{repo: "{url}", ref: {ref}}}
model:
  model: {{type: SIR}}
  population: {{size: 500}}
  simulation: {{start_date: "2026-01-01", end_date: "2026-01-10"}}
  initial_conditions: {{Susceptible: 490, Infected: 10}}
  calibration:
    observed_data: data/cases.csv
    observed_column: cases
    num_particles: 4
    num_generations: 1
    priors: {{transmission_rate: {{distribution: uniform, low: 0.2, high: 1.0}}}}
"""
CASES = "cases\n" + "\n".join(map(str, (12, 15, 20, 26, 33, 41, 50, 60, 70, 80))) + "\n"


@dataclass
class GitRepository:
    """Files go in by ``commit``, which returns the commit's full name."""

    folder: Path

    @classmethod
    def of(cls, folder: Path) -> GitRepository:
        folder.mkdir()
        repository = cls(folder)
        repository.git("init", "--quiet", "--initial-branch=main")
        return repository

    @property
    def url(self) -> str:
        return self.folder.as_uri()

    def git(self, *args: str) -> str:
        env = {**os.environ, **_ENV}
        done = subprocess.run(["git", *args], cwd=self.folder, env=env, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def commit(self, files: dict[str, str | bytes] | None = None) -> str:
        """Adds everything in the folder, after writing these files."""
        for name, content in (files or {}).items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        self.git("add", "--all", "--force")
        self.git("commit", "--quiet", "--allow-empty", "--message", "a change")
        return self.git("rev-parse", "HEAD")
