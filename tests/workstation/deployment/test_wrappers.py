"""``epydrop build`` and ``epydrop deploy`` show the very commands that they run, and with --dry-run run none."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from pathlib import Path

import pytest
from support.paths import ROOT
from typer.testing import CliRunner

from epydrop_workstation.cli.main import app

PAGE = (ROOT / "docs" / "deploy.md").read_text()
AT = {"EPYDROP_PROJECT": "demo-project", "EPYDROP_REGION": "us-central1"}
RECORDER = f"""#!{sys.executable}
import json, os, sys
words = [os.path.basename(sys.argv[0]), *sys.argv[1:]]
given = sys.stdin.read() if "--data-file=-" in words else ""
with open(os.environ["RECORD"], "a") as file:
    file.write(json.dumps([words, given]) + "\\n")
if "access" in words: print(os.environ.get("KNOWN", ""))
if "list" in words and os.environ.get("KNOWN"): print("1")
sys.exit(int(os.environ.get("EXIT_CODE", "0")))
"""


class Programs:
    """gcloud, docker and terraform as programs that only write down how they were called."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._record = folder / "record"
        for name in ("gcloud", "docker", "terraform"):
            program = folder / name
            program.write_text(RECORDER)
            program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.setenv("RECORD", str(self._record))

    @property
    def calls(self) -> list[tuple[list[str], str]]:
        """Each call's words and standard input."""
        lines = self._record.read_text().splitlines() if self._record.exists() else []
        return [tuple(json.loads(line)) for line in lines]


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """In a checkout, with a deployment's place in the environment."""
    monkeypatch.chdir(ROOT)
    for name, value in AT.items():
        monkeypatch.setenv(name, value)
    return Programs(tmp_path, monkeypatch)


COMMANDS = [
    "deploy plan", "deploy apply", "deploy destroy", "deploy output", "deploy key",
    "build cloud", "build local", "build dev", "build status",
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_a_dry_run_runs_nothing_wherever_the_flag_stands(programs: Programs, command: str) -> None:
    """Before the first word, between the two, and after them: a flag that is dropped would really destroy."""
    group, verb = command.split()
    said = [
        CliRunner().invoke(app, words)
        for words in (["--dry-run", group, verb], [group, "--dry-run", verb], [group, verb, "--dry-run"])
    ]

    assert programs.calls == []
    assert [result.exit_code for result in said] == [0, 0, 0]
    assert len({result.stdout for result in said}) == 1
    assert said[0].stdout


@pytest.mark.parametrize("command", [command for command in COMMANDS if command != "deploy key"])
def test_what_a_dry_run_shows_is_what_runs(programs: Programs, command: str) -> None:
    """Word for word."""
    shown = CliRunner().invoke(app, [*command.split(), "--dry-run"]).stdout
    done = CliRunner().invoke(app, command.split())

    assert done.exit_code == 0, done.output
    assert [words for words, _ in programs.calls] == [shlex.split(line) for line in shown.splitlines()]


def test_a_dry_run_of_what_changes_nothing_is_refused(programs: Programs) -> None:
    """A flag that means nothing is not swallowed."""
    assert CliRunner().invoke(app, ["--dry-run", "runs"]).exit_code == 2


def test_words_after_the_dashes_go_to_terraform(programs: Programs) -> None:
    """As they are."""
    CliRunner().invoke(app, ["deploy", "apply", "--var-file", "x.tfvars", "--", "-auto-approve", "-target=a.b"])

    apply = programs.calls[-1][0]
    assert apply[-2:] == ["-auto-approve", "-target=a.b"]
    assert f"-var-file={ROOT / 'x.tfvars'}" in apply


def test_a_failure_ends_the_rest_with_its_own_exit_code(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    """No apply on a state that could not be reached."""
    monkeypatch.setenv("EXIT_CODE", "7")

    assert CliRunner().invoke(app, ["deploy", "apply"]).exit_code == 7
    assert [words[2] for words, _ in programs.calls] == ["init"]


def test_the_first_signing_key_is_strong_and_in_no_argument(programs: Programs) -> None:
    """It goes through a pipe."""
    said = CliRunner().invoke(app, ["deploy", "key"])

    words, given = programs.calls[-1]
    (key,) = json.loads(given).values()
    assert words[:4] == ["gcloud", "secrets", "versions", "add"]
    assert len(key) == 64
    assert key not in said.output + json.dumps([call for call, _ in programs.calls])


def test_a_new_signing_key_stands_after_the_old_ones(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last one signs; results of earlier runs stay readable."""
    monkeypatch.setenv("KNOWN", '{"2026-11": "an old key of some length"}')

    CliRunner().invoke(app, ["deploy", "key"])

    keys = json.loads(programs.calls[-1][1])
    assert next(iter(keys)) == "2026-11"
    assert keys["2026-11"] == "an old key of some length"
    assert len(keys) == 2


def test_after_a_leak_a_new_key_stands_alone(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks read the newest version of the secret, so nothing that the leaked key signed is read any more."""
    monkeypatch.setenv("KNOWN", '{"2026-11": "an old key of some length"}')

    said = CliRunner().invoke(app, ["deploy", "key", "--revoke-older"])

    ((words, given),) = programs.calls
    assert words[:4] == ["gcloud", "secrets", "versions", "add"]
    assert len(json.loads(given)) == 1
    assert "2026-11" not in given
    assert "retry unfinished runs from the builder" in said.output


def test_a_token_in_the_environment_is_mounted_and_not_told(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """docker reads it by the name of the variable."""
    monkeypatch.setenv("GITHUB_TOKEN", "ghp_secret")

    said = CliRunner().invoke(app, ["build", "dev"])

    ((words, _),) = programs.calls
    assert "id=github_token,env=GITHUB_TOKEN" in words
    assert "ghp_secret" not in said.output + " ".join(words)


def test_outside_of_a_checkout_the_commands_say_what_they_need(
    programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Terraform would make a state of its own in any folder."""
    monkeypatch.chdir(tmp_path)

    result = CliRunner().invoke(app, ["deploy", "apply"])

    assert "not in a checkout" in str(result.exception)
    assert programs.calls == []


def test_every_command_of_the_deployment_page_exists(programs: Programs) -> None:
    """Each is started as it stands there, with --dry-run; only terraform's own words are left out."""
    lines = re.findall(r"(?:^ *|`|&& )(epydrop (?:build|deploy) [^`#&\n]*)", PAGE, re.MULTILINE)

    assert len(lines) > 12
    for line in lines:
        words = shlex.split(line)[1:]
        place = words.index("--") if "--" in words else len(words)
        result = CliRunner().invoke(app, [*words[:place], "--dry-run", *words[place:]])
        assert result.exit_code == 0, f"{line}: {result.output}"
    assert programs.calls == []


def test_every_variable_of_the_deployment_page_exists() -> None:
    """In the example, and in the text."""
    variables = set(re.findall(r'^variable "(\w+)"', (ROOT / "terraform" / "variables.tf").read_text(), re.MULTILINE))
    (example,) = re.findall(r"```hcl\n(.*?)```", PAGE, re.DOTALL)

    named = set(re.findall(r"^(\w+)\s+=", example, re.MULTILINE)) | set(re.findall(r"-var[= ](\w+)=", PAGE))
    assert named <= variables


def test_terraform_s_variables_are_in_alphabetical_order() -> None:
    """So that one finds them."""
    variables = re.findall(r'^variable "(\w+)"', (ROOT / "terraform" / "variables.tf").read_text(), re.MULTILINE)

    assert variables == sorted(variables)
