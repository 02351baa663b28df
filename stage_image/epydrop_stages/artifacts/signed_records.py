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
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from epydrop.errors import IntegrityError
from epydrop.formats.serialization import from_json, to_document, to_json
from epydrop.formats.stage_records import Complete, Manifest, PinnedCommit
from epydrop.stores.port import ObjectStore
from epydrop_stages.artifacts.signatures import SigningKeys, check_place

_PURPOSE = b"epydrop record\0"  # an artifact's signature begins with other bytes, so neither passes for the other
_UNSIGNED = {  # what to do about a record of an earlier version
    "Manifest": "retry the run from the builder",
    "PinnedCommit": "drop the file again, which starts a new run",
    "Complete": "ask for the outputs again",
}

Record = TypeVar("Record", Manifest, PinnedCommit, Complete)


@dataclass(frozen=True)
class SignedRecords:
    """The signed records of one run. ``store``: that of the run's folder."""

    store: ObjectStore
    run_id: str
    keys: SigningKeys

    def write(self, name: str, record: Record, *, if_generation: int | None = None) -> Record:
        """Store the record under this name, signed for it with the newest key; returns it as stored.

        Raises PreconditionFailed, like the store.
        """
        named = replace(record, run_id=self.run_id, name=name)
        signed = replace(named, signature=f"{self.keys.newest}:{self._mac(to_document(named), self.keys.newest)}")
        self.store.write(name, to_json(signed), if_generation=if_generation)
        return signed

    def read(self, kind: type[Record], name: str) -> Record:
        """The record under this name.

        Raises NotFound; UnknownFormat; IntegrityError if it is not signed, altered, or of another run or name.
        """
        text = self.store.read(name)
        record = from_json(kind, text, name)
        key_id, _, found = record.signature.rpartition(":")
        if not found:
            raise IntegrityError(f"{name} is not signed, as in an earlier version; {_UNSIGNED[kind.__name__]}")
        if key_id not in self.keys:
            raise IntegrityError(f"{name} is signed with the unknown key {key_id!r}; known are {self.keys.ids}")
        if not hmac.compare_digest(self._mac(json.loads(text), key_id).encode(), found.encode()):
            raise IntegrityError(f"{name} is altered: its signature does not fit its content")
        places = (("run", record.run_id, self.run_id), ("name", record.name, name))
        check_place(name, record.name, record.run_id, places)
        return record

    def _mac(self, document: Mapping[str, Any], key_id: str) -> str:
        signed = {key: value for key, value in document.items() if key != "signature"}
        mac = self.keys.start(key_id)
        mac.update(_PURPOSE)
        mac.update(json.dumps(signed, sort_keys=True, separators=(",", ":")).encode())
        return mac.hexdigest()
