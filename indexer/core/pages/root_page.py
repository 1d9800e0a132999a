"""`index.html` at the root: a row for each package name, which links to the page of the package."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.core import names
from indexer.core.pages.document import Look, Page, channel_address, command, document, feed_link, resources
from indexer.core.pages.packages import file_count, last_indexed_ms, packages_of, releases_of
from indexer.core.pages.safe_html import counts, day, link, minute, page_link, summary, text
from indexer.core.pages.table import Table, links_to_files, table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from indexer.core.model import Outputs
    from indexer.core.pages.catalog import Catalog
    from indexer.core.pages.packages import Package

LOOK = Look(resources("base.css", "table.css"), resources("base.js", "table.js"))
# The columns, and how the script sorts each.  The version of one package says nothing beside that of another one.
_COLUMNS = {"Package": "text", "Version": "", "Platforms": "text", "License": "text", "Updated": "text"}
_FILTERS = {"Platforms": "many", "License": "one"}


def root_page(catalogs: Mapping[str, Catalog], outputs: Outputs) -> bytes:
    """The page of a channel, from the catalog of each subdir."""
    packages = packages_of(catalogs)
    caption = counts(len(packages), file_count(release for package in packages for release in package.releases))
    content = (
        f"<header>\n<h1>{text(outputs.title)}</h1>\n<p>{caption}{_last_update(packages)}\n{_platforms(catalogs)}\n</header>\n"
        f"<main>\n{_how_to_use(outputs)}\n"
        + table(Table("root", _COLUMNS, [_row(package) for package in packages], "Packages", _FILTERS))
        + links_to_files({names.CHANNELDATA: outputs.channeldata, names.RSS: outputs.rss})
        + "\n</main>"
    )
    return document(Page(outputs.title, ".", content, feed_link(".", outputs)), LOOK)


def _last_update(packages: Sequence[Package]) -> str:
    """The time at which the last package came into the channel."""
    last = minute(max((last_indexed_ms(package.releases) for package in packages), default=0))
    return f". Last update {last}" if last else ""


def _platforms(catalogs: Mapping[str, Catalog]) -> str:
    """Links to the pages of the subdirs, each with its counts."""
    items = []
    for subdir, catalog in sorted(catalogs.items()):
        releases = list(releases_of(subdir, catalog))
        counted = counts(len({release.entry.name for release in releases}), file_count(releases))
        items.append(f"<li>{link(f'{subdir}/{names.INDEX_HTML}', subdir)} <small>{counted}</small>")
    return f"<nav aria-label=Platforms><ul>{''.join(items)}</ul></nav>"


def _how_to_use(outputs: Outputs) -> str:
    address = channel_address(outputs)
    commands = command("pixi", f"pixi workspace channel add {address}")
    commands += command("conda", f"conda config --append channels {address}")
    return f"<details class=use><summary>Use this channel</summary>{commands}</details>"


def _row(package: Package) -> str:
    cells = (
        f"{page_link(package.name, f'{names.PAGES_FOLDER}/')}{summary(str(package.newest_value('summary')))}",
        text(package.latest.entry.version),
        text(", ".join(package.subdirs)),
        text(str(package.newest_value("license"))),
        day(last_indexed_ms(package.releases)),
    )
    return "<td>".join(cells)
