"""Looks at a subdir after every call that changes it: what readers find must be whole at any moment."""

from __future__ import annotations

import bz2
import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import zstandard

from indexer.core import names
from tests.support.memory_channel import is_package, missing_shards, shards, unpacked

if TYPE_CHECKING:
    from tests.support.memory import Call, MemoryStore

SUBDIR = names.NOARCH
PREFIX = f"{SUBDIR}/"
REPODATA = PREFIX + names.REPODATA
SHARD_INDEX = PREFIX + names.SHARD_INDEX

Records = dict[str, tuple[str, int]]
"""The sha256 and the date of each record, by file name."""


def lying_there(store: MemoryStore) -> dict[str, str]:
    """The sha256 of every package, by file name."""
    return {
        key.removeprefix(PREFIX): hashlib.sha256(body).hexdigest()
        for key, body in store.bodies(PREFIX).items()
        if is_package(key)
    }


def records_in(store: MemoryStore, key: str) -> Records:
    """What one published form of the index says."""
    bodies = store.bodies(PREFIX)
    if key == SHARD_INDEX:
        tops = [unpacked(bodies[shard]) for shard in shards(bodies, SUBDIR).values()]
    else:
        tops = [json.loads(_plain(key, bodies[key]))]
    results = {name: record for top in tops for part in _PARTS for name, record in top[part].items()}
    return {name: (_hex(record["sha256"]), record["indexed_timestamp"]) for name, record in results.items()}


_PARTS = ("packages", "packages.conda")


def _plain(key: str, body: bytes) -> bytes:
    if key.endswith(".zst"):
        return zstandard.ZstdDecompressor().decompress(body)
    return bz2.decompress(body) if key.endswith(".bz2") else body


def _hex(digest: bytes | str) -> str:
    return digest if isinstance(digest, str) else digest.hex()


def is_index(key: str) -> bool:
    """Whether a key is a form of the index with whole records."""
    return key == SHARD_INDEX or key.startswith(REPODATA)


def sha256s(records: Records) -> dict[str, str]:
    """Without dates."""
    return {name: sha256 for name, (sha256, _) in records.items()}


@dataclass
class Watch:
    """What each indexer has listed last, and of which listing each file is.

    `dates` has the dates that repodata.json said last, by file name and sha256. `beside_gc` says that a named shard
    may be missing for a moment.
    """

    store: MemoryStore
    beside_gc: bool = False
    count: int = 0
    listed: dict[int, tuple[int, dict[str, str]]] = field(default_factory=dict)
    of_listing: dict[str, int] = field(default_factory=dict)
    dates: dict[tuple[str, str], int] = field(default_factory=dict)

    def after(self, who: int, call: Call) -> None:
        """Look, after a call of an indexer that has gone well."""
        if (call.verb, call.key) == ("LIST", PREFIX):
            self.count += 1
            self.listed[who] = (self.count, lying_there(self.store))
        elif call.verb == "DELETE":
            self.of_listing.pop(call.key, None)
        elif call.verb == "PUT" and is_index(call.key):
            number, packages = self.listed[who]
            if call.key == SHARD_INDEX and self.beside_gc and missing_shards(self.store):
                return
            assert sha256s(records_in(self.store, call.key)) == packages, f"{call.key} is not what its writer listed"
            assert number >= self.of_listing.get(call.key, 0), f"{call.key} has gone back"
            self.of_listing[call.key] = number
        if call.verb in {"PUT", "DELETE"}:
            assert self.beside_gc or not missing_shards(self.store), f"after {call}"
            self._keeps_dates()

    def _keeps_dates(self) -> None:
        if REPODATA not in self.store.objects:
            return
        dates = {(name, sha256): date for name, (sha256, date) in records_in(self.store, REPODATA).items()}
        changed = {name for name in dates.keys() & self.dates.keys() if dates[name] != self.dates[name]}
        assert not changed, f"other dates: {changed}"
        self.dates = dates
