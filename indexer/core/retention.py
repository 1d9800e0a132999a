"""Judges which packages of a channel stay: rules about names and versions, and the dependencies of what stays.

A version stays or goes as a whole, in all subdirs, so that no platform loses a version that another one keeps.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from msgspec import field

from indexer.core.names import NOARCH
from indexer.core.requirements import requirement_of, version_of
from indexer.core.specs.version import Version, matches_glob, order_of
from indexer.core.value import Mutable, Value

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from indexer.core.requirements import Requirement


class Reason(Enum):
    """Why a package stays; the value is for people.

    LAST: it is of the last version of its name in a subdir.  SNAPSHOT: only its object stays, its record goes.
    """

    LAST = "last version"
    NEWEST = "newest versions"
    NEWER = "new enough"
    PINNED = "pinned"
    NEEDED = "needed by a kept package"
    REPLACED = "uploaded again and not indexed yet"
    SNAPSHOT = "in a snapshot"


class Rules(Value, frozen=True):
    """The rules of a channel; a package stays if one of them says so.

    `newest` is the number of versions of each name, None if the number does not matter.  `newer_than_ms` is an age, by
    the date of first indexing, None if the age does not matter.  `pins` are specs.
    """

    newest: int | None = None
    newer_than_ms: int | None = None
    pins: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether any package may go: pins alone are no rule."""
        return self.newest is not None or self.newer_than_ms is not None


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """A package that is judged: what its record says, `indexed_ms` in milliseconds, `size` in bytes.

    `is_replaced` is true if its object is not the one that the record was made from.
    """

    subdir: str
    filename: str
    name: str
    version: str
    build: str = "0"
    indexed_ms: int = 0
    size: int = 0
    depends: tuple[str, ...] = ()
    is_replaced: bool = False

    @property
    def key(self) -> str:
        """Its place in the channel."""
        return f"{self.subdir}/{self.filename}"


class Verdict(NamedTuple):
    """Why a package stays; it goes if there is no reason."""

    package: Candidate
    reasons: frozenset[Reason]

    @property
    def goes(self) -> bool:
        """Whether neither the record nor the object stays."""
        return not self.reasons

    @property
    def leaves_index(self) -> bool:
        """Whether the record goes."""
        return self.reasons <= {Reason.SNAPSHOT}


def judge(
    candidates: Iterable[Candidate],
    rules: Rules,
    now_ms: int,
    kept_by_snapshots: Mapping[str, frozenset[str]] | None = None,
) -> tuple[Verdict, ...]:
    """A verdict for each package of a channel, by key.

    `kept_by_snapshots` has the file names that named snapshots name, by subdir.
    """
    channel = _Channel(sorted(candidates, key=lambda candidate: candidate.key))
    channel.keep_by_age_and_number(rules, now_ms)
    channel.keep_pinned(rules.pins)
    channel.keep_needed()
    named = kept_by_snapshots or {}
    channel.keep((one for one in channel.packages if one.filename in named.get(one.subdir, ())), Reason.SNAPSHOT)
    reasons = channel.reasons
    return tuple(Verdict(package, frozenset(reasons.get(package.key, ()))) for package in channel.packages)


class _Release(Mutable):
    """All packages of one version of a name; `version` is None if it cannot be parsed."""

    version: Version | None
    packages: list[Candidate] = field(default_factory=list)

    def satisfies(self, requirement: Requirement, subdirs: frozenset[str]) -> bool:
        """Whether a package in some subdirs satisfies a requirement."""
        return any(
            package.subdir in subdirs and requirement.accepts(self.version, package.build) for package in self.packages
        )


class _Channel(Mutable):
    """The packages of a channel by name and version, the newest version first, and the reasons found so far."""

    packages: list[Candidate]
    releases: dict[str, list[_Release]] = field(default_factory=dict)
    reasons: defaultdict[str, set[Reason]] = field(default_factory=lambda: defaultdict(set))

    def __post_init__(self) -> None:
        by_name: dict[str, dict[str, _Release]] = {}
        for package in self.packages:
            versions = by_name.setdefault(package.name.lower(), {})
            if package.version not in versions:
                versions[package.version] = _Release(version_of(package.version))
            versions[package.version].packages.append(package)
        for name, versions in by_name.items():
            newest_first = sorted(versions, key=lambda text: (order_of(text), text), reverse=True)
            self.releases[name] = [versions[text] for text in newest_first]

    def keep(self, packages: Iterable[Candidate], reason: Reason) -> None:
        for package in packages:
            self.reasons[package.key].add(reason)

    def keep_by_age_and_number(self, rules: Rules, now_ms: int) -> None:
        """Keep the last version and the newest ones of each name in each subdir, and all that is young."""
        for releases in self.releases.values():
            seen: Counter[str] = Counter()
            for release in releases:
                subdirs = {package.subdir for package in release.packages}
                newer = min(seen[subdir] for subdir in subdirs)
                seen.update(subdirs)
                for reason in _reasons(release, newer, rules, now_ms):
                    self.keep(release.packages, reason)
                self.keep((package for package in release.packages if package.is_replaced), Reason.REPLACED)

    def keep_pinned(self, pins: Iterable[str]) -> None:
        """Keep each package that a pin names."""
        for pin in filter(None, map(requirement_of, pins)):
            for name, releases in self.releases.items():
                if matches_glob(pin.name, name):
                    for release in releases:
                        pinned = [one for one in release.packages if pin.accepts(release.version, one.build)]
                        self.keep(pinned, Reason.PINNED)

    def keep_needed(self) -> None:
        """Keep the newest version that satisfies each dependency of a kept package, and so on.

        A solver looks in one platform and in noarch, and a package of noarch can be installed on each platform.
        """
        platforms = frozenset(package.subdir for package in self.packages)
        todo = [package for package in self.packages if package.key in self.reasons]
        done: set[tuple[str, str]] = set()
        while todo:
            package = todo.pop()
            wanted = _needs(package, platforms) - done
            done |= wanted
            for needed in (release for platform, spec in wanted for release in self._satisfying(platform, spec)):
                todo += [one for one in needed.packages if one.key not in self.reasons]
                self.keep(needed.packages, Reason.NEEDED)

    def _satisfying(self, platform: str, spec: str) -> Iterable[_Release]:
        """The newest version that satisfies a dependency; all that may be meant if it is not understood."""
        requirement = requirement_of(spec)
        if requirement is None:
            return ()
        releases, subdirs = self.releases.get(requirement.name, ()), frozenset({platform, NOARCH})
        satisfying = (release for release in releases if release.satisfies(requirement, subdirs))
        return itertools.islice(satisfying, 1 if requirement.is_exact else None)


def _needs(package: Candidate, platforms: Collection[str]) -> set[tuple[str, str]]:
    """The dependencies of a package, each with the platform that it is installed on."""
    where = platforms if package.subdir == NOARCH else (package.subdir,)
    return {(platform, spec) for platform in where for spec in package.depends}


def _reasons(release: _Release, newer: int, rules: Rules, now_ms: int) -> Iterator[Reason]:
    """Why a whole version stays; `newer` counts the newer versions in the subdir that has fewest of them."""
    if newer == 0:
        yield Reason.LAST
    if rules.newest is not None and newer < rules.newest:
        yield Reason.NEWEST
    youngest = max(package.indexed_ms for package in release.packages)
    if rules.newer_than_ms is not None and youngest >= now_ms - rules.newer_than_ms:
        yield Reason.NEWER
