"""A store: the five things an indexer asks of a bucket or a folder, and the promises behind them.

Keys are relative to the channel and use `/`.  `put` is atomic: a reader sees the old bytes or the new
ones, whole.  An expectation that does not hold raises Conflict and changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType

    from indexer.core.model import ETag, Stat
    from indexer.core.stream import Content
    from indexer.core.usage import Usage


class Expect(Enum):
    """What must hold for a write, besides a Version: nothing is there, or anything may be."""

    ABSENT = "absent"
    ANYTHING = "anything"


@dataclass(frozen=True, slots=True)
class Opened:
    """What is known of an object that is being read.

    `start` is where in the object the body begins: a store that ignores ranges begins at 0.
    `metadata` has the user's keys in lower case.
    """

    stat: Stat
    start: int = 0
    metadata: Mapping[str, str] = field(default_factory=dict)


class Reader(Protocol):
    """The body of an object, to be closed: closing early ends the transfer."""

    opened: Opened

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes, none at the end.  Raises Unavailable where the body breaks off."""

    def close(self) -> None:
        """End the transfer."""

    def __enter__(self) -> Reader:
        """Itself."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""


Range = tuple[int, int | None]
"""First byte and the byte after the last, as in a slice: `(0, 10)`, `(100, None)`, `(-500, None)`."""

Part = tuple[str, str]
"""A part of a listing: what comes after the first key and up to the last one; empty texts are no bounds."""

WHOLE: Part = ("", "")


def within(key: str, part: Part) -> bool:
    """Whether a key lies in a part of a listing."""
    after, last = part
    return after < key and (not last or key <= last)


class Store(Protocol):
    """Where a channel lies."""

    usage: Usage

    def list(self, prefix: str, *, part: Part = WHOLE) -> Iterator[Stat]:
        """What lies directly under a prefix (empty, or ending in `/`), in no certain order.

        A folder under it is a Stat whose key ends in `/`.  A listing is whole or raises.
        Of a `part` only the objects that lie in it; raises RangeRefused where that would cost as much as the whole.
        """

    def stat(self, key: str, *, checksum: bool = False) -> Stat | None:
        """One object, None where it is absent; with its sha256 where asked and vouched for."""

    def open(self, key: str, *, range: Range | None = None, etag: ETag | None = None) -> Reader:
        """Read an object, or a part of it; with a version only that one.

        Raises Missing where it is absent, Conflict where it has another version, RangeRefused where
        the store does not serve parts.
        """

    def put(self, key: str, body: Content, *, expect: Expect | ETag, headers: Mapping[str, str] | None = None) -> ETag:
        """Write an object whole and return its version.  Raises Conflict."""

    def delete(self, key: str, *, expect: Expect | ETag) -> None:
        """Delete one of our own files, never a package; an absent one is fine.  Raises Conflict."""
