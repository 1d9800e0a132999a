"""`index.html`: a channel or a subdir for people to look at; all it shows of packages is escaped."""

from __future__ import annotations

import base64
import hashlib
import html
import itertools
import pkgutil
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING
from urllib.parse import quote

from indexer.core import names
from indexer.core.amounts import counted, size_in_words
from indexer.core.pages.packages import packages_of, releases_of
from indexer.core.printable import clean
from indexer.core.records.about import link_of
from indexer.core.specs.version import order_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from indexer.core.model import Outputs
    from indexer.core.pages.catalog import Catalog
from indexer.core.pages.packages import Package, Release

# The page has both inside, asks for nothing else, and its policy names them by their digest.
STYLE = (pkgutil.get_data(__package__, "page.css") or b"").decode()
SCRIPT = (pkgutil.get_data(__package__, "page.js") or b"").decode()
_ANYWHERE = "THE-ADDRESS-OF-THIS-CHANNEL"
_SUMMARY_LENGTH = 300


@dataclass(frozen=True, slots=True)
class _Page:
    """What differs between the page of a channel and that of a subdir."""

    kind: str
    title: str
    root: str
    intro: str
    heads: Sequence[tuple[str, str]]
    rows: Sequence[str]
    caption: str
    after: str = ""


def root_page(catalogs: Mapping[str, Catalog], outputs: Outputs) -> bytes:
    """The page of a channel: a row for each package name, from the catalog of each subdir."""
    packages = packages_of(catalogs)
    ranks = _ranks(version for package in packages for version in package.versions)
    alike = _alike(_published(package.releases) for package in packages)
    subdirs = "".join(
        f"<li><a href={_quoted(f'{subdir}/{names.PAGE}')}>{_text(subdir)}</a> "
        f"<small>{counted(len(list(releases_of(subdir, catalog))), 'package file')}</small>"
        for subdir, catalog in sorted(catalogs.items())
    )
    files = [name for name, wanted in ((names.CHANNELDATA, outputs.channeldata), (names.RSS, outputs.rss)) if wanted]
    page = _Page(
        "root",
        outputs.title,
        ".",
        f"<nav aria-label=Platforms><ul>{subdirs}</ul></nav>",
        (
            ("Package", "text"),
            ("Version", "number"),
            ("Platforms", "text"),
            ("License", "text"),
            ("Size", "number"),
            ("Updated", "text"),
            ("Links", ""),
        ),
        [_package_row(package, ranks, alike=alike) for package in packages],
        f"{counted(len(packages), 'package')}",
        _files(files),
    )
    return _document(page, outputs)


def subdir_page(subdir: str, catalog: Catalog, outputs: Outputs) -> bytes:
    """The page of a subdir: a row for each file, and what was taken out."""
    releases = list(releases_of(subdir, catalog))
    ranks = _ranks(it.entry.version for it in releases)
    alike = _alike(it.entry.indexed_ms for it in releases)
    base = link_of(outputs.base_url or "")
    folder = f"{base.rstrip('/')}/{subdir}/" if base and not outputs.base_url_verbatim else "./"
    taken_out = "".join(
        f"<li>{_text(filename)}" + (f": {_text(reason)}" if reason else "")
        for filename, reason in catalog.removed.items()
    )
    files = [
        (names.REPODATA, outputs.monolithic),
        (names.REPODATA_ZST, outputs.monolithic and outputs.zst),
        (names.SHARD_INDEX, outputs.shards),
        (names.RUN_EXPORTS, outputs.run_exports),
        (names.CURRENT, outputs.current_repodata),
    ]
    page = _Page(
        "subdir",
        f"{outputs.title} / {subdir}",
        "..",
        f'<nav aria-label=Channel><ul><li><a href="../{names.PAGE}">All platforms</a></ul></nav>',
        (
            ("File", "text"),
            ("Version", "number"),
            ("Build", "text"),
            ("License", "text"),
            ("Size", "number"),
            ("Updated", "text"),
        ),
        [_release_row(release, folder, ranks, alike=alike) for release in releases],
        f"{counted(len(releases), 'package file')}",
        (
            f"<details><summary>{counted(len(catalog.removed), 'file')} taken out (yanked)</summary>"
            f"<ul>{taken_out}</ul></details>"
            if taken_out
            else ""
        )
        + _files([name for name, wanted in files if wanted]),
    )
    return _document(page, outputs)


def _ranks(versions: Iterable[str]) -> dict[str, int]:
    """The place of each version in the order of all of them, the same for 1.0 and 1.0.0: what a script sorts by."""
    groups = itertools.groupby(sorted(sorted(set(versions)), key=order_of), key=order_of)
    return {version: rank for rank, (_, group) in enumerate(groups) for version in group}


def _document(page: _Page, outputs: Outputs) -> bytes:
    heads = "".join(f"<th scope=col{f' data-sort={sort}' if sort else ''}>{_text(head)}" for head, sort in page.heads)
    feed = (
        f'<link rel=alternate type="application/rss+xml" title="New releases" href="{page.root}/{names.RSS}">'
        if outputs.rss
        else ""
    )
    table = f"<thead><tr>{heads}</thead>\n<tbody>\n" + "\n".join(page.rows) + "\n</tbody>"
    return f"""<!doctype html>
<html lang=en>
<meta charset=utf-8>
<meta http-equiv=Content-Security-Policy content="default-src 'none'; style-src {_digest(STYLE)}; \
script-src {_digest(SCRIPT)}; base-uri 'none'; form-action 'none'">
<meta name=viewport content="width=device-width, initial-scale=1">
<meta name=generator content=conda-channel-indexer>
<title>{_text(page.title)}</title>
{feed}<style>{STYLE}</style>
<body data-root={_quoted(page.root)}>
<header>
<h1>{_text(page.title)}</h1>
{page.intro}
</header>
<main>
{_install(outputs)}
<div class=find role=search hidden>
<label for=find>Search</label>
<input id=find type=search autocomplete=off spellcheck=false placeholder="a name, a license, a word of the summary">
<output for=find></output>
</div>
<table class={page.kind}>
<caption>{page.caption}</caption>
{table}
</table>
{page.after}
</main>
<script>{SCRIPT}</script>
""".encode()


def _digest(source: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"


def _install(outputs: Outputs) -> str:
    url = f"<span class=url>{_text(outputs.address or _ANYWHERE)}</span>"
    name = "<span class=name>NAME</span>"
    tools = {
        "pixi": f"pixi workspace channel add {url}\npixi add {name}",
        "conda": f"conda install -c {url} {name}",
        "mamba": f"mamba install -c {url} {name}",
    }
    ways = "".join(f"<div><h2>{tool}</h2><pre data-tool={tool}>{lines}</pre></div>" for tool, lines in tools.items())
    return (
        "<details class=install><summary>How to install</summary>"
        "<p class=pick>NAME is the package: follow its name below to put it in here.</p>"
        f"<div class=ways>{ways}</div></details>"
    )


def _package_row(package: Package, ranks: Mapping[str, int], *, alike: bool) -> str:
    entry = package.latest.entry
    more = len(package.versions) - 1
    links = [
        f"<a href={_quoted(link)}>{word}</a>"
        for word, field in (("Home", "home"), ("Docs", "doc_url"), ("Code", "dev_url"))
        if (link := link_of(str(package.said(field))))
    ]
    cells = (
        f"{_target(package.name, package.name)}{_summary(str(package.said('summary')))}",
        f"<data value={ranks[entry.version]}>{_text(entry.version)}</data>"
        + (f" <small>+{more} older</small>" if more else ""),
        _text(", ".join(package.subdirs)),
        _text(str(package.said("license"))),
        _size(entry.size),
        _updated(max(it.entry.built_ms for it in package.releases), _published(package.releases), alike=alike),
        " ".join(links),
    )
    return _row(package.name, package.name, cells)


def _release_row(release: Release, folder: str, ranks: Mapping[str, int], *, alike: bool) -> str:
    entry, filename = release.entry, release.filename
    href = folder + quote(clean(filename), safe="!+~=")
    cells = (
        f"<a href={_quoted(href)}>{_text(filename)}</a>{_summary(release.about.summary)}",
        f"<data value={ranks[entry.version]}>{_text(entry.version)}</data>",
        _target(filename, entry.build),
        _text(release.license),
        _size(entry.size),
        _updated(entry.built_ms, entry.indexed_ms, alike=alike),
    )
    return _row(filename, f"{entry.name}={entry.version}={entry.build}", cells)


def _row(key: str, spec: str, cells: Iterable[str]) -> str:
    """A row of cells that are HTML already; ends of cells may be left out, and twenty thousand rows count."""
    return f"<tr id={_quoted(_id(key))} data-spec={_quoted(spec)}><td>" + "<td>".join(cells)


def _id(key: str) -> str:
    # Not the bare name: scripts of browsers find elements by their ids as variables.
    return f"p-{clean(key)}"


def _target(key: str, shown: str) -> str:
    return f"<a href={_quoted('#' + quote(_id(key)))}>{_text(shown)}</a>"


def _summary(summary: str) -> str:
    text = clean(summary)
    short = text if len(text) <= _SUMMARY_LENGTH else f"{text[:_SUMMARY_LENGTH]}…"
    return f"<p>{html.escape(short)}" if short else ""


def _files(filenames: Sequence[str]) -> str:
    links = "".join(f"<li><a href={_quoted(f'./{name}')}>{_text(name)}</a>" for name in filenames)
    return f"<footer class=soft><ul class=files>{links}</ul></footer>" if links else ""


def _text(text: str) -> str:
    return html.escape(clean(text))


def _quoted(value: str) -> str:
    return f'"{_text(value)}"'


def _size(size: int) -> str:
    return f"<data value={size}>{size_in_words(size)}</data>"


def _published(releases: Iterable[Release]) -> int:
    """When the last of some releases came into the channel."""
    return max(it.entry.indexed_ms for it in releases)


def _alike(dates: Iterable[int]) -> bool:
    """Whether several packages came on one day, as all do in a first index: then the day tells nothing."""
    days = [_day(date) for date in dates]
    return len(days) > 1 and len(set(days)) == 1


def _updated(built_ms: int, published_ms: int, *, alike: bool) -> str:
    """The day of the build, and that of the publication if it is another one and not `alike` for all packages."""
    built, published = _day(built_ms), _day(published_ms)
    if not built or alike or built == published:
        return built or published
    return f"{built} <small>published {published}</small>"


def _day(milliseconds: int) -> str:
    if not milliseconds:
        return ""
    day = datetime.fromtimestamp(milliseconds // 1000, tz=timezone.utc).strftime("%Y-%m-%d")
    return f"<time>{day}</time>"
