"""Artifacts: what was written is read, and nothing else is ever decompressed or unpickled."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import sys
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from support.stage_run import RUN_ID, signing_keys

from epydrop.errors import ConfigurationError, IntegrityError, NotFound
from epydrop.formats.names import Stage, artifacts_folder, input_name, result_name
from epydrop.stores.folder import FileObjectStore
from epydrop_stages.artifacts.signatures import Header, SigningKeys, parse_frame
from epydrop_stages.artifacts.signed_files import Meta, is_valid, read_artifact, write_artifact

META = Meta("result", RUN_ID, Stage.RUNNER, 3)
NAME = "runner-artifacts/result_00003.pkl.zst"
SLOW_DISK = settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def store(tmp_path: Path) -> FileObjectStore:
    return FileObjectStore(tmp_path / "store")


@pytest.fixture
def bomb(tmp_path: Path) -> Path:
    """What appears if ``explosive`` is ever unpickled."""
    return tmp_path / "exploded"


@pytest.fixture
def explosive(store: FileObjectStore, bomb: Path) -> bytes:
    """A genuine artifact that had better not be unpickled."""
    write_artifact(store, NAME, Bomb(bomb), META, signing_keys())
    return store.read(NAME)


class Bomb:
    """Unpickling it creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def test_what_was_written_is_read_again(store):
    """Arrays and nested values survive."""
    value = {"a": np.arange(5.0), "b": [1, ("x", None)]}

    write_artifact(store, NAME, value, META, signing_keys())

    found = read_artifact(store, NAME, META, signing_keys())
    assert found["b"] == value["b"]
    assert np.array_equal(found["a"], value["a"])


class Moved:
    """A class that the next version has no more."""


def test_what_another_version_wrote_is_refused_with_what_to_do(store, monkeypatch):
    """A class that moved is not a traceback in the middle of a run."""
    write_artifact(store, NAME, Moved(), META, signing_keys())
    monkeypatch.delattr(sys.modules[__name__], "Moved")

    with pytest.raises(IntegrityError, match=r"written by another version of epydrop .* run the experiment again"):
        read_artifact(store, NAME, META, signing_keys())
    assert is_valid(store, NAME, META, signing_keys())


def test_other_tools_read_the_file_and_skip_the_signature(store):
    """A plain zstd reader over all frames gets the pickle and nothing behind it."""
    write_artifact(store, NAME, [1, 2, 3], META, signing_keys())

    stream = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(store.read(NAME)), read_across_frames=True)

    assert pickle.loads(stream.read()) == [1, 2, 3]


@SLOW_DISK
@given(data=st.data())
def test_any_flipped_byte_is_refused(store, bomb, explosive, data):
    """Wherever a bit changes, the artifact is not genuine, and nothing is unpickled."""
    content = bytearray(explosive)
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    store.write(NAME, bytes(content))

    with pytest.raises(IntegrityError):
        read_artifact(store, NAME, META, signing_keys())

    assert not bomb.exists()


@SLOW_DISK
@given(data=st.data())
def test_any_truncation_or_extension_is_refused(store, bomb, explosive, data):
    """Bytes that are missing or added at the end are noticed."""
    kept = data.draw(st.integers(0, len(explosive)))
    changed = explosive[:kept] + data.draw(st.binary(min_size=1, max_size=80))
    assume(changed != explosive)
    store.write(NAME, changed)

    with pytest.raises(IntegrityError):
        read_artifact(store, NAME, META, signing_keys())

    assert not bomb.exists()


def test_the_explosive_is_one(store, bomb, explosive):
    """The tests above would notice if it were unpickled."""
    read_artifact(store, NAME, META, signing_keys())

    assert bomb.exists()


@SLOW_DISK
@given(content=st.binary(max_size=300))
def test_arbitrary_bytes_are_refused(store, content):
    """What was never an artifact is told so, in our own error."""
    store.write(NAME, content)

    with pytest.raises(IntegrityError):
        read_artifact(store, NAME, META, signing_keys())


@pytest.mark.parametrize(
    ("other", "word"),
    [
        (Meta("input", RUN_ID, Stage.RUNNER, 3), "kind"),
        (Meta("result", "20200101-000000-00000000", Stage.RUNNER, 3), "run"),
        (Meta("result", RUN_ID, Stage.BUILDER, 3), "stage"),
        (Meta("result", RUN_ID, Stage.RUNNER, 4), "index"),
    ],
)
def test_a_genuine_artifact_in_the_wrong_place_is_refused(store, other, word):
    """The error says whose it is."""
    write_artifact(store, NAME, 1, other, signing_keys())

    with pytest.raises(IntegrityError, match=f"belongs to another {word}.*it was made for {NAME} of run"):
        read_artifact(store, NAME, META, signing_keys())


def test_old_keys_stay_readable_and_the_newest_signs(store):
    """After a key was added, artifacts of both keys are read; without the new key the new ones are not."""
    write_artifact(store, "old", 1, META, signing_keys("old"))
    write_artifact(store, "new", 2, META, signing_keys("old", "new"))

    assert read_artifact(store, "old", META, signing_keys()) == 1
    assert read_artifact(store, "new", META, signing_keys("new")) == 2
    with pytest.raises(IntegrityError, match="unknown key 'new'"):
        read_artifact(store, "new", META, signing_keys("old"))


def test_another_key_of_the_same_id_does_not_verify(store):
    """An attacker who knows the key's name has nothing."""
    write_artifact(store, NAME, 1, META, SigningKeys({"new": b"a key of somebody else"}))

    with pytest.raises(IntegrityError, match="altered"):
        read_artifact(store, NAME, META, signing_keys())


def test_an_artifact_of_another_round_is_refused(store):
    """A genuine result that somebody copies into a later round is not its result."""
    write_artifact(store, NAME, 1, META, signing_keys())
    later = NAME.replace("artifacts", "artifacts-2")
    store.write(later, store.read(NAME))

    with pytest.raises(IntegrityError, match=f"belongs to another name: expected '{later}', found '{NAME}'"):
        read_artifact(store, later, META, signing_keys())


PLACES = st.tuples(
    st.sampled_from([RUN_ID, RUN_ID.replace("0123abcd", "99999999")]),
    st.sampled_from(Stage),
    st.integers(1, 3),
    st.sampled_from(["input", "result"]),
    st.integers(0, 2),
)


@SLOW_DISK
@given(here=PLACES, there=PLACES)
def test_an_artifact_is_read_in_its_place_and_in_no_other(store, here, there):
    """Whatever is exchanged: runs, stages, rounds, kinds or indices. The error names the place that it was made for."""
    (name, meta), (elsewhere, other) = artifact_at(*here), artifact_at(*there)
    write_artifact(store, name, "value", meta, signing_keys())
    store.write(elsewhere, store.read(name))

    if here == there:
        assert read_artifact(store, elsewhere, other, signing_keys()) == "value"
        return
    with pytest.raises(IntegrityError, match=f"made for {name} of run {meta.run_id} "):
        read_artifact(store, elsewhere, other, signing_keys())


def artifact_at(run_id: str, stage: Stage, round_: int, kind: str, index: int) -> tuple[str, Meta]:
    """Its name in the folder of the run, and what its reader expects."""
    name_of = {"input": input_name, "result": result_name}[kind]
    return name_of(artifacts_folder(stage, round_), index), Meta(kind, run_id, stage, index)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@SLOW_DISK
@given(field=st.sampled_from([field.name for field in fields(Header)]), value=VALUES)
def test_a_header_with_any_value_is_read_or_refused(store, field, value):
    """Whatever its type: nothing escapes but our own error."""
    write_artifact(store, NAME, 1, META, signing_keys())
    content = store.read(NAME)
    header, mac, size = parse_frame(content, NAME)
    text = json.dumps({**asdict(header), field: value}, sort_keys=True, separators=(",", ":")).encode()
    payload = text + mac + struct.pack("<I8s", len(text), b"EPYDROP1")
    store.write(NAME, content[:-size] + struct.pack("<II", 0x184D2A5E, len(payload)) + payload)

    assert is_valid(store, NAME, META, signing_keys()) == (asdict(header)[field] == value)


def test_an_older_format_says_what_to_do(store):
    """Its round is not signed; a retry makes it anew."""
    write_artifact(store, NAME, 1, META, signing_keys())
    store.write(NAME, store.read(NAME).replace(b'"format":2', b'"format":1'))

    with pytest.raises(IntegrityError, match="retry the run from the builder"):
        read_artifact(store, NAME, META, signing_keys())


def test_a_newer_format_is_refused_by_name(store):
    """The header's format is looked at before anything else of it."""
    write_artifact(store, NAME, 1, META, signing_keys())
    store.write(NAME, store.read(NAME).replace(b'"format":2', b'"format":9'))

    with pytest.raises(IntegrityError, match="newer format 9"):
        read_artifact(store, NAME, META, signing_keys())


def test_what_decompresses_to_too_much_is_refused(store):
    """A small file cannot fill the memory."""
    write_artifact(store, NAME, bytes(10_000_000), META, signing_keys())

    assert store.stat(NAME).size < 10_000
    with pytest.raises(IntegrityError, match="more bytes than are allowed"):
        read_artifact(store, NAME, META, signing_keys(), max_bytes=1_000_000)


def test_nothing_appears_when_a_value_cannot_be_written(store):
    """A failed write leaves no artifact behind."""
    with pytest.raises(TypeError):
        write_artifact(store, NAME, (value for value in [1]), META, signing_keys())

    assert store.stat(NAME) is None
    assert not is_valid(store, NAME, META, signing_keys())
    with pytest.raises(NotFound):
        read_artifact(store, NAME, META, signing_keys())


@pytest.mark.parametrize("text", ["", "[]", "{}", "nonsense", '{"k": "short"}', '{"k": 12345678901234567890}'])
def test_bad_signing_keys_are_a_configuration_error(text):
    """The error names the variable and quotes no key."""
    with pytest.raises(ConfigurationError, match="EPYDROP_SIGNING_KEY"):
        SigningKeys.parse(text)


def test_keys_do_not_show_in_their_repr():
    """Only their names do."""
    assert "signs" not in repr(signing_keys())
