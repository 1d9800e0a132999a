"""Which pages of packages a run makes: those of changed names, and of no other name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from indexer.core.metadata import Metadata
from indexer.core.model import ETag, Outputs, Raw, Stat
from indexer.core.names import name_of_page, page_key
from indexer.core.pages.catalog import Catalog, Entry
from indexer.core.pages.package_page import HEAD, is_our_page
from indexer.core.pages.pages_state import PagesFound, PublishedPage, decode_pages, encode_pages
from indexer.core.pages.root_page import root_page
from indexer.core.pages_plan import plan_pages, wanted_pages

if TYPE_CHECKING:
    from indexer.core.pages_plan import PagesPlan, WantedPages

OUTPUTS = Outputs(html=True)
NAMES = ("a", "b", "c")


def entry(name: str, version: str = "1", depends: tuple[str, ...] = (), **fields: Any) -> Entry:
    raw = Raw(json.dumps(depends).encode())
    return replace(Entry(name, version, "0", 0, 7, "5" * 64, "MIT", depends=raw, metadata=Metadata()), **fields)


def catalogs(*entries: Entry, removed: dict[str, str] | None = None) -> dict[str, Catalog]:
    packages = {f"{item.name}-{item.version}-0.conda": item for item in entries}
    return {"linux-64": Catalog(packages, removed or {}), "noarch": Catalog({"z-1-0.conda": entry("z")})}


BEFORE = catalogs(entry("a", depends=("b", "d >=1")), entry("b"), entry("c"))


def published(wanted: WantedPages) -> PagesFound:
    pages = {name: PublishedPage(ETag(name), wanted.make(name).digest, wanted.sources[name]) for name in wanted.sources}
    return PagesFound(pages, {}, frozenset(pages))


def plan(after: dict[str, Catalog], outputs: Outputs = OUTPUTS, fingerprint: str = "") -> PagesPlan:
    return plan_pages(wanted_pages(after, outputs, fingerprint), published(wanted_pages(BEFORE, OUTPUTS, "")), {})


def changed_rows(after: dict[str, Catalog]) -> int:
    before, now = (root_page(channel, OUTPUTS).decode().partition("<tbody>")[2] for channel in (BEFORE, after))
    return len(set(now.splitlines()) ^ set(before.splitlines()))


A, B, C = BEFORE["linux-64"].packages.values()


@pytest.mark.parametrize(
    "changed",
    [
        replace(B, size=8),
        replace(B, sha256="6" * 64),
        replace(B, license="BSD-3-Clause"),
        replace(B, indexed_timestamp=1_800_000_000_000),
        replace(B, depends=Raw(b'["a"]')),
        replace(B, constrains=Raw(b'["x"]')),
        replace(B, metadata=Metadata(summary="Sings")),
        replace(B, metadata=Metadata(run_exports={"weak": ["b"]})),
    ],
)
def test_a_changed_package_changes_its_page_and_at_most_its_row(changed: Entry) -> None:
    after = catalogs(A, changed, C)
    assert plan(after).write == ("b",)
    assert plan(after).delete == {}
    assert changed_rows(after) <= 2


def test_a_new_version_changes_one_page_and_a_removed_file_too() -> None:
    assert plan(catalogs(A, B, entry("b", "2"), C)).write == ("b",)
    assert plan(catalogs(A, B, C, removed={"b-0-0.conda": "sank"})).write == ("b",)
    assert changed_rows(catalogs(A, B, entry("b", "2"), C)) == 2


def test_nothing_changes_without_a_change() -> None:
    assert plan(catalogs(C, B, A)).write == ()


def test_a_name_that_is_gone_loses_its_page_and_the_links_to_it() -> None:
    result = plan(catalogs(A, C))
    assert (result.write, result.delete) == (("a",), {"b": "b"})
    assert result.files == {("packages/a.html", True), ("packages/b.html", False)}


def test_a_new_name_gets_a_page_and_the_links_to_it() -> None:
    assert plan(catalogs(A, B, C, entry("d"))).write == ("a", "d")
    assert plan(catalogs(A, B, C, entry("e"))).write == ("e",)


def test_another_release_makes_all_pages_anew_with_the_same_content() -> None:
    result = plan(BEFORE, fingerprint="another")
    assert result.write == (*NAMES, "z")
    known = published(wanted_pages(BEFORE, OUTPUTS, "")).known
    assert {name: result.wanted.make(name).digest for name in result.write} == {n: p.digest for n, p in known.items()}


def test_headers_are_part_of_the_digest_of_a_page() -> None:
    other = replace(OUTPUTS, cache_control="no-store")
    one, two = (wanted_pages(BEFORE, outputs, "").make("a") for outputs in (OUTPUTS, other))
    assert one.content == two.content
    assert one.digest != two.digest


def test_without_pages_all_known_ones_are_deleted() -> None:
    result = plan(BEFORE, Outputs(html=False))
    assert (result.write, set(result.delete)) == ((), {*NAMES, "z"})


def test_a_state_is_read_as_it_was_written_and_anything_else_is_none() -> None:
    pages = {"b": PublishedPage(ETag('"e"'), "d", "s"), "a": PublishedPage()}
    assert decode_pages(encode_pages(pages)) == pages
    assert encode_pages(pages) == encode_pages(dict(reversed(pages.items())))
    for broken in (b"", b"broken", encode_pages(pages)[:-3]):
        assert decode_pages(broken) is None


def test_a_page_is_ours_only_under_its_own_name() -> None:
    head = bytes(wanted_pages(BEFORE, OUTPUTS, "").make("a").content or b"")[:HEAD]
    assert is_our_page(head, "a")
    assert not is_our_page(head, "b")
    assert not is_our_page(b"<html>a page of somebody</html>", "a")


@pytest.mark.parametrize("key", ["packages/a/b.html", "packages/.html", "a.html", "packages/A.html", "packages/a.htm"])
def test_other_files_beside_the_pages_are_no_pages(key: str) -> None:
    assert name_of_page(key) is None
    assert name_of_page(f"{page_key('a.html')}") == "a.html"


def test_a_page_in_place_of_another_one_is_written_anew() -> None:
    wanted = wanted_pages(BEFORE, OUTPUTS, "")
    found = published(wanted)
    known = {name: page for name, page in found.known.items() if name != "a"}
    others = {"a": Stat("packages/a.html", 1, ETag("x"), 0)}
    assert plan_pages(wanted, PagesFound(known, others, found.announced), {}).write == ("a",)
