"""One attempt to bring the files of a channel's root up to date, after all subdirs: list, read, render, write."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from msgspec.structs import replace

from indexer.commands.retry import Interrupted
from indexer.core import names
from indexer.core.channel_publication import channel_publication, sources_digest
from indexer.core.errors import BadConfig, Conflict, Missing
from indexer.core.job import SubdirJob
from indexer.core.options import Options
from indexer.core.pages import catalog
from indexer.core.pages_plan import plan_pages, wanted_pages
from indexer.core.release import __version__
from indexer.core.report import Outcome, SubdirReport
from indexer.core.snapshot import Snapshot
from indexer.core.state import CHANNEL, State, config_fingerprint
from indexer.core.value import Value
from indexer.lister.existing import load_existing
from indexer.lister.overlay import load_overlay
from indexer.lister.pages import find_pages, list_pages, unwanted_pages_of_ours
from indexer.lister.snapshot import load_state, take_index_snapshot
from indexer.store.channel_folder import ChannelFolder
from indexer.writer.pages import finish_pages, write_pages
from indexer.writer.publish import pending, publish, save_state

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from indexer.core.model import ETag, Stat
    from indexer.core.pages.catalog import Catalog

# Catalogs of fewer bytes in all are requested at the same time.
_TOGETHER = 32 * 2**20


class ChannelJob(Value, frozen=True):
    """The options of the run, and the name of the channel for messages."""

    options: Options
    channel: str = ""
    dry_run: bool = False


def index_root(job: ChannelJob, root: ChannelFolder, *, trust_state: bool = True) -> SubdirReport:
    """Write the wanted files of the root, and delete unwanted ones that we wrote.  Raises Conflict.

    After a conflict the state is not trusted: then the pages of packages are listed.
    """
    state, state_etag, _ = load_state(root.store, root.prefix + names.STATE_FILE)
    _check_target(job, state)
    listing = {stat.key: stat for stat in root.store.list("")}
    snapshot = Snapshot(_our_files(job, listing, state), state, state_etag)
    # Before the sources: a page is replaced only if it was like that before them.
    listed = _list_pages(job, root, snapshot, trust_state=trust_state)
    sources = _sources(job, root, listing)
    fingerprint = config_fingerprint(job.options.outputs, job.options.rules, __version__)
    digest = sources_digest({subdir: stat.etag for subdir, stat in sources.items()}, job.options.notices)
    before = (state.config_fingerprint, state.listing_digest) if state and snapshot.files_match_state else None
    if state is not None and before == (fingerprint, digest) and not job.options.force:
        return SubdirReport(Outcome.UNCHANGED, packages=state.packages)

    pages_etag = snapshot.etags.get(names.PAGES_STATE)
    saved = {} if pages_etag is None else {names.PAGES_STATE: pages_etag}
    with root.requesting(_catalogs_among(sources.values()) | saved) as requested:
        catalogs = {subdir: _load_catalog(job, requested, subdir, stat) for subdir, stat in sources.items()}
        found = find_pages(requested, pages_etag, listed)
    publication = channel_publication(catalogs, job.options.outputs, job.options.notices)
    wanted = wanted_pages(catalogs, job.options.outputs, fingerprint)
    pages = plan_pages(wanted, found, unwanted_pages_of_ours(root, found, wanted.sources))
    files = pending(publication, snapshot)
    report = _report(job, catalogs, files | pages.files)
    if job.dry_run:
        return report
    try:
        # Before the page of the channel, which links to them.
        written = write_pages(root, pages, pages_etag)
        published = publish(root, publication, snapshot)
        published |= finish_pages(root, pages, written)
        _save(root, snapshot, State(fingerprint, digest, report.packages, files=published, place=CHANNEL))
    except Conflict as conflict:
        raise Interrupted(conflict, report) from conflict
    # A page that was made anew can have the same content.
    return _report(job, catalogs, files | replace(pages, write=written.names).files)


def _list_pages(
    job: ChannelJob, root: ChannelFolder, snapshot: Snapshot, *, trust_state: bool
) -> dict[str, Stat] | None:
    """The pages of packages; None if there are none, or if they are as the state of the pages has them."""
    has_pages = job.options.outputs.html or names.PAGES_STATE in snapshot.etags
    is_trusted = trust_state and snapshot.files_match_state and not job.options.force
    return list_pages(root) if has_pages and not is_trusted else None


def _check_target(job: ChannelJob, state: State | None) -> None:
    """Raise BadConfig if the root is a subdir.

    Older releases did not write `place`; only the state of a subdir has outputs.
    """
    if state is not None and (state.place not in {"", CHANNEL} or (not state.place and state.outputs)):
        raise BadConfig(
            job.channel or "the channel", "is a subdir, not a channel", "nothing was changed: name the channel above it"
        )


def _report(job: ChannelJob, catalogs: Mapping[str, Catalog], files: Collection[tuple[str, bool]]) -> SubdirReport:
    """The report on the files to write (true) and to delete (false)."""
    outcome = Outcome.PUBLISHED if files else Outcome.UNCHANGED
    return SubdirReport(
        Outcome.PLANNED if job.dry_run else outcome,
        packages=len({entry.name for known in catalogs.values() for entry in known.packages.values()}),
        written=tuple(sorted(key for key, is_written in files if is_written)),
        deleted=tuple(sorted(key for key, is_written in files if not is_written)),
    )


def _save(root: ChannelFolder, snapshot: Snapshot, state: State) -> None:
    if state.files:
        save_state(root, state, snapshot)
    elif snapshot.state_etag is not None:  # without files there is nothing to remember
        root.store.delete(root.prefix + names.STATE_FILE, expect=snapshot.state_etag)


def _our_files(job: ChannelJob, listing: Mapping[str, Stat], state: State | None) -> dict[str, ETag]:
    """The ETags of the files that shall exist, and of unwanted files that we wrote.

    An unwanted file that another program wrote is not touched.
    """
    outputs, written = job.options.outputs, state.files if state else {}
    wanted = {names.CHANNELDATA: outputs.channeldata, names.RSS: outputs.rss, names.INDEX_HTML: outputs.html}
    wanted[names.NOTICES] = job.options.notices is not None
    wanted[names.PAGES_STATE] = True  # no other program has a file of this name
    return {
        key: listing[key].etag
        for key in wanted
        if key in listing and (wanted[key] or (key in written and written[key].etag == listing[key].etag))
    }


def _sources(job: ChannelJob, root: ChannelFolder, listing: Mapping[str, Stat]) -> dict[str, Stat]:
    """The subdirs that the files are made of, with the file of each that has the most metadata."""
    options = job.options
    if not options.outputs.needs_metadata:
        return {}
    named = {key.rpartition("/")[0] for key in options.packages or ()} | set(options.subdirs)
    folders = {key[:-1] for key in listing if key.endswith("/")}
    subdirs = sorted(filter(names.is_subdir, folders))

    def source(subdir: str) -> Stat | None:
        # A folder of an unknown platform belongs to the channel if a run has indexed it.
        is_expected = subdir in names.KNOWN_SUBDIRS or subdir in named
        for name in (names.CATALOG, *((names.REPODATA, names.SHARD_INDEX) if is_expected else ())):
            key = f"{subdir}/{name}"
            stat = root.store.stat(key)
            if stat is not None:
                return replace(stat, key=key)
        return None

    stats = root.executor.map(source, subdirs)
    return {subdir: stat for subdir, stat in zip(subdirs, stats, strict=True) if stat is not None}


def _catalogs_among(sources: Iterable[Stat]) -> dict[str, ETag]:
    """The catalogs among the sources, if they are small enough to be requested all at once."""
    catalogs = [stat for stat in sources if stat.key.endswith(names.CATALOG)]
    is_little = sum(stat.size for stat in catalogs) <= _TOGETHER
    return {stat.key: stat.etag for stat in catalogs} if is_little else {}


def _load_catalog(job: ChannelJob, root: ChannelFolder, subdir: str, source: Stat) -> Catalog:
    """The catalog of a subdir, made from its index if the subdir has none yet.  Raises Conflict."""
    known = None
    if source.key.endswith(names.CATALOG):
        with contextlib.suppress(Missing):
            known = catalog.decode_catalog(root.read(source.key, source.etag))
    if known is not None:
        return known
    folder = ChannelFolder(root.store, subdir, root.executor)
    snapshot = take_index_snapshot(folder, job.options.outputs)
    overlay = load_overlay(folder, snapshot)
    existing = load_existing(folder, SubdirJob(subdir, Options(job.options.outputs)), snapshot, overlay)
    return catalog.make_catalog(overlay.apply(existing.index).index, {}, {})
