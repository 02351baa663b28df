"""The lock files contain what pyproject.toml requires, agree with one another, and name no host."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from support.paths import ROOT

FILES = [*(ROOT / "requirements").glob("*.txt"), ROOT / "functions/requirements.txt"]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EMULATOR = tomllib.loads((ROOT / "batch_emulator/pyproject.toml").read_text())["project"]
OURS = {"batch-emulator"}  # installed from its folder, never from an index
PINNED = re.compile(r"^[A-Za-z0-9][^=\s]*==[^\\]+")

LOADED = """
import sys
import main
from epydrop.experiment import read_experiment
read_experiment(b"model: {model: {type: SIR}}", "x", "x")
print(*{name.partition(".")[0] for name in sys.modules})
"""


def locked(lock: str) -> dict[str, Version]:
    """The version of each package that a lock pins for this Python."""
    found = (PINNED.match(line) for line in (ROOT / lock).read_text().splitlines())
    pins = [Requirement(match[0].strip()) for match in found if match]
    here = [pin for pin in pins if pin.marker is None or pin.marker.evaluate()]
    return {canonicalize_name(pin.name): Version(str(pin.specifier).removeprefix("==")) for pin in here}


def group(name: str) -> list[str]:
    """The requirements of a dependency group, with those of the groups that it includes."""
    entries = PYPROJECT["dependency-groups"][name]
    own = [entry for entry in entries if isinstance(entry, str)]
    return own + [text for entry in entries if isinstance(entry, dict) for text in group(entry["include-group"])]


PACKAGE = PYPROJECT["project"]["dependencies"]
LOCKS = {  # file -> the requirements that it is compiled from
    "requirements/dev.txt": PACKAGE + group("dev"),
    "requirements/local.txt": PACKAGE,
    "requirements/stage.txt": group("stage"),
    "requirements/stage-cloud.txt": group("stage") + group("storage"),
    "requirements/batch-emulator.txt": EMULATOR["dependencies"] + EMULATOR["optional-dependencies"]["api"],
    "functions/requirements.txt": group("functions"),
}


def needed(requirement: Requirement, seen: set[tuple[str, str]]) -> Iterator[Requirement]:
    """The requirement and its dependencies on this machine, from the metadata of the installed packages."""
    yield requirement
    try:
        texts = requires(requirement.name) or []
    except PackageNotFoundError:
        return
    for text in texts:
        inner = Requirement(text)
        wanted = any(not inner.marker or inner.marker.evaluate({"extra": one}) for one in ("", *requirement.extras))
        key = (canonicalize_name(inner.name), ",".join(sorted(inner.extras)))
        if wanted and key not in seen:
            seen.add(key)
            yield from needed(inner, seen)


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_contains_every_requirement(lock: str) -> None:
    """In a matching version, with all dependencies."""
    versions = locked(lock)

    for text in LOCKS[lock]:
        for requirement in needed(Requirement(text), set()):
            if requirement.name in OURS:
                continue
            version = versions.get(canonicalize_name(requirement.name))
            assert version is not None, f"{requirement} is not in {lock}; run `make lock`"
            assert requirement.specifier.contains(version, prereleases=True), f"{requirement} is locked as {version}"


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_has_the_versions_that_are_tested(lock: str) -> None:
    """The cloud runs what the tests ran."""
    tested = locked("requirements/dev.txt")

    assert {name: version for name, version in locked(lock).items() if tested[name] != version} == {}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_lock_has_hashes_and_no_host(file: Path) -> None:
    """It installs from any package index, and only files with these hashes."""
    text = file.read_text()

    assert "://" not in text
    assert not re.search(r"^\s*(-i|--index-url|--extra-index-url|--find-links|--trusted-host)", text, re.MULTILINE)
    entries = re.split(r"\n(?=[a-z0-9])", text)
    assert all("--hash=sha256:" in entry for entry in entries if PINNED.match(entry))


def test_the_functions_load_nothing_that_is_not_in_their_lock() -> None:
    """Packages of the other programs stay out of the cloud."""
    output = subprocess.run(
        [sys.executable, "-c", LOADED], cwd=ROOT / "functions", capture_output=True, text=True, check=True
    ).stdout
    packages = packages_distributions()
    loaded = {canonicalize_name(packages[name][0]) for name in output.split() if len(packages.get(name, [])) == 1}

    assert {"functions-framework", "pydantic", "ruamel-yaml"} <= loaded
    hooked = {"coverage", "setuptools"}  # into every interpreter of this environment
    assert loaded - set(locked("functions/requirements.txt")) - {"epydrop"} - hooked == set()
