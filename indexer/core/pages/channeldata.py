"""`channeldata.json` (CEP 38): for each package the values that are the same in all subdirs, made anew each time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.core.json_form import dump
from indexer.core.pages.packages import last_built_ms, packages_of
from indexer.core.records.about import TRAITS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from indexer.core.pages.catalog import Catalog
    from indexer.core.pages.packages import Package

# Some of these are not in CEP 38 but in conda-index's files: description, doc_source_url, source_git_url, identifiers,
# keywords, tags.
_TEXTS = ("description", "dev_url", "doc_source_url", "doc_url", "home", "license", "summary")
_LISTS = ("identifiers", "keywords", "tags")
_ONE_OR_MORE = ("source_git_url", "source_url")


def encode_channeldata(catalogs: Mapping[str, Catalog]) -> bytes:
    """The content of a `channeldata.json`, from the catalog of each subdir."""
    packages = {package.name: _package(package) for package in packages_of(catalogs)}
    return bytes(dump({"channeldata_version": 1, "packages": packages, "subdirs": sorted(catalogs)}))


def _package(package: Package) -> dict[str, object]:
    """Each text of the newest release that has one; each trait that any release has."""
    releases = package.releases
    traits = {trait for release in releases for trait in release.metadata.traits}
    fields: dict[str, object] = {
        **{trait: trait in traits for trait in TRAITS},
        "run_exports": {r.entry.version: r.metadata.run_exports for r in releases if r.metadata.run_exports},
        "subdirs": package.subdirs,
        "timestamp": last_built_ms(releases) // 1000,
        "version": package.latest.entry.version,
    }
    for field in (*_TEXTS, *_LISTS, *_ONE_OR_MORE):
        if value := package.newest_value(field):
            fields[field] = value[0] if field in _ONE_OR_MORE and len(value) == 1 else value
    return fields
