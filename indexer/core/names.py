"""The names of files and folders of a channel: package files, subdirs, and the files that an indexer writes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

NOARCH = "noarch"

# The list of rattler, the longest of the lists of the three clients (docs/parity.md).  Other folders of a bucket are
# ignored, because a sibling such as `my-channel/` has the form of a subdir too.
KNOWN_SUBDIRS = frozenset(
    {
        NOARCH,
        *(
            f"linux-{cpu}"
            for cpu in (
                *("32", "64", "aarch64", "armv6l", "armv7l", "loongarch64", "ppc64le", "ppc64", "ppc"),
                *("s390x", "riscv32", "riscv64"),
            )
        ),
        *(f"freebsd-{cpu}" for cpu in ("32", "64", "arm64", "ppc64le", "ppc64")),
        *(f"osx-{cpu}" for cpu in ("64", "arm64")),
        *("ios-arm64", "iossimulator-arm64", "iossimulator-64"),
        *(f"android-{cpu}" for cpu in ("aarch64", "armv7a", "64", "32")),
        *(f"win-{cpu}" for cpu in ("32", "64", "arm64")),
        *("emscripten-wasm32", "emscripten-wasm64", "wasi-wasm32", "zos-z"),
    }
)

_SUBDIR = re.compile(r"[a-z0-9]+-[a-z0-9]+")
_MAX_SUBDIR = 32

REPODATA = "repodata.json"
REPODATA_ZST = "repodata.json.zst"
REPODATA_BZ2 = "repodata.json.bz2"
SHARD_INDEX = "repodata_shards.msgpack.zst"
RUN_EXPORTS = "run_exports.json"
RUN_EXPORTS_ZST = "run_exports.json.zst"
RUN_EXPORTS_BZ2 = "run_exports.json.bz2"
STATE_FILE = ".indexer.json.zst"
# The metadata of the packages, for channeldata.json, index.html and rss.xml.
CATALOG = ".indexer-catalogue.json.zst"
CHANNELDATA = "channeldata.json"
RSS = "rss.xml"
INDEX_HTML = "index.html"
# The pages of packages: their folder at the root, and their state (docs/adr/0032-a-page-for-each-package.md).
PAGES_FOLDER = "packages"
PAGES_STATE = ".indexer-pages.json.zst"
NOTICES = "notices.json"
# The settings of the channel, at its root; overwritten, never deleted (docs/design/choices.md, section Settings).
SETTINGS = ".indexer-settings.json"
# Present while `indexer remove` deletes our files: their ETags.  A killed `indexer remove` leaves this file behind.
REMOVAL = ".indexer-removal.json"
# Present while `indexer gc` works on a subdir.  A crashed `indexer gc` leaves this file behind.
GC_MARKER = ".indexer-gc.json"
# Names the run that writes a subdir, if the store has no conditional writes.
LEASE = ".indexer-lease.json"
# The index without patch and yanks.  It exists if a subdir has or ever had a patch or a yank; it is the source then.
FROM_PACKAGES = "repodata_from_packages.json"
FROM_PACKAGES_ZST = "repodata_from_packages.json.zst"
# The patch and the yanks, which each later run applies.  These files are overwritten, never deleted
# (docs/design/choices.md).
PATCH_INSTRUCTIONS = "patch_instructions.json"
YANKS = ".indexer-yanked.json"
OVERLAY_FILES = (PATCH_INSTRUCTIONS, YANKS)
SHARDS_FOLDER = "shards/"
# The named snapshots of a channel (core/named_snapshot.py): a folder each, with these two files and a folder a subdir.
SNAPSHOTS_FOLDER = "snapshots/"
SNAPSHOT_CONTENTS = ".indexer-snapshot.json.zst"
SNAPSHOT_MARKER = ".indexer-snapshot-complete.json"
SHARD_SUFFIX = ".msgpack.zst"
# Test objects: a run on an unknown store writes the first, `indexer doctor` writes below the second.
PROBE = ".indexer-probe"
SCRATCH_PREFIX = ".indexer-doctor-"

CURRENT = "current_repodata.json"
# conda-index writes these files too.  Outdated ones must go: conda's classic solver prefers them to repodata.json.
CURRENT_FILES = (CURRENT, f"{CURRENT}.zst", f"{CURRENT}.bz2")

# Every mutable file of a subdir that the indexer writes, and deletes if its format is switched off.  The page has a
# common name, so it is deleted only if the state file proves that the indexer wrote it.
OWNED = (
    SHARD_INDEX,
    REPODATA_ZST,
    REPODATA_BZ2,
    RUN_EXPORTS,
    RUN_EXPORTS_ZST,
    RUN_EXPORTS_BZ2,
    FROM_PACKAGES_ZST,
    REPODATA,
    CATALOG,
    INDEX_HTML,
    *CURRENT_FILES,
)

# Every mutable file whose ETag shows whether a subdir changed since the last run.
TRACKED = (*OWNED, FROM_PACKAGES)

# The files at the root of a channel.  Each is changed only if the indexer is known to have written it.
CHANNEL_FILES = (CHANNELDATA, RSS, INDEX_HTML)

_PAGE_SUFFIX = ".html"
# The names that conda finds, and that are a file name on every file system.
_NAME_WITH_PAGE = re.compile(r"[a-z0-9_][a-z0-9._-]{0,127}")

CONDA = ".conda"
TAR_BZ2 = ".tar.bz2"
EXTENSIONS = (CONDA, TAR_BZ2)


class PackageName(NamedTuple):
    """The parts of a package's file name, `<name>-<version>-<build><extension>` (CEP 26)."""

    name: str
    version: str
    build: str
    extension: str

    @property
    def stem(self) -> str:
        """The file name without its extension."""
        return f"{self.name}-{self.version}-{self.build}"


def extension_of(filename: str) -> str | None:
    """The package extension of a file name, or None for any other file."""
    return CONDA if filename.endswith(CONDA) else TAR_BZ2 if filename.endswith(TAR_BZ2) else None


def with_extension(filename: str, extension: str) -> str:
    """The file name of the same build as a package with another extension."""
    return filename.removesuffix(extension_of(filename) or "") + extension


def prefer_conda(filenames: Iterable[str]) -> list[str]:
    """Sorted file names of packages without each `.tar.bz2` whose build is there as a `.conda` too."""
    every = set(filenames)
    return sorted(name for name in every if name.endswith(CONDA) or with_extension(name, CONDA) not in every)


def parse_filename(filename: str) -> PackageName | None:
    """The parts of a package file name, split from the right; None if the name has another form.

    A key with fewer than two dashes must never reach an index: one such key in a shard makes
    rattler's gateway fail the whole query.
    """
    extension = extension_of(filename)
    if extension is None:
        return None
    parts = filename[: -len(extension)].rsplit("-", 2)
    if len(parts) < len(PackageName._fields) - 1 or not all(parts):
        return None
    name, version, build = parts
    return PackageName(name, version, build, extension)


def name_in(filename: str) -> str:
    """The package name in a file name, as `parse_filename` finds it; empty if the name has another form.

    A run does this for each file of a listing: it takes a quarter of the time of `parse_filename`.
    """
    if filename.endswith(CONDA):
        stem = filename[: -len(CONDA)]
    elif filename.endswith(TAR_BZ2):
        stem = filename[: -len(TAR_BZ2)]
    else:
        return ""
    start, _, build = stem.rpartition("-")
    name, _, version = start.rpartition("-")
    return name if version and build else ""


def is_subdir(name: str) -> bool:
    """Whether `name` is a valid subdir (CEP 26): `noarch`, or two words of `[a-z0-9]` and a dash."""
    return name == NOARCH or (len(name) <= _MAX_SUBDIR and _SUBDIR.fullmatch(name) is not None)


def page_key(name: str) -> str | None:
    """The key of the page of a package; None for a name that has no page."""
    return f"{PAGES_FOLDER}/{name}{_PAGE_SUFFIX}" if _NAME_WITH_PAGE.fullmatch(name) else None


def name_of_page(key: str) -> str | None:
    """The package whose page has this key; None for any other key."""
    name = key.removeprefix(f"{PAGES_FOLDER}/").removesuffix(_PAGE_SUFFIX)
    return name if page_key(name) == key else None
