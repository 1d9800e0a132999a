"""The dependencies in a record as texts, and the package name in each."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from indexer.core.model import Raw
    from indexer.core.pages.packages import Package

_NAME = re.compile(r"\s*([\w.-]+)(?![:\w.-])", re.ASCII)
_texts = msgspec.json.Decoder(list[str])


def texts_of(raw: Raw | bytes) -> list[str]:
    """The texts of a list in JSON; none if it is anything else, as another indexer may have written it."""
    try:
        return _texts.decode(raw)
    except (ValueError, msgspec.MsgspecError):  # nothing at all is no JSON
        return []


# Many packages have the same dependencies.
@functools.lru_cache(maxsize=2**16)
def name_in(spec: str) -> str:
    """The name of the package that a dependency asks for; empty if it names a channel too, or no name at all."""
    match = _NAME.match(spec)
    return match[1] if match else ""


def names_in(package: Package) -> set[str]:
    """The names of all packages that the releases of a package depend on or constrain."""
    raws = {bytes(raw) for one in package.releases for raw in (one.entry.depends, one.entry.constrains)}
    specs = {spec for raw in raws for spec in texts_of(raw)}
    return set(map(name_in, specs))
