"""`rss.xml` (RSS 2.0): the newest releases of a channel, for a feed reader."""

from __future__ import annotations

import heapq
from datetime import datetime, timezone
from email.utils import format_datetime
from typing import TYPE_CHECKING
from urllib.parse import quote
from xml.etree import ElementTree as ET

from indexer.core.pages.packages import last_built_ms, last_indexed_ms, packages_of
from indexer.core.printable import clean
from indexer.core.records.about import link_of
from indexer.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from indexer.core.pages.catalog import Catalog
    from indexer.core.pages.packages import Package, Release

_MAX_ITEMS = 100


class _Item(Value, frozen=True):
    """The builds of one version and build number; feed readers recognize the item by its `guid`."""

    guid: str
    builds: tuple[Release, ...]


def encode_feed(catalogs: Mapping[str, Catalog], title: str, address: str) -> bytes:
    """The content of a feed of the 100 newest releases by the time that they came into the channel.

    Releases of the same time are sorted by the time of their build.  All builds of one version and build number are
    one item with the date of the newest build.  `title` is the name of the channel, `address` its URL: if it is not a
    URL that a browser can open, the feed has no link of its own.  The same channel makes the same bytes at any time.
    """
    items = (item for package in packages_of(catalogs) for item in _items(package))
    newest = heapq.nsmallest(
        _MAX_ITEMS, items, key=lambda item: (-last_indexed_ms(item.builds), -last_built_ms(item.builds), item.guid)
    )
    rss = ET.Element("rss", version="2.0")
    channel = ET.SubElement(rss, "channel")
    _add(channel, "title", title)
    if base := link_of(address).rstrip("/"):
        _add(channel, "link", f"{base}/")
    _add(channel, "description", f"New in the conda channel {title}")
    _add(channel, "generator", "conda-channel-indexer")
    if newest:
        _add(channel, "lastBuildDate", _date(last_indexed_ms(newest[0].builds)))
    for item in newest:
        _add_item(channel, item, base)
    return b'<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(rss) + b"\n"


def _items(package: Package) -> Iterator[_Item]:
    groups: dict[str, list[Release]] = {}
    for release in package.releases:
        entry = release.entry
        groups.setdefault(f"{entry.name}={entry.version}={entry.build_number}", []).append(release)
    return (_Item(guid, tuple(builds)) for guid, builds in groups.items())


def _add_item(channel: ET.Element, item: _Item, base: str) -> None:
    element = ET.SubElement(channel, "item")
    newest = item.builds[-1]
    metadata = newest.metadata
    subdirs = ", ".join(sorted({release.subdir for release in item.builds}))
    _add(element, "title", f"{newest.entry.name} {newest.entry.version} [{subdirs}]")
    _add(element, "description", metadata.description or metadata.summary or "No description.")
    links = (metadata.home, metadata.doc_url, metadata.dev_url, _url_of(newest, base))
    if link := next(filter(None, map(link_of, links)), ""):
        _add(element, "link", link)
    _add(element, "guid", item.guid).set("isPermaLink", "false")
    _add(element, "pubDate", _date(last_indexed_ms(item.builds)))


def _url_of(release: Release, base: str) -> str:
    return f"{base}/{release.subdir}/{quote(clean(release.filename), safe='!+~=')}" if base else ""


def _add(parent: ET.Element, tag: str, text: str) -> ET.Element:
    child = ET.SubElement(parent, tag)
    child.text = clean(text)
    return child


def _date(milliseconds: int) -> str:
    return format_datetime(datetime.fromtimestamp(milliseconds // 1000, tz=timezone.utc), usegmt=True)
