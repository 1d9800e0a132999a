"""The frozen values that the whole program works with: files, packages, records, indexes and options of the output."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NewType

import msgspec
from msgspec import field

from indexer.core.channel_info import ChannelInfo
from indexer.core.metadata import Metadata
from indexer.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Mapping


ETag = NewType("ETag", str)
"""An opaque token of one state of an object.  Only the store that made it looks inside."""

Raw = msgspec.Raw
"""A slice of JSON that is copied, not parsed."""

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""The errors of a decoder for bytes that do not have the requested form, or are nested too deeply."""


class Stat(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One object as a listing shows it.

    `key` is relative to the listed prefix, `size` is in bytes.  `modified_ms` is when the object came to its place, in
    milliseconds of the store's clock: LastModified in a bucket, the later one of mtime and ctime of a file.  `mtime_ms`
    is the mtime of a file, which a copy can keep; None in a bucket.
    `md5` is the hex digest that the ETag *may* be (an S3 ETag of that form): if it is equal to the MD5 of a content,
    the content is the same; if it differs, nothing is proved, because the ETag of a KMS-encrypted object has the same
    form. `sha256` (hex) is present if it was requested and the store has a checksum of the whole object.
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
        """When the content was written: the object can be a younger copy."""
        return self.modified_ms if self.mtime_ms is None else self.mtime_ms

    def within(self, subdir: str) -> Stat:
        """The same object with its key in the channel, if the subdir was listed."""
        return msgspec.structs.replace(self, key=f"{subdir}/{self.key}")


class Index(Value, frozen=True):
    """The index of a subdir: records by file name, as raw JSON, and all other content of the published file.

    `v3` has the file names of records under the `v3` key (CEP 48); all others are in a legacy map.
    `run_exports` is by file name (CEP 12): an absent name is unknown, not empty.
    `info` and `rest` have keys of the published file that are not ours, `v3_rest` the buckets of `v3` for other things
    than packages, such as wheels: they are republished byte for byte.  `earlier` has records that another indexer
    published of packages without a record here: they have the dates of these packages.
    `records_not_loaded` counts the records of other package names if only some names were loaded, else it is None.
    `unreadable` has the records that readers cannot parse, with the reason, by file name; `left_out` any other content
    that was left out for such a reason.  Both are empty if the index was not validated.
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
    """A package that was read.

    `record` is dated as if no index had the package before.  `run_exports` is None if unknown, `metadata` is None if it
    was not requested.  `md5_matches_etag` is true if the ETag is the MD5 of the content, which the record has.
    """

    filename: str
    etag: ETag
    record: Raw
    run_exports: Raw | None
    v3: bool = False
    warnings: tuple[str, ...] = ()
    metadata: Metadata | None = None
    md5_matches_etag: bool = False


class Rejected(Value, frozen=True):
    """A package that cannot be indexed, and the reason.  A result, not an exception: the rest is published.

    `sha256` is there if the content was hashed, or if the store has its checksum.  The reason can be gone next time if
    it is `transient`.  A `damaged` package cannot be unpacked.  `kept` is true if the index keeps its record of this
    very package.
    """

    filename: str
    etag: ETag
    reason: str
    sha256: str | None = None
    transient: bool = False
    damaged: bool = False
    kept: bool = False


class Plan(Value, frozen=True):
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


class Rules(Value, frozen=True):
    """How strictly packages are judged.

    With `strict` a warning rejects a package; with `lenient` a wrong name or subdir is only a warning.
    """

    strict: bool = False
    lenient: bool = False


class Outputs(Value, frozen=True, dict=True):
    """Which files a channel has, and the settings of their bytes and headers.

    `channel` is the name for people, for pages and feeds: an `s3://` URL or the name of a folder.  `public_url` is the
    URL at which people read the channel.
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
        """The URL that clients use, empty if it is unknown."""
        if self.public_url:
            return self.public_url.rstrip("/")
        if self.base_url and not self.base_url_verbatim:
            return self.base_url.rstrip("/")
        return self.channel if "://" in self.channel else ""

    @cached_property
    def needs_metadata(self) -> bool:
        """Whether a file is wanted that shows more of a package than its record."""
        return self.channeldata or self.html or self.rss
