"""The packages of a channel over all its subdirs, by name, as the pages, the feed and channeldata.json show them."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from indexer.core.metadata import Metadata
from indexer.core.names import prefer_conda
from indexer.core.specs.version import order_of
from indexer.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from indexer.core.pages.catalog import Catalog, Entry

_NO_METADATA = Metadata()


class Release(Value, frozen=True):
    """One package file and its subdir."""

    subdir: str
    filename: str
    entry: Entry

    @property
    def metadata(self) -> Metadata:
        """Its metadata, empty if it is not known."""
        return self.entry.metadata or _NO_METADATA

    @property
    def license(self) -> str:
        """The license in its record, which a patch may have corrected, else the license in its metadata."""
        return self.entry.license or self.metadata.license


class Package(Value, frozen=True):
    """All releases of one name: the newest version last, of one version the last built one last."""

    name: str
    releases: tuple[Release, ...]

    @property
    def latest(self) -> Release:
        """The newest release."""
        return self.releases[-1]

    @property
    def subdirs(self) -> list[str]:
        """The subdirs that have a release."""
        return sorted({release.subdir for release in self.releases})

    @property
    def versions(self) -> list[str]:
        """The versions, the newest first."""
        return list(dict.fromkeys(release.entry.version for release in reversed(self.releases)))

    def newest_value(self, field: str) -> str | tuple[str, ...]:
        """A field of `Metadata`, or the `license`, of the newest release in which it is not empty."""
        for release in reversed(self.releases):
            value: str | tuple[str, ...] = getattr(release if field == "license" else release.metadata, field)
            if value:
                return value
        return ""


def last_built_ms(releases: Iterable[Release]) -> int:
    """The time of the last build of some releases, in milliseconds."""
    return max(release.entry.built_ms for release in releases)


def last_indexed_ms(releases: Iterable[Release]) -> int:
    """The time at which the last of some releases came into the channel, in milliseconds."""
    return max(release.entry.indexed_ms for release in releases)


def packages_of(catalogs: Mapping[str, Catalog]) -> list[Package]:
    """Every package of a channel, by name.  Of two files of the same build only the `.conda` counts."""
    order = functools.cache(order_of)

    def age(release: Release) -> tuple[object, ...]:
        entry = release.entry
        return order(entry.version), entry.built_ms, entry.build_number, release.subdir, release.filename

    groups: dict[str, list[Release]] = {}
    for subdir, catalog in sorted(catalogs.items()):
        for release in releases_of(subdir, catalog):
            groups.setdefault(release.entry.name, []).append(release)
    ordered = sorted(groups, key=lambda name: (name.lower(), name))
    return [Package(name, tuple(sorted(groups[name], key=age))) for name in ordered]


def releases_of(subdir: str, catalog: Catalog) -> Iterator[Release]:
    """The releases of one subdir by file name.  Of two files of the same build only the `.conda` counts."""
    for filename in prefer_conda(catalog.packages):
        yield Release(subdir, filename, catalog.packages[filename])
