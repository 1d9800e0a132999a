"""Looks at a subdir in the safe order: first which versions our files have, then which packages are there.

The reverse could drop a package that another indexer has published between the two (docs/design.md).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from indexer.core import ledger as ledgers
from indexer.core import names, repodata, shards
from indexer.core.model import Index, Raw, Rejected, Version
from indexer.core.records import dump
from indexer.core.shards import ShardIndex
from indexer.errors import Missing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from concurrent.futures import Executor

    from indexer.core.ledger import Ledger
    from indexer.core.model import Outputs, Stat
    from indexer.store import Store


@dataclass(frozen=True, slots=True)
class Observation:
    """A subdir as it was seen.

    `versions` has our files that are there, `ledger_version` is None where there is no ledger.
    `source_ms` is when the source was written, 0 where there is none or the ledger vouches for it.
    `packages` has what can be a package by its name, `misnamed` what claims to be one.
    """

    versions: Mapping[str, Version] = field(default_factory=dict)
    ledger: Ledger | None = None
    ledger_version: Version | None = None
    source_ms: int = 0
    packages: Mapping[str, Stat] = field(default_factory=dict)
    misnamed: tuple[Rejected, ...] = ()
    ignored: tuple[str, ...] = ()

    @property
    def in_step(self) -> bool:
        """Whether our files are those that the writer of the ledger left, all of them."""
        return self.ledger is not None and self.versions == _versions_of(self.ledger)


def _versions_of(ledger: Ledger) -> dict[str, Version]:
    return {key: wrote.version for key, wrote in ledger.wrote.items()}


@dataclass(frozen=True, slots=True)
class Lister:
    """How to look: the store, the subdir, and an executor for requests that do not wait for each other."""

    store: Store
    subdir: str
    executor: Executor

    def key(self, name: str) -> str:
        """The key of one of the subdir's files."""
        return f"{self.subdir}/{name}"

    def observe(self, scope: frozenset[str] | None, *, trusting: bool) -> Observation:
        """The versions of our files, then the packages: all of them, or only those in `scope`.

        What the ledger says of versions stands where the listing that follows shows the same: the
        files were like that before the listing began.  If it does not, or when not `trusting` the
        ledger because a conflict has just shown otherwise, each file is asked for, and listed again.
        """
        ledger, ledger_version = self._ledger()
        if ledger is not None and trusting:
            versions = _versions_of(ledger)
            listed = self._listing(scope)
            if scope is not None or _owned(listed) == versions:
                return _observation(listed, Observation(versions, ledger, ledger_version))
        stats = self._stats(names.OWNED)
        versions = {name: stat.version for name, stat in stats.items()}
        source = stats.get(names.REPODATA) or stats.get(names.SHARD_INDEX)
        source_ms = source.modified_ms if source else 0
        seen = Observation(versions, ledger, ledger_version, source_ms)
        return _observation(self._listing(scope), seen)

    def _ledger(self) -> tuple[Ledger | None, Version | None]:
        try:
            with self.store.open(self.key(names.LEDGER)) as reader:
                return ledgers.decode(reader.read()), reader.opened.stat.version
        except Missing:
            return None, None

    def _stats(self, filenames: Iterable[str]) -> dict[str, Stat]:
        """Those of some files that are there."""
        asked = list(filenames)
        found = self.executor.map(self.store.stat, [self.key(name) for name in asked])
        return {name: stat for name, stat in zip(asked, found, strict=True) if stat}

    def _listing(self, scope: frozenset[str] | None) -> dict[str, Stat]:
        if scope is not None:
            return self._stats(scope)
        start = len(self.key(""))
        return {stat.key[start:]: stat for stat in self.store.list(self.key(""))}

    def read_index(self, seen: Observation, outputs: Outputs) -> Index:
        """The index that stands.  Raises BadIndex, and Conflict where it changed since it was seen.

        It is read from repodata.json, or from all shards where a channel has nothing else.
        """
        sources = [names.REPODATA, names.SHARD_INDEX]
        if not outputs.monolithic:
            sources.reverse()
        source = next((name for name in sources if name in seen.versions), None)
        if source is None:
            return Index()
        if source == names.SHARD_INDEX:
            return self._read_shards(self.read_shard_index(seen))
        index = repodata.split(self._read(source, seen), self.key(source))
        run_exports: dict[str, Raw] = {}
        if names.RUN_EXPORTS in seen.versions:
            data = self._read(names.RUN_EXPORTS, seen)
            run_exports = repodata.split_run_exports(data, self.key(names.RUN_EXPORTS))
        inline = repodata.inline_run_exports(index.records, run_exports)
        return replace(index, run_exports=inline | run_exports)

    def _read(self, name: str, seen: Observation) -> bytes:
        with self.store.open(self.key(name), version=seen.versions[name]) as reader:
            return reader.read()

    def read_shard_index(self, seen: Observation) -> ShardIndex:
        """The shard index that stands, an empty one where there is none.  Raises BadIndex."""
        if names.SHARD_INDEX not in seen.versions:
            return ShardIndex()
        return shards.decode_index(self._read(names.SHARD_INDEX, seen), self.key(names.SHARD_INDEX))

    def shards_there(self) -> frozenset[bytes]:
        """The shards that are there, by their sha256, whatever any index says."""
        folder = self.key(names.SHARDS_FOLDER)
        found = (shards.digest_of_filename(stat.key[len(folder) :]) for stat in self.store.list(folder))
        return frozenset(digest for digest in found if digest)

    def _read_shards(self, index: ShardIndex) -> Index:
        base = str(index.info.get("shards_base_url", "")).removeprefix("./")

        def read(digest: bytes) -> Index:
            key = self.key(base + shards.filename_of(digest))
            with self.store.open(key) as reader:
                return shards.decode_shard(reader.read(), key)

        whole = shards.union(self.executor.map(read, index.shards.values()))
        info = {key: dump(index.info[key]) for key in shards.SHARED_INFO if key in index.info}
        return replace(whole, info=info)


def _owned(listed: Mapping[str, Stat]) -> dict[str, Version]:
    return {name: listed[name].version for name in names.OWNED if name in listed}


def _observation(listed: Mapping[str, Stat], seen: Observation) -> Observation:
    packages: dict[str, Stat] = {}
    misnamed: list[Rejected] = []
    ignored: list[str] = []
    for filename, stat in listed.items():
        if filename.endswith("/"):
            continue
        if names.parse_filename(filename) is not None:
            packages[filename] = stat
        elif names.extension_of(filename) is not None:
            misnamed.append(Rejected(filename, stat.version, "the file name is not of the form name-version-build"))
        elif filename.endswith(".whl"):
            ignored.append(filename)
    return replace(seen, packages=packages, misnamed=tuple(misnamed), ignored=tuple(ignored))


def subdirs_of(store: Store) -> tuple[list[str], list[str]]:
    """The known subdirs that a channel has, `noarch` always among them, and the folders passed over."""
    folders = {stat.key[:-1] for stat in store.list("") if stat.key.endswith("/")}
    known = (folders & names.KNOWN_SUBDIRS) | {names.NOARCH}
    return sorted(known), sorted(folders - known)
