"""Opens the store of a target: a folder or a bucket."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from indexer.core.errors import BadConfig

if TYPE_CHECKING:
    from indexer.store import Store, StoreTests
    from indexer.store.target import Target


def open_store(target: Target) -> Store:
    """The store that holds a channel.  Raises BadConfig."""
    if not target.location.strip():  # the current folder is not meant: a variable of a script can be unset
        raise BadConfig("''", "names no channel", "name a folder or s3://BUCKET[/PREFIX]; is a variable not set?")
    # boto3 takes 0.3 s to import and a folder does not need it.
    if not target.in_bucket:
        from indexer.store.fs import FolderStore

        return FolderStore(Path(target.location))
    from indexer.store.s3.store import S3Store

    bucket, prefix = target.bucket_and_prefix
    return S3Store(bucket, prefix, target)


def tests_of(target: Target, store: Store) -> StoreTests | None:
    """The tests that the store of a target makes; None if it needs no test."""
    if not target.in_bucket:
        return None
    from indexer.store.s3.store import S3Store
    from indexer.store.s3.store_tests import BucketTests

    return BucketTests(store.bucket, store.writes) if isinstance(store, S3Store) else None
