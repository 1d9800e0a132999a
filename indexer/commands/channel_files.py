"""The files of a channel as a whole, after all its subdirs: look, decide, write, as for a subdir."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from indexer.commands.retry import retry_on_conflict
from indexer.core import names
from indexer.core.channel_publication import channel_publication, digest_of
from indexer.core.errors import BadConfig, Missing
from indexer.core.pages import catalog
from indexer.core.release import __version__
from indexer.core.report import Outcome, SubdirReport
from indexer.core.snapshot import Snapshot
from indexer.core.state import CHANNEL, State, config_fingerprint
from indexer.lister.existing import Lister, left_at
from indexer.store.read import read_whole
from indexer.writer.lease import Lease, under
from indexer.writer.publish import Writer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from indexer.commands.context import Context
    from indexer.core.model import ETag, Stat
    from indexer.core.options import Options
    from indexer.core.pages.catalog import Catalog
    from indexer.store import Store


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel in one run; `begun` has the reports of laps that a conflict ended while they wrote.

    `lease` is there where the store knows no conditions.
    """

    store: Store
    options: Options
    context: Context
    begun: list[SubdirReport] = field(default_factory=list)
    lease: Lease | None = None

    def leased(self) -> Channel:
        """The same, to be written under a lease, for a store that knows no conditions."""
        return replace(self, lease=Lease(self.store, "", self.context.clock), begun=[])

    def laps(self, *, dry_run: bool) -> SubdirReport:
        """Publish what the options want, and delete what they do not want where it is known to be ours."""
        return retry_on_conflict("the channel", self.context, lambda _: self._alone(dry_run=dry_run)).after(self.begun)

    def _alone(self, *, dry_run: bool) -> SubdirReport:
        with under(None if dry_run else self.lease, self.store) as store:
            return replace(self, store=store)._lap(dry_run=dry_run)  # noqa: SLF001  our own

    def _lap(self, *, dry_run: bool) -> SubdirReport:
        """First our memory, then what lies at the root, then what the subdirs say.  Raises Conflict."""
        state, state_etag = left_at(self.store, names.LEDGER)
        # Older releases did not write `place`; only the state of a subdir has outputs.
        if state is not None and (state.place not in {"", CHANNEL} or (not state.place and state.outputs)):
            raise BadConfig(
                self.context.channel or "the channel",
                "is a subdir, not a channel",
                "nothing was changed: name the channel above it",
            )
        root = {stat.key: stat for stat in self.store.list("")}
        snapshot = Snapshot(self._ours(root, state), state, state_etag)
        sources = self._sources(root)
        stamp = config_fingerprint(self.options.outputs, self.options.rules, __version__)
        digest = digest_of(sources, self.options.notices)
        before = (state.config_fingerprint, state.listing_digest) if state and snapshot.files_match_state else None
        if state and before == (stamp, digest) and not self.options.force:
            return SubdirReport(Outcome.UNCHANGED, packages=state.packages)
        catalogs = {subdir: self._catalog(subdir, etag) for subdir, etag in sources.items()}
        count = len({entry.name for known in catalogs.values() for entry in known.packages.values()})
        artifacts = channel_publication(catalogs, self.options.outputs, self.options.notices)
        writer = Writer(self.store, "", self.context.executor)
        pending = writer.pending(artifacts, snapshot)
        report = SubdirReport(Outcome.PLANNED if dry_run else Outcome.UNCHANGED, packages=count)
        report.written = tuple(sorted(it.key for it in pending if it.content is not None))
        report.deleted = tuple(sorted(it.key for it in pending if it.content is None))
        if dry_run:
            return report
        self.begun.append(report)
        wrote = writer.publish(artifacts, snapshot)
        if wrote:
            writer.save_state(State(stamp, digest, count, files=dict(wrote), place=CHANNEL), snapshot)
        elif state_etag is not None:  # nothing of ours is there any more, so there is nothing to remember
            self.store.delete(names.LEDGER, expect=state_etag)
        self.begun.remove(report)
        if pending:
            report.outcome = Outcome.PUBLISHED
        return report

    def _ours(self, root: Mapping[str, Stat], state: State | None) -> dict[str, ETag]:
        """The versions of our files: of those that shall be there, and of those that we know we wrote.

        A file that is not wanted and that somebody else wrote is left alone.
        """
        outputs = self.options.outputs
        wanted = {names.CHANNELDATA: outputs.channeldata, names.RSS: outputs.rss, names.PAGE: outputs.html}
        wanted[names.NOTICES] = self.options.notices is not None
        wrote = state.files if state else {}
        return {
            key: root[key].etag
            for key in wanted
            if key in root and (wanted[key] or (key in wrote and wrote[key].etag == root[key].etag))
        }

    def _sources(self, root: Mapping[str, Stat]) -> dict[str, ETag]:
        """The subdirs that the files are made of, and the version of the file that says most of each."""
        if not self.options.outputs.needs_metadata:
            return {}
        named = {key.rpartition("/")[0] for key in self.options.packages or ()} | set(self.options.subdirs)
        folders = {key[:-1] for key in root if key.endswith("/")}
        subdirs = sorted(folders & (names.KNOWN_SUBDIRS | named))
        found = self.context.executor.map(self._source, subdirs)
        return {subdir: etag for subdir, etag in zip(subdirs, found, strict=True) if etag is not None}

    def _source(self, subdir: str) -> ETag | None:
        for name in (names.CATALOG, names.REPODATA, names.SHARD_INDEX):
            stat = self.store.stat(f"{subdir}/{name}")
            if stat is not None:
                return stat.etag
        return None

    def _catalog(self, subdir: str, etag: ETag) -> Catalog:
        """What a subdir says of its packages: its catalog, or where it has none yet its index.  Raises Conflict."""
        key = f"{subdir}/{names.CATALOG}"
        try:
            known = catalog.decode_catalog(read_whole(self.store, key, etag)[0])
        except Missing:
            known = None
        if known is not None:
            return known
        lister = Lister(self.store, subdir, self.options.outputs, self.context.executor)
        snapshot = lister.take_snapshot(frozenset(), trusting=False)
        overlay = lister.overlay(snapshot)
        return catalog.make_catalog(overlay.apply(lister.read_index(snapshot, overlay)).index, {}, {})
