"""`index.html` of a subdir: a row for each package file, and the files that were removed.

A large subdir has a row for each package name, which links to the page with its files: a browser takes long for a table
of a hundred thousand rows, and each run that adds a package would write it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.core import names
from indexer.core.pages.document import Look, Page, document, feed_link, resources
from indexer.core.pages.packages import file_count, last_indexed_ms, packages_of, releases_of
from indexer.core.pages.safe_html import counts, day, download, downloads, page_link, removed_files, size, summary, text
from indexer.core.pages.table import Table, links_to_files, table
from indexer.core.specs.version import ranks_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from indexer.core.model import Outputs
    from indexer.core.pages.catalog import Catalog
    from indexer.core.pages.packages import Package, Release

LOOK = Look(resources("base.css", "table.css"), resources("table.js"))
_COLUMNS = {
    "File": "text",
    "Package": "text",
    "Version": "number",
    "License": "text",
    "Size": "number",
    "Updated": "text",
}
_COLUMNS_OF_NAMES = {"Package": "text", "Version": "", "Files": "number", "License": "text", "Updated": "text"}
_FILTERS = {"License": "one"}
# The page has 3 MB then.
_MOST_FILES = 10_000


def subdir_page(subdir: str, catalog: Catalog, outputs: Outputs) -> bytes:
    """The page of a subdir, from its catalog."""
    releases = list(releases_of(subdir, catalog))
    is_large = file_count(releases) > _MOST_FILES
    folder = downloads(subdir, outputs, "./")
    shown = _names(subdir, catalog, folder) if is_large else _files(releases, folder)
    caption = counts(len({release.entry.name for release in releases}), file_count(releases))
    files = {
        names.REPODATA: outputs.monolithic,
        names.REPODATA_ZST: outputs.monolithic and outputs.zst,
        names.SHARD_INDEX: outputs.shards,
        names.RUN_EXPORTS: outputs.run_exports,
        names.CURRENT: outputs.current_repodata,
    }
    title = f"{outputs.title} / {subdir}"
    content = (
        f'<header>\n<nav><a href="../{names.INDEX_HTML}">{text(outputs.title)}</a></nav>\n'
        f"<h1>{text(title)}</h1>\n<p>{caption}\n</header>\n<main>\n"
        + table(shown)
        + removed_files([*catalog.removed.items()])
        + links_to_files(files)
        + "\n</main>"
    )
    return document(Page(title, "..", content, feed_link("..", outputs)), LOOK)


def _files(releases: Sequence[Release], folder: str) -> Table:
    """A table with a row for each file, which is in a `folder`."""
    ranks = ranks_of(release.entry.version for release in releases)
    rows = [row for release in releases for row in _rows(release, folder, ranks)]
    return Table("subdir", _COLUMNS, rows, "Files", _FILTERS)


def _names(subdir: str, catalog: Catalog, folder: str) -> Table:
    """A table with a row for each package name, with the files in a `folder` if the name has no page."""
    rows = [_row_of_name(package, folder) for package in packages_of({subdir: catalog})]
    return Table("root", _COLUMNS_OF_NAMES, rows, "Packages", _FILTERS)


def _row_of_name(package: Package, folder: str) -> str:
    files = file_count(package.releases)
    has_page = names.page_key(package.name) is not None
    links = (
        [] if has_page else [download(folder, filename) for release in package.releases for filename in release.files]
    )
    cells = (
        page_link(package.name, f"../{names.PAGES_FOLDER}/")
        + summary(str(package.newest_value("summary")))
        + "".join(f"<p>{link}" for link in links),
        text(package.latest.entry.version),
        f"<data value={files}>{files:,}</data>",
        text(str(package.newest_value("license"))),
        day(last_indexed_ms(package.releases)),
    )
    return "<td>".join(cells)


def _rows(release: Release, folder: str, ranks: Mapping[str, int]) -> Iterator[str]:
    for filename, entry in release.files.items():
        yield "<td>".join(
            (
                download(folder, filename),
                page_link(release.entry.name, f"../{names.PAGES_FOLDER}/"),
                f"<data value={ranks[release.entry.version]}>{text(entry.version)}</data>",
                text(release.license),
                size(entry.size),
                day(entry.indexed_ms),
            )
        )
