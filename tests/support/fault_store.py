"""A store in memory that injects faults into answers: refused, lost, cut short, stale, swapped."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from indexer.core.errors import Conflict, Denied, Missing, Unavailable
from indexer.store import WHOLE
from tests.support.memory import Call, MemoryStore, copy_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType

    from indexer.core.model import ETag, Stat
    from indexer.core.stream import Content
    from indexer.core.usage import Usage
    from indexer.store import Expect, Opened, Part, Range, Reader

READS = frozenset({"GET", "HEAD", "LIST"})
WRITES = frozenset({"PUT", "COPY", "DELETE"})


@dataclass(frozen=True)
class Fault:
    """A way in which one answer goes wrong, the verbs that it can befall, and what a run may then end with.

    After an `honest` one the channel lacks nothing, and whoever ends with 0 has published all; the others show a
    state of the channel that was, which no client can tell from the truth.
    """

    name: str
    verbs: frozenset[str]
    codes: frozenset[int]
    honest: bool = True


FAULTS = (
    Fault("unavailable", READS | WRITES, frozenset({0, 1})),
    Fault("lost acknowledgement", WRITES, frozenset({1})),
    Fault("denied", READS | WRITES, frozenset({0, 1, 3})),
    Fault("conflict", (READS | WRITES) - {"LIST"}, frozenset({0, 1})),
    Fault("not there", frozenset({"GET", "PUT", "COPY"}), frozenset({0, 1})),
    Fault("body broken off", frozenset({"GET"}), frozenset({0})),
    Fault("body cut short", frozenset({"GET"}), frozenset({0})),
    Fault("listing broken off", frozenset({"LIST"}), frozenset({1})),
    Fault("stale", READS, frozenset({0, 1, 6}), honest=False),
    Fault("answer of another question", READS, frozenset({0, 1, 6}), honest=False),
)


@dataclass
class FaultStore:
    """Passes every call on to `store`; `choose` says by number, from 1, and call what goes wrong with it."""

    store: MemoryStore
    choose: Callable[[int, Call], Fault | None] = lambda _number, _call: None
    calls: list[Call] = field(default_factory=list)
    injected: list[tuple[Fault, Call]] = field(default_factory=list)
    usage: Usage = field(init=False)
    _before: MemoryStore = field(init=False)
    _last: dict[str, Call] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Count what the store counts; until somebody writes nothing is stale."""
        self.usage = self.store.usage
        self._before = copy_of(self.store)

    @property
    def summary(self) -> str:
        """What befell, in a line."""
        return ", ".join(f"{fault.name} at {call.verb} {call.key}" for fault, call in self.injected)

    def _fault(self, call: Call) -> str:
        """What goes wrong with a call; raises what goes wrong before the store hears of it."""
        self.calls.append(call)
        fault = self.choose(len(self.calls), call)
        if fault is None or call.verb not in fault.verbs:
            return ""
        self.injected.append((fault, call))
        if fault.name == "unavailable":
            raise Unavailable(call.key, "the store fails (as the test wants it)", "repeat later")
        if fault.name == "denied":
            raise Denied(call.key, "the store refuses (as the test wants it)", "look at the credentials")
        if fault.name == "conflict":
            raise Conflict(call.key, "changed since it was looked at")
        if fault.name == "not there":
            raise Missing(call.key, "is not there")
        return fault.name

    def _answering(self, fault: str, call: Call) -> tuple[MemoryStore, Call]:
        """Which state of the channel answers a question, and which question it takes it for."""
        if fault == "stale":
            return self._before, call
        answered = self._last.get(call.verb, call) if fault == "answer of another question" else call
        self._last[call.verb] = call
        return self.store, answered

    def list(self, prefix: str, *, part: Part = WHOLE) -> Iterator[Stat]:
        """What lies directly under a prefix."""
        fault = self._fault(call := Call("LIST", prefix))
        store, result = self._answering(fault, call)
        results = list(store.list(result.key, part=part))
        if fault == "listing broken off":
            yield from itertools.islice(results, len(results) // 2)
            raise Unavailable(prefix, "the store fails (as the test wants it)", "repeat later")
        yield from results

    def stat(self, key: str, *, checksum: bool = False) -> Stat | None:
        """One object."""
        fault = self._fault(call := Call("HEAD", key, checksum=checksum))
        store, result = self._answering(fault, call)
        return store.stat(result.key, checksum=checksum)

    def open(self, key: str, *, range: Range | None = None, etag: ETag | None = None) -> Reader:
        """Read an object."""
        fault = self._fault(call := Call("GET", key, range=range, etag=etag))
        store, result = self._answering(fault, call)
        reader = store.open(result.key, range=result.range, etag=result.etag)
        if fault.startswith("body"):
            return _Broken(reader, silently=fault == "body cut short")
        if etag is not None and reader.opened.stat.etag != etag:
            raise Conflict(key, "changed since it was looked at")  # as the store in a bucket compares
        return reader

    def put(self, key: str, body: Content, *, expect: Expect | ETag, headers: Mapping[str, str] | None = None) -> ETag:
        """Write an object."""
        fault = self._fault(Call("PUT", key, expect=expect))
        before = copy_of(self.store)
        etag = self.store.put(key, body, expect=expect, headers=headers)
        self._before = before
        _lose(fault, key)
        return etag

    @property
    def place(self) -> object:
        """Where the objects lie."""
        return self.store.place

    def copy(self, place: object, stat: Stat, *, expect: Expect) -> ETag:
        """Copy an object from another place."""
        fault = self._fault(Call("COPY", stat.key, etag=stat.etag, expect=expect))
        before = copy_of(self.store)
        etag = self.store.copy(place, stat, expect=expect)
        self._before = before
        _lose(fault, stat.key)
        return etag

    def delete(self, key: str, *, expect: Expect | ETag) -> None:
        """Delete an object."""
        fault = self._fault(Call("DELETE", key, expect=expect))
        before = copy_of(self.store)
        self.store.delete(key, expect=expect)
        self._before = before
        _lose(fault, key)


def _lose(fault: str, key: str) -> None:
    if fault:
        raise Unavailable(key, "the store does not answer (as the test wants it)", "repeat")


class _Broken:
    """A body of which the second half does not arrive."""

    def __init__(self, reader: Reader, *, silently: bool) -> None:
        self.opened: Opened = reader.opened
        self._reader = reader
        self._silently = silently
        self._left: int | None = None

    def read(self, size: int = -1, /) -> bytes:
        data = self._reader.read(size)
        if self._left is None:
            self._left = self.opened.stat.size // 2
        if len(data) >= self._left > 0 and self._silently:
            data, self._left = data[: self._left], 0
            return data
        if len(data) > self._left:
            if self._silently:
                return b""
            raise Unavailable(self.opened.stat.key, "the answer broke off", "try again")
        self._left -= len(data)
        return data

    def close(self) -> None:
        self._reader.close()

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
