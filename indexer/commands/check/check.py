"""Checks a channel: the formats of each index match each other and the packages.  Writes nothing."""

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

# Seconds between checks of a subdir that somebody else is changing.
_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
_SETTLING = 1.0
_RESTORE = f"restore it, or {RUN}"
# The next step for files of the state that a run does not replace, by name.
_STATE_STEPS = {names.FROM_PACKAGES: DELETE_AND_FORCE, names.PATCH_INSTRUCTIONS: END_PATCH, names.YANKS: DELETE_AND_RUN}


def check_channel(
    store: Store, context: Context, *, subdirs: Sequence[str] = (), deep: bool = False, command: str = "indexer"
) -> CheckReport:
    """Check all subdirs of a channel, or the named ones.

    With `deep` every indexed package is read and compared with its record.  `command` is the command that indexes this
    channel, for the next steps.  Raises GaveUp if a subdir changes during every try, and errors of the whole channel.
    """
    began = context.clock.monotonic()
    checks = {
        subdir: _SubdirChecker(store, subdir, context, deep).check_until_stable()
        for subdir in chosen(store, subdirs, context.channel)
    }
    for verdict in checks.values():
        verdict.faults = [fault.with_command(command) for fault in verdict.faults]
        verdict.hints = [hint.with_command(command) for hint in verdict.hints]
    return CheckReport(checks, seconds=context.clock.monotonic() - began, usage=store.usage)


@dataclass(frozen=True, slots=True)
class _SubdirChecker:
    """A check of one subdir.  `proven` has the packages that were read and match, so that they are not read twice."""

    store: Store
    subdir: str
    context: Context
    deep: bool
    proven: set[tuple[str, str, int]] = field(default_factory=set)

    @property
    def _folder(self) -> ChannelFolder:
        return ChannelFolder(self.store, self.subdir, self.context.executor)

    def check_until_stable(self) -> SubdirCheck:
        """The result for one moment: faults count only if nothing changed during the check."""
        for pause in _PAUSES:
            with contextlib.suppress(Conflict):
                snapshot = take_read_only_snapshot(self._folder, Outputs())
                verdict = self._check(snapshot)
                if not verdict.faults:
                    return verdict
                if not snapshot.files_match_state:  # an indexer may be about to write the next file
                    self.context.clock.sleep(_SETTLING)
                if take_read_only_snapshot(self._folder, Outputs()) == snapshot:
                    return verdict
            self.context.clock.sleep(pause)
        raise GaveUp(self.subdir, "changed during every check", "repeat when no indexer is running")

    def _without_ignored(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot without the packages that are ignored and have no record."""
        if names.YANKS not in snapshot.etags:
            return snapshot
        with contextlib.suppress(BadPatch):  # _in_force reports it
            return snapshot.excluding(load_overlay(self._folder, snapshot).ignored)
        return snapshot

    def _check(self, snapshot: Snapshot) -> SubdirCheck:
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
        """Faults if the published records are not the packages' own records with our patch and yanks."""
        try:
            if names.FROM_PACKAGES not in snapshot.etags:
                if names.YANKS in snapshot.etags:
                    load_overlay(self._folder, snapshot)
                return
            unpatched, _ = repodata.decode_unpatched(
                self._folder.read(names.FROM_PACKAGES, snapshot.etags[names.FROM_PACKAGES]), names.FROM_PACKAGES
            )
            if not snapshot.is_unchanged(names.FROM_PACKAGES):
                return  # written by another indexer, which has its own patch
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
        yield from (Fault(key, f"{reason} (compared with the patch and the yanks in force)") for reason in said)

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
        """Faults if a record has no package, or a package no record, except packages whose name is in `unread`."""
        for filename, record in index.records.items():
            key, stat, facts = f"{self.subdir}/{filename}", snapshot.packages.get(filename), identity_of(record)
            if stat is None:
                yield Fault(key, "is in the index and not in the channel")
            elif facts.size != stat.size:
                yield Fault(key, f"has {facts.size} bytes in the index and {stat.size} in the channel")
            if dated := self._date(snapshot, facts):
                yield Fault(key, dated, FORCE if snapshot.files_match_state else RUN)
        for filename in index.records.keys() & set(index.removed):
            yield Fault(f"{self.subdir}/{filename}", "is listed as removed, but has a record")
        bad = snapshot.state.rejected if snapshot.state else {}
        for filename in snapshot.packages.keys() - index.records.keys() - set(index.removed):
            known = bad.get(filename)
            if name_of(filename) in unread:
                continue  # the fault of their shard is reported
            if known is None or known.etag != snapshot.packages[filename].etag:
                yield Fault(f"{self.subdir}/{filename}", "is in the channel and not in the index")
        yield from self._replaced(snapshot, index)

    def _date(self, snapshot: Snapshot, facts: RecordIdentity) -> str | None:
        """The error in the date of a record in a channel that we index, None if there is none (CEP 47)."""
        if snapshot.state is None:
            return None
        if facts.indexed_timestamp is None:
            return "has no indexed_timestamp, so exclude-newer uses its build date"
        ahead = in_future(facts.indexed_timestamp, self.context.clock.now_ms())
        return "has an indexed_timestamp in the future" if ahead else None

    def _attestations(self, snapshot: Snapshot, index: Index) -> Iterator[Fault]:
        """Faults if copies of attestations that clients download by the digest in a record are missing or different."""
        for filename, record in index.records.items():
            sha256 = attestations_digest_in(record)
            if sha256 is None:
                continue
            name = f"{filename}{SUFFIX}.{sha256}"
            copy = snapshot.sidecars.get(name)
            if copy is None:
                yield Fault(f"{self.subdir}/{name}", "is in the index, but missing", _RESTORE)
            elif self.deep and not self._holds(copy.within(self.subdir), sha256):
                yield Fault(f"{self.subdir}/{name}", "content does not match its SHA-256 name", _RESTORE)
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
        with contextlib.suppress(ValueError):  # too large for an attestation
            return hashlib.sha256(content_of(self.store, copy)).hexdigest() == sha256
        return False

    def _replaced(self, snapshot: Snapshot, index: Index) -> Iterator[Fault]:
        """Faults for packages that were replaced after they were indexed, if the state is up to date."""
        state = snapshot.state if snapshot.files_match_state else None
        if state is None:
            return
        for stat in diff(index, snapshot.packages, DiffContext(state, index_matches_state=True)).to_read:
            record = index.records.get(stat.key)
            is_known = state.etags_complete or stat.key in state.package_etags
            if record is not None and is_known and identity_of(record).size == stat.size:
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
        """The packages whose records another indexer has patched."""
        if names.FROM_PACKAGES not in snapshot.etags:
            return frozenset()
        with contextlib.suppress(Missing, BadIndex):
            data, _ = read_whole(self.store, f"{self.subdir}/{names.FROM_PACKAGES}")
            before = repodata.decode_repodata(data, names.FROM_PACKAGES).records
            return frozenset(key for key, record in index.records.items() if not same_json(record, before.get(key)))
        return frozenset()


def _bare(index: Index) -> Index:
    return Index(index.records, index.v3, removed=index.removed)
