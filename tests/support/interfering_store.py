"""A store that calls functions of a test before and after each call: they change the channel, record, or raise."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from indexer.store import WHOLE
from tests.support.memory import Call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from indexer.core.model import ETag, Stat
    from indexer.core.stream import Content
    from indexer.core.usage import Usage
    from indexer.store import Expect, Part, Range, Reader, Store


class Crash(Exception):
    """The process died here."""


def _nothing(_number: int, _call: Call) -> None:
    return None


@dataclass
class InterferingStore:
    """Passes every call on to `store`, with its number, from 1, told to `before` and `after`."""

    store: Store
    before: Callable[[int, Call], None] = _nothing
    after: Callable[[int, Call], None] = _nothing
    calls: list[Call] = field(default_factory=list)
    usage: Usage = field(init=False)

    def __post_init__(self) -> None:
        """Count what the store counts."""
        self.usage = self.store.usage

    def _begin(self, call: Call) -> int:
        self.calls.append(call)
        number = len(self.calls)
        self.before(number, call)
        return number

    def list(self, prefix: str, *, part: Part = WHOLE) -> Iterator[Stat]:
        """What lies directly under a prefix."""
        call = Call("LIST", prefix)
        number = self._begin(call)
        results = list(self.store.list(prefix, part=part))
        self.after(number, call)
        return iter(results)

    def stat(self, key: str, *, checksum: bool = False) -> Stat | None:
        """One object."""
        call = Call("HEAD", key, checksum=checksum)
        number = self._begin(call)
        result = self.store.stat(key, checksum=checksum)
        self.after(number, call)
        return result

    def open(self, key: str, *, range: Range | None = None, etag: ETag | None = None) -> Reader:
        """Read an object."""
        call = Call("GET", key, range=range, etag=etag)
        number = self._begin(call)
        reader = self.store.open(key, range=range, etag=etag)
        self.after(number, call)
        return reader

    def put(self, key: str, body: Content, *, expect: Expect | ETag, headers: Mapping[str, str] | None = None) -> ETag:
        """Write an object."""
        call = Call("PUT", key, expect=expect)
        number = self._begin(call)
        etag = self.store.put(key, body, expect=expect, headers=headers)
        self.after(number, call)
        return etag

    @property
    def place(self) -> object:
        """Where the objects lie."""
        return self.store.place

    def copy(self, place: object, stat: Stat, *, expect: Expect) -> ETag:
        """Copy an object from another place."""
        call = Call("COPY", stat.key, etag=stat.etag, expect=expect)
        number = self._begin(call)
        etag = self.store.copy(place, stat, expect=expect)
        self.after(number, call)
        return etag

    def delete(self, key: str, *, expect: Expect | ETag) -> None:
        """Delete an object."""
        call = Call("DELETE", key, expect=expect)
        number = self._begin(call)
        self.store.delete(key, expect=expect)
        self.after(number, call)


def crash_at(number: int) -> Callable[[int, Call], None]:
    """Die at a call, and do nothing more after it."""

    def die(now: int, _call: Call) -> None:
        if now >= number:
            raise Crash

    return die
