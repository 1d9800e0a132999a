"""JSON objects of very many members, made piece by piece, compact and sorted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    Made = Callable[[], Iterator[bytes]]

# How many members are written at once.
_BATCH = 128


def json_object(values: Mapping[str, object], last: str | None = None) -> Iterator[bytes]:
    """An object with sorted keys; a member that is made piece by piece itself is a function that begins with it.

    The key `last`, if it is there, stands after all others.
    """
    opening = b"{"
    for key in sorted(values, key=lambda key: (key == last, key)):
        yield opening + msgspec.json.encode(key) + b":"
        value = values[key]
        if callable(value):
            yield from value()
        else:
            yield msgspec.json.encode(value, order="deterministic")
        opening = b","
    yield b"}" if values else b"{}"


def members(names: Sequence[str], value_of: Callable[[str], object]) -> Made:
    """An object of very many members, whose sorted names are known."""

    def make() -> Iterator[bytes]:
        opening = b"{"
        for start in range(0, len(names), _BATCH):
            batch = {name: value_of(name) for name in names[start : start + _BATCH]}
            yield opening + memoryview(msgspec.json.encode(batch, order="deterministic"))[1:-1]
            opening = b","
        yield b"}" if names else b"{}"

    return make
