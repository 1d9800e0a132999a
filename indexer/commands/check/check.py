"""Whether a channel is sound: each form of its index agrees with the others, and with the packages.  Only reads."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from indexer.commands.check.formats import PublishedFormats
from indexer.core import names
from indexer.core.attestations import SUFFIX, attestations_digest_in
from indexer.core.errors import BadIndex, BadPatch, Conflict, GaveUp, Missing
from indexer.core.formats import repodata
from indexer.core.model import Index, Outputs, Rejected, Rules
from indexer.core.name_digests import name_of
from indexer.core.overlay import UPDATE
from indexer.core.plan import DiffContext, diff
from indexer.core.records.dates import in_future
from indexer.core.records.identity import identity_of
from indexer.core.report import CheckReport, SubdirCheck
from indexer.core.verify import (
    COMMAND,
    CREATE,
    DELETE_AND_FORCE,
    DELETE_AND_RUN,
    END_PATCH,
    FORCE,
    RUN,
    UPLOAD_AGAIN,
    Fault,
    index_differences,
    package_differences,
    same_json,
)
from indexer.extractor.extract import ExtractSpec, Vanished
from indexer.lister.overlay import load_overlay
from indexer.lister.sidecars import content_of
from indexer.lister.snapshot import take_read_only_snapshot
from indexer.lister.subdirs import chosen
from indexer.store.channel_folder import ChannelFolder
from indexer.store.read import read_whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from indexer.commands.context import Context
    from indexer.core.model import Stat
    from indexer.core.records.identity import RecordIdentity
    from indexer.core.snapshot import Snapshot
    from indexer.store import Store

# Between looks at a subdir that somebody else is changing, in seconds.
_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
_SETTLING = 1.0
_PUT_BACK = f"put it back, or {RUN}"
# What a run refuses to guess, by the name of the file.
_STATE_STEPS = {names.FROM_PACKAGES: DELETE_AND_FORCE, names.PATCH_INSTRUCTIONS: END_PATCH, names.YANKS: DELETE_AND_RUN}


def check_channel(
    store: Store, context: Context, *, subdirs: Sequence[str] = (), deep: bool = False, command: str = "indexer"
) -> CheckReport:
    """Look whether the subdirs of a channel, all of them unless some are named, are sound.

    With `deep` every indexed package is read and compared with its record.  `command` indexes this channel, for the
    next steps.  Raises GaveUp where somebody changes a subdir again and again while it is looked at, and what concerns
    the whole channel.
    """
    began = context.clock.monotonic()
    found = {
        it: _Auditor(store, it, context, deep).look_until_steady() for it in chosen(store, subdirs, context.channel)
    }
    for verdict in found.values():
        verdict.faults = [fault.with_command(command) for fault in verdict.faults]
        verdict.hints = [hint.with_command(command) for hint in verdict.hints]
    return CheckReport(found, seconds=context.clock.monotonic() - began, usage=store.usage)


@dataclass(frozen=True, slots=True)
class _Auditor:
    """One subdir being looked at.  `proven` has what was read and agreed, so that it is not read twice."""

    store: Store
    subdir: str
    context: Context
    deep: bool
    proven: set[tuple[str, str, int]] = field(default_factory=set)

    @property
    def _folder(self) -> ChannelFolder:
        return ChannelFolder(self.store, self.subdir, self.context.executor)

    def look_until_steady(self) -> SubdirCheck:
        """What is found at one moment: faults are believed if nothing has changed while they were found."""
        for pause in _PAUSES:
            with contextlib.suppress(Conflict):
                snapshot = take_read_only_snapshot(self._folder, Outputs())
                verdict = self._look(snapshot)
                if not verdict.faults:
                    return verdict
                if not snapshot.files_match_state:  # an indexer may be about to put the next file
                    self.context.clock.sleep(_SETTLING)
                if take_read_only_snapshot(self._folder, Outputs()) == snapshot:
                    return verdict
            self.context.clock.sleep(pause)
        raise GaveUp(self.subdir, "changed again and again while it was looked at", "check when no indexer is at work")

    def _without_ignored(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot without the packages that are ignored and have no record."""
        if names.YANKS not in snapshot.etags:
            return snapshot
        with contextlib.suppress(BadPatch):  # named by _in_force
            return snapshot.excluding(load_overlay(self._folder, snapshot).ignored)
        return snapshot

    def _look(self, snapshot: Snapshot) -> SubdirCheck:
        snapshot = self._without_ignored(snapshot)
        verdict = SubdirCheck(hints=list(self._hints(snapshot)))
        index = PublishedFormats(self._folder, snapshot, verdict).index()
        if index is None:
            if not verdict.faults and (snapshot.packages or self.subdir == names.NOARCH):
                key = f"{self.subdir}/{names.REPODATA}"
                verdict.faults.append(Fault(key, "is not there", RUN if snapshot.packages else CREATE))
            return verdict
        verdict.packages = len(index.records)
        verdict.faults += self._in_force(snapshot, index)
        verdict.faults += self._packages(snapshot, index, verdict.unread)
        verdict.faults += self._attestations(snapshot, index)
        if self.deep:
            verdict.faults += self._contents(snapshot, index, verdict)
        return verdict

    def _in_force(self, snapshot: Snapshot, index: Index) -> Iterator[Fault]:
        """Whether readers see what our patch and yanks make of the packages' own word."""
        try:
            if names.FROM_PACKAGES not in snapshot.etags:
                if names.YANKS in snapshot.etags:
                    load_overlay(self._folder, snapshot)
                return
            unpatched, _ = repodata.decode_unpatched(
                self._folder.read(names.FROM_PACKAGES, snapshot.etags[names.FROM_PACKAGES]), names.FROM_PACKAGES
            )
            if not snapshot.is_unchanged(names.FROM_PACKAGES):
                return  # of another indexer, who follows other instructions
            wanted = load_overlay(self._folder, snapshot).apply(unpatched).index
        except (BadIndex, BadPatch) as error:
            name = error.thing.rpartition("/")[2]
            yield Fault(
                f"{self.subdir}/{name}",
                error.reason,
                error.next_step if error.next_step == UPDATE else _STATE_STEPS[name],
            )
            return
        said = index_differences(_bare(wanted), _bare(index))
        key = f"{self.subdir}/{names.REPODATA if names.REPODATA in snapshot.etags else names.SHARD_INDEX}"
        yield from (Fault(key, f"{reason} (beside the patch and the yanks in force)") for reason in said)

    def _hints(self, snapshot: Snapshot) -> Iterator[Fault]:
        if snapshot.gc_in_progress:
            yield Fault(
                f"{self.subdir}/{names.GC_MARKER}",
                "a gc is in progress or has died",
                "if it has died, run `indexer gc` again with the same options",
            )
        if snapshot.state is not None and not snapshot.files_match_state:
            yield Fault(
                f"{self.subdir}/{names.STATE_FILE}", "is out of date", f"the next run of `{COMMAND}` scans everything"
            )
        for rejected in snapshot.invalid_filenames:
            yield Fault(
                f"{self.subdir}/{rejected.filename}", f"is not indexed: {rejected.reason}", "rename or delete it"
            )
        for filename, bad in snapshot.state.rejected.items() if snapshot.state else ():
            if filename in snapshot.packages and snapshot.packages[filename].etag == bad.etag:
                reason = (
                    f"was rejected, and its old record stays: {bad.reason}"
                    if bad.kept
                    else f"is not indexed: {bad.reason}"
                )
                yield Fault(
                    f"{self.subdir}/{filename}",
                    reason,
                    "rebuild it and upload it again, delete it, or hide it with `indexer ignore`",
                )

    def _packages(self, snapshot: Snapshot, index: Index, unread: set[str]) -> Iterator[Fault]:
        """Whether every record has its object, and every package its record, except those of names `unread`."""
        for filename, record in index.records.items():
            key, stat, facts = f"{self.subdir}/{filename}", snapshot.packages.get(filename), identity_of(record)
            if stat is None:
                yield Fault(key, "is in the index and not in the channel")
            elif facts.size != stat.size:
                yield Fault(key, f"has {facts.size} bytes in the index and {stat.size} in the channel")
            if dated := self._date(snapshot, facts):
                yield Fault(key, dated, FORCE if snapshot.files_match_state else RUN)
        for filename in index.records.keys() & set(index.removed):
            yield Fault(f"{self.subdir}/{filename}", "is listed as removed and has a record all the same")
        bad = snapshot.state.rejected if snapshot.state else {}
        for filename in snapshot.packages.keys() - index.records.keys() - set(index.removed):
            known = bad.get(filename)
            if name_of(filename) in unread:
                continue  # the fault of their shard is told
            if known is None or known.etag != snapshot.packages[filename].etag:
                yield Fault(f"{self.subdir}/{filename}", "is in the channel and not in the index")
        yield from self._replaced(snapshot, index)

    def _date(self, snapshot: Snapshot, facts: RecordIdentity) -> str | None:
        """What is wrong with the date of a record in a channel that we index, None if nothing (CEP 47)."""
        if snapshot.state is None:
            return None
        if facts.indexed_timestamp is None:
            return "has no indexed_timestamp, so exclude-newer trusts the date of its build"
        ahead = in_future(facts.indexed_timestamp, self.context.clock.now_ms())
        return "has an indexed_timestamp in the future" if ahead else None

    def _attestations(self, snapshot: Snapshot, index: Index) -> Iterator[Fault]:
        """Whether the copies that readers fetch by the digest in a record are there, and have it."""
        for filename, record in index.records.items():
            sha256 = attestations_digest_in(record)
            if sha256 is None:
                continue
            name = f"{filename}{SUFFIX}.{sha256}"
            copy = snapshot.sidecars.get(name)
            if copy is None:
                yield Fault(f"{self.subdir}/{name}", "is not there, and the index names it", _PUT_BACK)
            elif self.deep and not self._holds(copy.within(self.subdir), sha256):
                yield Fault(f"{self.subdir}/{name}", "has another content than its name says", _PUT_BACK)
        for filename, known in (
            snapshot.state.attestations.items() if snapshot.state and snapshot.files_match_state else ()
        ):
            if (
                known.sha256
                and filename in index.records
                and attestations_digest_in(index.records[filename]) != known.sha256
            ):
                yield Fault(f"{self.subdir}/{filename}", "has attestations that its record does not name", FORCE)

    def _holds(self, copy: Stat, sha256: str) -> bool:
        with contextlib.suppress(ValueError):  # too large to be one
            return hashlib.sha256(content_of(self.store, copy)).hexdigest() == sha256
        return False

    def _replaced(self, snapshot: Snapshot, index: Index) -> Iterator[Fault]:
        """Which packages are not those that their records were made from, as far as a ledger in step tells."""
        state = snapshot.state if snapshot.files_match_state else None
        if state is None:
            return
        for stat in diff(index, snapshot.packages, DiffContext(state, index_matches_state=True)).to_read:
            record = index.records.get(stat.key)
            told = state.etags_complete or stat.key in state.package_etags
            if record is not None and told and identity_of(record).size == stat.size:
                yield Fault(f"{self.subdir}/{stat.key}", "was replaced since it was indexed")

    def _contents(self, snapshot: Snapshot, index: Index, verdict: SubdirCheck) -> Iterator[Fault]:
        """Read every indexed package, in constant memory, and compare it with its record."""
        patched = self._patched(snapshot, index)

        def token(stat: Stat) -> tuple[str, str, int]:
            return stat.key, stat.etag, hash(bytes(index.records[stat.key]))

        stats = [snapshot.packages[name] for name in sorted(index.records.keys() & snapshot.packages.keys())]
        tokens = {stat.key: token(stat) for stat in stats}
        wanted = [stat for stat in stats if token(stat) not in self.proven]
        verdict.packages_read = len(stats)
        spec = ExtractSpec(
            self.subdir, Rules(lenient=True), self.context.clock.now_ms(), verify_digests=True, unpack=True
        )
        count = len(wanted)
        self.context.progress(self.subdir, 0, count)
        for done, reading in enumerate(self.context.workers(self.store, spec, wanted), 1):
            self.context.progress(self.subdir, done, count)
            result = reading.result
            if isinstance(result, Vanished):
                raise Conflict(f"{self.subdir}/{result.filename}", "changed while it was read")
            name = result.filename
            reasons = list(
                package_differences(index.records[name], index.run_exports.get(name), result, patched=name in patched)
            )
            if not reasons:
                self.proven.add(tokens[name])
            step = UPLOAD_AGAIN if isinstance(result, Rejected) else FORCE
            yield from (Fault(f"{self.subdir}/{name}", reason, step) for reason in reasons)

    def _patched(self, snapshot: Snapshot, index: Index) -> frozenset[str]:
        """The packages whose records another indexer has patched, and which say so."""
        if names.FROM_PACKAGES not in snapshot.etags:
            return frozenset()
        with contextlib.suppress(Missing, BadIndex):
            data, _ = read_whole(self.store, f"{self.subdir}/{names.FROM_PACKAGES}")
            before = repodata.decode_repodata(data, names.FROM_PACKAGES).records
            return frozenset(key for key, record in index.records.items() if not same_json(record, before.get(key)))
        return frozenset()


def _bare(index: Index) -> Index:
    return Index(index.records, index.v3, removed=index.removed)
