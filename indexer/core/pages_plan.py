"""Which pages of packages a run has to write and to delete."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from indexer.core import names
from indexer.core.artifact import Artifact, Rank, mutable, with_digest
from indexer.core.pages.dependencies import names_in
from indexer.core.pages.packages import known_packages
from indexer.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from indexer.core.model import ETag, Outputs
    from indexer.core.pages.catalog import Catalog
    from indexer.core.pages.packages import Package
    from indexer.core.pages.pages_state import PagesFound

# A digest of 64 bits.  If two sources of one package share it, the page of this package is out of date, no other one.
_DIGITS = 16


class WantedPages(Value, frozen=True):
    """The packages that have a page, by name, and a digest of all that each page is made from.

    `indexed` has the names of those that are in the index: other pages link to their pages.
    """

    outputs: Outputs
    packages: Mapping[str, Package]
    indexed: frozenset[str]
    sources: Mapping[str, str]

    def make(self, name: str) -> Artifact:
        """The page of a package."""
        from indexer.core.pages.package_page import PackagePage  # its style and script are read as it is imported

        package = self.packages[name]
        content = PackagePage(package, names_in(package) & self.indexed, self.outputs).encode()
        headers = mutable(self.outputs, "text/html; charset=utf-8")
        page = with_digest(Artifact(f"{names.page_key(name)}", Rank.DERIVED, content, headers=headers))
        return msgspec.structs.replace(page, digest=page.digest[:_DIGITS])


class PagesPlan(Value, frozen=True):
    """The pages that are wanted and found, the names of those to `write`, and the ETags of those to `delete`."""

    wanted: WantedPages
    found: PagesFound
    write: tuple[str, ...]
    delete: Mapping[str, ETag]

    @property
    def files(self) -> set[tuple[str, bool]]:
        """The keys of the pages to write (true) and of those to delete (false)."""
        written = {(f"{names.page_key(name)}", True) for name in self.write}
        return written | {(f"{names.page_key(name)}", False) for name in self.delete}


def wanted_pages(catalogs: Mapping[str, Catalog], outputs: Outputs, fingerprint: str) -> WantedPages:
    """The pages of a channel, none if they are switched off.

    `fingerprint` is a digest of the options and the release, on which the bytes of a page depend too.
    """
    known = known_packages(catalogs) if outputs.html else []
    packages = {package.name: package for package in known if names.page_key(package.name)}
    indexed = frozenset(name for name, package in packages.items() if package.releases)
    sources = {name: _source(package, indexed, fingerprint) for name, package in packages.items()}
    return WantedPages(outputs, packages, indexed, sources)


def _source(package: Package, indexed: frozenset[str], fingerprint: str) -> str:
    content = (fingerprint, package, sorted(names_in(package) & indexed))
    return hashlib.sha256(msgspec.json.encode(content, order="deterministic")).hexdigest()[:_DIGITS]


def plan_pages(wanted: WantedPages, found: PagesFound, ours: Mapping[str, ETag]) -> PagesPlan:
    """What is to be done.  `ours` has those of the other pages that are not wanted and that we made."""
    known = found.known
    write = [name for name, source in wanted.sources.items() if name not in known or known[name].source != source]
    gone = {name: page.etag for name, page in known.items() if name not in wanted.sources}
    return PagesPlan(wanted, found, tuple(write), {**gone, **ours})
