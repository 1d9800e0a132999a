"""The six operations of a store, which is a bucket or a folder, and their guarantees.

Keys are relative to the channel and use `/`.  `put` is atomic: a reader sees all of the old bytes or all of the new
ones.  An expectation that does not hold raises Conflict and changes nothing.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from msgspec import field

from indexer.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType

    from indexer.core.model import ETag, Stat
    from indexer.core.proof import Proof
    from indexer.core.stream import Content
    from indexer.core.usage import Usage


CHANGED = "changed since it was read"
"""The reason of a Conflict."""


class Expect(Enum):
    """The expectations for a write, besides an ETag.

    ABSENT: the object does not exist; a store may accept an object with the very same bytes, as if this write had made
    it.  NEW: the object does not exist, and the same bytes are a Conflict too.  ANYTHING: no expectation.
    """

    ABSENT = "absent"
    NEW = "new"
    ANYTHING = "anything"


def holds(expect: Expect | ETag, existing: ETag | None) -> bool:
    """Whether an existing object, None for an absent one, is what a write expects."""
    if isinstance(expect, Expect):
        return expect is Expect.ANYTHING or existing is None
    return existing == expect


class Opened(Value, frozen=True):
    """An object that is being read.

    `start` is the position of the body in the object: a store that ignores ranges begins at 0.
    `metadata` has the user's keys in lower case.
    """

    stat: Stat
    start: int = 0
    metadata: Mapping[str, str] = field(default_factory=dict)


class Reader(Protocol):
    """The body of an object.  It must be closed; closing early ends the transfer."""

    opened: Opened

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes, none at the end.  Raises Unavailable if the connection breaks."""

    def close(self) -> None:
        """End the transfer."""

    def __enter__(self) -> Reader:
        """This reader."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""


@runtime_checkable
class RandomReader(Reader, Protocol):
    """A file that stays open: its bytes can be read in any order, by any thread, even if it was replaced."""

    def range(self, start: int, stop: int) -> bytes:
        """The bytes from one position to before another.  Raises Conflict if the file became shorter."""


Range = tuple[int, int | None]
"""First byte and the byte after the last, as in a slice: `(0, 10)`, `(100, None)`, `(-500, None)`."""

Part = tuple[str, str]
"""A part of a listing: the keys after the first one and up to the last one; an empty text is no limit."""

WHOLE: Part = ("", "")


def within(key: str, part: Part) -> bool:
    """Whether a key is in a part of a listing."""
    after, last = part
    return after < key and (not last or key <= last)


class StoreTests(Protocol):
    """The tests that a store makes before it relies on what not every store supports.

    `place` is a digest of the address of the bucket.  `conditions_passed` is true if the store has passed the test of
    conditional writes in this run, `compositions_passed` if it has passed that of compositions.  `compositions_refused`
    is true if it has failed that test in this run, or refused a composition.  `accepted` is the proof of earlier runs
    that stands for the tests.
    """

    accepted: Proof

    @property
    def place(self) -> str:
        """The digest."""

    @property
    def conditions_passed(self) -> bool:
        """Whether this run has tested conditional writes."""

    @property
    def compositions_passed(self) -> bool:
        """Whether this run has tested compositions."""

    @property
    def compositions_refused(self) -> bool:
        """Whether this run has found that the store does not compose."""

    def accept(self, proof: Proof) -> None:
        """Make no test that earlier runs have made."""


class Store(Protocol):
    """A channel in a bucket or a folder.

    `place` is where its objects are, for `copy`; only a store of the same kind looks inside.
    """

    usage: Usage

    @property
    def place(self) -> object:
        """The place of its objects."""

    def list(self, prefix: str, *, part: Part = WHOLE) -> Iterator[Stat]:
        """The objects directly under a prefix (empty, or ending in `/`), in no certain order.

        A folder is a Stat whose key ends in `/`.  A listing is complete or raises an error.
        With `part` only the objects in it; raises RangeRefused if a part costs as much as the whole listing.
        """

    def stat(self, key: str, *, checksum: bool = False) -> Stat | None:
        """One object, None if it is absent; with its SHA-256 if `checksum` is set and the store has checked it."""

    def open(self, key: str, *, range: Range | None = None, etag: ETag | None = None) -> Reader:
        """Read an object, or a part of it; with an ETag only that content.

        Raises Missing if the object is absent, Conflict if it has another ETag, RangeRefused if the store does not
        serve parts.
        """

    def put(self, key: str, body: Content, *, expect: Expect | ETag, headers: Mapping[str, str] | None = None) -> ETag:
        """Write an object in one step and return its ETag.  Raises Conflict."""

    def copy(self, place: object, stat: Stat, *, expect: Expect) -> ETag:
        """Copy one version of an object in another place to the same key here, and return its new ETag.

        The bytes do not pass through this program.  The copy has the metadata of the object.  Raises Conflict if the
        object is not that version any more, or if the key is not what is expected; CopyRefused if the store cannot copy
        from that place, or not under these two conditions: then read and `put` the object.
        """

    def delete(self, key: str, *, expect: Expect | ETag) -> None:
        """Delete an object if it exists.  Raises Conflict.  Only `prune` deletes packages."""
