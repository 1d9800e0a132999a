"""JSON in our one form, compact and sorted."""

from __future__ import annotations

import orjson
from msgspec import Raw


def dump(value: object) -> Raw:
    """JSON in our one form: UTF-8 unescaped, keys sorted, compact, no final newline; a Raw is copied.

    All numbers of an index are written by this encoder: another one writes 1e16 in another way.
    Raises TypeError for a value that JSON does not have.
    """
    dumped = orjson.dumps(value, default=_slice, option=orjson.OPT_SORT_KEYS)
    # orjson keeps the buffer that it wrote to: up to 8 KiB for a record of 600 bytes.
    return Raw(bytes(memoryview(dumped)))


def _slice(value: object) -> orjson.Fragment:
    if isinstance(value, Raw):
        return orjson.Fragment(bytes(value))
    raise TypeError(f"JSON has no {type(value).__name__}")
