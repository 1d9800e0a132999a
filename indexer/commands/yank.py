"""Yanks, unyanks, ignores or unignores packages: changes the file of withdrawn packages by its ETag, then indexes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from indexer.commands.change_file import JSON, change_file
from indexer.commands.with_settings import index_with_settings
from indexer.core import names
from indexer.core.errors import BadConfig
from indexer.core.overlay import Ignore, Yank, encode_withdrawn
from indexer.core.value import Value
from indexer.lister.overlay import read_withdrawn
from indexer.lister.snapshot import load_state
from indexer.lister.subdirs import check_is_subdir
from indexer.store import Expect

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from indexer.commands.context import Context
    from indexer.core.options import Options
    from indexer.core.overlay import WithdrawnPackages
    from indexer.core.report import Report
    from indexer.store import Store


class YankRequest(Value, frozen=True):
    """Packages (`SUBDIR/FILENAME`) to yank, or to `ignore`, for a reason; without a reason, to unyank or unignore."""

    packages: frozenset[str]
    reason: str | None = None
    ignore: bool = False

    def within(self, subdir: str) -> frozenset[str]:
        """The file names of the packages in a subdir."""
        return frozenset(key.rpartition("/")[2] for key in self.packages if key.rpartition("/")[0] == subdir)

    def edit(self, before: WithdrawnPackages, filenames: frozenset[str], now_ms: int) -> WithdrawnPackages:
        """The withdrawn packages of a subdir after the request; a package that was withdrawn before keeps its date."""
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
        return replace(before, yanked=yanked, ignored=ignored)

    def is_package(self, filename: str) -> bool:
        """Whether the request accepts a file name: an invalid name can be ignored, but not yanked."""
        return names.extension_of(filename) is not None if self.ignore else names.parse_filename(filename) is not None


def withdraw(store: Store, request: YankRequest, options: Options, context: Context) -> Report:
    """Change the files of withdrawn packages, and index their subdirs with the settings of the channel.

    Raises BadConfig, before any change, if a package is missing or its subdir was never indexed.
    """
    subdirs = sorted({key.rpartition("/")[0] for key in request.packages})
    for subdir in subdirs:
        _check(store, subdir, request)
    unyanked = request.packages if request.reason is None and not request.ignore else frozenset()
    _check_indexed(store, subdirs)
    options = replace(options, packages=request.packages, may_be_gone=request.packages, unyanked=unyanked)
    for subdir in subdirs:
        edit = partial(request.edit, filenames=request.within(subdir), now_ms=context.clock.now_ms())
        change_withdrawn(store, subdir, context, edit)
    return index_with_settings(store, options, context)


def _check(store: Store, subdir: str, request: YankRequest) -> None:
    """Raise BadConfig for a name that is neither a package of the subdir nor withdrawn already."""
    if not subdir:
        raise BadConfig(
            min(request.within("")), "is not of the form SUBDIR/FILENAME", "name it like noarch/foo-1.0-0.conda"
        )
    check_is_subdir(subdir)
    before, _ = read_withdrawn(store, subdir)
    known = before.ignored if request.ignore else before.yanked
    for filename in sorted(request.within(subdir) - known.keys()):
        key = f"{subdir}/{filename}"
        if not request.is_package(filename) or store.stat(key) is None:
            raise BadConfig(key, "is not a package of the channel", "nothing was changed: check the name")


def change_withdrawn(
    store: Store, subdir: str, context: Context, edit: Callable[[WithdrawnPackages], WithdrawnPackages]
) -> None:
    """Change the file of withdrawn packages of a subdir by compare-and-swap.  Raises GaveUp."""
    key = f"{subdir}/{names.YANKS}"

    def change(leased: Store) -> None:
        before, etag = read_withdrawn(leased, subdir)
        after = edit(before)
        if after != before:
            leased.put(key, encode_withdrawn(after), expect=etag or Expect.ABSENT, headers=JSON)

    change_file(store, key, context, change)


def end_pruning(store: Store, packages: Collection[str], context: Context) -> None:
    """Let runs index pruned packages (`SUBDIR/FILENAME`) again.  Raises GaveUp."""

    def without(filenames: frozenset[str], before: WithdrawnPackages) -> WithdrawnPackages:
        return replace(before, pruned={name: one for name, one in before.pruned.items() if name not in filenames})

    for subdir in sorted({key.rpartition("/")[0] for key in packages}):
        filenames = YankRequest(frozenset(packages)).within(subdir)
        change_withdrawn(store, subdir, context, partial(without, filenames))


def _check_indexed(store: Store, subdirs: list[str]) -> None:
    """Raise BadConfig if a subdir has no state of an earlier run."""
    for subdir in subdirs:
        state = load_state(store, f"{subdir}/{names.STATE_FILE}").state
        if state is None or state.outputs is None or state.rules is None:
            raise BadConfig(
                subdir, "was not indexed by this tool yet", "nothing was changed: index the channel, then repeat"
            )
