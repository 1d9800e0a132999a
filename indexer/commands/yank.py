"""Yanks or ignores packages, or ends that: changes the file of withdrawn packages by its ETag, then indexes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from indexer.commands.index import index_channel
from indexer.commands.retry import backoff
from indexer.core import names
from indexer.core.errors import BadConfig, Conflict, GaveUp, Missing, NoConditions
from indexer.core.overlay import Ignore, WithdrawnPackages, Yank, decode_withdrawn, encode_withdrawn
from indexer.core.state import decode_state
from indexer.store import Expect
from indexer.store.read import read_whole
from indexer.writer.lease import Lease, under

if TYPE_CHECKING:
    from indexer.commands.context import Context
    from indexer.core.model import ETag
    from indexer.core.options import Options
    from indexer.core.report import Report
    from indexer.store import Store

_HEADERS = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class YankOrder:
    """Packages (`SUBDIR/FILENAME`) to yank, or to `ignore`, for a reason; without a reason to unyank or unignore."""

    packages: frozenset[str]
    reason: str | None = None
    ignore: bool = False

    def within(self, subdir: str) -> frozenset[str]:
        """The file names of the packages in a subdir."""
        return frozenset(key.rpartition("/")[2] for key in self.packages if key.rpartition("/")[0] == subdir)

    def edit(self, before: WithdrawnPackages, filenames: frozenset[str], now_ms: int) -> WithdrawnPackages:
        """The withdrawn packages of a subdir after the order; one that was withdrawn before keeps its date."""
        yanked, ignored = dict(before.yanked), dict(before.ignored)
        for name in filenames:
            if self.reason is None:
                (ignored if self.ignore else yanked).pop(name, None)
            elif self.ignore:
                known = ignored.get(name)
                ignored[name] = Ignore(self.reason, known.ignored_timestamp if known else now_ms)
            else:
                yank = yanked.get(name)
                yanked[name] = Yank(self.reason, yank.yanked_timestamp if yank else now_ms)
        return WithdrawnPackages(yanked, ignored)

    def is_package(self, filename: str) -> bool:
        """Whether the order accepts a file name: an invalid name can be ignored, but not yanked."""
        return names.extension_of(filename) is not None if self.ignore else names.parse_filename(filename) is not None


def carry_out(store: Store, order: YankOrder, options: Options, context: Context) -> Report:
    """Change the file of withdrawn packages, and index their subdirs in the way that the last run did.

    Raises BadConfig before anything is changed if a package is missing or its subdir was never indexed.
    """
    subdirs = sorted({key.rpartition("/")[0] for key in order.packages})
    for subdir in subdirs:
        _check(store, subdir, order)
    lifted = order.packages if order.reason is None and not order.ignore else frozenset()
    options = replace(_as_last_time(store, subdirs, options), packages=order.packages, may_be_gone=order.packages)
    options = replace(options, unyanked=lifted)
    for subdir in subdirs:
        _rewrite(store, subdir, order, context)
    return index_channel(store, options, context)


def _check(store: Store, subdir: str, order: YankOrder) -> None:
    """Raise BadConfig for a name that is neither a package of the subdir nor withdrawn already."""
    if not subdir:
        raise BadConfig(
            min(order.within("")), "is not of the form SUBDIR/FILENAME", "name it like noarch/foo-1.0-0.conda"
        )
    if not names.is_subdir(subdir):
        raise BadConfig(subdir, "is not a subdir", "name one such as linux-64 or noarch")
    before, _ = _read(store, subdir)
    known = before.ignored if order.ignore else before.yanked
    for filename in sorted(order.within(subdir) - known.keys()):
        key = f"{subdir}/{filename}"
        if not order.is_package(filename) or store.stat(key) is None:
            raise BadConfig(key, "is not a package of the channel", "nothing was changed: check the name")


def _read(store: Store, subdir: str) -> tuple[WithdrawnPackages, ETag | None]:
    key = f"{subdir}/{names.YANKS}"
    try:
        data, opened = read_whole(store, key)
    except Missing:
        return WithdrawnPackages(), None
    return decode_withdrawn(data, key), opened.etag


def _rewrite(store: Store, subdir: str, order: YankOrder, context: Context) -> None:
    """Change the file of withdrawn packages, safely beside other processes.  Raises GaveUp."""
    key = f"{subdir}/{names.YANKS}"
    pauses = backoff(context)
    lease: Lease | None = None
    while True:
        try:
            with under(lease, store) as there:
                before, etag = _read(there, subdir)
                wanted = order.edit(before, order.within(subdir), context.clock.now_ms())
                if wanted != before:
                    there.put(key, encode_withdrawn(wanted), expect=etag or Expect.ABSENT, headers=_HEADERS)
        except NoConditions:
            lease = Lease(store, f"{subdir}/", context.clock)
        except Conflict as conflict:
            wait = next(pauses, None)
            if wait is None:
                raise GaveUp(key, "others changed it during every attempt", "repeat: nothing was changed") from conflict
            context.clock.sleep(wait)
        else:
            return


def _as_last_time(store: Store, subdirs: list[str], options: Options) -> Options:
    """Options with the outputs and rules of the last run: a yank must not switch a file on or off.

    Raises BadConfig if there is no state of an earlier run.
    """
    for subdir in subdirs:
        try:
            found = decode_state(read_whole(store, f"{subdir}/{names.STATE_FILE}")[0])
        except Missing:
            found = None
        if found is None or found.outputs is None or found.rules is None:
            raise BadConfig(
                subdir, "was not indexed by this tool yet", "nothing was changed: index the channel, then repeat"
            )
        options = replace(options, outputs=found.outputs, rules=found.rules)
    return options
