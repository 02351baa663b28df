"""The signed frame at the end of an artifact, and the signing keys. Works on bytes; knows no streams or stores."""

from __future__ import annotations

import hmac
import json
import struct
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields

from epydrop.errors import ConfigurationError, IntegrityError

FORMAT = 2

_FRAME_MAGIC = 0x184D2A5E  # one of the sixteen magic numbers of zstd's skippable frames (RFC 8878, 3.1.2)
_END_MARK = b"EPYDROP1"
_PREFIX = struct.Struct("<II")
_SUFFIX = struct.Struct("<I8s")
_MAC_BYTES = 32
_AROUND = _PREFIX.size + _MAC_BYTES + _SUFFIX.size
_MIN_KEY = 16  # characters

MIN_FRAME = _AROUND
MAX_FRAME = 64 << 10  # bytes; a header has a few hundred


@dataclass(frozen=True)
class Header:
    """The fields of the frame. ``compressed`` is the number of bytes before the frame.

    ``name`` is that of the object in the run's folder, so it also says which round the artifact is of.
    """

    key_id: str
    name: str
    kind: str
    run_id: str
    stage: str
    index: int
    image: str
    python: str
    compressed: int
    format: int = FORMAT

    def to_bytes(self) -> bytes:
        """Canonical JSON; a header in any other spelling is refused."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":")).encode()

    def mac_with(self, mac: hmac.HMAC) -> bytes:
        """The signature, given a ``mac`` over the compressed bytes; consumes ``mac``.

        Every field goes in with its length before it, so that no two headers give the same input to the HMAC.
        """
        for key, value in sorted(asdict(self).items()):
            for text in (key, str(value)):
                data = text.encode()
                mac.update(struct.pack("<Q", len(data)) + data)
        return mac.digest()


_TYPES = {"index": int, "compressed": int, "format": int} | {
    field.name: str for field in fields(Header) if field.type == "str"
}


@dataclass(frozen=True, repr=False)
class SigningKeys:
    """Keys by id, oldest first. The newest signs; all verify, so that keys can rotate during a run."""

    by_id: Mapping[str, bytes]

    @classmethod
    def parse(cls, text: str) -> SigningKeys:
        """Parse the JSON object {key id: key text}. Raises ConfigurationError, which never quotes a key."""
        try:
            document = json.loads(text)
        except ValueError:
            document = None
        if not isinstance(document, dict) or not document:
            raise ConfigurationError('EPYDROP_SIGNING_KEY must be a JSON object such as {"2026-11": "the key"}')
        weak = [name for name, key in document.items() if not isinstance(key, str) or len(key) < _MIN_KEY]
        if weak:
            raise ConfigurationError(f"EPYDROP_SIGNING_KEY: {weak} must be texts of at least {_MIN_KEY} characters")
        return cls({name: key.encode() for name, key in document.items()})

    def __repr__(self) -> str:
        return f"SigningKeys({self.ids})"

    def __contains__(self, key_id: object) -> bool:
        return key_id in self.by_id

    @property
    def ids(self) -> list[str]:
        """The ids, oldest first."""
        return list(self.by_id)

    @property
    def newest(self) -> str:
        """Id of the key that signs."""
        return self.ids[-1]

    def start(self, key_id: str) -> hmac.HMAC:
        """A new HMAC-SHA256 under this key."""
        return hmac.new(self.by_id[key_id], digestmod="sha256")


def check_place(name: str, made_for: str, run_id: str, facts: Iterable[tuple[str, object, object]]) -> None:
    """Raises IntegrityError if something genuine lies where it does not belong.

    ``made_for`` and ``run_id``: the place that was signed. ``facts``: what is compared, as signed, as expected.
    """
    for what, found, wanted in facts:
        if found != wanted:
            raise IntegrityError(
                f"{name} belongs to another {what}: expected {wanted!r}, found {found!r}; "
                f"it was made for {made_for} of run {run_id} and is of no use elsewhere"
            )


def to_frame(header: Header, mac: hmac.HMAC) -> bytes:
    """The frame to write after the compressed bytes; ``mac`` has been updated with those bytes."""
    text = header.to_bytes()
    payload = text + header.mac_with(mac) + _SUFFIX.pack(len(text), _END_MARK)
    return _PREFIX.pack(_FRAME_MAGIC, len(payload)) + payload


def parse_frame(tail: bytes, name: str) -> tuple[Header, bytes, int]:
    """Header, signature and size of the frame at the end of ``tail``. Raises IntegrityError if there is none."""
    length, mark = _SUFFIX.unpack_from(tail, len(tail) - _SUFFIX.size)
    size = length + _AROUND
    if mark != _END_MARK or size > len(tail):
        raise IntegrityError(f"{name} is truncated or altered: it does not end in a signed frame")
    frame = tail[-size:]
    if _PREFIX.unpack_from(frame) != (_FRAME_MAGIC, size - _PREFIX.size):
        raise IntegrityError(f"{name} is altered: its frame does not begin with the magic number and length")
    text = frame[_PREFIX.size :][:length]
    mac = frame[_PREFIX.size + length :][:_MAC_BYTES]
    return _parse_header(text, name), mac, size


def _parse_header(text: bytes, name: str) -> Header:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"{name} is altered: its header is not JSON") from error
    found = document.get("format") if isinstance(document, dict) else None
    # First, because a newer format may have other fields. Not isinstance: True is an int too.
    if type(found) is int and found > FORMAT:
        raise IntegrityError(f"{name} has the newer format {found}; this version of epydrop reads format {FORMAT}")
    if type(found) is int and 0 < found < FORMAT:
        raise IntegrityError(
            f"{name} has the older format {found}, this version of epydrop reads format {FORMAT}; "
            "retry the run from the builder"
        )
    if not isinstance(document, dict) or {key: type(value) for key, value in document.items()} != _TYPES:
        raise IntegrityError(f"{name} is altered: its header does not have the expected fields")
    header = Header(**document)
    if header.compressed < 0 or header.to_bytes() != text:
        raise IntegrityError(f"{name} is altered: its header is not canonical JSON")
    return header
