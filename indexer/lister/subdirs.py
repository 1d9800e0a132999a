"""The root of a channel: which subdirs it has, and whether the target is a channel at all."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, NamedTuple

from indexer.core import names
from indexer.core.errors import BadConfig

if TYPE_CHECKING:
    from collections.abc import Iterable

    from indexer.store import Store

_FOLDERS_NAMED = 3


class Root(NamedTuple):
    """What a listing of a channel's root shows.

    `subdirs` are the known ones, `noarch` always among them, `unknown_subdirs` the other folders (an empty name stands
    for keys with `//` in them).  `packages` are the packages directly at the root, `files` all files there.
    """

    subdirs: tuple[str, ...]
    unknown_subdirs: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    files: frozenset[str] = frozenset()
    found: bool = True

    @property
    def written(self) -> bool:
        """Whether we have written files at the root."""
        return names.LEDGER in self.files


def root_of(store: Store) -> Root:
    """List the root of a channel."""
    listed = {stat.key for stat in store.list("")}
    folders = {key[:-1] for key in listed if key.endswith("/")}
    files = frozenset(key for key in listed if not key.endswith("/"))
    there = folders & names.KNOWN_SUBDIRS
    packages = tuple(sorted(key for key in files if names.extension_of(key)))
    passed_over = tuple(sorted(folders - there))
    return Root(tuple(sorted(there | {names.NOARCH})), passed_over, packages, files, bool(there))


def check_channel(root: Root, channel: str) -> None:
    """Raise BadConfig for a target that is a subdir of a channel, or a folder of packages, and no channel."""
    own_name = channel.rstrip("/").rpartition("/")[2]
    is_named_so = own_name in names.KNOWN_SUBDIRS
    content = root.packages or root.files & {names.REPODATA, names.SHARD_INDEX}
    if not content or (root.found and not is_named_so):
        return
    if is_named_so:
        raise BadConfig(
            channel, "is a subdir, not a channel", f"nothing was changed: name its parent {_parent(channel)}"
        )
    what = f"such as {root.packages[0]}" if root.packages else f"a {names.REPODATA}"
    raise BadConfig(
        channel or "the channel",
        f"has packages ({what}) and no subdir such as {names.NOARCH} or linux-64",
        f"nothing was changed: name the channel, for example {_parent(channel)}, or move the packages into a subdir",
    )


def check_exists(root: Root, channel: str) -> None:
    """Raise BadConfig if there is neither a package nor an index: the name may be wrong."""
    if root.found:
        return
    folders = [folder for folder in root.unknown_subdirs if folder]
    reason = f"has no subdir such as {names.NOARCH} or linux-64"
    if folders:
        some = ", ".join(folders[:_FOLDERS_NAMED])
        step = f"name a channel, for example {channel.rstrip('/')}/{folders[0]}"
        reason = f"{reason}, only other folders ({some}{', ...' if len(folders) > _FOLDERS_NAMED else ''})"
    else:
        step = "check the name"
    raise BadConfig(channel or "the channel", reason, f"nothing was changed: {step}, or create a channel with --create")


def check_subdir(store: Store, subdir: str, *, create: bool) -> None:
    """Raise BadConfig for a name that no subdir can have, or for an unknown one that is not there."""
    if not names.is_subdir(subdir):
        raise BadConfig(subdir or "''", "is not a subdir", "name one such as linux-64 or noarch")
    if subdir in names.KNOWN_SUBDIRS or create or next(iter(store.list(f"{subdir}/")), None) is not None:
        return
    near = difflib.get_close_matches(subdir, sorted(names.KNOWN_SUBDIRS), n=1, cutoff=0.5)
    step = f"did you mean {near[0]}? " if near else ""
    raise BadConfig(subdir, "is not a known subdir and is not in the channel", f"{step}--create creates {subdir}")


def chosen(store: Store, named: Iterable[str], channel: str = "", *, must_exist: bool = False) -> list[str]:
    """The subdirs that are named, or all known ones of a channel if none is.

    Raises BadConfig for a wrong target; with `must_exist` also for one where there is no subdir at all.
    """
    wanted = set(named)
    for subdir in wanted:
        check_subdir(store, subdir, create=False)
    if wanted and not must_exist:
        return sorted(wanted)
    root = root_of(store)
    check_channel(root, channel)
    if must_exist and not wanted & set(root.unknown_subdirs):
        check_exists(root, channel)
    return sorted(wanted or root.subdirs)


def _parent(channel: str) -> str:
    name = channel.rstrip("/")
    if name and "/" not in name and not channel.startswith("/"):
        return ".." if name == "." else "../.." if name == ".." else "."
    parent = name.rpartition("/")[0]
    return parent if parent and not parent.endswith("/") else f"the folder above {channel}"
