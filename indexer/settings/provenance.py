"""A setting: its value, and where it came from.  What is secret is never shown whole."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

import msgspec

from indexer.store.redact import masked

if TYPE_CHECKING:
    from collections.abc import Sequence

_SHOWN = 4
# Of a shorter one, four characters would be too much.
_LONG = 16
# What AWS puts before the ids of lasting and of temporary keys; no part of the secret.
_AWS_KINDS = re.compile(r"(AKIA|ASIA)?")


class Kind(Enum):
    """What a value can come from, the strongest first."""

    OPTION = "option"
    VARIABLE = "variable"
    FILE = "file"
    STORE = "store"
    BOTO3 = "boto3"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value came from: `name` is the option, the variable, the file, the provider; `table` is in the file."""

    kind: Kind
    name: str = ""
    table: str = ""

    def __str__(self) -> str:
        if self.kind is Kind.BOTO3:
            return f"boto3 ({self.name})" if self.name else "boto3"
        table = f" [{self.table}]" if self.table else ""
        return f"{self.name or self.kind.value}{table}"


@dataclass(frozen=True, slots=True)
class Setting:
    """A value and its origin.  A secret one shows four characters at most."""

    name: str
    value: Any = field(repr=False)
    origin: Origin
    secret: bool = False

    @property
    def shown(self) -> str:
        """The value as it may be printed, on one line."""
        if self.secret:
            return ending(str(self.value))
        return masked(self.value if isinstance(self.value, str) else msgspec.json.encode(self.value).decode())


def ending(secret: str) -> str:
    """The end of a key, so that its owner can tell which one it is; nothing of a short one."""
    if len(secret) < _LONG:
        return "***"
    kind = _AWS_KINDS.match(secret)
    return f"{kind[0] if kind else ''}…{secret[-_SHOWN:]}"


def lines(settings: Sequence[Setting]) -> list[str]:
    """A line a setting for a person: name, value, origin."""
    names = max((len(it.name) for it in settings), default=0)
    values = max((len(it.shown) for it in settings), default=0)
    return [f"{it.name:<{names}}  {it.shown:<{values}}  {it.origin}" for it in settings]
