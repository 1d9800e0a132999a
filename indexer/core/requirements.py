"""Whether a package satisfies a dependency or a pin: by its name, version and build."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, NamedTuple

from indexer.core.specs.matchspec import parts_of
from indexer.core.specs.version import Version, constraint_of, matches_glob

if TYPE_CHECKING:
    from collections.abc import Callable

    from indexer.core.specs.matchspec import Parts

_FIELD = re.compile(r"""([\w-]+)\s*=\s*("[^"]*"|'[^']*'|\[[^\]]*\]|[^,\s]+)""")
_NAME = re.compile(r"[\w.*-]+")
# Keys in brackets that select no package: a condition, groups of further dependencies.
_NO_CHOICE = frozenset({"when", "extras"})


class Requirement(NamedTuple):
    """A dependency or a pin: the name in lower case, which can have `*`, and what version and build must be.

    `is_exact` is false if a part of the text is not understood: then more packages pass than a solver would accept.
    """

    name: str
    version: Callable[[Version], bool] | None = None
    build: str | None = None
    is_exact: bool = True

    def accepts(self, version: Version | None, build: str) -> bool:
        """Whether a package of the name passes; `version` is None if its version cannot be parsed."""
        if self.version is not None and (version is None or not self.version(version)):
            return False
        return self.build is None or matches_glob(self.build, build)


# A channel of a hundred thousand packages has some ten thousand different dependencies.
@functools.lru_cache(maxsize=2**15)
def requirement_of(spec: str) -> Requirement | None:
    """The requirement that a text states, None if the text has no name."""
    spec = spec.partition("#")[0].strip()
    channel, colons, rest = spec.partition("::")
    if colons and "[" not in channel:
        spec = rest.strip()
    parts = parts_of(spec)
    if parts is None:
        name = _NAME.match(spec)
        return None if name is None else Requirement(name[0].lower(), is_exact=False)
    return _requirement(parts)


def _requirement(parts: Parts) -> Requirement:
    fields = {key: value.strip("\"'") for key, value in _FIELD.findall(parts.brackets or "")}
    version, build = fields.pop("version", parts.version), fields.pop("build", parts.build)
    is_exact = not fields.keys() - _NO_CHOICE
    if build is not None and build.startswith("^"):
        build, is_exact = None, False
    try:
        constraint = None if version is None else constraint_of(version)
    except ValueError:
        constraint, is_exact = None, False
    return Requirement(parts.name.lower(), constraint, build, is_exact)


def version_of(text: str) -> Version | None:
    """The version of a package, None if it cannot be parsed."""
    try:
        return Version(text)
    except ValueError:
        return None
