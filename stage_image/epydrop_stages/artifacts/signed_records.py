"""Signed records: the small JSON documents that tasks write for one another, each with its signature among its fields.

The signature is HMAC-SHA256 over the name of the object and the document without its signature, under the keys that
sign artifacts, written as ``key id:hex``. Cloud Functions read the same documents and hold no key: to them, the
signature is a field like any other.
"""

from __future__ import annotations

import hmac
import struct
from dataclasses import replace
from typing import TypeVar

from epydrop.errors import IntegrityError
from epydrop.formats.serialization import from_json, to_json
from epydrop.formats.stage_records import Complete, Manifest
from epydrop.stores.port import ObjectStore
from epydrop_stages.artifacts.signatures import SigningKeys

Record = TypeVar("Record", Manifest, Complete)


def write_record(store: ObjectStore, name: str, record: Manifest | Complete, keys: SigningKeys) -> None:
    """Store the record under this name, signed with the newest key."""
    store.write(name, to_json(replace(record, signature=f"{keys.newest}:{_mac(name, record, keys, keys.newest)}")))


def read_record(kind: type[Record], store: ObjectStore, name: str, keys: SigningKeys) -> Record:
    """The record under this name.

    Raises NotFound; UnknownFormat; IntegrityError if it is not signed, or not for this name.
    """
    record = from_json(kind, store.read(name), name)
    key_id, _, found = record.signature.rpartition(":")
    if not found:
        raise IntegrityError(f"{name} is not signed, as in runs of an earlier version; retry the run from the builder")
    if key_id not in keys:
        raise IntegrityError(f"{name} is signed with the unknown key {key_id!r}; known are {keys.ids}")
    if not hmac.compare_digest(_mac(name, record, keys, key_id).encode(), found.encode()):
        raise IntegrityError(f"{name} is altered: its signature does not fit its content, or belongs to another name")
    return record


def _mac(name: str, record: Manifest | Complete, keys: SigningKeys, key_id: str) -> str:
    mac = keys.start(key_id)
    mac.update(struct.pack("<Q", len(name.encode())) + name.encode())
    mac.update(to_json(replace(record, signature="")))
    return mac.hexdigest()
