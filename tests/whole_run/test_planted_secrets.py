"""Everything that whole runs leave on one machine is searched for the secrets that were around: none is there.

Files, logs, the database with runs, history, job specifications and messages, replies, reports, tables, and what
artifacts, archives and parquet files hold when unpacked; and everything that the command prints.
"""

from __future__ import annotations

import io
import json
import lzma
import sqlite3
import tarfile
import zipfile
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
import zstandard
from pyarrow import parquet
from support.git_repository import CASES, WITH_SOURCE, GitRepository
from support.one_machine import Command
from support.planted_secrets import secrets_in, secrets_in_bytes

from epydrop.formats.names import LOCAL_STATE, Stage
from epydrop.stores import open_store
from epydrop_stages.artifacts.signatures import SigningKeys
from epydrop_stages.artifacts.signed_files import Meta, read_artifact, write_artifact

AROUND = {
    "GITHUB_PAT": "github_pat_11ABCDEFG0swordfish22HIJKLM",
    "CLOUD_PASSWORD": "open-sesame-and-hurry-up",
    "EPYDROP_SIGNING_KEY": json.dumps({"elsewhere": "c0ffee" * 10}),
}
SECRETS = {"token": AROUND["GITHUB_PAT"], "password": AROUND["CLOUD_PASSWORD"], "other key": "c0ffee" * 10}
KEY_FILE, DATABASE = f"{LOCAL_STATE}/signing-key.json", f"{LOCAL_STATE}/state.sqlite"


class Left:
    """What the runs left behind."""

    def __init__(self, folder: Path) -> None:
        self.command = Command(folder, {**AROUND, "EPYDROP_DEBUG": "1"})
        self.printed = ""

    def say(self, *words: object, code: int = 0) -> None:
        self.printed += self.command(*words, code=code)

    @property
    def root(self) -> Path:
        return self.command.root

    @property
    def key(self) -> str:
        (key,) = json.loads((self.root / KEY_FILE).read_text()).values()
        return str(key)

    def found(self) -> set[tuple[str, str]]:
        """(file, secret) for each that is found, but for the file that is the key's own."""
        return secrets_in(self.root, {**SECRETS, "key": self.key}) - {(KEY_FILE, "key")}


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Left:
    """A run that succeeds, with another set of outputs, and others that are refused, with the secrets around."""
    folder = tmp_path_factory.mktemp("planted")
    repository = GitRepository.of(folder / "forecasts")
    repository.commit({"data/cases.csv": CASES})
    left = Left(folder)
    good = WITH_SOURCE.format(url=repository.url, ref="main")
    left.say("run", left.command.file(good))
    left.command.file("outputs: {quantiles: [0.1, 0.5, 0.9]}\n", "other.yaml")
    left.say("rerun-output", "latest", "--config", "other.yaml")
    left.say("run", left.command.file(good.replace("ref: main", "ref: mian"), "wrong.yaml"), code=65)
    with_token = good.replace(repository.url, f"https://x:{SECRETS['token']}@github.com/owner/name")
    left.say("run", left.command.file(with_token, "token.yaml"), code=65)
    left.say("show", "latest", "--json")
    left.say("show", "latest")
    left.say("runs")
    return left


def test_no_secret_is_in_anything_that_runs_leave(left: Left) -> None:
    """Not as it is, not as its bytes, not in hex and not in base64."""
    assert left.found() == set()


def test_no_secret_is_printed(left: Left) -> None:
    """With every debug message."""
    assert "DEBUG" in left.printed or "INFO" in left.printed
    assert secrets_in_bytes(left.printed.encode(), {**SECRETS, "key": left.key}) == set()


def test_the_key_s_own_file_is_the_owner_s_alone(left: Left) -> None:
    """The search leaves out this one file and no other."""
    assert (left.root / KEY_FILE).stat().st_mode & 0o077 == 0
    assert (KEY_FILE, "key") in secrets_in(left.root, {"key": left.key})


# -- the search itself -------------------------------------------------------------------------


def test_a_secret_that_a_suite_stores_would_be_found(left: Left) -> None:
    """In a genuine artifact of this very run, where it lies compressed."""
    (path,) = left.root.glob("runs/*/*/runner-artifacts/result_00000.pkl.zst")
    store, name = open_store(path.parent.parent.as_uri() + "/"), "runner-artifacts/result_00000.pkl.zst"
    keys = SigningKeys.parse((left.root / KEY_FILE).read_text())
    meta = Meta("result", path.parent.parent.name, Stage.RUNNER, 0)
    before = path.read_bytes()
    value = read_artifact(store, name, meta, keys)
    try:
        write_artifact(store, name, (value, {"leaked": SECRETS["token"]}), meta, keys)

        assert SECRETS["token"].encode() not in path.read_bytes()
        assert left.found() == {(str(path.relative_to(left.root)), "token")}
    finally:
        path.write_bytes(before)


def test_a_secret_in_the_database_would_be_found(left: Left) -> None:
    """In a column of any table, also if its text is spread over pages of the file."""
    file = left.root / DATABASE
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE leak (text)")
        connection.execute("INSERT INTO leak VALUES (?)", ("x" * 9000 + SECRETS["password"] + "x" * 9000,))
    connection.close()
    try:
        assert left.found() == {(DATABASE, "password")}
    finally:
        with sqlite3.connect(file) as connection:
            connection.execute("DROP TABLE leak")
        connection.execute("VACUUM")
        connection.close()


def in_tar(data: bytes) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        member = tarfile.TarInfo("file")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def in_zip(data: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("file", data)
    return stream.getvalue()


def in_parquet(data: bytes) -> bytes:
    stream = io.BytesIO()
    parquet.write_table(pa.table({"text": [data.decode()]}), stream, compression="zstd")
    return stream.getvalue()


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "zstd": zstandard.ZstdCompressor().compress,
    "xz": lzma.compress,
    "zip": in_zip,
    "parquet": in_parquet,
    "tar in zstd": lambda data: zstandard.ZstdCompressor().compress(in_tar(data)),
    "zip in tar in zstd": lambda data: zstandard.ZstdCompressor().compress(in_tar(in_zip(data))),
}
KEY = "0123456789abcdef" * 4
WRITTEN: dict[str, Callable[[bytes], bytes]] = {
    "raw": bytes,
    "hex": lambda data: data.hex().encode(),
    "base64": b64encode,
    "base64 in a longer text": lambda data: b64encode(b"x-access-token:" + data + b"\n"),
    "base64 one byte later": lambda data: b64encode(b"x" + data),
    "base64 for addresses": urlsafe_b64encode,
}


@pytest.mark.parametrize("packed", PACKED)
@pytest.mark.parametrize("written", WRITTEN)
def test_the_search_finds_a_secret_in_every_spelling_and_packing(packed: str, written: str) -> None:
    """And nothing where there is none."""
    around = b"some text before " * 50

    for planted in (KEY.encode(), SECRETS["token"].encode()):
        data = PACKED[packed](around + WRITTEN[written](planted) + around)
        assert len(secrets_in_bytes(data, {"key": KEY, "token": SECRETS["token"]})) == 1
    assert secrets_in_bytes(PACKED[packed](around), {"key": KEY}) == set()


def test_the_search_knows_the_bytes_that_a_key_in_hex_spells() -> None:
    """And their base64."""
    for written in (bytes.fromhex(KEY), b64encode(bytes.fromhex(KEY))):
        assert secrets_in_bytes(b"before " + written + b" after", {"key": KEY}) == {"key"}
