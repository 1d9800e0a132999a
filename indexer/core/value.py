"""The base class of immutable values."""

from __future__ import annotations

from msgspec import Struct


class Value(Struct, frozen=True):
    """An immutable value with named fields.

    A class of msgspec is made in 0.01 ms, and a dataclass in 1 to 2 ms: a run imports eighty such classes.
    The annotations of a subclass are not evaluated, so their imports may be for the type checker only.
    """


class Mutable(Struct):
    """An object with named fields that change.  Its annotations are not evaluated either."""
