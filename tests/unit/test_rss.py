"""`rss.xml`: valid for feed readers with any text of a package; the same channel makes the same bytes."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Any
from xml.etree import ElementTree as ET

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.core.metadata import Metadata
from indexer.core.pages.catalog import Catalog, Entry
from indexer.core.pages.rss import encode_feed

DAY_MS = 86_400_000


def entry(name: str, version: str, day: int, number: int = 0, **about: Any) -> Entry:
    return Entry(name, version, str(number), number, indexed_timestamp=day * DAY_MS, metadata=Metadata(**about))


def channel(**subdirs: dict[str, Entry]) -> ET.Element:
    catalogs = {name.replace("_", "-"): Catalog(packages) for name, packages in subdirs.items()}
    result = ET.fromstring(encode_feed(catalogs, "reeds", "https://reeds.example/"))
    assert (result.tag, result.attrib) == ("rss", {"version": "2.0"})
    return result[0]


def texts(parent: ET.Element, path: str) -> list[str]:
    return [item.text or "" for item in parent.findall(path)]


def test_the_newest_come_first_and_there_are_at_most_a_hundred() -> None:
    result = channel(noarch={f"p{day}-1-0.conda": entry(f"p{day}", "1", day) for day in range(1, 131)})
    assert texts(result, "item/title")[:2] == ["p130 1 [noarch]", "p129 1 [noarch]"]
    assert len(result.findall("item")) == 100
    assert result.findtext("lastBuildDate") == result.findtext("item/pubDate")
    dates = [parsedate_to_datetime(date) for date in texts(result, "item/pubDate")]
    assert dates == sorted(dates, reverse=True)


def test_builds_of_a_version_are_one_item_and_a_rebuild_is_another() -> None:
    result = channel(
        noarch={"a-1-0.conda": entry("a", "1", 1)},
        linux_64={"a-1-0.conda": entry("a", "1", 2), "a-1-1.conda": entry("a", "1", 3, 1)},
    )
    assert texts(result, "item/title") == ["a 1 [linux-64]", "a 1 [linux-64, noarch]"]
    assert texts(result, "item/guid") == ["a=1=1", "a=1=0"]
    assert {item.get("isPermaLink") for item in result.findall("item/guid")} == {"false"}


def test_a_channel_has_the_elements_that_rss_requires() -> None:
    result = channel(noarch={})
    assert (result.findtext("title"), result.findtext("link")) == ("reeds", "https://reeds.example/")
    assert result.findtext("description")


def test_of_the_same_time_the_last_build_is_the_newest() -> None:
    packages = {
        f"p{number:03}-1-0.conda": msgspec.structs.replace(entry(f"p{number:03}", "1", 9), timestamp=number * DAY_MS)
        for number in range(130)
    }
    titles = texts(channel(noarch=packages), "item/title")
    assert titles == [f"p{number:03} 1 [noarch]" for number in range(129, 29, -1)]


@pytest.mark.parametrize("address", ["", "s3://bucket/reeds", "https://me:word@reeds.example", "reeds"])
def test_a_feed_without_an_address_for_browsers_has_no_link(address: str) -> None:
    catalogs = {"noarch": Catalog({"a-1-0.conda": entry("a", "1", 1)})}
    result = ET.fromstring(encode_feed(catalogs, "reeds", address))
    assert list(result.iter("link")) == []


def test_a_package_without_a_home_is_linked_to_its_file() -> None:
    result = channel(
        noarch={"a-1!1-0.conda": entry("a", "1!1", 1), "b-1-0.conda": entry("b", "1", 0, home="https://b/")}
    )
    assert texts(result, "item/link") == ["https://reeds.example/noarch/a-1!1-0.conda", "https://b/"]


HOSTILE = st.text() | st.sampled_from(["]]>", "<script>alert(1)</script>", "&amp;", "\x00", "\ud800", "javascript:x"])


@given(HOSTILE, HOSTILE, HOSTILE)
def test_a_feed_is_valid_xml_for_any_text_of_a_package(name: str, text: str, address: str) -> None:
    odd = Entry(name, text, text, metadata=Metadata(summary=text, home=address))
    result = channel(noarch={f"{name}.conda": odd})
    for link in texts(result, "item/link"):
        assert link.startswith(("http://", "https://"))
