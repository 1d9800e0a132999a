"""A named snapshot: a frozen view of the index of a channel, in its folder `snapshots/NAME/` (docs/snapshots.md).

The folder is a channel for readers: each subdir has an index with relative addresses of the packages and the shards of
the channel itself.  Two files are for us: the contents, which are written first, and the marker, which is written last.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from indexer.core import names
from indexer.core.errors import BadConfig, BadIndex
from indexer.core.formats import shards
from indexer.core.model import UNREADABLE, Outputs
from indexer.core.publication import RenderContext, publication
from indexer.core.zstd import compress, decompress_saved

if TYPE_CHECKING:
    from indexer.core.artifact import Artifact
    from indexer.core.model import Index

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
_VERSION = 1
_NEXT_STEP = "nothing was changed: restore it, or delete the snapshot with --delete of `indexer snapshot`"


class FrozenSubdir(msgspec.Struct, frozen=True):
    """One subdir in a snapshot: the sorted file names of its packages, and its files with their sha256 (hex)."""

    packages: tuple[str, ...] = ()
    files: dict[str, str] = {}


class Contents(msgspec.Struct, frozen=True):
    """The contents of a snapshot by subdir; the same channel has the same contents at any time."""

    subdirs: dict[str, FrozenSubdir] = {}
    version: int = _VERSION

    @property
    def packages(self) -> int:
        """How many packages the snapshot has."""
        return sum(len(subdir.packages) for subdir in self.subdirs.values())


class Marker(msgspec.Struct, frozen=True):
    """The last file of a snapshot: when it was made (milliseconds), its number of packages, the size of its files."""

    created_timestamp: int
    packages: int
    bytes: int
    version: int = _VERSION


def check_name(name: str) -> None:
    """Raise BadConfig for a name that no snapshot can have."""
    if _NAME.fullmatch(name) is None:
        raise BadConfig(
            name or "''",
            "is no name for a snapshot",
            "use at most 64 letters, digits and . _ + -, the first a letter or a digit",
        )


def is_name(name: str) -> bool:
    """Whether a snapshot can have this name."""
    return _NAME.fullmatch(name) is not None


def prefix_of(name: str) -> str:
    """The prefix of all files of a snapshot."""
    return f"{names.SNAPSHOTS_FOLDER}{name}/"


def encode_contents(contents: Contents) -> bytes:
    """The file of contents."""
    return compress(msgspec.json.encode(contents, order="deterministic"))


def decode_contents(data: bytes, key: str) -> Contents:
    """The contents in a file.  Raises BadIndex."""
    try:
        contents = msgspec.json.decode(decompress_saved(data), type=Contents)
    except (*UNREADABLE, ValueError) as error:
        raise BadIndex(key, f"is not the readable contents of a snapshot ({error})", _NEXT_STEP) from error
    _check_version(contents.version, key)
    return contents


def encode_marker(marker: Marker) -> bytes:
    """The file that makes a snapshot complete."""
    return msgspec.json.encode(marker, order="deterministic")


def decode_marker(data: bytes, key: str) -> Marker:
    """The marker in a file.  Raises BadIndex."""
    try:
        marker = msgspec.json.decode(data, type=Marker)
    except UNREADABLE as error:
        raise BadIndex(key, f"is not the readable marker of a snapshot ({error})", _NEXT_STEP) from error
    _check_version(marker.version, key)
    return marker


def _check_version(version: int, key: str) -> None:
    if version > _VERSION:
        raise BadIndex(key, f"is of version {version}, which this release does not know", "update the indexer")


def frozen_shard_index(index: shards.ShardIndex, subdir: str) -> shards.ShardIndex:
    """The shard index of a subdir with addresses that are right in a snapshot."""
    addresses = {key: _frozen_url(index.info.get(key), subdir) for key in ("base_url", "shards_base_url")}
    return replace(index, info={**index.info, **addresses})


def published_shard_index(frozen: shards.ShardIndex, subdir: str) -> shards.ShardIndex:
    """The shard index of a snapshot with addresses that are right in the subdir of the channel."""
    url = str(frozen.info.get("shards_base_url", "")).removeprefix(_up(subdir))
    return replace(frozen, info={**frozen.info, "shards_base_url": url})


def frozen_repodata(index: Index, base_url: object, subdir: str, outputs: Outputs) -> list[Artifact]:
    """The `repodata.json` of a snapshot and its compressed forms, for clients that read no shards.

    `base_url` is that of the published index.
    """
    only_json = Outputs(
        zst=outputs.zst,
        zst_level=outputs.zst_level,
        bz2=outputs.bz2,
        cache_control=outputs.cache_control,
        shards=False,
        run_exports=False,
        base_url=_frozen_url(base_url, subdir),
        base_url_verbatim=True,
    )
    context = RenderContext(subdir, only_json, shards.ShardIndex(), frozenset(), now_ms=0)
    return [artifact for artifact in publication(index, context) if artifact.content is not None]


def _up(subdir: str) -> str:
    """The subdir of the channel, as seen from the folder of the subdir in a snapshot."""
    return f"../../../{subdir}/"


def _frozen_url(url: object, subdir: str) -> str:
    """An address of the published index, as seen from a snapshot; an absolute one stays."""
    text = url if isinstance(url, str) else ""
    if "://" in text or text.startswith("/"):
        return text
    return _up(subdir) + text.removeprefix("./").removeprefix(".")
