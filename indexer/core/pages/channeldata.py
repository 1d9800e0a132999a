"""`channeldata.json` (CEP 38): what is the same of a package in all subdirs, made from scratch each time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.core.json_stream import dump
from indexer.core.pages.packages import packages_of
from indexer.core.records.about import TRAITS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from indexer.core.pages.catalog import Catalog
    from indexer.core.pages.packages import Package

# Beyond CEP 38 conda-index has these too: description, doc_source_url, source_git_url, identifiers, keywords, tags.
_TEXTS = ("description", "dev_url", "doc_source_url", "doc_url", "home", "license", "summary")
_LISTS = ("identifiers", "keywords", "tags")
_ONE_OR_MORE = ("source_git_url", "source_url")


def encode_channeldata(catalogs: Mapping[str, Catalog]) -> bytes:
    """The bytes of a `channeldata.json`, from the catalog of each subdir."""
    packages = {package.name: _package(package) for package in packages_of(catalogs)}
    return bytes(dump({"channeldata_version": 1, "packages": packages, "subdirs": sorted(catalogs)}))


def _package(package: Package) -> dict[str, object]:
    """The newest version's words where it has any, else an older one's; a trait that any release has."""
    traits = {trait for release in package.releases for trait in release.about.traits}
    run_exports = {it.entry.version: it.about.run_exports for it in package.releases if it.about.run_exports}
    found: dict[str, object] = {
        **{trait: trait in traits for trait in TRAITS},
        "run_exports": run_exports,
        "subdirs": package.subdirs,
        "timestamp": max(it.entry.built_ms for it in package.releases) // 1000,
        "version": package.latest.entry.version,
    }
    for field in (*_TEXTS, *_LISTS, *_ONE_OR_MORE):
        if value := package.said(field):
            found[field] = value[0] if field in _ONE_OR_MORE and len(value) == 1 else value
    return found
