"""Reads the shard index and all shards of a subdir, and checks each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec
from msgspec.structs import replace

from indexer.commands.check.findings import NONE, Findings
from indexer.core import names
from indexer.core.errors import BadIndex, Missing, NewerIndex
from indexer.core.formats import shards
from indexer.core.json_form import dump
from indexer.core.records.identity import identity_of
from indexer.core.value import Value
from indexer.core.verify import (
    DELETE_AND_FORCE,
    FORCE,
    UPDATE,
    Fault,
    same_json,
    shard_format_error,
    shortened_list,
)
from indexer.lister.shards import load_shard_index
from indexer.store.concurrent import Limits, bounded
from indexer.store.read import read_whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from indexer.commands.check.findings import PublishedFiles
    from indexer.core.formats.shards import ShardIndex
    from indexer.core.model import Index, Raw
    from indexer.store import Store

_LIMITS: Limits[tuple[str, bytes]] = Limits(32)
_REQUIRED_INFO = ("subdir", "base_url", "shards_base_url")
_SHA256_SIZE = 32


class ShardedIndex(Value, frozen=True):
    """The index from all shards, None if there are no shards or if they cannot be compared with other formats.

    `count` is the number of shards in the shard index.  `unread` has the package names whose only records are in
    unreadable shards.
    """

    index: Index | None = None
    findings: Findings = NONE
    count: int = 0
    unread: frozenset[str] = frozenset()


def read_shards(files: PublishedFiles, index: Index | None) -> ShardedIndex:
    """The index from all shards, which are compared with `index`, the index in repodata.json if there is one."""
    if not files.has(names.SHARD_INDEX):
        return ShardedIndex()
    try:
        shard_index = load_shard_index(files.folder, files.snapshot)
    except BadIndex as error:
        next_step = files.repair_step(names.SHARD_INDEX, beside=index is not None, error=error)
        return ShardedIndex(findings=files.faults(names.SHARD_INDEX, [error.reason], next_step))
    findings = files.faults(names.SHARD_INDEX, _shard_index_errors(shard_index, files.folder.name))
    if index is not None:
        findings += files.faults(names.SHARD_INDEX, _info_differences(shard_index, index))
    if shard_index.folder is None:
        reason = f"has its shards at another URL ({shard_index.info['shards_base_url']}), which is not checked"
        findings += files.hint(names.SHARD_INDEX, reason, "check them there")
        return ShardedIndex(None, findings, len(shard_index.shards))
    reader = _ShardReader(
        store=files.folder.store,
        folder=files.folder.prefix + shard_index.folder,
        known=index.records if index else {},
        repair_step=files.repair_step(names.SHARD_INDEX, beside=index is not None),
    )
    read = list(bounded(files.folder.executor, reader.read, shard_index.shards.items(), _LIMITS))
    findings += Findings(tuple(shard.fault for shard in read if shard.fault))
    return _merge(read, findings, has_other_format=index is not None)


def _merge(read: list[_Shard], findings: Findings, *, has_other_format: bool) -> ShardedIndex:
    """The index from the shards that could be read.

    If a shard is unreadable and another format has the index, there is no index: the records of the shard would be
    reported again as missing.
    """
    parts = [shard.content for shard in read if shard.content is not None]
    unread = frozenset(shard.package for shard in read if shard.content is None)
    if has_other_format:
        return ShardedIndex(None if unread else shards.merge_shards(parts), findings, len(read))
    return ShardedIndex(shards.merge_shards(parts), findings, len(read), unread)


def _shard_index_errors(shard_index: ShardIndex, subdir: str) -> Iterator[str]:
    """Errors in the shard index that do not depend on other files."""
    info = shard_index.info
    for key in _REQUIRED_INFO:
        if not isinstance(info.get(key), str):
            yield f"has no {key}, which clients need"
    if info.get("subdir", subdir) != subdir:
        yield f"is for subdir {info['subdir']}"


def _info_differences(shard_index: ShardIndex, index: Index) -> Iterator[str]:
    """How the information in the shard index differs from that in repodata.json."""
    info, raw = shard_index.info, index.info.get("base_url")
    base_url = str(msgspec.json.decode(raw) or "") if raw is not None else ""
    if (info.get("base_url") or "") != base_url:
        yield f"has another base_url than {names.REPODATA}"
    for key in shards.SHARED_INFO:
        value = dump(info[key]) if key in info else None
        if not same_json(value, index.info.get(key)):
            yield f"has other {key} than {names.REPODATA}"


class _Shard(NamedTuple):
    """The content of one shard, None if it cannot be read, and the fault if there is one."""

    package: str
    content: Index | None
    fault: Fault | None


class _ShardReader(Value, frozen=True):
    """Reads shards below `folder`; `known` has the records of repodata.json."""

    store: Store
    folder: str
    known: Mapping[str, Raw]
    repair_step: str

    def read(self, entry: tuple[str, bytes]) -> _Shard:
        """The shard of a package name and a SHA-256 digest."""
        package, digest = entry
        key = self.folder + shards.filename_of(digest)
        try:
            data, _ = read_whole(self.store, key)
        except Missing:
            return _Shard(package, None, Fault(key, "is in the shard index, but missing", FORCE))
        if len(digest) != _SHA256_SIZE or shards.shard_digest(data) != digest:
            return _Shard(package, None, Fault(key, "content does not match its SHA-256 name", DELETE_AND_FORCE))
        try:
            shard = shards.unpack_shard(data, key)
            index = shards.index_of_shard(shard, key)
        except BadIndex as error:
            next_step = UPDATE if isinstance(error, NewerIndex) else self.repair_step
            return _Shard(package, None, Fault(key, error.reason, next_step))
        reason = shard_format_error(shard)
        misfiled = {
            filename
            for filename, record in index.records.items()
            if identity_of(record).name.lower() != package.lower()
        }
        if misfiled:
            reason = f"is for {package} and has packages of other names: {shortened_list(misfiled)}"
        # Equal records are kept once, to save memory: repodata.json has most of them.
        records = {filename: self._shared(filename, record) for filename, record in index.records.items()}
        return _Shard(package, replace(index, records=records), Fault(key, reason) if reason else None)

    def _shared(self, filename: str, record: Raw) -> Raw:
        known = self.known.get(filename)
        return known if known is not None and same_json(record, known, without=("run_exports",)) else record
