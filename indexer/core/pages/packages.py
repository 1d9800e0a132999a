"""The packages of a channel over all its subdirs, by name: what a person sees first."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from indexer.core.metadata import Metadata
from indexer.core.names import CONDA, TAR_BZ2
from indexer.core.specs.version import order_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from indexer.core.pages.catalog import Catalog, Entry

_NOTHING = Metadata()


@dataclass(frozen=True, slots=True)
class Release:
    """One package file, and the subdir it lies in."""

    subdir: str
    filename: str
    entry: Entry

    @property
    def about(self) -> Metadata:
        """What it says of itself, nothing where that is not known."""
        return self.entry.about or _NOTHING

    @property
    def license(self) -> str:
        """Its licence by its record, which may have been mended, else by its own words."""
        return self.entry.license or self.about.license


@dataclass(frozen=True, slots=True)
class Package:
    """All releases of one name, the newest version last, of one version the one built last."""

    name: str
    releases: tuple[Release, ...]

    @property
    def latest(self) -> Release:
        """The newest."""
        return self.releases[-1]

    @property
    def subdirs(self) -> list[str]:
        """Where it is to be had."""
        return sorted({it.subdir for it in self.releases})

    @property
    def versions(self) -> list[str]:
        """Its versions, the newest first."""
        return list(dict.fromkeys(it.entry.version for it in reversed(self.releases)))

    def said(self, field: str) -> str | tuple[str, ...]:
        """What the newest release says that says anything: a field of `Metadata`, or its `license`."""
        for release in reversed(self.releases):
            value: str | tuple[str, ...] = getattr(release if field == "license" else release.about, field)
            if value:
                return value
        return ""


def packages_of(catalogs: Mapping[str, Catalog]) -> list[Package]:
    """Every package of a channel, by name.  Of two files with the same stem the `.conda` counts."""
    order = functools.cache(order_of)

    def age(it: Release) -> tuple[object, ...]:
        return order(it.entry.version), it.entry.built_ms, it.entry.build_number, it.subdir, it.filename

    groups: dict[str, list[Release]] = {}
    for subdir, catalog in sorted(catalogs.items()):
        for release in releases_of(subdir, catalog):
            groups.setdefault(release.entry.name, []).append(release)
    return [Package(name, tuple(sorted(groups[name], key=age))) for name in sorted(groups, key=_as_read)]


def _as_read(name: str) -> tuple[str, str]:
    return name.lower(), name


def releases_of(subdir: str, catalog: Catalog) -> Iterator[Release]:
    """The releases of one subdir by file name, of two with the same stem the `.conda`: both pages count these."""
    for filename in _without_twins(catalog.packages):
        yield Release(subdir, filename, catalog.packages[filename])


def _without_twins(filenames: Iterable[str]) -> list[str]:
    twins = {filename.removesuffix(CONDA) + TAR_BZ2 for filename in filenames if filename.endswith(CONDA)}
    return sorted(filename for filename in filenames if filename not in twins)
