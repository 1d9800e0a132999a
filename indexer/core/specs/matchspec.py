"""Splits a dependency into its parts (CEP 29), and spells a dependency as v3 records require (CEP 48)."""

from __future__ import annotations

import re
from typing import NamedTuple

# Name, version, build, brackets.  An operator or white space separates the version from the name; the version continues
# after a comma or a bar.  No character may match in two neighboring parts: otherwise the time for a spec that does not
# match grows with the square of its length.
_SPEC = re.compile(
    r"(?P<name>[\w.*-]+)"
    r"(?:(?P<version>(?:\s*[=<>!~]+\s*|\s+)[^\s\[,|()=<>!~][^\s\[,|()]*(?:\s*[,|]\s*[^\s\[,|()]+)*))?"
    r"(?:\s+(?P<build>[^\s\[()]+))?"
    r"\s*(?:\[(?P<brackets>.*)\])?"
)
_MAX_LENGTH = 1024
_EXACT = re.compile(r"==?(?P<version>[^=<>!~*,|]+)=(?P<build>[^=]+)")

# The start of a dependency: `channel/subdir::`, a namespace, and the first character of the name.
_START = re.compile(r"\s*(?:[^\s\[:]*::?)*[\w.*^$+-]")
_BRACKETS = {"[": "]", "(": ")"}


def universal_fault(spec: str) -> str | None:
    """The reason why no reader can parse a dependency, None if some reader may.

    Only faults in every dialect count: conda, mamba and rattler differ, and a channel must not be refused for the
    dialect of its readers.
    """
    if not _START.match(spec):
        return "has no name"
    outside = re.sub(r"\"[^\"]*\"|'[^']*'", "", spec)
    for opening, closing in _BRACKETS.items():
        if outside.count(opening) != outside.count(closing):
            return f"has a {opening} without a {closing}, or the reverse"
    if re.search(r"(?:[<>!~=]=|[<>!,|])\s*$", outside.partition("[")[0]):
        return "has no version at its end"
    return None


class Parts(NamedTuple):
    """The parts of a dependency as they are written, None for a missing part; `brackets` is the text inside them."""

    name: str
    version: str | None = None
    build: str | None = None
    brackets: str | None = None


def parts_of(spec: str) -> Parts | None:
    """The parts of a dependency, without white space in its version; None if the dependency cannot be parsed."""
    # The longest real spec has some hundred characters.
    match = _SPEC.fullmatch(spec.strip()) if len(spec) <= _MAX_LENGTH else None
    if match is None:
        return None
    name, version, build, brackets = match.group("name", "version", "build", "brackets")
    if version is not None:
        version = re.sub(r"\s+", "", version)
        if build is None and (exact := _EXACT.fullmatch(version)):
            version, build = exact["version"], exact["build"]
    return Parts(name, version, build, brackets)


def canonical(spec: str) -> str:
    """The spelling of a spec in v3, as rattler-index writes it; a spec that cannot be parsed stays as it is.

    `d 1.2.* h_0` becomes `d[version="1.2.*",build="h_0"]`.  Text that is already in brackets is kept
    unchanged, after version and build.
    """
    parts = parts_of(spec)
    if parts is None:
        return spec
    name, version, build, brackets = parts
    fields = []
    if version is not None:
        terms = re.split(r"([,|])", version)
        fields.append(f'version="{"".join(map(_term, terms))}"')
    if build is not None:
        fields.append(f'build="{build}"')
    if brackets:
        fields.append(brackets)
    return f"{name.lower()}[{','.join(fields)}]" if fields else name.lower()


def _term(term: str) -> str:
    """One constraint of a version: `1.1` is exact, `=1.1` and `1.1*` mean every `1.1`."""
    if term in {",", "|", "*"} or term.startswith(("<", ">", "!", "~")):
        return term
    version = term.lstrip("=")
    if version.endswith("*") or (term.startswith("=") and not term.startswith("==")):
        return f"{version.rstrip('*').rstrip('.')}.*"
    return f"=={version}"
