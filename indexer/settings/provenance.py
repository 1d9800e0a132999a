"""A setting: its value and its origin.  A secret value is never shown whole."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

import msgspec

from indexer.store.redact import masked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from indexer.settings.files import Source

_SHOWN = 4
# Of a shorter secret, four characters would be too much.
_LONG = 16
# AWS's prefixes of the ids of lasting and of temporary keys; not secret.
_AWS_KINDS = re.compile(r"(AKIA|ASIA)?")


class Kind(Enum):
    """The kinds of origins, the strongest first."""

    OPTION = "option"
    VARIABLE = "variable"
    FILE = "file"
    STORE = "store"
    BOTO3 = "boto3"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Origin:
    """The origin of a value: `name` is the option, variable, file or provider; `table` is a table in the file."""

    kind: Kind
    name: str = ""
    table: str = ""

    def __str__(self) -> str:
        if self.kind is Kind.BOTO3:
            return f"boto3 ({self.name})" if self.name else "boto3"
        table = f" [{self.table}]" if self.table else ""
        return f"{self.name or self.kind.value}{table}"


def of_file(source: Source) -> Origin:
    """The origin of a value in a file."""
    return Origin(Kind.FILE, str(source.file), source.table)


def kebab(name: str) -> str:
    """The name of a field as options and keys of files have it: `base-url`."""
    return name.replace("_", "-")


@dataclass(frozen=True, slots=True)
class Setting:
    """A value and its origin.  Of a secret value, at most four characters are shown."""

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
    """The end of a key, so that its owner can recognize it; nothing of a short one."""
    if len(secret) < _LONG:
        return "***"
    kind = _AWS_KINDS.match(secret)
    return f"{kind[0] if kind else ''}…{secret[-_SHOWN:]}"


def lines(settings: Sequence[Setting]) -> list[str]:
    """One line per setting for a person: name, value, origin."""
    names = max((len(setting.name) for setting in settings), default=0)
    values = max((len(setting.shown) for setting in settings), default=0)
    return [f"{setting.name:<{names}}  {setting.shown:<{values}}  {setting.origin}" for setting in settings]
