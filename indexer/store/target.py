"""Where a channel lies and how to reach it, as a value that travels to other processes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from indexer.errors import BadConfig
from indexer.secrets import masked

if TYPE_CHECKING:
    from indexer.store import Store


@dataclass(frozen=True, slots=True)
class S3Options:
    """How to reach a bucket.  Each value stands on its own.

    What is None comes from boto3's own chain, or from the table of providers (indexer/store/providers.py).
    """

    endpoint_url: str | None = None
    region: str | None = None
    addressing_style: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    profile: str | None = None
    provider: str | None = None
    anonymous: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """A channel: an `s3://BUCKET[/PREFIX]` URL or a folder, and the options to reach it."""

    location: str
    s3: S3Options = field(default_factory=S3Options)
    connections: int = 64

    @property
    def in_bucket(self) -> bool:
        """Whether the channel lies in a bucket."""
        return "://" in self.location

    @property
    def name(self) -> str:
        """The channel's name in messages and reports: what a person would type."""
        return self.location.rstrip("/") if self.in_bucket else str(Path(self.location))

    @property
    def bucket_and_prefix(self) -> tuple[str, str]:
        """The bucket, and the prefix of all keys of the channel: empty, or ending in `/`.  Raises BadConfig."""
        parts = urlsplit(self.location)
        if parts.scheme != "s3" or not parts.netloc or "@" in parts.netloc or parts.query or parts.fragment:
            raise BadConfig(
                masked(self.location),
                "is not of the form s3://BUCKET[/PREFIX]",
                "name the bucket and the channel's prefix",
            )
        prefix = parts.path.strip("/")
        return parts.netloc, f"{prefix}/" if prefix else ""

    @property
    def title(self) -> str:
        """The channel's name in what it publishes: of a folder only its own, not where it lies."""
        return self.name if self.in_bucket else Path(self.location).resolve().name


def open_store(target: Target) -> Store:
    """The store that holds a channel.  Raises BadConfig."""
    # boto3 takes 0.3 s to import and a folder does not need it.
    if not target.in_bucket:
        from indexer.store.fs import FolderStore

        return FolderStore(Path(target.location))
    from indexer.store.s3 import S3Store

    bucket, prefix = target.bucket_and_prefix
    return S3Store(bucket, prefix, target)
