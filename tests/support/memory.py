"""A store in memory that keeps every promise of the protocol, unless a test gives it another behavior.

`calls` has what it was asked, in order; `hook` is told of each call before it is answered, so that a test
can change the store, or raise, in between.
"""

from __future__ import annotations

import functools
import hashlib
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

import msgspec

from indexer.core.errors import Conflict, CopyRefused, Missing, RangeRefused, Unavailable
from indexer.core.model import ETag, Stat
from indexer.core.stream import Kept, Stream
from indexer.core.usage import Usage
from indexer.store import WHOLE, Expect, Opened, holds, within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType

    from typing_extensions import ParamSpec

    from indexer.core.stream import Content
    from indexer.store import Part, Range

    P = ParamSpec("P")


@dataclass(frozen=True)
class Call:
    """One call: its verb (GET, HEAD, LIST, PUT, COPY, DELETE), the key or prefix, and what else it asked."""

    verb: str
    key: str
    range: Range | None = None
    etag: ETag | None = None
    expect: Expect | ETag | None = None
    checksum: bool = False
    part: Part = WHOLE


@dataclass(frozen=True)
class Stored:
    """One object as it lies in the store."""

    body: bytes
    stat: Stat
    metadata: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    checksum: bool = False


@dataclass
class Behavior:
    """How a store behaves.

    An answer to a range begins `early_by` bytes too early, and says so.
    The body of an answer ends after `breaks_after` bytes, with an error or `silently` without one; this happens
    `breaks` times, then no more.
    """

    ignores_ranges: bool = False
    refuses_ranges: bool = False
    lists_parts: bool = True
    copies: bool = True
    drops_metadata: bool = False
    early_by: int = 0
    breaks_after: int | None = None
    breaks: int = 1
    silently: bool = False


class MemoryReader:
    """The body of an object."""

    def __init__(self, body: bytes, opened: Opened, store: MemoryStore) -> None:
        self.opened = opened
        self.closed = False
        self._body = memoryview(body)
        self._position = 0
        self._store = store

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes, none at the end.  Raises Unavailable where the body breaks off."""
        assert not self.closed, "read after close"
        left = len(self._body) - self._position
        wanted = left if size < 0 else min(size, left)
        data = bytes(self._body[self._position : self._position + self._store.allowed(self._position, wanted)])
        if wanted and not data and not self._store.broken_silently():
            raise Unavailable(self.opened.stat.key, "the answer broke off", "try again")
        self._position += len(data)
        self._store.count_read(len(data))
        return data

    def close(self) -> None:
        """End the transfer."""
        self.closed = True

    def __enter__(self) -> MemoryReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class MemoryStore:
    """A channel in a dict.  Versions count up, over all keys; the MD5 is known, as in a plain bucket.

    Threads may share it.  `readers` has every body that was opened.  `composed` has the keys of files that were put
    together from their old version too, and were the same.
    """

    def __init__(self, clock_ms: int = 1_790_000_000_000, behavior: Behavior | None = None) -> None:
        self.usage = Usage()
        self.clock_ms = clock_ms
        self.behavior = behavior or Behavior()
        self.objects: dict[str, Stored] = {}
        self.calls: list[Call] = []
        self.readers: list[MemoryReader] = []
        self.composed: list[str] = []
        self.hook: Callable[[Call], None] = lambda _: None
        self._count = 0
        self._lock = threading.RLock()

    # What a test does, which no store is asked for and nothing counts.

    def upload(
        self, key: str, body: bytes, metadata: Mapping[str, str] | None = None, *, checksum: bool = False
    ) -> Stat:
        """Lay an object down as an uploader does; with `checksum` the store vouches for its sha256."""
        with self._lock:
            return self._lay(key, body, metadata=metadata or {}, checksum=checksum)

    def remove(self, key: str) -> None:
        """Take an object away as a person does."""
        with self._lock:
            del self.objects[key]

    def disguise(self, key: str, md5: str | None = None) -> Stat:
        """Let an object show another MD5 than its content has, or none, as KMS and uploads in parts do."""
        with self._lock:
            stored = self.objects[key]
            self.objects[key] = replace(stored, stat=msgspec.structs.replace(stored.stat, md5=md5))
            return self.objects[key].stat

    def bodies(self, prefix: str = "") -> dict[str, bytes]:
        """The content of every object under a prefix, at any depth, by key."""
        with self._lock:
            return {key: stored.body for key, stored in sorted(self.objects.items()) if key.startswith(prefix)}

    def calls_of(self, verb: str) -> tuple[Call, ...]:
        """The calls of one verb, in order."""
        with self._lock:
            return tuple(call for call in self.calls if call.verb == verb)

    # The protocol.

    def list(self, prefix: str, *, part: Part = WHOLE) -> Iterator[Stat]:
        """What lies directly under a prefix."""
        self._called(Call("LIST", prefix, part=part))
        if part != WHOLE and not self.behavior.lists_parts:
            raise RangeRefused(prefix, "the store does not list parts")
        with self._lock:
            results: dict[str, Stat] = {}
            for key, stored in self.objects.items():
                if key.startswith(prefix):
                    first, slash, _ = key[len(prefix) :].partition("/")
                    child = prefix + first + slash
                    results[child] = Stat(child, 0, ETag(""), 0) if slash else stored.stat
        whole = part == WHOLE
        yield from (stat for key, stat in results.items() if whole or (within(key, part) and not key.endswith("/")))

    def stat(self, key: str, *, checksum: bool = False) -> Stat | None:
        """One object, None where it is absent; with its sha256 where asked and vouched for."""
        self._called(Call("HEAD", key, checksum=checksum))
        with self._lock:
            stored = self.objects.get(key)
        if stored is None:
            return None
        sha256 = hashlib.sha256(stored.body).hexdigest() if checksum and stored.checksum else None
        return msgspec.structs.replace(stored.stat, sha256=sha256)

    def open(self, key: str, *, range: Range | None = None, etag: ETag | None = None) -> MemoryReader:
        """Read an object, or a part of it; with a version only that one."""
        self._called(Call("GET", key, range=range, etag=etag))
        with self._lock:
            stored = self.objects.get(key)
            if stored is None:
                raise Missing(key, "is not there")
            if etag is not None and stored.stat.etag != etag:
                raise Conflict(key, "changed since it was looked at")
            if range is not None and self.behavior.refuses_ranges:
                raise RangeRefused(key, "the store does not serve parts of objects")
            whole = range is None or self.behavior.ignores_ranges
            start, stop, _ = slice(*(range if range and not whole else (0, None))).indices(len(stored.body))
            if not whole:
                start = max(0, start - self.behavior.early_by)
            metadata = {} if self.behavior.drops_metadata else {k.lower(): v for k, v in stored.metadata.items()}
            reader = MemoryReader(stored.body[start:stop], Opened(stored.stat, start, metadata), self)
            self.readers.append(reader)
            return reader

    def put(self, key: str, body: Content, *, expect: Expect | ETag, headers: Mapping[str, str] | None = None) -> ETag:
        """Write an object whole and return its version."""
        self._called(Call("PUT", key, expect=expect))
        with self._lock:
            stored = self.objects.get(key)
            if not holds(expect, stored.stat.etag if stored else None):
                raise Conflict(key, "changed since it was looked at")
            self.usage.bytes_written += len(body)
            whole = bytes(body)
            composition = body.composition if isinstance(body, Stream) else None
            if composition is not None and stored is not None and composition.base == stored.stat.etag:
                parts = composition.parts(1)
                texts = [stored.body[it.start : it.stop] if isinstance(it, Kept) else bytes(it) for it in parts]
                assert b"".join(texts) == whole, f"{key} is another file if it is composed"
                self.composed.append(key)
            return self._lay(key, whole, headers=headers or {}).etag

    @property
    def place(self) -> MemoryStore:
        """Where the objects lie."""
        return self

    def copy(self, place: object, stat: Stat, *, expect: Expect) -> ETag:
        """Lay an object of another store here under the same key."""
        self._called(Call("COPY", stat.key, etag=stat.etag, expect=expect))
        if not isinstance(place, MemoryStore) or not self.behavior.copies:
            raise CopyRefused(stat.key, "the store does not copy from there")
        with place._lock:
            copied = place.objects.get(stat.key)
        if copied is None:
            raise Missing(stat.key, "is not there")
        if copied.stat.etag != stat.etag:
            raise Conflict(stat.key, "changed since it was looked at")
        with self._lock:
            stored = self.objects.get(stat.key)
            if not holds(expect, stored.stat.etag if stored else None):
                raise Conflict(stat.key, "changed since it was looked at")
            return self._lay(stat.key, copied.body, metadata=copied.metadata, headers=copied.headers).etag

    def delete(self, key: str, *, expect: Expect | ETag) -> None:
        """Delete an object; an absent one is fine."""
        self._called(Call("DELETE", key, expect=expect))
        with self._lock:
            stored = self.objects.get(key)
            if stored is None:
                return
            if expect is not Expect.ANYTHING and stored.stat.etag != expect:
                raise Conflict(key, "changed since it was looked at")
            del self.objects[key]

    # What its readers ask of it.

    def allowed(self, position: int, wanted: int) -> int:
        """How many of the bytes that are wanted from a position of a body get through."""
        limit = self.behavior.breaks_after
        if limit is None or self.behavior.breaks <= 0:
            return wanted
        return max(0, min(wanted, limit - position))

    def broken_silently(self) -> bool:
        """Note that a body broke off, and say whether it looks as if it had ended."""
        with self._lock:
            self.behavior.breaks -= 1
        return self.behavior.silently

    def count_read(self, size: int) -> None:
        """Count bytes of a body."""
        with self._lock:
            self.usage.bytes_read += size

    def _called(self, call: Call) -> None:
        with self._lock:
            self.calls.append(call)
            self.usage.requests[call.verb] += 1
        self.hook(call)

    def _lay(
        self,
        key: str,
        body: bytes,
        *,
        metadata: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        checksum: bool = False,
    ) -> Stat:
        self._count += 1
        md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
        stat = Stat(key, len(body), ETag(f"v{self._count}"), self.clock_ms, md5)
        self.objects[key] = Stored(body, stat, metadata or {}, headers or {}, checksum)
        return stat


S = TypeVar("S", bound=MemoryStore)


def copy_of(store: S) -> S:
    """A store with the same objects and versions, that was asked nothing yet."""
    copy = type(store)(store.clock_ms)
    copy.objects = dict(store.objects)
    copy._count = store._count
    return copy


def made_once(make: Callable[P, S]) -> Callable[P, S]:
    """The same function, which makes its channel once for the same arguments, and returns a copy each time."""
    once = functools.cache(make)

    @functools.wraps(make)
    def copied(*args: P.args, **kwargs: P.kwargs) -> S:
        return copy_of(once(*args, **kwargs))  # type: ignore[arg-type]  # a cache wants what can be hashed

    return copied
