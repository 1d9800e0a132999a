"""Patterns and dependencies that select packages: by name, version and build, as conda spells them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from indexer.core.errors import BadConfig
from indexer.core.model import UNREADABLE
from indexer.core.specs.dependency import fields_of
from indexer.core.specs.matchspec import parts_of
from indexer.core.specs.version import Version, constraint_of, matches_glob, order_of
from indexer.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Callable

    from indexer.core.model import Raw

_EXACT = re.compile(r"(?P<name>[\w.*-]+)=(?P<version>[^=<>!~,|\s]+)=(?P<build>[^=\s]+)")
_FORMS = "use SUBDIR/FILENAME, NAME, NAME=VERSION or NAME=VERSION=BUILD; `*` stands for any text"


class Described(msgspec.Struct, frozen=True):
    """The fields of a record that packages are selected by."""

    name: str = ""
    version: str = ""
    build: str = ""
    build_number: int = 0
    depends: tuple[str, ...] = ()

    @property
    def age(self) -> tuple[tuple[bool, Version | str], int]:
        """The sort key of the packages of one name, the newest last."""
        return order_of(self.version), self.build_number


_described = msgspec.json.Decoder(Described)


def described(record: Raw) -> Described | None:
    """The fields of a record; None if they have wrong types."""
    try:
        return _described.decode(record)
    except UNREADABLE:
        return None


class Pattern(Value, frozen=True):
    """A name, which may have globs, and what the version and the build must be."""

    text: str
    name: str
    is_version: Callable[[Version], bool] = lambda _: True
    build: str = "*"

    def matches(self, package: Described) -> bool:
        """Whether a package is one of those that the pattern selects."""
        if not matches_glob(self.name, package.name.lower()) or not matches_glob(self.build, package.build):
            return False
        is_readable, version = order_of(package.version)
        return is_readable and isinstance(version, Version) and self.is_version(version)


def pattern_of(text: str) -> Pattern:
    """The pattern that a person wrote, such as `numpy`, `numpy=2.1` (every 2.1), `numpy=2.1.0=py*` or `numpy>=2`.

    Raises BadConfig.
    """
    exact = _EXACT.fullmatch(text)
    parts = parts_of(text)
    try:
        if exact is not None:
            return Pattern(text, exact["name"].lower(), constraint_of(exact["version"]), exact["build"])
        if parts is not None and not parts.brackets:
            return _pattern(text, parts.name, parts.version, parts.build)
    except ValueError as error:
        raise BadConfig(text, f"does not name packages ({error})", _FORMS) from error
    raise BadConfig(text, "does not name packages", _FORMS)


def dependency_of(text: str) -> Pattern | None:
    """The pattern of a dependency; None for a virtual package, and for a conditional dependency.

    Extras and flags are not looked at.  Raises ValueError for a dependency that cannot be parsed.
    """
    parts = parts_of(text.partition("#")[0].rpartition("::")[2])
    if parts is None:
        raise ValueError(f"{text!r} is not a dependency")
    fields = fields_of(parts.brackets) if parts.brackets else {}
    if parts.name.startswith("__") or "when" in fields:
        return None
    return _pattern(text, parts.name, parts.version or fields.get("version"), parts.build or fields.get("build"))


def _pattern(text: str, name: str, version: str | None, build: str | None) -> Pattern:
    if version is None:
        return Pattern(text, name.lower(), build=build or "*")
    return Pattern(text, name.lower(), constraint_of(version), build or "*")
