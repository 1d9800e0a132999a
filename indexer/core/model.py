"""The frozen values that the core decides on, and that the shell carries between it and a store."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NewType

import msgspec

from indexer.core.channel_info import ChannelInfo
from indexer.core.metadata import Metadata

if TYPE_CHECKING:
    from collections.abc import Mapping


ETag = NewType("ETag", str)
"""An opaque token of one state of an object.  Only the store that made it looks inside."""

Raw = msgspec.Raw
"""A slice of JSON that is copied, not parsed."""

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What decoding raises on bytes that are not of the form that was asked for, or nested too deeply."""


class Stat(msgspec.Struct, frozen=True, gc=False):
    """One object as a listing shows it.

    `key` is relative to where it was listed from, `size` in bytes.  `modified_ms` is when the object came to its place,
    in milliseconds of the store's clock: LastModified of a bucket, the later of mtime and ctime of a file.  `mtime_ms`
    is the mtime of a file, which a copy can keep from elsewhere; None in a bucket.
    `md5` is the hex digest that the version *may* be (an S3 ETag of that shape): equal proves that the content is the
    same, different proves nothing, for a KMS-encrypted object has an ETag of the same shape.  `sha256` (hex) is there
    where the store was asked for it and vouches for the digest of the whole object.
    """

    key: str
    size: int
    etag: ETag
    modified_ms: int
    md5: str | None = None
    sha256: str | None = None
    mtime_ms: int | None = None

    @property
    def written_ms(self) -> int:
        """When the content was written: a copy of it can be younger."""
        return self.modified_ms if self.mtime_ms is None else self.mtime_ms

    def within(self, subdir: str) -> Stat:
        """The same by its key in the channel, where it was listed from the subdir on."""
        return msgspec.structs.replace(self, key=f"{subdir}/{self.key}")


@dataclass(frozen=True, slots=True)
class Index:
    """What a subdir's index says: records by file name, still bytes, and all else it carried.

    `v3` names the records that stand under the `v3` key (CEP 48), every other one is in a legacy map.
    `run_exports` has what is known of them by file name (CEP 12): an absent name is unknown, not empty.
    `info` and `rest` are keys of the published file that are not ours, `v3_rest` has the buckets of `v3`
    for other things than packages, such as wheels: they survive byte for byte.  `earlier` has the records that
    another indexer published of packages without a record here: they tell when these were first indexed.
    `records_not_loaded` counts the records of packages of other names, where only a few names were read; None where
    all were. `unreadable` tells of records that readers cannot parse, by file name, why; `left_out` of anything else
    that was left out for that reason.  Both are empty unless the index was validated, which an index of our own is not
    again.
    """

    records: Mapping[str, Raw] = field(default_factory=dict)
    v3: frozenset[str] = frozenset()
    run_exports: Mapping[str, Raw] = field(default_factory=dict)
    removed: tuple[str, ...] = ()
    info: Mapping[str, Raw] = field(default_factory=dict)
    rest: Mapping[str, Raw] = field(default_factory=dict)
    v3_rest: Mapping[str, Mapping[str, Raw]] = field(default_factory=dict)
    earlier: Mapping[str, Raw] = field(default_factory=dict)
    records_not_loaded: int | None = None
    unreadable: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many packages have a record."""
        return len(self.records) + (self.records_not_loaded or 0)


class Extracted(msgspec.Struct, frozen=True, gc=False):
    """A package that was read: its record, dated as if no index had it before, and its run exports, None if unknown.

    `md5_matches_etag` says that the record tells its version: the MD5 that a listing shows is that of the content.
    `metadata` is what it says of itself besides, None where that was not asked.
    """

    filename: str
    etag: ETag
    record: Raw
    run_exports: Raw | None
    v3: bool = False
    warnings: tuple[str, ...] = ()
    metadata: Metadata | None = None
    md5_matches_etag: bool = False


@dataclass(frozen=True, slots=True)
class Rejected:
    """A package that cannot be indexed, and why.  A result, not an exception: the rest is published.

    `sha256` is there where the content was hashed, or vouched for, all the same.  `transient` is a reason
    that may be gone next time.  A `damaged` package cannot be unpacked.  `kept` says that the
    index keeps the record that it has of this very package.
    """

    filename: str
    etag: ETag
    reason: str
    sha256: str | None = None
    transient: bool = False
    damaged: bool = False
    kept: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run does with the packages of a listing.

    `to_read` are the packages to read.  `keep_existing` has those of them, and of the rejected ones, whose record is
    still right.  `drop` has records whose package is gone or was yanked.  `rejected` are packages that were rejected
    before and have not changed.  `to_describe` are packages that are read for their metadata or run exports only: their
    records stay.  `yanked` are packages that exist and are listed as removed.  `etags_to_remember` has the ETags of
    packages whose record does not have the ETag as its MD5.  `dates` has the dates (in milliseconds) of packages whose
    records have no date, or one in the future.  `carried` has packages without a record that this run does not look
    at: another run, which has not ended, has written their run exports.  `completes_run_exports` is true if unknown run
    exports are read.
    """

    to_read: tuple[Stat, ...] = ()
    keep_existing: frozenset[str] = frozenset()
    drop: frozenset[str] = frozenset()
    rejected: tuple[Rejected, ...] = ()
    yanked: frozenset[str] = frozenset()
    etags_to_remember: dict[str, ETag] = field(default_factory=dict)
    to_describe: tuple[Stat, ...] = ()
    dates: dict[str, int] = field(default_factory=dict)
    carried: frozenset[str] = frozenset()
    completes_run_exports: bool = False


@dataclass(frozen=True, slots=True)
class Rules:
    """How strictly packages are judged: warnings reject, or a wrong name or subdir only warns."""

    strict: bool = False
    lenient: bool = False


@dataclass(frozen=True, slots=True)
class Outputs:
    """Which files a channel has, and what shapes their bytes and headers.

    `channel` is what people call it, for pages and feeds: an `s3://` URL or the name of its folder.  `public_url` is
    where they read it.
    """

    zst: bool = True
    bz2: bool = False
    shards: bool = True
    run_exports: bool = True
    monolithic: bool = True
    current_repodata: bool = False
    channeldata: bool = False
    html: bool = False
    rss: bool = False
    channel: str = ""
    zst_level: int = 16
    base_url: str | None = None
    base_url_verbatim: bool = False
    public_url: str | None = None
    info: ChannelInfo = field(default_factory=ChannelInfo)
    cache_control: str = "public, max-age=300"
    shard_cache_control: str = "public, max-age=31536000, immutable"

    @property
    def title(self) -> str:
        """The channel's own name."""
        return self.channel.rstrip("/").rpartition("/")[2] or "Conda channel"

    @property
    def address(self) -> str:
        """The URL that clients are told, empty where none is known."""
        if self.public_url:
            return self.public_url.rstrip("/")
        if self.base_url and not self.base_url_verbatim:
            return self.base_url.rstrip("/")
        return self.channel if "://" in self.channel else ""

    @property
    def needs_metadata(self) -> bool:
        """Whether a file is wanted that tells more of a package than its record does."""
        return self.channeldata or self.html or self.rss
