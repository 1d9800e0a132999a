"""JSON in our one form, compact and sorted, and objects of very many members, which are made piece by piece."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import orjson
from msgspec import Raw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    Made = Callable[[], Iterator[bytes]]

# How many members are written at once.
_BATCH = 128


def dump(value: object) -> Raw:
    """JSON in our one form: UTF-8 unescaped, keys sorted, compact, no final newline; a Raw stays as it is.

    All numbers of an index are written here, for another encoder spells 1e16 in another way.
    Raises TypeError for what JSON cannot say.
    """
    return Raw(orjson.dumps(value, default=_slice, option=orjson.OPT_SORT_KEYS))


def _slice(value: object) -> orjson.Fragment:
    if isinstance(value, Raw):
        return orjson.Fragment(bytes(value))
    raise TypeError(f"{type(value).__name__} is no JSON")


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
            yield bytes(dump(value))
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
