"""The HTML pages: readable and safe for any text of a package; the tests in a browser are in tests/interop."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from indexer.core.metadata import Metadata
from indexer.core.model import Outputs, Raw
from indexer.core.pages import package_page as one_package
from indexer.core.pages import root_page as root
from indexer.core.pages import subdir_page as one_subdir
from indexer.core.pages.catalog import Catalog, Entry
from indexer.core.pages.dependencies import name_in
from indexer.core.pages.root_page import root_page
from indexer.core.pages.subdir_page import subdir_page
from indexer.core.pages_plan import wanted_pages
from tests.support.html_reader import HtmlReader

if TYPE_CHECKING:
    from indexer.core.pages.document import Look

OUTPUTS = Outputs(html=True, channel="s3://bucket/reeds")
DAY_MS = 86_400_000


def entry(name: str = "a", version: str = "1", depends: object = (), **about: Any) -> Entry:
    raw = Raw(json.dumps(depends).encode())
    run = Metadata(**about)
    return Entry(name, version, "h_0", 0, 1500, "5" * 64, "MIT", 1_700_000_000, depends=raw, metadata=run)


def catalog(*entries: Entry, **removed: str) -> Catalog:
    return Catalog({f"{item.name}-{item.version}-{item.build}.conda": item for item in entries}, removed)


def page_of(name: str, catalogs: dict[str, Catalog], outputs: Outputs = OUTPUTS) -> bytes:
    return bytes(wanted_pages(catalogs, outputs, "").make(name).content or b"")


def test_the_root_has_a_row_for_each_name_and_links_to_its_page() -> None:
    entries = (entry("a", "9"), entry("a", "10", summary="Sings"), entry("b", home="https://b.example/"))
    page = HtmlReader(root_page({"noarch": catalog(*entries)}, OUTPUTS))
    assert page.tags.count("tr") == 1 + 2
    for shown in ("reeds", "2 packages, 3 files", "Last update 2023-11-14 22:13 UTC", "10", "Sings", "noarch", "MIT"):
        assert shown in page.text
    assert {"packages/a.html", "packages/b.html"} <= set(page.links)
    assert "pixi workspace channel add s3://bucket/reeds" in page.text


def test_a_subdir_has_a_row_for_each_file_and_lists_removed_files() -> None:
    whole = Catalog(catalog(entry("a", "1!2+x"), entry("b")).packages, {"c-1-0.conda": "it sank"})
    page = HtmlReader(subdir_page("noarch", whole, OUTPUTS))
    assert page.tags.count("tr") == 1 + 2
    assert {"./a-1!2+x-h_0.conda", "../packages/a.html"} <= set(page.links)
    assert "c-1-0.conda: it sank" in page.text
    assert "taken out" in page.text


def test_a_large_subdir_has_a_row_for_each_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_subdir, "_MOST_FILES", 2)
    packages = catalog(entry("a", "9"), entry("a", "10", summary="Sings"), entry("Upper")).packages
    whole = Catalog(packages, {"c-1-0.conda": "x"})
    page = HtmlReader(subdir_page("noarch", whole, OUTPUTS))
    assert page.tags.count("tr") == 1 + 2
    assert {"../packages/a.html", "./Upper-1-h_0.conda"} <= set(page.links)  # no client finds `Upper`: it has no page
    for shown in ("2 packages, 3 files", "10", "Sings", "MIT", "c-1-0.conda: x"):
        assert shown in page.text
    assert "a-10-h_0.conda" not in page.text


def test_all_pages_count_the_same_packages_and_files() -> None:
    twins = {f"a-1-0{extension}": entry() for extension in (".conda", ".tar.bz2")}
    whole = {"noarch": Catalog({**twins, "b-1-0.tar.bz2": entry("b")}), "linux-64": catalog(entry("b"))}
    page = root_page(whole, OUTPUTS)
    assert b"<p>2 packages, 4 files" in page
    assert b"<small>2 packages, 3 files</small>" in page
    assert b"<p>2 packages, 3 files" in subdir_page("noarch", whole["noarch"], OUTPUTS)
    assert b"2 files in 1 version" in page_of("a", whole)


def test_files_are_linked_by_base_url() -> None:
    outputs = Outputs(html=True, base_url="https://files.example/reeds")
    whole = {"noarch": catalog(entry())}
    for page in (subdir_page("noarch", whole["noarch"], outputs), page_of("a", whole, outputs)):
        assert "https://files.example/reeds/noarch/a-1-h_0.conda" in HtmlReader(page).links


def test_a_package_page_has_all_that_the_channel_knows() -> None:
    newest = entry(
        "a",
        "10",
        ["b >=2", "python"],
        summary="Sings",
        description="Sings from within.",
        home="https://a.example/",
        doc_url="https://docs.example/",
        run_exports={"weak": ["a >=10"]},
    )
    newest = msgspec.structs.replace(newest, indexed_timestamp=1_800_000_000_000, constrains=Raw(b'["c <1"]'))
    twins = {f"a-10-h_0{extension}": newest for extension in (".conda", ".tar.bz2")}
    whole = {
        "linux-64": Catalog({**twins, "a-9-h_0.conda": entry("a", "9")}, {"a-8-h_0.conda": "loses rows"}),
        "noarch": catalog(entry("b", "2.1")),
    }
    page = HtmlReader(page_of("a", whole))
    for shown in (
        *("a 10", "Sings", "Sings from within.", "MIT", "linux-64", "3 files in 2 versions", "1.5 kB", "5" * 64),
        *("2023-11-14", "2027-01-15", "b >=2", "python", "c <1", "weak: a >=10", "a-8-h_0.conda: loses rows"),
        *("pixi workspace channel add s3://bucket/reeds", "pixi add a==10", "pixi add a==9", "conda install -c"),
    ):
        assert shown in page.text
    assert page.links[0] == "../index.html"
    assert {"https://a.example/", "https://docs.example/", "b.html"} <= set(page.links)
    assert {f"../linux-64/a-10-h_0{extension}" for extension in (".conda", ".tar.bz2")} <= set(page.links)
    assert "python.html" not in page.links
    assert page.text.index("a-10-h_0") < page.text.index("a-9-h_0")


def test_a_package_of_which_all_files_were_removed_has_a_page_and_no_row() -> None:
    whole = {"noarch": Catalog({}, {"a-8-h_0.conda": "loses rows"})}
    page = HtmlReader(page_of("a", whole))
    assert "noarch/a-8-h_0.conda: loses rows" in page.text
    assert "0 packages, 0 files" in HtmlReader(root_page(whole, OUTPUTS)).text


@pytest.mark.parametrize(
    ("version", "command"),
    [("1.0", "add a==1.0\n"), ("1!2.0", "add 'a==1!2.0'\n"), ("1;rm", "add a\n"), ("$(x)", "add a\n"), ("", "add a\n")],
)
def test_a_version_is_in_a_command_only_if_it_is_safe_there(version: str, command: str) -> None:
    page = HtmlReader(page_of("a", {"noarch": Catalog({"a.conda": entry("a", version)})}))
    assert command.strip() + "conda install" in page.text.replace("\n", "")


@pytest.mark.parametrize("name", ["A", "a b", "../a", "a/b", "-a", ".a", "", "ä", "a" * 129])
def test_a_name_that_conda_does_not_find_has_a_row_and_no_page(name: str) -> None:
    whole = {"noarch": Catalog({"x-1-0.conda": entry(name)})}
    assert wanted_pages(whole, OUTPUTS, "").packages == {}
    page = HtmlReader(root_page(whole, OUTPUTS))
    assert page.tags.count("tr") == 2
    assert not [link for link in page.links if link.startswith("packages/")]


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        *(("numpy", "numpy"), ("numpy >=1.2,<2", "numpy"), ("numpy>=1.2", "numpy"), ("numpy=1.2=py*", "numpy")),
        *(("_x.y-z[version='>1']", "_x.y-z"), ("conda-forge::numpy", ""), ("https://x.example::numpy", ""), ("*", "")),
    ],
)
def test_a_dependency_names_one_package(spec: str, name: str) -> None:
    assert name_in(spec) == name


@pytest.mark.parametrize("depends", ["b", {"b": 1}, [1], None, [["b"]]])
def test_dependencies_of_a_wrong_type_are_not_shown(depends: object) -> None:
    page = HtmlReader(page_of("a", {"noarch": catalog(entry(depends=depends), entry("b"))}))
    assert "0 dependencies" in page.text
    assert "b.html" not in page.links


HOSTILE = st.text() | st.sampled_from(
    [
        "</script><script>alert(1)",
        '" onmouseover="x',
        "' x='",
        "<img src=x onerror=y>",
        "javascript:x",
        "]]>",
        "${style}$$",
        "\x00\u202e",
    ]
)
FULL = entry("a", "1", ["b", "c"], summary="s", description="d", home="https://b/", run_exports={"weak": ["x"]})
FULL_PAGES = {
    "root": root_page({"noarch": catalog(FULL, entry("b"))}, OUTPUTS),
    "subdir": subdir_page("noarch", Catalog(catalog(FULL).packages, {"b-1-0.conda": "x"}), OUTPUTS),
    "package": page_of("a", {"noarch": Catalog(catalog(FULL, entry("b")).packages, {"a-0-0.conda": "x"})}),
}


@given(HOSTILE, HOSTILE, HOSTILE)
@example("a", "javascript:alert(1)", "javascript:alert(1)")
@example("a", "</style><script>alert(1)</script>", "https://conda.org@evil.example/")
def test_texts_of_packages_add_no_element_attribute_or_address(name: str, text: str, address: str) -> None:
    lists = Raw(json.dumps([text, f"b {text}", name]).encode())
    about = Metadata(summary=text, description=text, home=address, doc_url=address, run_exports={text: [text]})
    odd = Entry("a", text, text, license=text, sha256=text, depends=lists, constrains=lists, metadata=about)
    removed = {text: text, f"a-{text}-0.conda": text}
    whole = {
        "noarch": Catalog({f"{name}.conda": odd, "b.conda": entry("b")}, removed),
        "linux-64": Catalog({"n.conda": msgspec.structs.replace(odd, name=name)}, removed),
    }
    pages = {"root": root_page(whole, OUTPUTS), "package": page_of("a", whole)}
    pages["subdir"] = subdir_page("noarch", whole["noarch"], OUTPUTS)
    for kind, content in pages.items():
        page, plain = HtmlReader(content), HtmlReader(FULL_PAGES[kind])
        assert page.tags.count("script") == page.tags.count("style") == 1
        assert {key for _, key, _ in page.attributes} <= {key for _, key, _ in plain.attributes}
        assert set(page.tags) <= set(plain.tags) | {"p", "h2", "dl", "dt", "dd"}
        for link in page.links:
            beside = re.fullmatch(r"[a-z0-9_][a-z0-9._-]*[.]html", link)
            assert beside or link.startswith(("./", "../", "packages/", "https://", "http://", "noarch/", "linux-64/"))
            assert "conda.org@" not in link


@pytest.mark.parametrize(
    ("kind", "look"), [("root", root.LOOK), ("subdir", one_subdir.LOOK), ("package", one_package.LOOK)]
)
def test_the_policy_allows_only_the_script_and_the_style(kind: str, look: Look) -> None:
    page = HtmlReader(FULL_PAGES[kind])
    policy = next(value for _, key, value in page.attributes if key == "content" and "default-src" in value)
    digests = [
        f"'sha256-{base64.b64encode(hashlib.sha256(item.encode()).digest()).decode()}'"
        for item in (look.style, look.script)
    ]
    assert policy == (
        f"default-src 'none'; style-src {digests[0]}; script-src {digests[1]}; base-uri 'none'; form-action 'none'"
    )
    assert f"<script>{look.script}</script>".encode() in FULL_PAGES[kind]
    assert f"<style>{look.style}</style>".encode() in FULL_PAGES[kind]
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest", look.style + look.script)


def test_a_root_page_of_five_thousand_names_has_a_megabyte() -> None:
    many = catalog(
        *(entry(f"package-number-{n}", f"1.{n}", summary="A summary of forty characters, or so.") for n in range(5_000))
    )
    assert len(root_page({"noarch": many}, OUTPUTS)) < 1e6


@pytest.mark.parametrize("outputs", [OUTPUTS, Outputs(html=True, rss=True, channeldata=True)])
def test_the_same_channel_gives_the_same_bytes(outputs: Outputs) -> None:
    orders = ((entry("a"), entry("b")), (entry("b"), entry("a")))
    one, other = (root_page({"noarch": catalog(*order)}, outputs) for order in orders)
    assert one == other
    assert (b"rss.xml" in one) == outputs.rss
    assert (b"channeldata.json" in one) == outputs.channeldata
    assert len({page_of("a", {"noarch": catalog(*order)}, outputs) for order in orders}) == 1


def test_equal_versions_have_the_same_rank() -> None:
    entries = (entry("a", "1.0"), entry("b", "1.0.0"), entry("c", "0.9"))
    page = HtmlReader(subdir_page("noarch", catalog(*entries), OUTPUTS))
    places = [value for tag, key, value in page.attributes if (tag, key) == ("data", "value") and len(value) == 1]
    assert places == ["1", "1", "0"]
