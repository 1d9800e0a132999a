"""Decides which packages `promote` copies: those that a person names, and those that these need."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import field

from indexer.core import names
from indexer.core.errors import BadConfig
from indexer.core.model import UNREADABLE
from indexer.core.report import Note
from indexer.core.specs.pattern import Pattern, dependency_of, pattern_of
from indexer.core.specs.version import matches_glob, order_of
from indexer.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from indexer.core.model import Index, Raw
    from indexer.core.specs.version import Version


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

    def matches(self, pattern: Pattern) -> bool:
        """Whether a pattern selects the package."""
        return pattern.matches(self.name, self.version, self.build)


_described = msgspec.json.Decoder(Described)


def described(record: Raw) -> Described | None:
    """The fields of a record; None if they have wrong types."""
    try:
        return _described.decode(record)
    except UNREADABLE:
        return None


class Wanted(Value, frozen=True):
    """The packages that a person names: keys (`SUBDIR/FILENAME`), and patterns."""

    keys: frozenset[str] = frozenset()
    patterns: tuple[Pattern, ...] = ()

    @property
    def subdirs(self) -> frozenset[str] | None:
        """The subdirs of the packages; None if they can be in any."""
        return None if self.patterns else frozenset(key.partition("/")[0] for key in self.keys)

    def may_be(self, key: str) -> bool:
        """Whether a package can be one of these, by its key alone."""
        parsed = names.parse_filename(key.partition("/")[2])
        name = parsed.name.lower() if parsed else ""
        return key in self.keys or any(matches_glob(pattern.name, name) for pattern in self.patterns)


def wanted_of(packages: Iterable[str]) -> Wanted:
    """The packages that some texts name.  Raises BadConfig."""
    texts = list(packages)
    if not texts:
        raise BadConfig("PACKAGE", "is missing", "name packages as SUBDIR/FILENAME, or by a pattern")
    keys = frozenset(text for text in texts if "/" in text)
    for key in keys:
        _check_key(key)
    return Wanted(keys, tuple(_pattern(text) for text in texts if text not in keys))


def _check_key(key: str) -> None:
    subdir, _, filename = key.partition("/")
    if not names.is_subdir(subdir) or names.parse_filename(filename) is None:
        raise BadConfig(key, "is not of the form SUBDIR/FILENAME", "name it like noarch/foo-1.0-0.conda")


def _pattern(text: str) -> Pattern:
    if names.extension_of(text):
        raise BadConfig(text, "has no subdir", f"name it like noarch/{text}")
    return pattern_of(text)


class Packages(Value, frozen=True):
    """The packages of a channel by their key: those that readers see, and those that are yanked."""

    visible: Mapping[str, Described] = field(default_factory=dict)
    yanked: Mapping[str, Described] = field(default_factory=dict)


def packages_in(subdir: str, published: Index, unpatched: Index, wanted: Wanted | None = None) -> Packages:
    """The packages of a subdir, by the index that readers see, and by the index before patches and yanks.

    With `wanted`, only those that can be named by it.
    """

    def by_key(index: Index, without: Collection[str] = ()) -> dict[str, Described]:
        keys = {f"{subdir}/{name}": name for name in sorted(index.records) if name not in without}
        found = {key: described(index.records[name]) for key, name in keys.items() if not wanted or wanted.may_be(key)}
        return {key: package for key, package in found.items() if package is not None}

    return Packages(by_key(published), by_key(unpatched, published.records))


def union_of(parts: Iterable[Packages]) -> Packages:
    """The packages of several subdirs."""
    visible: dict[str, Described] = {}
    yanked: dict[str, Described] = {}
    for part in parts:
        visible |= part.visible
        yanked |= part.yanked
    return Packages(visible, yanked)


class Selection(Value, frozen=True):
    """The keys of the packages to copy, and remarks for the person who named them."""

    keys: frozenset[str]
    notes: tuple[Note, ...] = ()


def named(wanted: Wanted, packages: Packages) -> frozenset[str]:
    """The keys of the packages that are named."""
    of_patterns = {
        key for key, package in packages.visible.items() if any(package.matches(one) for one in wanted.patterns)
    }
    return frozenset(of_patterns | (wanted.keys & (packages.visible.keys() | packages.yanked.keys())))


def selected(wanted: Wanted, source: Packages, channel: str) -> Selection:
    """The packages of a channel that are named.  A pattern does not select yanked packages, a key does.

    Raises BadConfig for a key that the index does not have, and for a pattern that selects nothing.
    """
    for key in sorted(wanted.keys - source.visible.keys() - source.yanked.keys()):
        raise BadConfig(
            key, f"is not in the index of {channel}", "nothing was changed: check the name, or index that channel first"
        )
    given = wanted.keys & source.yanked.keys()
    notes = [Note(key, "is yanked, and copied because its full name is given") for key in given]
    for pattern in wanted.patterns:
        skipped = {key for key, package in source.yanked.items() if package.matches(pattern)} - given
        if not skipped and not any(package.matches(pattern) for package in source.visible.values()):
            raise BadConfig(pattern.text, f"matches no package of {channel}", "nothing was changed: check the pattern")
        notes += [
            Note(key, "is yanked, so a pattern does not select it; to copy it, give its full name") for key in skipped
        ]
    return Selection(named(wanted, source), tuple(sorted(set(notes))))


class _ByName:
    """The packages of a channel by subdir and name."""

    def __init__(self, packages: Mapping[str, Described]) -> None:
        self._packages: dict[tuple[str, str], list[tuple[str, Described]]] = {}
        for key, package in packages.items():
            self.add(key, package)

    def add(self, key: str, package: Described) -> None:
        """Add a package."""
        self._packages.setdefault((key.partition("/")[0], package.name.lower()), []).append((key, package))

    def newest(self, pattern: Pattern, platform: str) -> tuple[str, Described] | None:
        """The newest package for a platform that a dependency accepts, a .conda if there are both; None without any."""
        places = dict.fromkeys((platform, names.NOARCH))
        found = [item for place in places for item in self._packages.get((place, pattern.name), ())]
        accepted = [(key, package) for key, package in found if package.matches(pattern)]
        return max(accepted, key=lambda item: (item[1].age, item[0].endswith(names.CONDA), item[0]), default=None)


def with_dependencies(selection: Selection, source: Packages, target: Packages, subdirs: Sequence[str]) -> Selection:
    """The selection with the packages that its packages need, that the target lacks, and that the source has.

    The newest package that a dependency accepts is taken, and its own dependencies are followed.  A package of noarch
    needs its dependencies on each platform of `subdirs`.  A dependency that no package of both channels satisfies is a
    note.
    """
    available, there = _ByName(source.visible), _ByName(target.visible)
    every = {**source.yanked, **source.visible}
    platforms = [subdir for subdir in subdirs if subdir != names.NOARCH] or [names.NOARCH]
    keys = dict.fromkeys(sorted(selection.keys))
    for key in keys:
        there.add(key, every[key])
    notes = list(selection.notes)
    queue = list(keys)
    while queue:
        key = queue.pop(0)
        subdir = key.partition("/")[0]
        for text in every[key].depends:
            added, note = _needed(text, (available, there), platforms if subdir == names.NOARCH else [subdir])
            notes += [Note(key, note)] if note else []
            for new in added:
                there.add(new, every[new])
                keys[new] = None
                queue.append(new)
    return Selection(frozenset(keys), tuple(sorted(set(notes))))


def _needed(text: str, channels: tuple[_ByName, _ByName], platforms: Sequence[str]) -> tuple[list[str], str]:
    """The packages of the source that one dependency adds, and a note if no package satisfies it."""
    available, there = channels
    try:
        pattern = dependency_of(text)
    except ValueError:
        return [], f"needs {text!r}, which cannot be read, so it was not searched"
    if pattern is None:
        return [], ""
    added: list[str] = []
    is_satisfied = False
    for platform in platforms:
        if there.newest(pattern, platform) is not None:
            is_satisfied = True
        elif (found := available.newest(pattern, platform)) is not None:
            is_satisfied = True
            added += [found[0]] * (found[0] not in added)
    return added, "" if is_satisfied else f"needs {text!r}, which neither channel has"
