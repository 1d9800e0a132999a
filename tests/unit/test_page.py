"""`index.html`: readable and safe for any text of a package; the tests in a browser are in tests/interop."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.core.metadata import Metadata
from indexer.core.model import Outputs
from indexer.core.pages.catalog import Catalog, Entry
from indexer.core.pages.html import SCRIPT, STYLE, root_page, subdir_page

OUTPUTS = Outputs(html=True, channel="s3://bucket/reeds")


class Reader(HTMLParser):
    """The tags, attributes and words of a page."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.words: list[str] = []
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, key, value or "") for key, value in attrs]

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def links(self) -> list[str]:
        return [value for tag, key, value in self.attributes if key in {"href", "src"}]


def entry(name: str = "a", version: str = "1", **about: Any) -> Entry:
    return Entry(name, version, "h_0", 0, 1500, "5" * 64, "MIT", 1_700_000_000, metadata=Metadata(**about))


def catalogs(*entries: Entry) -> dict[str, Catalog]:
    return {"noarch": Catalog({f"{item.name}-{item.version}-{item.build}.conda": item for item in entries})}


def test_the_root_has_a_row_for_each_name() -> None:
    result = root_page(
        catalogs(entry("a", "9"), entry("a", "10", summary="Sings"), entry("b", home="https://b.example/")), OUTPUTS
    )
    page = Reader(result)
    assert page.tags.count("tr") == 1 + 2
    words = "".join(page.words)
    for shown in ("reeds", "2 packages", "10", "+1 older", "Sings", "noarch", "MIT", "1.5 kB", "2023-11-14"):
        assert shown in words
    assert "https://b.example/" in page.links
    for command in ("pixi add", "conda install -c s3://bucket/reeds", "mamba install -c"):
        assert command in words


def test_a_subdir_has_a_row_for_each_file_and_lists_removed_files() -> None:
    whole = Catalog(catalogs(entry("a", "1!2+x"), entry("b"))["noarch"].packages, {"c-1-0.conda": "it sank"})
    page = Reader(subdir_page("noarch", whole, OUTPUTS))
    assert page.tags.count("tr") == 1 + 2
    assert "./a-1!2+x-h_0.conda" in page.links
    assert "c-1-0.conda: it sank" in "".join(page.words)
    assert "taken out" in "".join(page.words)


def test_root_and_subdir_pages_count_the_same_files() -> None:
    twins = {f"a-1-0{extension}": entry() for extension in (".conda", ".tar.bz2")}
    whole = {"noarch": Catalog({**twins, "b-1-0.tar.bz2": entry("b")})}
    assert b"<small>2 package files</small>" in root_page(whole, OUTPUTS)
    assert b"2 package files" in subdir_page("noarch", whole["noarch"], OUTPUTS)


def test_files_are_linked_by_base_url() -> None:
    outputs = Outputs(html=True, base_url="https://files.example/reeds")
    page = Reader(subdir_page("noarch", catalogs(entry())["noarch"], outputs))
    assert "https://files.example/reeds/noarch/a-1-h_0.conda" in page.links


HOSTILE = st.text() | st.sampled_from(
    [
        "</script><script>alert(1)",
        '" onmouseover="x',
        "' x='",
        "<img src=x onerror=y>",
        "javascript:x",
        "]]>",
        "\x00\ud800",
    ]
)
ALLOWED = {key for _, key, _ in Reader(root_page(catalogs(entry(home="https://b/")), OUTPUTS)).attributes}


@given(HOSTILE, HOSTILE, HOSTILE)
def test_texts_of_packages_add_no_element_attribute_or_address(name: str, text: str, address: str) -> None:
    odd = Entry(name, text, text, license=text, metadata=Metadata(summary=text, home=address, doc_url=address))
    plain = Reader(root_page(catalogs(entry(summary="x")), OUTPUTS))
    for result in (
        root_page({"noarch": Catalog({f"{name}.conda": odd}, {text: text})}, OUTPUTS),
        subdir_page("noarch", Catalog({f"{name}.conda": odd}, {text: text}), OUTPUTS),
    ):
        page = Reader(result)
        assert page.tags.count("script") == page.tags.count("style") == 1
        assert {key for _, key, _ in page.attributes} <= ALLOWED
        assert set(page.tags) <= set(plain.tags) | {"details", "summary", "footer", "p"}
        for link in page.links:
            assert link.startswith(("#", "./", "../", "https://", "http://", "noarch/"))


def test_the_policy_allows_only_the_script_and_the_style() -> None:
    page = Reader(root_page({}, OUTPUTS))
    policy = next(value for _, key, value in page.attributes if key == "content" and "default-src" in value)
    digests = [
        f"'sha256-{base64.b64encode(hashlib.sha256(item.encode()).digest()).decode()}'" for item in (STYLE, SCRIPT)
    ]
    assert policy == (
        f"default-src 'none'; style-src {digests[0]}; script-src {digests[1]}; base-uri 'none'; form-action 'none'"
    )
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest", STYLE + SCRIPT)


def test_a_page_of_five_thousand_names_has_two_megabytes() -> None:
    many = catalogs(
        *(entry(f"package-number-{n}", f"1.{n}", summary="A summary of forty characters, or so.") for n in range(5_000))
    )
    assert len(root_page(many, OUTPUTS)) < 2.3e6


@pytest.mark.parametrize("outputs", [OUTPUTS, Outputs(html=True, rss=True, channeldata=True)])
def test_the_same_channel_gives_the_same_bytes(outputs: Outputs) -> None:
    one, other = (
        root_page(catalogs(*order), outputs) for order in ((entry("a"), entry("b")), (entry("b"), entry("a")))
    )
    assert one == other
    assert (b"rss.xml" in one) == outputs.rss
    assert (b"channeldata.json" in one) == outputs.channeldata


def test_equal_versions_have_the_same_rank() -> None:
    page = Reader(root_page(catalogs(entry("a", "1.0"), entry("b", "1.0.0"), entry("c", "0.9")), OUTPUTS))
    places = [value for tag, key, value in page.attributes if (tag, key) == ("data", "value") and len(value) == 1]
    assert places == ["1", "1", "0"]


def cells_updated(*entries: Entry) -> list[str]:
    """The last cell but one of each row of the root page, the update of a package."""
    rows = root_page(catalogs(*entries), OUTPUTS).decode().partition("<tbody>")[2].splitlines()
    return [row.split("<td>")[6] for row in rows if row.startswith("<tr id")]


def dated(name: str, indexed_ms: int, *, built: int = 1_700_000_000) -> Entry:
    return msgspec.structs.replace(entry(name), indexed_timestamp=indexed_ms, timestamp=built)


BUILT, PUBLISHED = "<time>2023-11-14</time>", "<small>published <time>2027-01-15</time></small>"


def test_a_page_shows_the_build_and_the_publication_of_another_day() -> None:
    first, second = dated("a", 1_800_000_000_000), dated("b", 1_700_000_000_001)
    assert cells_updated(first, second) == [f"{BUILT} {PUBLISHED}", BUILT]
    assert cells_updated(first) == [f"{BUILT} {PUBLISHED}"]


def test_a_page_leaves_out_a_publication_day_that_all_share() -> None:
    unbuilt = dated("c", 1_800_000_000_000, built=0)
    assert cells_updated(dated("a", 1_800_000_000_000), dated("b", 1_800_000_000_001), unbuilt) == [
        BUILT,
        BUILT,
        "<time>2027-01-15</time>",
    ]
