"""Whether a channel is sound: each form of its index agrees with the others, and with the packages.  Only reads."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import msgspec

from indexer.core import names, repodata, shards
from indexer.core.agreement import (
    Fault,
    broken_shard,
    contradictions,
    differences,
    differing_names,
    holds,
    revisions_count,
    same,
    searchable,
    some,
    unlike,
    unpacked,
)
from indexer.core.model import Index, Outputs, Rules
from indexer.core.plan import Known, diff
from indexer.core.records import dump
from indexer.core.repodata import facts_of
from indexer.errors import BadIndex, Conflict, GaveUp, Missing
from indexer.extractor import Gone, Spec
from indexer.lister import Lister, chosen
from indexer.pool import Bounds, bounded
from indexer.report import SubdirVerdict, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from indexer.core.model import Raw, Stat
    from indexer.core.shards import ShardIndex
    from indexer.lister import Observation
    from indexer.options import Run
    from indexer.store import Store

# Between looks at a subdir that somebody else is changing, in seconds.
_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
_BOUNDS: Bounds[tuple[str, bytes]] = Bounds(32, 32, lambda _: 1)
_MAX_CONTENT = 2**32
_FORCE = "run the indexer with --force"
_PARTS_OF_INFO = ("subdir", "base_url", "shards_base_url")
_SHA256_SIZE = 32
# conda-index has them in one of its files and not in the other.
_LEGACY = ("legacy_bz2_md5", "legacy_bz2_size")


def check_channel(store: Store, run: Run, *, subdirs: Sequence[str] = (), deep: bool = False) -> Verdict:
    """Look whether the subdirs of a channel, all of them unless some are named, are sound.

    With `deep` every indexed package is read and compared with its record.  Raises GaveUp where somebody
    changes a subdir again and again while it is looked at, and what concerns the whole channel.
    """
    began = run.monotonic()
    found = {it: _Auditor(store, it, run, deep).look_until_steady() for it in chosen(store, subdirs)}
    return Verdict(found, run.monotonic() - began, store.usage)


@dataclass(frozen=True, slots=True)
class _Auditor:
    """One subdir being looked at.  `proven` has what was read and agreed, so that it is not read twice."""

    store: Store
    subdir: str
    run: Run
    deep: bool
    proven: set[tuple[str, str, int]] = field(default_factory=set)

    @property
    def _lister(self) -> Lister:
        return Lister(self.store, self.subdir, Outputs(), self.run.executor)

    def look_until_steady(self) -> SubdirVerdict:
        """What is found at one moment: faults are believed if nothing has changed while they were found."""
        for pause in _PAUSES:
            with contextlib.suppress(Conflict):
                seen = self._lister.survey()
                verdict = self._look(seen)
                if not verdict.faults or self._lister.survey() == seen:
                    return verdict
            self.run.sleep(pause)
        raise GaveUp(self.subdir, "changed again and again while it was looked at", "check when no indexer is at work")

    def _look(self, seen: Observation) -> SubdirVerdict:
        verdict = SubdirVerdict()
        verdict.hints += self._hints(seen)
        faults = verdict.faults
        index = self._repodata(seen, faults)
        sharded = self._shards(seen, index, verdict)
        if index is not None and sharded is not None:
            plain = replace(index, info={}, rest={}, removed=tuple(searchable(index.removed)))
            said = differences(plain, replace(sharded, removed=tuple(searchable(sharded.removed))))
            faults += self._faults(names.SHARD_INDEX, (f"{reason} (beside {names.REPODATA})" for reason in said))
        whole = index or sharded
        if whole is None:
            if not faults and (seen.packages or self.subdir == names.NOARCH):
                faults += self._faults(names.REPODATA, ["is not there"])
            return verdict
        verdict.packages = len(whole.records)
        told = self._run_exports(seen, faults)
        faults += self._told(seen, replace(whole, run_exports=told), sharded)
        whole = replace(whole, run_exports=told or whole.run_exports)
        faults += self._current(seen, whole)
        faults += self._packages(seen, whole)
        if self.deep:
            faults += self._contents(seen, whole, verdict)
        return verdict

    def _faults(self, name: str, reasons: Iterable[str]) -> Iterator[Fault]:
        return (Fault(f"{self.subdir}/{name}", reason) for reason in reasons)

    def _hints(self, seen: Observation) -> Iterator[Fault]:
        if seen.noted:
            yield Fault(
                f"{self.subdir}/{names.GC_NOTE}", "a gc is at work here, or has died", "if it has died repeat it"
            )
        if seen.ledger is not None and not seen.in_step:
            yield Fault(
                f"{self.subdir}/{names.LEDGER}", "is not in step with the index", "the next run looks at all again"
            )
        for rejected in seen.misnamed:
            yield Fault(
                f"{self.subdir}/{rejected.filename}", f"is not indexed: {rejected.reason}", "rename or delete it"
            )
        for filename, bad in seen.ledger.rejected.items() if seen.ledger else ():
            if filename in seen.packages and seen.packages[filename].version == bad.version:
                yield Fault(f"{self.subdir}/{filename}", f"is not indexed: {bad.reason}", "mend or delete it")

    # ---- files ----

    def _read(self, name: str, seen: Observation) -> bytes:
        return self._lister.read(name, seen)

    def _repodata(self, seen: Observation, faults: list[Fault]) -> Index | None:
        index, data = None, b""
        if names.REPODATA in seen.versions:
            data = self._read(names.REPODATA, seen)
            try:
                index = repodata.split(data, names.REPODATA)
            except BadIndex as error:
                faults += self._faults(names.REPODATA, [error.reason])
        if index is not None:
            faults += self._faults(names.REPODATA, self._of_itself(index, data))
        for name in (names.REPODATA_ZST, names.REPODATA_BZ2):
            if name in seen.versions:
                said = self._variant(name, seen, data, lambda content: _differences(index, content))
                faults += self._faults(name, said)
        return index

    def _of_itself(self, index: Index, data: bytes) -> Iterator[str]:
        """What is wrong with a repodata.json whatever else there is."""
        said = _text(index.info.get("subdir"))
        if said not in {"", self.subdir}:
            yield f"says that it is of {said}"
        if reason := revisions_count(index):
            yield reason
        if twice := repodata.named_twice(data):
            yield f"has more than one record of {some(twice)}"
        if refused := {name for name, record in index.records.items() if not facts_of(record).name}:
            yield f"has records that readers refuse: {some(refused)}"
        if odd := {name for name in index.records if names.parse_filename(name) is None}:
            yield f"has records under what is no file name of a package: {some(odd)}"

    def _variant(
        self, name: str, seen: Observation, data: bytes, differ: Callable[[bytes], Iterable[str]]
    ) -> Iterator[str]:
        """What a compressed file says otherwise than the plain one beside it."""
        plain = name.rpartition(".")[0]
        if plain not in seen.versions:
            yield f"is there and {plain} is not"
            return
        packed = self._read(name, seen)
        if holds(packed, name, data):
            return
        try:
            yield from differ(unpacked(packed, name, _MAX_CONTENT))
        except BadIndex as error:
            yield error.reason

    def _run_exports(self, seen: Observation, faults: list[Fault]) -> Mapping[str, Raw]:
        """What run_exports.json says, and its compressed forms too."""
        name, data = names.RUN_EXPORTS, b""
        told: Mapping[str, Raw] = {}
        if name in seen.versions:
            data = self._read(name, seen)
            try:
                told = repodata.split_run_exports(data, name)
            except BadIndex as error:
                faults += self._faults(name, [error.reason])
        for variant in (names.RUN_EXPORTS_ZST, names.RUN_EXPORTS_BZ2):
            if variant in seen.versions:
                said = self._variant(variant, seen, data, lambda content: _maps_differ(told, content))
                faults += self._faults(variant, said)
        return told

    def _told(self, seen: Observation, index: Index, sharded: Index | None) -> Iterator[Fault]:
        """Whether run exports are the same wherever they are told, and of packages that are there."""
        others = sharded.run_exports if sharded else {}
        if names.RUN_EXPORTS in seen.versions:
            yield from self._faults(names.RUN_EXPORTS, _told_otherwise(index, others if sharded else None))
            return
        inline = repodata.inline_run_exports(index.records)  # as rattler-index has them
        if odd := {f for f in inline.keys() & others.keys() if not same(inline[f], others[f])}:
            reason = f"has other run exports than {names.REPODATA} of {some(odd)}"
            yield Fault(f"{self.subdir}/{names.SHARD_INDEX}", reason)

    def _current(self, seen: Observation, index: Index) -> Iterator[Fault]:
        """Whether what older clients read instead has no record that the index has not."""
        for name in names.FOREIGN:
            if name not in seen.versions:
                continue
            content = self._read(name, seen)
            try:
                plain = content if name.endswith(".json") else unpacked(content, name, _MAX_CONTENT)
                part = repodata.split(plain, name)
            except BadIndex as error:
                yield from self._faults(name, [error.reason])
                continue
            records = index.records
            strange = {f for f, record in part.records.items() if not same(record, records.get(f), without=_LEGACY)}
            if strange:
                yield Fault(f"{self.subdir}/{name}", f"has records that the index has not: {some(strange)}")

    # ---- shards ----

    def _shards(self, seen: Observation, index: Index | None, verdict: SubdirVerdict) -> Index | None:
        """What all shards together say; None where there are none, or where they cannot be told."""
        if names.SHARD_INDEX not in seen.versions:
            return None
        faults = verdict.faults
        try:
            shard_index = self._lister.read_shard_index(seen)
        except BadIndex as error:
            faults += self._faults(names.SHARD_INDEX, [error.reason])
            return None
        faults += self._faults(names.SHARD_INDEX, self._shard_index(shard_index, index))
        verdict.shards = len(shard_index.shards)
        if shard_index.folder is None:
            where = shard_index.info.get("shards_base_url")
            reason = f"has its shards elsewhere ({where}), so they are not looked at"
            verdict.hints += [Fault(f"{self.subdir}/{names.SHARD_INDEX}", reason, "check them there")]
            return None
        parts: list[Index] = []
        jobs = shard_index.shards.items()
        for part, fault in bounded(self.run.executor, self._shard_reader(shard_index.folder, index), jobs, _BOUNDS):
            faults += [fault] if fault else []
            parts += [part] if part else []
        return shards.union(parts)

    def _shard_index(self, shard_index: ShardIndex, index: Index | None) -> Iterator[str]:
        info = shard_index.info
        for key in _PARTS_OF_INFO:
            if not isinstance(info.get(key), str):
                yield f"has no {key}, without which readers fail"
        if info.get("subdir") not in {None, self.subdir}:
            yield f"says that it is of {info['subdir']}"
        if index is None:
            return
        if (info.get("base_url") or "") != _text(index.info.get("base_url")):
            yield f"has another base_url than {names.REPODATA}"
        for key in shards.SHARED_INFO:
            said = dump(info[key]) if key in info else None
            if not same(said, index.info.get(key)):
                yield f"has other {key} than {names.REPODATA}"

    def _shard_reader(
        self, folder: str, index: Index | None
    ) -> Callable[[tuple[str, bytes]], tuple[Index | None, Fault | None]]:
        """Reads a named shard: what it says, or what is wrong with it."""
        known = index.records if index else {}

        def read(named: tuple[str, bytes]) -> tuple[Index | None, Fault | None]:
            name, digest = named
            key = f"{self.subdir}/{folder}{shards.filename_of(digest)}"
            try:
                with self.store.open(key) as reader:
                    data = reader.read()
            except Missing:
                return None, Fault(key, f"is not there, and the shard index names it for {name}")
            if len(digest) != _SHA256_SIZE or shards.digest(data) != digest:
                return None, Fault(key, "has another content than its name says", "delete it and run the indexer")
            try:
                shard = shards.open_shard(data, key)
                reason = broken_shard(shard)
                part = shards.index_of(shard, key)
            except BadIndex as error:
                return None, Fault(key, error.reason)
            # Equal records are kept once: what repodata.json says is in memory as it is.
            part = replace(part, records={f: _one(record, known.get(f)) for f, record in part.records.items()})
            strange = {f for f, record in part.records.items() if facts_of(record).name.lower() != name.lower()}
            if strange:
                reason = f"is named for {name} and has packages of other names: {some(strange)}"
            return part, Fault(key, reason) if reason else None

        return read

    # ---- packages ----

    def _packages(self, seen: Observation, index: Index) -> Iterator[Fault]:
        """Whether every record has its object, and every package its record."""
        for filename, record in index.records.items():
            key, stat, facts = f"{self.subdir}/{filename}", seen.packages.get(filename), facts_of(record)
            if stat is None:
                yield Fault(key, "is in the index and not in the channel")
            elif facts.size != stat.size:
                yield Fault(key, f"has {facts.size} bytes in the index and {stat.size} in the channel")
        for filename in index.records.keys() & set(index.removed):
            yield Fault(f"{self.subdir}/{filename}", "is listed as removed and has a record all the same")
        bad = seen.ledger.rejected if seen.ledger else {}
        for filename in seen.packages.keys() - index.records.keys() - set(index.removed):
            known = bad.get(filename)
            if known is None or known.version != seen.packages[filename].version:
                yield Fault(f"{self.subdir}/{filename}", "is in the channel and not in the index")
        yield from self._replaced(seen, index)

    def _replaced(self, seen: Observation, index: Index) -> Iterator[Fault]:
        """Which packages are not those that their records were made from, as far as a ledger in step tells."""
        ledger = seen.ledger if seen.in_step else None
        if ledger is None:
            return
        for stat in diff(index, seen.packages, Known(ledger, in_step=True)).fetch:
            filename = stat.key.rpartition("/")[2]
            record = index.records.get(filename)
            told = ledger.whole or filename in ledger.seen
            if record is not None and told and facts_of(record).size == stat.size:
                yield Fault(stat.key, "was replaced since it was indexed")

    def _contents(self, seen: Observation, index: Index, verdict: SubdirVerdict) -> Iterator[Fault]:
        """Read every indexed package, in constant memory, and compare it with its record."""
        patched = self._patched(seen, index)

        def token(stat: Stat) -> tuple[str, str, int]:
            return stat.key, stat.version, hash(bytes(index.records[stat.key.rpartition("/")[2]]))

        stats = [seen.packages[name] for name in sorted(index.records.keys() & seen.packages.keys())]
        tokens = {stat.key.rpartition("/")[2]: token(stat) for stat in stats}
        wanted = [stat for stat in stats if token(stat) not in self.proven]
        verdict.read = len(stats)
        spec = Spec(self.subdir, Rules(lenient=True), self.run.now_ms(), verify_digests=True)
        self.run.progress(self.subdir, 0, len(wanted))
        for done, reading in enumerate(self.run.workers(self.store, spec, wanted), 1):
            self.run.progress(self.subdir, done, len(wanted))
            result = reading.result
            if isinstance(result, Gone):
                raise Conflict(f"{self.subdir}/{result.filename}", "changed while it was read")
            name = result.filename
            reasons = list(
                contradictions(index.records[name], index.run_exports.get(name), result, patched=name in patched)
            )
            if not reasons:
                self.proven.add(tokens[name])
            yield from (Fault(f"{self.subdir}/{name}", reason, _FORCE) for reason in reasons)

    def _patched(self, seen: Observation, index: Index) -> frozenset[str]:
        """The packages whose records another indexer has patched, and which say so."""
        if not seen.unpatched:
            return frozenset()
        with contextlib.suppress(Missing, BadIndex), self.store.open(f"{self.subdir}/{names.UNPATCHED}") as reader:
            before = repodata.split(reader.read(), names.UNPATCHED).records
            return frozenset(key for key, record in index.records.items() if not same(record, before.get(key)))
        return frozenset()


def _text(raw: Raw | None) -> str:
    return str(msgspec.json.decode(raw) or "") if raw is not None else ""


def _one(record: Raw, known: Raw | None) -> Raw:
    return known if known is not None and same(record, known, without=("run_exports",)) else record


def _differences(index: Index | None, content: bytes) -> Iterator[str]:
    other = repodata.split(content, "")
    return differences(index, other) if index is not None else iter(())


def _maps_differ(told: Mapping[str, Raw], content: bytes) -> Iterator[str]:
    other = repodata.split_run_exports(content, "")
    yield from differing_names(told.keys(), other.keys())
    yield from unlike({name for name in told.keys() & other.keys() if not same(told[name], other[name])})


def _told_otherwise(index: Index, sharded: Mapping[str, Raw] | None) -> Iterator[str]:
    told = index.run_exports
    if stray := told.keys() - index.records.keys() - set(index.removed):
        yield f"has packages that are not in the index: {some(stray)}"
    if sharded is None:
        return
    if odd := {filename for filename in told.keys() & sharded.keys() if not same(told[filename], sharded[filename])}:
        yield f"says something else than the shards of {some(odd)}"
    if one_sided := (told.keys() & index.records.keys()) ^ sharded.keys():
        yield f"and the shards do not know the same packages: {some(one_sided)}"
