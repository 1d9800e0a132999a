"""Reads every format in which a subdir's index is published, and compares the formats with each other."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec

from indexer.core import names
from indexer.core.errors import BadIndex, Missing, NewerIndex
from indexer.core.formats import repodata, shards
from indexer.core.json_stream import dump
from indexer.core.model import Index
from indexer.core.plan import nameless
from indexer.core.records.identity import identity_of
from indexer.core.records.validation import validated
from indexer.core.verify import (
    COMPLETE,
    DELETE_AND_FORCE,
    DELETE_AND_RUN,
    FORCE,
    RUN,
    UPDATE,
    Fault,
    decompress_file,
    has_content,
    index_differences,
    missing_or_surplus,
    record_differences,
    revision_count_error,
    same_json,
    shard_format_error,
    shortened_list,
)
from indexer.lister.existing import load_packed_run_exports
from indexer.lister.shards import load_shard_index
from indexer.store.concurrent import Limits, bounded
from indexer.store.read import read_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from indexer.core.formats.shards import ShardIndex
    from indexer.core.model import Raw
    from indexer.core.report import SubdirCheck
    from indexer.core.snapshot import Snapshot
    from indexer.store.channel_folder import ChannelFolder

_BOUNDS: Limits[tuple[str, bytes]] = Limits(32, 32, lambda _: 1)
# How much larger than the plain file, and than the packed file, a decompressed file may be.
_MORE = 64 * 2**20
_MAX_CURRENT_RATIO = 128
_PARTS_OF_INFO = ("subdir", "base_url", "shards_base_url")
_SHA256_SIZE = 32
# conda-index writes these fields into only one of its files.
_LEGACY = ("legacy_bz2_md5", "legacy_bz2_size")


@dataclass(frozen=True, slots=True)
class PublishedFormats:
    """The formats in a snapshot; faults and hints are added to `verdict`."""

    folder: ChannelFolder
    snapshot: Snapshot
    verdict: SubdirCheck

    def index(self) -> Index | None:
        """The index, None if no format of it can be read.  Raises Conflict."""
        index = self._repodata()
        sharded = self._shards(index)
        if index is not None and sharded is not None:
            said = index_differences(_as_in_shards(index), _as_in_shards(sharded))
            self._fault(names.SHARD_INDEX, (f"{reason} (compared with {names.REPODATA})" for reason in said))
        whole = index or sharded
        if whole is None:
            return None
        run_exports = self._run_exports()
        self._compare_run_exports(replace(whole, run_exports=run_exports), sharded.run_exports if sharded else None)
        self._check_other_formats(whole)
        whole = replace(whole, run_exports=run_exports or whole.run_exports)
        self._check_readable(whole)
        return whole

    def _check_readable(self, index: Index) -> None:
        """Faults if clients cannot parse a record, its run exports or a part of `info`."""
        checked = validated(index)
        for filename, reason in checked.unreadable.items():
            self._fault(filename, [f"its record {reason}"])
        for name, reason in checked.left_out.items():
            self._fault(self.snapshot.source(monolithic=True), [f"{name} {reason}"])
        if lost := index.run_exports.keys() - checked.run_exports.keys():
            name = names.RUN_EXPORTS if names.RUN_EXPORTS in self.snapshot.etags else names.SHARD_INDEX
            self._fault(name, [f"has run exports that readers cannot parse: {shortened_list(lost)}"])

    def _fault(self, name: str, reasons: Iterable[str], next_step: str = RUN) -> None:
        self.verdict.faults += [Fault(self.folder.key(name), reason, next_step) for reason in reasons]

    def _repair_step(self, name: str, *, beside: bool, error: BadIndex | None = None) -> str:
        """The next step for an unreadable file: a run replaces it, unless the run reads the index from this file."""
        if isinstance(error, NewerIndex):
            return UPDATE
        if beside or self._has_unpatched():
            return RUN
        return DELETE_AND_RUN.replace(" it", f" {self.folder.key(name)}")

    def _has_unpatched(self) -> bool:
        if names.FROM_PACKAGES not in self.snapshot.etags:
            return False
        with contextlib.suppress(BadIndex):
            repodata.decode_unpatched(
                self.folder.read(names.FROM_PACKAGES, self.snapshot.etags[names.FROM_PACKAGES]), names.FROM_PACKAGES
            )
            return True
        return False

    def _repodata(self) -> Index | None:
        index, data = None, b""
        if names.REPODATA in self.snapshot.etags:
            data = self.folder.read(names.REPODATA, self.snapshot.etags[names.REPODATA])
            try:
                index = repodata.decode_repodata(data, names.REPODATA)
            except BadIndex as error:
                self._fault(
                    names.REPODATA, [error.reason], self._repair_step(names.REPODATA, beside=False, error=error)
                )
        if index is not None:
            self._fault(names.REPODATA, self._repodata_errors(index, data))
        for name in (names.REPODATA_ZST, names.REPODATA_BZ2):
            self._fault(name, self._variant(name, data, lambda content: _differences(index, content)))
        return index

    def _repodata_errors(self, index: Index, data: bytes) -> Iterator[str]:
        """Errors in repodata.json that do not depend on other files."""
        subdir = _text(index.info.get("subdir"))
        if subdir not in {"", self.folder.name}:
            yield f"is for subdir {subdir}"
        if reason := revision_count_error(index):
            yield reason
        if twice := repodata.duplicate_filenames(data):
            yield f"has more than one record of {shortened_list(twice)}"
        if nowhere := nameless(index):
            yield f"has records under v3 without a name, which no client finds: {shortened_list(nowhere)}"
        if odd := {name for name in index.records if names.parse_filename(name) is None}:
            yield f"has records under invalid file names: {shortened_list(odd)}"

    def _variant(self, name: str, data: bytes, differ: Callable[[bytes], Iterable[str]]) -> Iterator[str]:
        """How a compressed file, if there is one, differs from the plain file."""
        if name not in self.snapshot.etags:
            return
        plain = name.rpartition(".")[0]
        if plain not in self.snapshot.etags:
            yield f"exists without {plain}"
            return
        packed = self.folder.read(name, self.snapshot.etags[name])
        if not has_content(packed, name, data):
            try:
                yield from differ(decompress_file(packed, name, 2 * len(data) + _MORE))
            except BadIndex as error:
                yield error.reason

    def _run_exports(self) -> Mapping[str, Raw]:
        """The run exports in run_exports.json; compares the compressed files with it."""
        name, data = names.RUN_EXPORTS, b""
        run_exports: Mapping[str, Raw] = {}
        if name in self.snapshot.etags:
            data = self.folder.read(name, self.snapshot.etags[name])
            try:
                run_exports = repodata.decode_run_exports(data, name)
            except BadIndex as error:
                self._fault(
                    name, [error.reason], FORCE if load_packed_run_exports(self.folder, self.snapshot) is None else RUN
                )
        for variant in (names.RUN_EXPORTS_ZST, names.RUN_EXPORTS_BZ2):
            self._fault(variant, self._variant(variant, data, lambda content: _map_differences(run_exports, content)))
        return run_exports

    def _compare_run_exports(self, index: Index, sharded: Mapping[str, Raw] | None) -> None:
        """Faults if run exports differ between files, or belong to missing packages."""
        if names.RUN_EXPORTS in self.snapshot.etags:
            self._fault(names.RUN_EXPORTS, _run_exports_errors(index, sharded))
            self._lacking(names.RUN_EXPORTS, index.records.keys() - index.run_exports.keys())
            return
        state = self.snapshot.state
        was_published = state is not None and names.RUN_EXPORTS in state.files
        if was_published and not self.snapshot.etags.keys() & {names.RUN_EXPORTS_ZST, names.RUN_EXPORTS_BZ2}:
            self._fault(names.RUN_EXPORTS, ["is gone, and the last run published it"])
        if state is not None and state.incomplete and sharded is not None:
            self._lacking(names.SHARD_INDEX, index.records.keys() - sharded.keys())
        inline = repodata.inline_run_exports(index.records)  # as rattler-index has them
        if odd := _unequal(inline, sharded or {}):
            self._fault(names.SHARD_INDEX, [f"has other run exports than {names.REPODATA} of {shortened_list(odd)}"])

    def _lacking(self, name: str, lacking: Collection[str]) -> None:
        """A hint if run exports of some packages are missing, as after another indexer; a fault if all were known."""
        state = self.snapshot.state
        if (
            lacking
            and state is not None
            and state.incomplete == 0
            and self.snapshot.is_unchanged(self.snapshot.source(monolithic=True))
        ):
            self._fault(name, [f"does not have run exports of {shortened_list(lacking)}, which were known"], RUN)
        elif lacking:
            reason = f"does not have run exports of {shortened_list(lacking)}, because they are unknown"
            self.verdict.hints.append(Fault(self.folder.key(name), reason, COMPLETE))

    def _check_other_formats(self, index: Index) -> None:
        """Faults if files for older clients have records that the index does not have."""
        for name in [name for name in names.CURRENT_FILES if name in self.snapshot.etags]:
            content = self.folder.read(name, self.snapshot.etags[name])
            try:
                limit = _MORE + _MAX_CURRENT_RATIO * len(content)
                plain = content if name.endswith(".json") else decompress_file(content, name, limit)
                part = repodata.decode_repodata(plain, name).records
            except BadIndex as error:
                self._fault(name, [error.reason])
            else:
                strange = {f for f in part if not same_json(part[f], index.records.get(f), without=_LEGACY)}
                self._fault(
                    name, [f"has records that are not in the index: {shortened_list(strange)}"] if strange else []
                )

    def _shards(self, index: Index | None) -> Index | None:
        """The index from all shards; None if there are no shards, or if they cannot be read."""
        if names.SHARD_INDEX not in self.snapshot.etags:
            return None
        try:
            shard_index = load_shard_index(self.folder, self.snapshot)
        except BadIndex as error:
            healing = self._repair_step(names.SHARD_INDEX, beside=index is not None, error=error)
            self._fault(names.SHARD_INDEX, [error.reason], healing)
            return None
        self._fault(names.SHARD_INDEX, self._shard_index_errors(shard_index, index))
        self.verdict.shards = len(shard_index.shards)
        if shard_index.folder is None:
            reason = f"has its shards at another URL ({shard_index.info['shards_base_url']}), which is not checked"
            self.verdict.hints.append(Fault(self.folder.key(names.SHARD_INDEX), reason, "check them there"))
            return None
        parts: list[Index] = []
        whole = True
        read = self._shard_reader(shard_index.folder, index)
        for name, part, fault in bounded(self.folder.executor, read, shard_index.shards.items(), _BOUNDS):
            self.verdict.faults += [fault] if fault else []
            parts += [part] if part else []
            whole = whole and part is not None
            if part is None and index is None:
                self.verdict.unread.add(name)
        # Records of a lost shard are not reported again as missing if another format has them.
        return shards.merge_shards(parts) if whole or index is None else None

    def _shard_index_errors(self, shard_index: ShardIndex, index: Index | None) -> Iterator[str]:
        info = shard_index.info
        for key in _PARTS_OF_INFO:
            if not isinstance(info.get(key), str):
                yield f"has no {key}, which clients need"
        if info.get("subdir", self.folder.name) != self.folder.name:
            yield f"is for subdir {info['subdir']}"
        if index is None:
            return
        if (info.get("base_url") or "") != _text(index.info.get("base_url")):
            yield f"has another base_url than {names.REPODATA}"
        for key in shards.SHARED_INFO:
            said = dump(info[key]) if key in info else None
            if not same_json(said, index.info.get(key)):
                yield f"has other {key} than {names.REPODATA}"

    def _shard_reader(
        self, folder: str, index: Index | None
    ) -> Callable[[tuple[str, bytes]], tuple[str, Index | None, Fault | None]]:
        """A function that reads a shard: the package name, the content, and the fault if there is one."""
        known = index.records if index else {}
        unreadable = self._repair_step(names.SHARD_INDEX, beside=index is not None)

        def read(named: tuple[str, bytes]) -> tuple[str, Index | None, Fault | None]:
            name, digest = named
            key = self.folder.key(folder + shards.filename_of(digest))
            try:
                data, _ = read_whole(self.folder.store, key)
            except Missing:
                return name, None, Fault(key, "is in the shard index, but missing", FORCE)
            if len(digest) != _SHA256_SIZE or shards.shard_digest(data) != digest:
                return name, None, Fault(key, "content does not match its SHA-256 name", DELETE_AND_FORCE)
            try:
                shard = shards.unpack_shard(data, key)
                part = shards.index_of_shard(shard, key)
            except BadIndex as error:
                return name, None, Fault(key, error.reason, UPDATE if isinstance(error, NewerIndex) else unreadable)
            reason = shard_format_error(shard)
            # Equal records are kept once, to save memory: repodata.json has most of them.
            part = replace(part, records={f: _one(record, known.get(f)) for f, record in part.records.items()})
            strange = {f for f, record in part.records.items() if identity_of(record).name.lower() != name.lower()}
            if strange:
                reason = f"is named for {name} and has packages of other names: {shortened_list(strange)}"
            return name, part, Fault(key, reason) if reason else None

        return read


def _as_in_shards(index: Index) -> Index:
    """The part of an index that shards can have: the records with a package name."""
    named = {
        bucket: found
        for bucket, others in index.v3_rest.items()
        if (found := {key: record for key, record in others.items() if identity_of(record).name})
    }
    removed = tuple(filename for filename in index.removed if names.parse_filename(filename))
    return Index(index.records, index.v3, removed=removed, v3_rest=named)


def _text(raw: Raw | None) -> str:
    return str(msgspec.json.decode(raw) or "") if raw is not None else ""


def _one(record: Raw, known: Raw | None) -> Raw:
    return known if known is not None and same_json(record, known, without=("run_exports",)) else record


def _differences(index: Index | None, content: bytes) -> Iterator[str]:
    other = repodata.decode_repodata(content, "")
    return index_differences(index, other) if index is not None else iter(())


def _map_differences(some: Mapping[str, Raw], content: bytes) -> Iterator[str]:
    other = repodata.decode_run_exports(content, "")
    yield from missing_or_surplus(some.keys(), other.keys())
    yield from record_differences(_unequal(some, other))


def _unequal(some: Mapping[str, Raw], other: Mapping[str, Raw]) -> set[str]:
    return {filename for filename in some.keys() & other.keys() if not same_json(some[filename], other[filename])}


def _run_exports_errors(index: Index, sharded: Mapping[str, Raw] | None) -> Iterator[str]:
    run_exports = index.run_exports
    if stray := run_exports.keys() - index.records.keys() - set(index.removed):
        yield f"has packages that are not in the index: {shortened_list(stray)}"
    if sharded is None:
        return
    if odd := _unequal(run_exports, sharded):
        yield f"and the shards have different run exports of {shortened_list(odd)}"
    if one_sided := (run_exports.keys() & index.records.keys()) ^ sharded.keys():
        yield f"and the shards list different packages: {shortened_list(one_sided)}"
