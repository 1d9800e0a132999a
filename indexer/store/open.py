"""Opens the store of a target: a folder or a bucket."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from indexer.store import Store
    from indexer.store.target import Target


def open_store(target: Target) -> Store:
    """The store that holds a channel.  Raises BadConfig."""
    # boto3 takes 0.3 s to import and a folder does not need it.
    if not target.in_bucket:
        from indexer.store.fs import FolderStore

        return FolderStore(Path(target.location))
    from indexer.store.s3.store import S3Store

    bucket, prefix = target.bucket_and_prefix
    return S3Store(bucket, prefix, target)
