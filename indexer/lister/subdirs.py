"""Lists the root of a channel: which subdirs the channel has, and whether the target is a channel at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from indexer.core import names
from indexer.core.errors import BadConfig
from indexer.core.similar import similar

if TYPE_CHECKING:
    from collections.abc import Iterable

    from indexer.store import Store

_FOLDERS_NAMED = 3


class Root(NamedTuple):
    """The root of a channel.

    `subdirs` are the known subdirs, always with `noarch`; `unknown_subdirs` the other folders, without that of the
    named snapshots (an empty name for keys with `//`).  `packages` are the packages directly at the root, `files` all
    files there.  `found` is false if no known subdir exists.  `settings_etag` is the ETag of the file of settings,
    empty if there is none.
    """

    subdirs: tuple[str, ...]
    unknown_subdirs: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    files: frozenset[str] = frozenset()
    found: bool = True
    settings_etag: str = ""

    @property
    def written(self) -> bool:
        """Whether we have written files at the root."""
        return not self.files.isdisjoint((names.STATE_FILE, names.PAGES_STATE))


def root_of(store: Store) -> Root:
    """List the root of a channel."""
    etags = {stat.key: stat.etag for stat in store.list("")}
    keys = etags.keys()
    folders = {key[:-1] for key in keys if key.endswith("/") and key != names.SNAPSHOTS_FOLDER}
    files = frozenset(key for key in keys if not key.endswith("/"))
    known = folders & names.KNOWN_SUBDIRS
    packages = tuple(sorted(key for key in files if names.extension_of(key)))
    unknown = tuple(sorted(folders - known))
    subdirs = tuple(sorted(known | {names.NOARCH}))
    return Root(subdirs, unknown, packages, files, bool(known), etags.get(names.SETTINGS, ""))


def check_channel(root: Root, channel: str) -> None:
    """Raise BadConfig if the target is a subdir or a named snapshot of a channel, or a folder of packages."""
    if root.files & {names.SNAPSHOT_CONTENTS, names.SNAPSHOT_MARKER}:
        raise BadConfig(
            channel or "the channel", "is a snapshot of a channel, which never changes", "name the channel itself"
        )
    own_name = channel.rstrip("/").rpartition("/")[2]
    has_subdir_name = own_name in names.KNOWN_SUBDIRS
    content = root.packages or root.files & {names.REPODATA, names.SHARD_INDEX}
    if not content or (root.found and not has_subdir_name):
        return
    if has_subdir_name:
        raise BadConfig(
            channel, "is a subdir, not a channel", f"nothing was changed: name its parent {_parent(channel)}"
        )
    example = f"such as {root.packages[0]}" if root.packages else f"a {names.REPODATA}"
    raise BadConfig(
        channel or "the channel",
        f"has packages ({example}) and no subdir such as {names.NOARCH} or linux-64",
        f"nothing was changed: name the channel, for example {_parent(channel)}, or move the packages into a subdir",
    )


def check_exists(root: Root, channel: str) -> None:
    """Raise BadConfig if there is neither a package nor an index: the name can be wrong."""
    if root.found:
        return
    folders = [folder for folder in root.unknown_subdirs if folder and not folder.startswith(".")]
    reason = f"has no subdir such as {names.NOARCH} or linux-64"
    if folders:
        some = ", ".join(folders[:_FOLDERS_NAMED])
        step = f"name a channel, for example {channel.rstrip('/')}/{folders[0]}"
        reason = f"{reason}, only other folders ({some}{', ...' if len(folders) > _FOLDERS_NAMED else ''})"
    else:
        step = "check the name"
    create = "create a channel with --create of `indexer s3`, `fs`, `publish` or `promote`"
    raise BadConfig(channel or "the channel", reason, f"nothing was changed: {step}, or {create}")


def check_is_subdir(subdir: str) -> None:
    """Raise BadConfig for a name that no subdir can have."""
    if "," in subdir:
        raise BadConfig(subdir, "is not one subdir", "repeat --subdir for each")
    if not names.is_subdir(subdir):
        near = similar(subdir, names.KNOWN_SUBDIRS)
        step = f"did you mean {near}?" if near else "name one such as linux-64 or noarch"
        raise BadConfig(subdir or "''", "is not a subdir", step)


def check_subdir(store: Store, subdir: str, *, create: bool) -> None:
    """Raise BadConfig for a name that no subdir can have, or for an unknown subdir that does not exist."""
    check_is_subdir(subdir)
    if subdir in names.KNOWN_SUBDIRS or create or next(iter(store.list(f"{subdir}/")), None) is not None:
        return
    near = similar(subdir, names.KNOWN_SUBDIRS)
    step = f"did you mean {near}? " if near else ""
    raise BadConfig(subdir, "is not a known subdir and is not in the channel", f"{step}--create creates {subdir}")


def chosen(store: Store, named: Iterable[str], channel: str = "", *, must_exist: bool = False) -> list[str]:
    """The named subdirs, or all known ones of a channel if none is named.

    Raises BadConfig for a wrong target; with `must_exist` also if the channel has no subdir.
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
