"""The token that reads a private repository: whom git shows it to, and where it never stands."""

from __future__ import annotations

import base64
import logging
import os
import subprocess
import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from support.git_repository import CASES, WITH_SOURCE, GitRepository
from support.stage_run import StageRun, records_in

from epydrop.errors import BadInput
from epydrop.experiment.sections import Repository
from epydrop.formats.names import Stage, job_id
from epydrop.stores.folder import FileObjectStore
from epydrop_stages.inputs.repository import check_out
from epydrop_stages.inputs.repository.git import ASKPASS, Git, GitFailed, Remote, config_of, environment_of
from epydrop_stages.stages.context import TaskEnvironment
from epydrop_workstation.local.options import LocalOptions

SECRET = "github_pat_11ABCDEFG0swordfish"
BASIC = base64.b64encode(f"x-access-token:{SECRET}".encode()).decode()
RUN = "20261122-231500-0123abcd"


@pytest.fixture
def repository(tmp_path):
    made = GitRepository.of(tmp_path / "forecasts")
    made.commit({"data/cases.csv": CASES})
    return made


# -- git's surroundings, as values -------------------------------------------------------------


def test_git_sees_only_what_it_needs_of_the_environment(tmp_path):
    """No setting, key or helper of this machine; proxies and certificates, because servers are behind them."""
    mine = {
        "PATH": "/bin",
        "HTTPS_PROXY": "http://proxy",
        "SSL_CERT_FILE": "/ca.pem",
        "HOME": "/home/me",
        "GIT_DIR": "/elsewhere",
        "GIT_CONFIG_COUNT": "1",
        "GIT_TRACE_CURL": "1",
        "SSH_AUTH_SOCK": "/agent",
        "EPYDROP_SIGNING_KEY": "a key",
        "GITHUB_PAT": "of somebody else",
    }

    env = environment_of(Remote.of("owner/name"), tmp_path, mine)

    assert {name: env[name] for name in env if name in mine} == {
        "PATH": "/bin",
        "HTTPS_PROXY": "http://proxy",
        "SSL_CERT_FILE": "/ca.pem",
        "HOME": str(tmp_path),
    }
    assert env["GIT_SSL_CAINFO"] == "/ca.pem"
    assert env["GIT_TERMINAL_PROMPT"] == "0"
    assert env["GIT_CONFIG_NOSYSTEM"] == "1"


@pytest.mark.parametrize(
    ("repo", "gets_it"),
    [
        ("owner/name", True),
        ("https://github.com/owner/name", True),
        ("https://github.com.else.org/owner/name", False),
        ("https://gitlab.com/owner/name", False),
        ("file:///srv/forecasts", False),
    ],
)
def test_only_github_gets_the_token(tmp_path, repo, gets_it):
    """An experiment may name any address; the token is not for all of them."""
    env = environment_of(Remote.of(repo, SECRET), tmp_path, {"PATH": "/bin"})

    assert (env.get("GITHUB_PAT") == SECRET) is gets_it


def test_the_token_is_in_no_address_file_or_text():
    """What is written, or printed by accident, does not hold it."""
    remote = Remote.of("owner/name", SECRET)

    for text in (remote.url, repr(remote), config_of(remote), ASKPASS, str(GitFailed(("x",), f"odd {SECRET}", remote))):
        assert SECRET not in text


def test_git_s_own_configuration_allows_two_protocols_and_no_helper():
    """What is not named there is refused: ssh, git, ext and plain http."""
    config = config_of(Remote.of("owner/name"))

    assert "[protocol]\n\tversion = 2\n\tallow = never" in config
    assert config.count("allow = always") == 2
    assert "helper =\n" in config
    assert "hooksPath = /dev/null" in config


def test_a_repository_s_address_cannot_write_configuration():
    """A line break hidden in it would."""
    with pytest.raises(BadInput, match="unprintable"):
        Remote.of("file:///srv/x%0a%5bprotocol%5d")


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Username for 'https://github.com': ", "x-access-token\n"),
        ("Password for 'https://x-access-token@github.com': ", f"{SECRET}\n"),
        ("Username for 'https://github.com.else.org': ", ""),
        ("Password for 'https://x-access-token@else.org': ", ""),
        ("Password for 'https://github.com@else.org': ", ""),
        ("Password for 'http://x-access-token@github.com': ", ""),
        ("Enter passphrase for key: ", ""),
    ],
)
def test_the_script_answers_one_server(tmp_path, question, answer):
    """To any other it says nothing, and fails."""
    script = tmp_path / "askpass"
    script.write_text(ASKPASS)
    env = environment_of(Remote.of("owner/name", SECRET), tmp_path, os.environ)

    done = subprocess.run(["sh", script, question], env=env, check=False, capture_output=True, text=True)

    assert (done.stdout, done.returncode == 0) == (answer, bool(answer))


# -- a server that asks for it -----------------------------------------------------------------


class _Server(ThreadingHTTPServer):
    """Serves a folder to whoever shows the token; everything that was asked is in ``asked``."""

    daemon_threads = True

    def __init__(self, folder, elsewhere="", is_open=True):
        self.asked = []
        self.elsewhere = elsewhere
        self.is_open = is_open
        super().__init__(("127.0.0.1", 0), partial(_Handler, directory=str(folder)))

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(SimpleHTTPRequestHandler):
    def do_GET(self):
        given = self.headers.get("Authorization")
        self.server.asked.append((self.path, dict(self.headers.items())))
        if self.server.elsewhere:
            self.send_response(302)
            self.send_header("Location", self.server.elsewhere + self.path)
            self.end_headers()
        elif given is None:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="forecasts"')
            self.end_headers()
        elif given != f"Basic {BASIC}" or not self.server.is_open:
            self.send_error(403)
        else:
            super().do_GET()

    def log_message(self, *args):
        pass


@contextmanager
def serving(folder, **options):
    with _Server(folder, **options) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def served(tmp_path, repository):
    """The repository as a plain web server has it."""
    repository.git("clone", "--quiet", "--bare", ".", str(tmp_path / "served.git"))
    GitRepository(tmp_path / "served.git").git("update-server-info")
    return tmp_path


def remote_at(server, token=SECRET):
    """Plain http, which an experiment cannot ask for: the schema and git's configuration both refuse it."""
    return Remote(f"{server.url}/served.git", token, protocols=("http",), token_server=server.url)


def test_the_token_opens_a_private_repository(tmp_path, served, caplog):
    """It goes into the header made for it, and nowhere else: not into a path, another header, the store or the log."""
    store, workspace = FileObjectStore(tmp_path / "run"), tmp_path / "files"
    workspace.mkdir()

    with serving(served) as server, caplog.at_level(logging.DEBUG):
        check_out(Repository(repo="owner/name", ref="main"), remote_at(server), records_in(store), workspace)

    assert (workspace / "data/cases.csv").read_text() == CASES
    assert any(headers.get("Authorization") == f"Basic {BASIC}" for _, headers in server.asked)
    for path, headers in server.asked:
        said = {name: value for name, value in headers.items() if name != "Authorization"}
        assert SECRET not in f"{path} {said}"
        assert BASIC not in f"{path} {said}"
    assert SECRET not in caplog.text
    for info in store.list():
        assert SECRET.encode() not in store.read(info.name)


@pytest.mark.parametrize(("token", "words"), [("", "needs a token"), (SECRET, "the token in GITHUB_PAT may not read")])
def test_a_refusal_says_whether_a_token_was_sent(tmp_path, served, token, words):
    """Without a token it is missing, with one it does not do; neither message holds it."""
    with serving(served, is_open=False) as server, pytest.raises(BadInput) as caught:
        check_out(
            Repository(repo="owner/name"),
            remote_at(server, token),
            records_in(FileObjectStore(tmp_path / "run")),
            tmp_path,
        )

    assert words in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_redirect_to_another_server_does_not_get_the_token(tmp_path, served):
    """The other server asks for it, and git has no answer."""
    with serving(served) as other, serving(served, elsewhere=other.url) as server, pytest.raises(BadInput):
        check_out(
            Repository(repo="owner/name"), remote_at(server), records_in(FileObjectStore(tmp_path / "run")), tmp_path
        )

    assert other.asked
    assert all("Authorization" not in headers for _, headers in other.asked)


def test_plain_http_is_refused_by_git_itself(tmp_path, served):
    """Should one ever get past the schema."""
    with serving(served) as server, pytest.raises(GitFailed, match="transport 'http' not allowed"):
        Git(tmp_path / "git", Remote(f"{server.url}/served.git")).run("ls-remote", "origin")

    assert not server.asked


# -- in a run ----------------------------------------------------------------------------------


def test_a_builder_s_token_is_in_nothing_that_it_leaves(tmp_path, repository, monkeypatch, caplog, capfd):
    """Inputs, archive, manifest, telemetry, log; and the code that it calls does not find it."""
    run = StageRun.of(tmp_path / "run", WITH_SOURCE.format(url=repository.url, ref="main"))
    monkeypatch.setenv("GITHUB_PAT", SECRET)
    monkeypatch.setattr(StageRun, "environment", _with_token(StageRun.environment))

    assert run.build() == 0

    assert "GITHUB_PAT" not in os.environ
    assert SECRET not in caplog.text + "".join(capfd.readouterr())
    for name in run.names(""):
        assert SECRET.encode() not in run.store.read(name)


def test_a_failed_builder_s_record_holds_no_token(tmp_path, repository, monkeypatch, caplog, capfd):
    """Nor does the message, the traceback or the log."""
    run = StageRun.of(tmp_path / "run", WITH_SOURCE.format(url=repository.url, ref="mian"))
    monkeypatch.setattr(StageRun, "environment", _with_token(StageRun.environment))

    assert run.build() == 65

    (problem,) = run.error(Stage.BUILDER).problems
    assert (problem.file, problem.line) == ("flu.yaml", 4)
    assert "has no branch, tag or commit 'mian'" in problem.message
    assert SECRET not in caplog.text + "".join(capfd.readouterr())
    for name in run.names(""):
        assert SECRET.encode() not in run.store.read(name)


def _with_token(environment):
    return lambda *args: {**environment(*args), "GITHUB_PAT": SECRET}


def test_the_environment_of_a_stage_prints_without_the_token():
    """As a traceback with values would."""
    environ = {"EPYDROP_RUN_URL": "file:///x/", "EPYDROP_ATTEMPT": "1", "BATCH_TASK_INDEX": "0", "GITHUB_PAT": SECRET}
    environ["EPYDROP_ORDERS_SHA256"] = "ab12"
    keys = '{"one": "a key of enough characters"}'

    environment = TaskEnvironment.read(Stage.BUILDER, {**environ, "EPYDROP_SIGNING_KEY": keys})

    assert environment.github_pat == SECRET
    assert SECRET not in repr(environment)


def test_on_one_machine_only_builders_get_the_token():
    """Runner and output have no use for it."""
    options = LocalOptions(env={"EPYDEMIX_DATA": "/data"}, builder_env={"GITHUB_PAT": SECRET})

    assert options.stage_env(job_id(Stage.BUILDER, RUN, 1)) == {"GITHUB_PAT": SECRET}
    for stage in (Stage.RUNNER, Stage.OUTPUT):
        assert options.stage_env(job_id(stage, RUN, 1)) == {}
    assert SECRET not in repr(options)
