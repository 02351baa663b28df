"""Signed records: the small JSON documents that tasks write for one another, each with its signature among its fields.

A record names its run and the object that it was made for. The signature is HMAC-SHA256 over all its fields but the
signature, as they are stored, under the keys that sign artifacts, written as ``key id:hex``. So a version that adds a
field still reads what an earlier one signed. Cloud Functions read the same documents and hold no key: to them, the
signature is a field like any other.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from epydrop.errors import IntegrityError
from epydrop.formats.serialization import from_json, to_document, to_json
from epydrop.formats.stage_records import Complete, Manifest
from epydrop.stores.port import ObjectStore
from epydrop_stages.artifacts.signatures import SigningKeys, check_place

_PURPOSE = b"epydrop record\0"  # an artifact's signature begins with other bytes, so neither passes for the other

Record = TypeVar("Record", Manifest, Complete)


def write_record(store: ObjectStore, name: str, record: Manifest | Complete, keys: SigningKeys) -> None:
    """Store the record under this name, signed for it with the newest key."""
    named = replace(record, name=name)
    mac = _mac(to_document(named), keys, keys.newest)
    store.write(name, to_json(replace(named, signature=f"{keys.newest}:{mac}")))


def read_record(kind: type[Record], store: ObjectStore, name: str, run_id: str, keys: SigningKeys) -> Record:
    """The record under this name.

    Raises NotFound; UnknownFormat; IntegrityError if it is not signed, altered, or of another run or name.
    """
    text = store.read(name)
    record = from_json(kind, text, name)
    key_id, _, found = record.signature.rpartition(":")
    if not found:
        raise IntegrityError(f"{name} is not signed, as in runs of an earlier version; retry the run from the builder")
    if key_id not in keys:
        raise IntegrityError(f"{name} is signed with the unknown key {key_id!r}; known are {keys.ids}")
    if not hmac.compare_digest(_mac(json.loads(text), keys, key_id).encode(), found.encode()):
        raise IntegrityError(f"{name} is altered: its signature does not fit its content")
    check_place(name, record.name, record.run_id, (("run", record.run_id, run_id), ("name", record.name, name)))
    return record


def _mac(document: Mapping[str, Any], keys: SigningKeys, key_id: str) -> str:
    signed = {key: value for key, value in document.items() if key != "signature"}
    mac = keys.start(key_id)
    mac.update(_PURPOSE)
    mac.update(json.dumps(signed, sort_keys=True, separators=(",", ":")).encode())
    return mac.hexdigest()
