"""Bundles: what a zip may hold, and reading it without unpacking it."""

from __future__ import annotations

import io
import stat
import struct
from contextlib import suppress
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZipFile, ZipInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from epydrop.errors import BadInput
from epydrop.experiment import read_experiment
from epydrop.experiment.bundle import rules
from epydrop.experiment.bundle.archive import RangeReader, members, open_bundle

EXPERIMENT = b"model:\n  calibration: {observed_data: data/cases.csv}\n"
CASES = b"date,cases\n2026-11-28,5\n"


def zipped(*entries: tuple[str | ZipInfo, bytes], compression: int = ZIP_DEFLATED) -> bytes:
    """A zip of these entries after an experiment file."""
    stream = io.BytesIO()
    with ZipFile(stream, "w", compression) as archive:
        archive.writestr("experiment.yaml", EXPERIMENT)
        for name, data in entries:
            archive.writestr(name, data)
    return stream.getvalue()


def entry(name: str, mode: int = 0, flags: int = 0) -> ZipInfo:
    """An entry with a Unix mode."""
    info = ZipInfo(name)
    info.external_attr = mode << 16
    info.flag_bits |= flags
    return info


def opened(data: bytes, **options):
    """The bundle, opened but not unpacked."""
    return open_bundle(io.BytesIO(data), len(data), "flu.zip", **options)


def problems(data: bytes, **options) -> list[str]:
    """The problems of a bundle; opening and unpacking must report the same."""
    with pytest.raises(BadInput) as opening:
        opened(data, **options)
    with pytest.raises(BadInput) as unpacking:
        list(members(io.BytesIO(data), "flu.zip", **options))
    assert [str(one) for one in opening.value.problems] == [str(one) for one in unpacking.value.problems]
    return [str(problem) for problem in opening.value.problems]


def unpacked(data: bytes) -> dict[str, bytes]:
    """All members of a bundle."""
    return {name: stream.read() for name, stream in members(io.BytesIO(data), "flu.zip")}


# -- reading -----------------------------------------------------------------------------------


def test_a_bundle_shows_its_experiment_and_its_files():
    """Folders are not listed."""
    bundle = opened(zipped(("data/", b""), ("data/cases.csv", CASES)))

    assert (bundle.experiment_name, bundle.experiment) == ("experiment.yaml", EXPERIMENT)
    assert bundle.sizes == {"experiment.yaml": len(EXPERIMENT), "data/cases.csv": len(CASES)}


def test_a_bundle_is_unpacked_member_by_member():
    """The experiment file is one of them."""
    data = zipped(("data/", b""), ("data/cases.csv", CASES))

    assert unpacked(data) == {"experiment.yaml": EXPERIMENT, "data/cases.csv": CASES}


def test_opening_reads_the_directory_and_the_experiment_only():
    """Large data files are not read."""
    data = zipped(("data/cases.csv", b"x" * 2_000_000), compression=0)
    ranges = []

    def read_range(start: int, end: int) -> bytes:
        ranges.append(end - start)
        return data[start:end]

    bundle = open_bundle(RangeReader(read_range, len(data)), len(data), "flu.zip")

    assert bundle.experiment == EXPERIMENT
    assert sum(ranges) < 500_000
    assert len(ranges) < 10


def test_a_missing_file_is_reported_at_the_line_that_refers_to_it():
    """Line and column are those of the experiment file."""
    bundle = opened(zipped())

    with pytest.raises(BadInput) as caught:
        read_experiment(bundle.experiment, "experiment.yaml", "flu", why_missing=bundle.why_missing)

    assert str(caught.value) == "experiment.yaml:2:32: the bundle flu.zip has no file 'data/cases.csv'"


def test_a_bundle_with_all_its_files_is_an_experiment():
    """The experiment may write the name differently."""
    bundle = opened(zipped(("data/cases.csv", CASES)))
    text = bundle.experiment.replace(b"data/", b"./data//")

    assert read_experiment(text, "experiment.yaml", "flu", why_missing=bundle.why_missing).exp_id == "flu"


# -- the rules ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("/etc/passwd", "flu.zip: '/etc/passwd' is an absolute path"),
        ("../a", "flu.zip: '../a' leads out of the bundle"),
        ("a/../../b", "flu.zip: 'a/../../b' leads out of the bundle"),
        ("a\\b", "flu.zip: 'a\\\\b' is a Windows path"),
        ("C:a", "flu.zip: 'C:a' is a Windows path"),
        ("a//b", "flu.zip: 'a//b' is not a valid file name"),
        ("./a", "flu.zip: './a' is not a valid file name"),
        ("a\tb", "flu.zip: 'a\\tb' is not a valid file name"),
        ("a" * 300, "is too long"),
        ("a/" * 30 + "b", "is too long"),
        ("EXPERIMENT.yaml", "flu.zip: 'EXPERIMENT.yaml' is in the bundle twice (upper and lower case count as equal)"),
        ("experiment.yaml/a", "flu.zip: 'experiment.yaml/a' is in a folder that is also a file"),
    ],
)
def test_a_harmful_name_is_refused(name, expected):
    """One that is harmful on any system on which the bundle may be unpacked."""
    found = problems(zipped((name, b"")))

    assert len(found) == 1
    assert expected in found[0]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_is_there_twice_is_refused():
    """Only one of the two could be unpacked."""
    assert problems(zipped(("a", b"1"), ("a", b"2"))) == [
        "flu.zip: 'a' is in the bundle twice (upper and lower case count as equal)"
    ]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (stat.S_IFLNK | 0o777, "flu.zip: 'a' is a link"),
        (stat.S_IFCHR | 0o600, "flu.zip: 'a' is neither a file nor a folder"),
        (stat.S_IFIFO | 0o600, "flu.zip: 'a' is neither a file nor a folder"),
    ],
)
def test_links_and_devices_are_refused(mode, expected):
    """They could lead out of the folder."""
    assert problems(zipped((entry("a", mode), b"/etc/passwd"))) == [expected]


def test_an_encrypted_member_is_refused():
    """There is no one to enter a password."""
    data = bytearray(zipped(("a", b"x")))
    data[data.rindex(b"PK\x01\x02") + 8] |= 1

    assert problems(bytes(data)) == ["flu.zip: 'a' is encrypted"]


def test_an_uncommon_compression_is_refused():
    """Only the method that every zip tool writes is allowed."""
    assert problems(zipped(("a", b"x"), compression=ZIP_BZIP2))[1] == (
        "flu.zip: 'a' uses a compression method other than 'deflate'"
    )


def test_a_bundle_that_would_unpack_to_too_much_is_refused():
    """By the sizes that it states."""
    data = zipped(("a", b"0" * 10_000))

    assert problems(data, max_unpacked=5000) == [
        f"flu.zip: the bundle would unpack to {10_000 + len(EXPERIMENT)} bytes; at most 5000 are allowed"
    ]


def test_a_bundle_with_too_many_members_is_refused(monkeypatch):
    """Its directory is read into memory."""
    monkeypatch.setattr(rules, "MAX_MEMBERS", 3)

    assert problems(zipped(*((f"f{n}", b"") for n in range(3)))) == [
        "flu.zip: the bundle has 4 entries; at most 3 are allowed"
    ]
    assert opened(zipped(("f0", b""), ("f1", b"")))


def test_all_broken_rules_come_at_once():
    """As with the experiment file."""
    assert len(problems(zipped(("../a", b""), ("/b", b""), ("c\\d", b"")))) == 3


def test_a_bundle_without_an_experiment_is_refused():
    """With a hint at the usual mistake."""
    stream = io.BytesIO()
    with ZipFile(stream, "w") as archive:
        archive.writestr("flu/experiment.yaml", EXPERIMENT)
        archive.writestr("__MACOSX/flu/experiment.yaml", b"")

    assert problems(stream.getvalue()) == [
        (
            "flu.zip: the bundle has no experiment.yaml at its top "
            "(it is in 'flu/experiment.yaml'; zip the files, not their folder)"
        )
    ]


def test_a_bundle_with_two_experiments_is_refused():
    """One file is one experiment."""
    assert problems(zipped(("experiment.yml", b""))) == [
        "flu.zip: the bundle has both experiment.yaml and experiment.yml (keep one of them)"
    ]


def test_an_experiment_that_is_too_large_is_not_read():
    """The limit is the same as without a bundle."""
    stream = io.BytesIO()
    with ZipFile(stream, "w", ZIP_DEFLATED) as archive:
        archive.writestr("experiment.yaml", b"#" * 2_000_000)
    data = stream.getvalue()

    with pytest.raises(BadInput, match=r"flu.zip: experiment.yaml has 2000000 bytes, at most 1048576 are allowed"):
        opened(data)


@pytest.mark.parametrize("data", [b"", b"not a zip", b"PK\x05\x06", zipped(("a", b"x" * 1000))[:-30]])
def test_data_that_are_not_a_zip_are_refused_with_one_problem(data):
    """Empty, something else, or truncated."""
    found = problems(data)

    assert len(found) == 1
    assert found[0].startswith("flu.zip: this is not a zip file, or it is damaged")


def test_a_directory_that_claims_any_length_is_not_read():
    """The zip's end record states its length."""
    data = b"\0" * 12_000_000 + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, 12_000_000, 0, 0)

    with pytest.raises(BadInput, match="the directory is too large"):
        opened(data)


def test_a_member_that_lies_about_its_size_is_refused_while_it_is_read():
    """Never more is unpacked than the directory states."""
    data = bytearray(zipped(("a", b"0" * 50_000)))
    start = data.rindex(b"PK\x01\x02")
    data[start + 24 : start + 28] = struct.pack("<L", 10)
    found = dict.fromkeys(["experiment.yaml", "a"], 0)

    def read_all() -> None:
        for name, stream in members(io.BytesIO(bytes(data)), "flu.zip"):
            while chunk := stream.read1(1000):
                found[name] += len(chunk)

    with pytest.raises(BadInput, match=r"flu.zip: 'a' in the bundle is damaged"):
        read_all()
    assert found["a"] <= 10


@settings(max_examples=50)
@given(st.data())
def test_any_damage_is_bad_input_or_harmless(data):
    """Never another exception, whatever bytes are changed."""
    whole = bytearray(zipped(("data/cases.csv", CASES)))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))

    for read in (opened, unpacked):
        with suppress(BadInput):
            read(bytes(whole))
