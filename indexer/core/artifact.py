"""The files that a folder of a channel shall have, in the order in which they are written."""

from __future__ import annotations

import hashlib
from enum import Enum, IntEnum
from typing import TYPE_CHECKING

import msgspec
from msgspec import field
from msgspec.structs import replace

from indexer.core import names
from indexer.core.chunks import CHUNKS_OF, ChunkedStream
from indexer.core.formats import shards
from indexer.core.stream import sha256_of
from indexer.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from indexer.core.model import Outputs
    from indexer.core.stream import Content, Stream


class Rank(IntEnum):
    """The order of publication: a file is written before the files that name it, and the source last of all.

    The source is the file that the next run reads the index from.  As long as the source is old, the next run finds
    work to do, so the next run completes the work of a killed run.
    """

    # What the packages contain is kept before anything patched is published, or a crash would leave the patch alone.
    UNPATCHED = 0
    # With the shards go the patch instructions, by which all other files are made.
    SHARD = 1
    SHARD_INDEX = 2
    DERIVED = 3
    SOURCE = 4
    # Deletions that must not come before the new source.
    STALE = 5


class Codec(Enum):
    """How the content of an artifact is compressed when it is written."""

    NONE = "none"
    ZSTD = "zstd"
    BZIP2 = "bzip2"


class Artifact(Value, frozen=True):
    """One file to write or to delete.

    `key` is relative to the folder.  `content` is not compressed yet; None if the file must not exist.  The name of an
    `immutable` file is the digest of its content: if the file exists, its content is right.  `digest` depends on the
    content and the headers (`with_digest`); it is empty for immutable files and deletions.
    """

    key: str
    rank: Rank
    content: Content | None = None
    codec: Codec = Codec.NONE
    level: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    immutable: bool = False
    digest: str = ""


def with_digest(artifact: Artifact) -> Artifact:
    """The artifact with a digest of its content and headers, made without compressing the content.

    A file of chunks that another version of zstd made has another digest, so the next run that writes makes it anew.
    """
    content = artifact.content
    if content is None:
        return artifact
    digest = content.digest.encode() if isinstance(content, ChunkedStream) else sha256_of(content)
    made = [CHUNKS_OF] if artifact.codec is Codec.ZSTD and isinstance(content, ChunkedStream) else []
    shape = msgspec.json.encode((artifact.codec.value, artifact.level, artifact.headers, *made), order="deterministic")
    return replace(artifact, digest=hashlib.sha256(digest + shape).hexdigest())


class NewShards(Value, frozen=True):
    """The shards to write, each made when it is written: those of a large channel are never held all at once."""

    contents: tuple[Stream, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Artifact]:
        for key, content in zip(self.keys, self.contents, strict=True):
            yield Artifact(key, Rank.SHARD, content, headers=self.headers, immutable=True)

    @property
    def keys(self) -> list[str]:
        """The keys of the shards, relative to the subdir."""
        return [names.SHARDS_FOLDER + shards.filename_of(sha256_of(content)) for content in self.contents]


class Publication(Value, frozen=True):
    """The files that a folder of a channel shall have, in the order of publication; unwanted files as deletions."""

    artifacts: tuple[Artifact, ...] = ()
    new_shards: NewShards = field(default_factory=NewShards)

    def __iter__(self) -> Iterator[Artifact]:
        """All files to write or to delete, in the order of publication."""
        return iter(sorted([*self.artifacts, *self.new_shards], key=lambda artifact: artifact.rank))


def mutable(outputs: Outputs, content_type: str) -> dict[str, str]:
    """The headers of a file whose name stays and whose content changes."""
    return {"Cache-Control": outputs.cache_control, "Content-Type": content_type}
