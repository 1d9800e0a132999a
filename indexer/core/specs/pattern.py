"""Patterns and dependencies that select packages: by name, version and build, as conda spells them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from indexer.core.errors import BadConfig
from indexer.core.specs.dependency import fields_of
from indexer.core.specs.matchspec import parts_of
from indexer.core.specs.version import Version, constraint_of, matches_glob, order_of
from indexer.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Callable

_EXACT = re.compile(r"(?P<name>[\w.*-]+)=(?P<version>[^=<>!~,|\s]+)=(?P<build>[^=\s]+)")
_FORMS = "use SUBDIR/FILENAME, NAME, NAME=VERSION or NAME=VERSION=BUILD; `*` stands for any text"


class Pattern(Value, frozen=True):
    """A name, which may have globs, and what the version and the build must be."""

    text: str
    name: str
    is_version: Callable[[Version], bool] = lambda _: True
    build: str = "*"

    def matches(self, name: str, version: str, build: str) -> bool:
        """Whether a package is one of those that the pattern selects."""
        if not matches_glob(self.name, name.lower()) or not matches_glob(self.build, build):
            return False
        _, parsed = order_of(version)
        return isinstance(parsed, Version) and self.is_version(parsed)


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
