"""`rss.xml` (RSS 2.0): the newest releases of a channel, for a feed reader."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import format_datetime
from typing import TYPE_CHECKING
from urllib.parse import quote
from xml.etree import ElementTree as ET

from indexer.core.pages.packages import packages_of
from indexer.core.printable import clean
from indexer.core.records.about import link_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from indexer.core.pages.catalog import Catalog
    from indexer.core.pages.packages import Package, Release

_NEWEST = 100


@dataclass(frozen=True, slots=True)
class _News:
    """Builds of one version and build number; `guid` is what a feed reader knows them by."""

    guid: str
    builds: tuple[Release, ...]

    @property
    def indexed_ms(self) -> int:
        return max(it.entry.indexed_ms for it in self.builds)

    @property
    def built_ms(self) -> int:
        return max(it.entry.built_ms for it in self.builds)


def encode_feed(catalogs: Mapping[str, Catalog], title: str, address: str) -> bytes:
    """The bytes of a feed of the newest 100 releases by the time that they came into the channel.

    Of those that came at the same time the one that was built last is the newest.  Builds of one version and build
    number are one item, dated by the newest of them.  `title` names the channel, `address` is its URL: without one
    that a browser can follow, the feed has no link of its own.  Nothing in it is of now: the same channel gives the
    same bytes.
    """
    everything = (news for package in packages_of(catalogs) for news in _news(package))
    newest = heapq.nsmallest(_NEWEST, everything, key=lambda news: (-news.indexed_ms, -news.built_ms, news.guid))
    rss = ET.Element("rss", version="2.0")
    channel = ET.SubElement(rss, "channel")
    _add(channel, "title", title)
    if base := link_of(address).rstrip("/"):
        _add(channel, "link", f"{base}/")
    _add(channel, "description", f"New in the conda channel {title}")
    _add(channel, "generator", "conda-channel-indexer")
    if newest:
        _add(channel, "lastBuildDate", _date(newest[0].indexed_ms))
    for news in newest:
        _item(ET.SubElement(channel, "item"), news, base)
    return b'<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(rss) + b"\n"


def _news(package: Package) -> Iterator[_News]:
    groups: dict[str, list[Release]] = {}
    for release in package.releases:
        entry = release.entry
        groups.setdefault(f"{entry.name}={entry.version}={entry.build_number}", []).append(release)
    return (_News(guid, tuple(builds)) for guid, builds in groups.items())


def _item(item: ET.Element, news: _News, base: str) -> None:
    newest = news.builds[-1]
    subdirs = ", ".join(sorted({it.subdir for it in news.builds}))
    _add(item, "title", f"{newest.entry.name} {newest.entry.version} [{subdirs}]")
    _add(item, "description", newest.about.description or newest.about.summary or "No description.")
    links = (newest.about.home, newest.about.doc_url, newest.about.dev_url, _file_of(newest, base))
    if link := next(filter(None, map(link_of, links)), ""):
        _add(item, "link", link)
    _add(item, "guid", news.guid).set("isPermaLink", "false")
    _add(item, "pubDate", _date(news.indexed_ms))


def _file_of(release: Release, base: str) -> str:
    return f"{base}/{release.subdir}/{quote(clean(release.filename), safe='!+~=')}" if base else ""


def _add(parent: ET.Element, tag: str, text: str) -> ET.Element:
    child = ET.SubElement(parent, tag)
    child.text = clean(text)
    return child


def _date(milliseconds: int) -> str:
    return format_datetime(datetime.fromtimestamp(milliseconds // 1000, tz=timezone.utc), usegmt=True)
