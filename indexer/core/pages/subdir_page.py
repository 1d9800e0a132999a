"""`index.html` of a subdir: a row for each package file, and the files that were removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.core import names
from indexer.core.pages.document import Look, Page, document, feed_link, resources
from indexer.core.pages.packages import file_count, releases_of
from indexer.core.pages.safe_html import counts, day, download, downloads, page_link, removed_files, size, text
from indexer.core.pages.table import Table, links_to_files, table
from indexer.core.specs.version import ranks_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from indexer.core.model import Outputs
    from indexer.core.pages.catalog import Catalog
    from indexer.core.pages.packages import Release

LOOK = Look(resources("base.css", "table.css"), resources("table.js"))
_COLUMNS = {
    "File": "text",
    "Package": "text",
    "Version": "number",
    "License": "text",
    "Size": "number",
    "Updated": "text",
}
_FILTERS = {"License": "one"}


def subdir_page(subdir: str, catalog: Catalog, outputs: Outputs) -> bytes:
    """The page of a subdir, from its catalog."""
    releases = list(releases_of(subdir, catalog))
    ranks = ranks_of(release.entry.version for release in releases)
    folder = downloads(subdir, outputs, "./")
    caption = counts(len({release.entry.name for release in releases}), file_count(releases))
    files = {
        names.REPODATA: outputs.monolithic,
        names.REPODATA_ZST: outputs.monolithic and outputs.zst,
        names.SHARD_INDEX: outputs.shards,
        names.RUN_EXPORTS: outputs.run_exports,
        names.CURRENT: outputs.current_repodata,
    }
    title = f"{outputs.title} / {subdir}"
    rows = [row for release in releases for row in _rows(release, folder, ranks)]
    content = (
        f'<header>\n<nav><a href="../{names.INDEX_HTML}">{text(outputs.title)}</a></nav>\n'
        f"<h1>{text(title)}</h1>\n<p>{caption}\n</header>\n<main>\n"
        + table(Table("subdir", _COLUMNS, rows, "Files", _FILTERS))
        + removed_files([*catalog.removed.items()])
        + links_to_files(files)
        + "\n</main>"
    )
    return document(Page(title, "..", content, feed_link("..", outputs)), LOOK)


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
