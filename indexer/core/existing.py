"""The index of a subdir as it is published when a run begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import field

from indexer.core.model import Index
from indexer.core.overlay import Overlay
from indexer.core.pages.catalog import Catalog
from indexer.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from indexer.core.formats.repodata import PublishedRecords
    from indexer.core.formats.shards import ShardIndex


class Existing(Value, frozen=True):
    """The index that a run starts from.

    `index` has the records before any patch, `source` is the file that they were read from (empty if there was none).
    `overlay` has the patch, the yanks and the ignored packages that this run follows.  `catalog` is the published
    catalog, an empty one if there is none or if it is not wanted.  `shard_index` is there if it was read to read the
    index.  `names_loaded` has the package names (lower case) whose records were loaded, None if all records were.
    `published` has these records as readers see them, None if all records were loaded.  `chunks` has, by name, the
    files whose records of other names stay as they are.
    """

    index: Index = field(default_factory=Index)
    source: str = ""
    overlay: Overlay = field(default_factory=Overlay)
    catalog: Catalog = field(default_factory=Catalog)
    shard_index: ShardIndex | None = None
    names_loaded: frozenset[str] | None = None
    published: Index | None = None
    chunks: Mapping[str, PublishedRecords] = field(default_factory=dict)
