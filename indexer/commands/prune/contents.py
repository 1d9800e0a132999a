"""Reads what `prune` must know about a subdir: the packages that readers find, all objects, the withdrawn packages."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import msgspec

from indexer.core import names
from indexer.core.in_force import overlay_in_force
from indexer.core.job import SubdirJob
from indexer.core.model import UNREADABLE
from indexer.core.retention import Candidate
from indexer.core.todo import find_todo
from indexer.core.value import Value
from indexer.lister.existing import load_existing
from indexer.lister.overlay import load_overlay
from indexer.lister.snapshot import load_state, take_snapshot
from indexer.store.channel_folder import ChannelFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from indexer.commands.context import Context
    from indexer.core.model import Index, Raw, Stat
    from indexer.core.options import Options
    from indexer.core.overlay import WithdrawnPackages
    from indexer.store import Store


class SubdirContents(Value, frozen=True):
    """A subdir at one moment.

    `candidates` are the packages that are judged: readers find them, and their objects exist.  `packages` and
    `sidecars` have all such objects by file name, `indexed` those withdrawn packages that the index has nevertheless.
    """

    candidates: tuple[Candidate, ...]
    packages: Mapping[str, Stat]
    sidecars: Mapping[str, Stat]
    indexed: frozenset[str]
    withdrawn: WithdrawnPackages


class _Fields(msgspec.Struct, frozen=True):
    """The fields of a record on which a verdict depends."""

    name: str
    version: str
    build: str
    depends: tuple[str, ...] = ()
    extra_depends: dict[str, tuple[str, ...]] = {}
    indexed_timestamp: int | None = None


_fields = msgspec.json.Decoder(_Fields)


def read_contents(store: Store, subdir: str, options: Options, context: Context) -> SubdirContents:
    """What a subdir has now.  Raises Conflict if a file changes meanwhile, and BadIndex."""
    folder, job = ChannelFolder(store, subdir, context.executor), SubdirJob(subdir, options)
    now_ms = context.clock.now_ms()
    saved = load_state(store, folder.prefix + names.STATE_FILE)
    snapshot = take_snapshot(folder, job, saved, now_ms, trust_state=True)
    overlay = overlay_in_force(job, snapshot, load_overlay(folder, snapshot))
    snapshot = snapshot.unpacked()
    relevant = snapshot.excluding(overlay.withdrawn.left_out(snapshot.packages))
    existing = load_existing(folder, job, relevant, overlay)
    todo = find_todo(job, relevant, existing, frozenset())
    unread = {stat.key for stat in todo.to_read}
    published = overlay.apply(existing.index).index

    def date_of(filename: str, date_ms: int | None) -> int:
        return todo.dates.get(filename, now_ms if date_ms is None else date_ms)

    candidates = tuple(_candidates(subdir, published, relevant.packages, unread, date_of))
    indexed = frozenset(overlay.withdrawn.pruned.keys() & published.records.keys())
    return SubdirContents(candidates, snapshot.packages, snapshot.sidecars, indexed, overlay.withdrawn)


def _candidates(
    subdir: str,
    index: Index,
    packages: Mapping[str, Stat],
    unread: set[str],
    date_of: Callable[[str, int | None], int],
) -> Iterator[Candidate]:
    """The packages of an index with an object, without those whose record cannot be read.

    Equal texts are one object: most dependencies of a channel are those of many packages.
    """
    texts: dict[str, str] = {}
    lists: dict[tuple[str, ...], tuple[str, ...]] = {}
    for filename in sorted(index.records.keys() & packages.keys()):
        fields = _fields_of(index.records[filename])
        if fields is None:
            continue
        every = (*fields.depends, *(spec for group in fields.extra_depends.values() for spec in group))
        depends = lists.setdefault(every, every)
        if depends is every:
            lists[every] = depends = tuple(texts.setdefault(spec, spec) for spec in every)
        yield Candidate(
            subdir,
            filename,
            texts.setdefault(fields.name, fields.name),
            texts.setdefault(fields.version, fields.version),
            texts.setdefault(fields.build, fields.build),
            indexed_ms=date_of(filename, fields.indexed_timestamp),
            size=packages[filename].size,
            depends=depends,
            is_replaced=filename in unread,
        )


def _fields_of(record: Raw) -> _Fields | None:
    with contextlib.suppress(*UNREADABLE):
        return _fields.decode(record)
    return None
