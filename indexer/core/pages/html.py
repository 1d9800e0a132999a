"""`index.html`: the page of a channel or of a subdir; all texts of packages are escaped."""

from __future__ import annotations

import base64
import hashlib
import html
import itertools
import pkgutil
from datetime import datetime, timezone
from string import Template
from typing import TYPE_CHECKING
from urllib.parse import quote

from indexer.core import names
from indexer.core.amounts import counted, size_in_words
from indexer.core.pages.packages import last_built_ms, last_indexed_ms, packages_of, releases_of
from indexer.core.printable import clean
from indexer.core.records.about import link_of
from indexer.core.specs.version import order_of
from indexer.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from indexer.core.model import Outputs
    from indexer.core.pages.catalog import Catalog
    from indexer.core.pages.packages import Package, Release


def _resource(name: str) -> str:
    return (pkgutil.get_data(__package__, name) or b"").decode()


# A page has its style and its script inside and loads nothing else; its policy allows the two by their digests.
STYLE = _resource("page.css")
SCRIPT = _resource("page.js")
_TEMPLATE = Template(_resource("page.html"))
_UNKNOWN_ADDRESS = "THE-ADDRESS-OF-THIS-CHANNEL"
_SUMMARY_LENGTH = 300

# The columns of the two tables, and how the script sorts each.
_ROOT_COLUMNS = {
    "Package": "text",
    "Version": "number",
    "Platforms": "text",
    "License": "text",
    "Size": "number",
    "Updated": "text",
    "Links": "",
}
_SUBDIR_COLUMNS = {
    "File": "text",
    "Version": "number",
    "Build": "text",
    "License": "text",
    "Size": "number",
    "Updated": "text",
}


class _Page(Value, frozen=True):
    """The differences between the page of a channel and that of a subdir; texts are HTML, except for the title."""

    kind: str
    title: str
    root: str
    intro: str
    columns: Mapping[str, str]
    rows: Sequence[str]
    caption: str
    after: str


def root_page(catalogs: Mapping[str, Catalog], outputs: Outputs) -> bytes:
    """The page of a channel: a row for each package name, from the catalog of each subdir."""
    packages = packages_of(catalogs)
    ranks = _ranks(version for package in packages for version in package.versions)
    same_day = _is_one_day(last_indexed_ms(package.releases) for package in packages)
    subdirs = "".join(
        f"<li><a href={_quoted(f'{subdir}/{names.INDEX_HTML}')}>{_text(subdir)}</a> "
        f"<small>{counted(len(list(releases_of(subdir, catalog))), 'package file')}</small>"
        for subdir, catalog in sorted(catalogs.items())
    )
    page = _Page(
        kind="root",
        title=outputs.title,
        root=".",
        intro=f"<nav aria-label=Platforms><ul>{subdirs}</ul></nav>",
        columns=_ROOT_COLUMNS,
        rows=[_package_row(package, ranks, same_day=same_day) for package in packages],
        caption=counted(len(packages), "package"),
        after=_links_to_files({names.CHANNELDATA: outputs.channeldata, names.RSS: outputs.rss}),
    )
    return _document(page, outputs)


def subdir_page(subdir: str, catalog: Catalog, outputs: Outputs) -> bytes:
    """The page of a subdir: a row for each file, and the packages that were removed."""
    releases = list(releases_of(subdir, catalog))
    ranks = _ranks(release.entry.version for release in releases)
    same_day = _is_one_day(release.entry.indexed_ms for release in releases)
    base = link_of(outputs.base_url or "")
    folder = f"{base.rstrip('/')}/{subdir}/" if base and not outputs.base_url_verbatim else "./"
    files = {
        names.REPODATA: outputs.monolithic,
        names.REPODATA_ZST: outputs.monolithic and outputs.zst,
        names.SHARD_INDEX: outputs.shards,
        names.RUN_EXPORTS: outputs.run_exports,
        names.CURRENT: outputs.current_repodata,
    }
    page = _Page(
        kind="subdir",
        title=f"{outputs.title} / {subdir}",
        root="..",
        intro=f'<nav aria-label=Channel><ul><li><a href="../{names.INDEX_HTML}">All platforms</a></ul></nav>',
        columns=_SUBDIR_COLUMNS,
        rows=[_release_row(release, folder, ranks, same_day=same_day) for release in releases],
        caption=counted(len(releases), "package file"),
        after=_removed_files(catalog.removed) + _links_to_files(files),
    )
    return _document(page, outputs)


def _removed_files(reasons: Mapping[str, str]) -> str:
    """The list of packages that were removed, with reasons."""
    if not reasons:
        return ""
    items = "".join(
        f"<li>{_text(filename)}" + (f": {_text(reason)}" if reason else "") for filename, reason in reasons.items()
    )
    summary = f"{counted(len(reasons), 'file')} taken out (yanked)"
    return f"<details><summary>{summary}</summary><ul>{items}</ul></details>"


def _ranks(versions: Iterable[str]) -> dict[str, int]:
    """The position of each version in the order of all versions, by which the script sorts; 1.0 and 1.0.0 share one."""
    groups = itertools.groupby(sorted(sorted(set(versions)), key=order_of), key=order_of)
    return {version: rank for rank, (_, group) in enumerate(groups) for version in group}


def _document(page: _Page, outputs: Outputs) -> bytes:
    feed = f'<link rel=alternate type="application/rss+xml" title="New releases" href="{page.root}/{names.RSS}">'
    columns = (
        f"<th scope=col{f' data-sort={sort}' if sort else ''}>{_text(title)}" for title, sort in page.columns.items()
    )
    return _TEMPLATE.substitute(
        style=STYLE,
        style_digest=_digest(STYLE),
        script=SCRIPT,
        script_digest=_digest(SCRIPT),
        title=_text(page.title),
        feed=feed if outputs.rss else "",
        root=page.root,
        intro=page.intro,
        url=_text(outputs.address or _UNKNOWN_ADDRESS),
        kind=page.kind,
        caption=page.caption,
        columns="".join(columns),
        rows="\n".join(page.rows),
        after=page.after,
    ).encode()


def _digest(source: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"


def _package_row(package: Package, ranks: Mapping[str, int], *, same_day: bool) -> str:
    entry = package.latest.entry
    older = len(package.versions) - 1
    links = [
        f"<a href={_quoted(link)}>{word}</a>"
        for word, field in (("Home", "home"), ("Docs", "doc_url"), ("Code", "dev_url"))
        if (link := link_of(str(package.newest_value(field))))
    ]
    cells = (
        f"{_link_to_row(package.name, package.name)}{_summary(str(package.newest_value('summary')))}",
        f"<data value={ranks[entry.version]}>{_text(entry.version)}</data>"
        + (f" <small>+{older} older</small>" if older else ""),
        _text(", ".join(package.subdirs)),
        _text(str(package.newest_value("license"))),
        _size(entry.size),
        _updated(last_built_ms(package.releases), last_indexed_ms(package.releases), same_day=same_day),
        " ".join(links),
    )
    return _row(package.name, package.name, cells)


def _release_row(release: Release, folder: str, ranks: Mapping[str, int], *, same_day: bool) -> str:
    entry, filename = release.entry, release.filename
    href = folder + quote(clean(filename), safe="!+~=")
    cells = (
        f"<a href={_quoted(href)}>{_text(filename)}</a>{_summary(release.metadata.summary)}",
        f"<data value={ranks[entry.version]}>{_text(entry.version)}</data>",
        _link_to_row(filename, entry.build),
        _text(release.license),
        _size(entry.size),
        _updated(entry.built_ms, entry.indexed_ms, same_day=same_day),
    )
    return _row(filename, f"{entry.name}={entry.version}={entry.build}", cells)


def _row(key: str, spec: str, cells: Iterable[str]) -> str:
    """A table row of HTML cells, without end tags: HTML allows that, and a page can have twenty thousand rows."""
    return f"<tr id={_quoted(_id(key))} data-spec={_quoted(spec)}><td>" + "<td>".join(cells)


def _id(key: str) -> str:
    # With a prefix: scripts in a browser see elements as variables with the names of their ids.
    return f"p-{clean(key)}"


def _link_to_row(key: str, text: str) -> str:
    return f"<a href={_quoted('#' + quote(_id(key)))}>{_text(text)}</a>"


def _summary(summary: str) -> str:
    text = clean(summary)
    short = text if len(text) <= _SUMMARY_LENGTH else f"{text[:_SUMMARY_LENGTH]}…"
    return f"<p>{html.escape(short)}" if short else ""


def _links_to_files(files: Mapping[str, bool]) -> str:
    """Links to those of the files that are published."""
    links = "".join(
        f"<li><a href={_quoted(f'./{name}')}>{_text(name)}</a>" for name, published in files.items() if published
    )
    return f"<footer class=soft><ul class=files>{links}</ul></footer>" if links else ""


def _text(text: str) -> str:
    return html.escape(clean(text))


def _quoted(value: str) -> str:
    return f'"{_text(value)}"'


def _size(size: int) -> str:
    return f"<data value={size}>{size_in_words(size)}</data>"


def _is_one_day(times_ms: Iterable[int]) -> bool:
    """Whether several times are on one day, as after a first index: then the day is no information."""
    days = [_day(time_ms) for time_ms in times_ms]
    return len(days) > 1 and len(set(days)) == 1


def _updated(built_ms: int, indexed_ms: int, *, same_day: bool) -> str:
    """The day of the build, and the day of the publication if it is another one and not the `same_day` for all."""
    built, published = _day(built_ms), _day(indexed_ms)
    if not built or same_day or built == published:
        return built or published
    return f"{built} <small>published {published}</small>"


def _day(milliseconds: int) -> str:
    if not milliseconds:
        return ""
    day = datetime.fromtimestamp(milliseconds // 1000, tz=timezone.utc).strftime("%Y-%m-%d")
    return f"<time>{day}</time>"
