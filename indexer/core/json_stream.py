"""JSON in our one form, compact and sorted; a large object is made in chunks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import orjson
from msgspec import Raw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    MakeChunks = Callable[[], Iterator[bytes]]

# How many members of a large object are in one chunk.
_BATCH = 128


def dump(value: object) -> Raw:
    """JSON in our one form: UTF-8 unescaped, keys sorted, compact, no final newline; a Raw is copied.

    All numbers of an index are written by this encoder: another one writes 1e16 in another way.
    Raises TypeError for a value that JSON does not have.
    """
    return Raw(orjson.dumps(value, default=_slice, option=orjson.OPT_SORT_KEYS))


def _slice(value: object) -> orjson.Fragment:
    if isinstance(value, Raw):
        return orjson.Fragment(bytes(value))
    raise TypeError(f"JSON has no {type(value).__name__}")


def object_chunks(values: Mapping[str, object]) -> Iterator[bytes]:
    """The chunks of a JSON object with sorted keys.

    The value of a large member is a function that returns its chunks, as `large_object` does.
    """
    chunk: list[bytes] = []
    separator = b"{"
    for key in sorted(values):
        chunk += (separator, msgspec.json.encode(key), b":")
        separator = b","
        value = values[key]
        if callable(value):
            yield b"".join(chunk)
            yield from value()
            chunk = []
        else:
            chunk.append(bytes(dump(value)))
    yield b"".join((*chunk, b"}" if values else b"{}"))


def large_object(names: Sequence[str], value_of: Callable[[str], object]) -> MakeChunks:
    """A function that returns the chunks of an object with very many members: `names`, sorted, and their values."""

    def make() -> Iterator[bytes]:
        opening = b"{"
        for start in range(0, len(names), _BATCH):
            batch = {name: value_of(name) for name in names[start : start + _BATCH]}
            yield opening + memoryview(msgspec.json.encode(batch, order="deterministic"))[1:-1]
            opening = b","
        yield b"}" if names else b"{}"

    return make
