"""Renders a subdir for the first time, and reads the rendered files back as the next run does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.core.formats import shards
from indexer.core.formats.repodata import decode_repodata, decode_run_exports
from indexer.core.formats.shards import ShardIndex
from indexer.core.model import Index, Outputs
from indexer.core.names import REPODATA, RUN_EXPORTS, SHARD_INDEX
from indexer.core.publication import RenderContext, publication

if TYPE_CHECKING:
    from collections.abc import Iterable

    from indexer.core.artifact import Artifact

NOW_MS = 1_800_000_000_000


def first_context(outputs: Outputs | None = None) -> RenderContext:
    """The scene of a subdir in which nothing is published yet."""
    return RenderContext("noarch", outputs or Outputs(), ShardIndex(), frozenset(), NOW_MS)


def contents(artifacts: Iterable[Artifact]) -> dict[str, bytes]:
    """The content of each artifact that is to be there, by key."""
    return {artifact.key: bytes(artifact.content) for artifact in artifacts if artifact.content is not None}


def published(index: Index, outputs: Outputs | None = None) -> dict[str, bytes]:
    """The content of each file of a subdir that is published for the first time."""
    return contents(publication(index, first_context(outputs)))


def shards_of(index: Index) -> dict[str, bytes]:
    """Every shard of an index, by package name."""
    return {name: make() for name, make in shards.build_shards(index)}


def read_back(files: dict[str, bytes]) -> tuple[Index, ShardIndex]:
    """The index and the shard index that stand, as the next run reads them."""
    index = decode_repodata(files[REPODATA], REPODATA)
    run_exports = decode_run_exports(files[RUN_EXPORTS], RUN_EXPORTS)
    shard_index = shards.decode_index(files[SHARD_INDEX], SHARD_INDEX)
    return Index(
        index.records, index.v3, run_exports, index.removed, index.info, index.rest, index.v3_rest
    ), shard_index
