"""What a package says of itself is for people, and may be hostile."""

from __future__ import annotations

import io
import json
import time

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.core.metadata import Metadata
from indexer.core.model import Extracted, Index, Plan, Rejected, Rules
from indexer.core.plan import merge
from indexer.core.printable import clean
from indexer.core.records.about import TRAITS, link_of, metadata_of, traits
from indexer.core.records.identity import identity_of
from indexer.extractor.archive import read_conda, read_tar_bz2
from indexer.extractor.extract import ExtractSpec, read
from indexer.extractor.range_file import RangeFile
from tests.support.archives import END, MIB, bz2_of, conda, header, index_json, member, zst
from tests.support.memory import MemoryStore

KEY = "noarch/a-1-0.conda"
INDEX = member("info/index.json", index_json(KEY))
RUN_EXPORTS = member("info/run_exports.json", b"{}")


def about(fields: object, recipe: bytes = b"") -> Metadata:
    return metadata_of(json.dumps(fields).encode(), recipe, (), Metadata())[0]


def test_texts_and_addresses_are_taken() -> None:
    results = {
        "summary": "Two\nlines",
        "home": ["https://a.example/", "https://b.example/"],
        "dev_url": "git@host:x.git",
        "doc_url": None,
        "license": "MIT",
        "tags": ["x", 1, "y"],
    }
    result = about(results)
    assert result == Metadata(summary="Two lines", home="https://a.example/", license="MIT", tags=("x", "y"))


RATTLER_BUILD = b"""
recipe:
  context: {url: https://no.example/}
  source:
  - url: [https://a.example/1.tgz, https://mirror.example/1.tgz]
    patches: [x.patch]
  - git: https://a.example/r.git
  - path: /home/somebody
  about: {url: https://no.example/}
"""
CONDA_BUILD = b"""
package: &anchor {name: a}
source: {url: "https://a.example/1.tgz", folder: *anchor}
build: {url: https://no.example/}
"""


def test_sources_come_from_the_recipe_of_either_builder() -> None:
    result = about({}, RATTLER_BUILD)
    assert result.source_url == ("https://a.example/1.tgz", "https://mirror.example/1.tgz")
    assert result.source_git_url == ("https://a.example/r.git",)
    assert about({}, CONDA_BUILD).source_url == ("https://a.example/1.tgz",)


@pytest.mark.parametrize(
    "recipe",
    [
        b"{{ jinja }}",
        b"source: {url: 'javascript:alert(1)'}",
        b"source: {url: '{{ url }}'}",
        b"source: &x [*x, *x]",
        b"? [source]\n: url",
        b"\xff",
        b"[" * 10_000,
        b"source:\n url:\n  url: https://a.example/",
    ],
)
def test_a_recipe_without_addresses_says_nothing(recipe: bytes) -> None:
    assert about({}, recipe) == Metadata()


def test_aliases_that_stand_for_billions_cost_nothing() -> None:
    lines = ["a0: &a0 {url: https://a.example/}"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    assert about({}, "\n".join([*lines, "source: *a29"]).encode()) == Metadata()


@pytest.mark.parametrize("data", [b"", b"[]", b"nonsense", b'{"summary": NaN}', b"\xff", b"[" * 100_000])
def test_a_broken_about_json_is_a_warning(data: bytes) -> None:
    result, (warning,) = metadata_of(data, b"", (), Metadata())
    assert result == Metadata()
    assert warning.startswith("info/about.json is left out: ")


def test_without_an_about_json_there_is_nothing_to_warn_of() -> None:
    assert metadata_of(None, b"", (), Metadata()) == (Metadata(), ())


@settings(max_examples=50, deadline=None)
@given(st.text())
def test_a_clean_text_has_no_character_that_xml_or_bidi_forbids(text: str) -> None:
    result = clean(text)
    assert not any(ord(item) < 32 or 0x7F <= ord(item) < 0xA0 or item in "\u202e\u2066\ufffe\uffff" for item in result)
    assert clean(result) == result


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "JAVASCRIPT://x/%0aalert(1)",
        "data:text/html,x",
        "//host/x",
        "https://x/\"onclick='x'",
        "https://x/ y",
        "https://x/<b>",
        "vbscript:x",
        "",
    ],
)
def test_nobody_is_led_to_other_addresses_than_of_the_web(address: str) -> None:
    assert link_of(address) == ""
    assert about({"home": address}).home == ""


PATHS = {
    "activate.d": b'{"_path": "etc/conda/activate.d/a.sh"}',
    "binary_prefix": b'{"_path": "lib/a", "file_mode": "binary", "prefix_placeholder": "/x"}',
    "deactivate.d": b'{"_path":"etc/conda/deactivate.d/a.sh"}',
    "post_link": b'{"_path": "bin/.a-post-link.sh"}',
    "pre_link": b'{"_path": "Scripts/.a-pre-link.bat"}',
    "pre_unlink": b'{"_path": "bin/.a-pre-unlink.sh"}',
    "text_prefix": b'{"prefix_placeholder":"/x","file_mode":"text","_path":"x"}',
}


@pytest.mark.parametrize("trait", TRAITS)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_each_trait_is_seen_wherever_the_chunks_end(trait: str, size: int) -> None:
    data = b'{"paths": [' + PATHS[trait] + b"]}"
    assert traits(data[at : at + size] for at in range(0, len(data), size)) == [trait]


@pytest.mark.parametrize(
    "path",
    ["share/etc/conda/activate.d/x", 'x", \\"file_mode\\": \\"text\\', "bin/a-post-link.sh", "bin/.d/post-link.sh"],
)
def test_other_files_show_none(path: str) -> None:
    assert traits([json.dumps({"paths": [{"_path": path}]}).encode()]) == []


@pytest.mark.parametrize(
    ("entries", "found"),
    [
        ([{"_path": "x", "file_mode": "text"}], []),
        ([{"_path": "x", "file_mode": "binary"}], []),
        ([{"_path": "x", "file_mode": "text", "prefix_placeholder": ""}], []),
        ([{"_path": "x", "prefix_placeholder": "/p"}], ["text_prefix"]),
        (
            [{"_path": "a", "file_mode": "text"}, {"_path": "b", "file_mode": "binary", "prefix_placeholder": "/p"}],
            ["binary_prefix"],
        ),
        ([{"_path": "{{x}}", "file_mode": "binary", "prefix_placeholder": "/{p}"}], ["binary_prefix"]),
        ([{"file_mode": "binary", "_path": '{"\\', "prefix_placeholder": "/p"}], ["binary_prefix"]),
        ([{"_path": '", "prefix_placeholder": "x', "file_mode": "text"}], []),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_prefix_is_one_where_an_entry_has_a_placeholder(
    entries: list[dict[str, str]], found: list[str], size: int
) -> None:
    data = json.dumps({"paths": entries, "paths_version": 1}).encode()
    assert traits(data[at : at + size] for at in range(0, len(data), size)) == found


@pytest.mark.parametrize("unit", [b"{", b'{"', b'{"\\"', b'"\\"', b'{"a":{', b'{"{",'])
def test_a_hostile_paths_json_is_searched_in_linear_time(unit: bytes) -> None:
    data = unit * (MIB // len(unit))
    began = time.process_time()
    assert traits(data[at : at + 2**16] for at in range(0, len(data), 2**16)) == []
    assert time.process_time() - began < 2


def extracted(info: bytes, *, about: bool = True) -> object:
    store = MemoryStore()
    stat = store.upload(KEY, conda("a-1-0", zst(info)))
    return read(store, stat, ExtractSpec("noarch", Rules(), 1_800_000_000_000, metadata=about)).result


def test_all_of_it_is_read_in_one_request_from_either_kind_of_package() -> None:
    members = member("info/about.json", b'{"summary": "x"}') + member("info/paths.json", PATHS["post_link"])
    tar = INDEX + members + member("info/recipe/meta.yaml", CONDA_BUILD) + member("bin/x", b"x") + END
    store = MemoryStore()
    for key, body in ((KEY, conda("a-1-0", zst(tar))), ("noarch/a-1-0.tar.bz2", bz2_of((tar, 1)))):
        result = read(
            store, store.upload(key, body), ExtractSpec("noarch", Rules(), 1_800_000_000_000, metadata=True)
        ).result
        assert isinstance(result, Extracted)
        assert result.metadata is not None
        assert (result.metadata.summary, result.metadata.traits) == ("x", ("post_link",))
        assert result.metadata.source_url == ("https://a.example/1.tgz",)
        assert result.metadata.sha256 == identity_of(result.record).sha256
    assert [call.verb for call in store.calls] == ["GET", "GET"]


def test_what_is_not_asked_for_is_not_looked_at() -> None:
    result = extracted(INDEX + member("info/about.json", b"broken") + END, about=False)
    assert isinstance(result, Extracted)
    assert result.metadata is None
    assert result.warnings == ()


def test_a_broken_about_json_does_not_reject_a_package() -> None:
    result = extracted(INDEX + member("info/about.json", b"broken") + END)
    assert isinstance(result, Extracted)
    assert "info/about.json is left out" in result.warnings[0]


def test_damage_after_all_that_makes_a_record_does_not_reject_a_package() -> None:
    for item in (False, True):
        result = extracted(INDEX + RUN_EXPORTS + b"damage" * 200, about=item)
        assert isinstance(result, Extracted)


def test_a_large_paths_json_is_searched_and_a_large_about_json_skipped() -> None:
    line = b'{"_path": "x"},'
    paths = member("info/paths.json", line * (5 * MIB // len(line)) + PATHS["text_prefix"])
    result = read_conda(window(INDEX + member("info/about.json", b" " * (MIB + 1)) + paths + END), about=True)
    assert result["info/paths.json"] == b"text_prefix"
    assert "info/about.json" not in result


OUTSIDE = member("bin/x", b"x")
RECIPE = member("info/recipe/meta.yaml", CONDA_BUILD)
FILES = member("info/files", b"bin/x")


def read_bz2(tar: bytes, *, about: bool) -> dict[str, bytes]:
    return read_tar_bz2(io.BytesIO(bz2_of((tar, 1))), len(tar), about=about)


def test_a_tar_bz2_is_read_no_further_than_what_is_asked_for() -> None:
    later = OUTSIDE + member("info/later.json", b"{}") + RUN_EXPORTS + member("info/about.json", b"{}") + END
    assert read_bz2(INDEX + FILES + later, about=False).keys() == {"info/index.json"}
    assert "info/about.json" not in read_bz2(INDEX + FILES + RECIPE + later, about=True)


def test_a_recipe_behind_files_outside_info_is_read_if_it_is_asked_for() -> None:
    tar = INDEX + FILES + OUTSIDE + RECIPE + END
    assert "info/recipe/meta.yaml" in read_bz2(tar, about=True)
    assert "info/recipe/meta.yaml" not in read_bz2(tar, about=False)
    store = MemoryStore()
    stat = store.upload("noarch/a-1-0.tar.bz2", bz2_of((tar, 1)))
    result = read(store, stat, ExtractSpec("noarch", Rules(), 1_800_000_000_000, metadata=True)).result
    assert isinstance(result, Extracted)
    assert result.metadata is not None
    assert result.metadata.source_url == ("https://a.example/1.tgz",)


@pytest.mark.parametrize("about", [False, True])
def test_run_exports_behind_files_outside_info_are_found(*, about: bool) -> None:
    assert "info/run_exports.json" in read_bz2(INDEX + OUTSIDE + RUN_EXPORTS + END, about=about)
    result = read_conda(window(INDEX + OUTSIDE + RUN_EXPORTS + END), about=about)
    assert "info/run_exports.json" in result


@pytest.mark.parametrize("about", [False, True])
def test_run_exports_that_may_lie_where_nothing_can_be_read_are_unknown(*, about: bool) -> None:
    result = extracted(INDEX + header("bin/x", MIB) + bytes(512), about=about)
    assert isinstance(result, Extracted)
    assert result.run_exports is None
    assert "the run exports are unknown, because the archive cannot be read to its end" in result.warnings


def test_run_exports_that_are_unknown_are_not_published_as_none() -> None:
    known = extracted(INDEX + RUN_EXPORTS + END)
    assert isinstance(known, Extracted)
    before = merge(Index(), Plan(), [known], 1)
    assert before.run_exports.keys() == {known.filename}
    unknown = msgspec.structs.replace(known, run_exports=None)
    assert merge(before, Plan(), [unknown], 1).run_exports == {}


@pytest.mark.parametrize("twice", [INDEX, RUN_EXPORTS])
def test_a_file_that_makes_a_record_and_is_there_twice_rejects_a_package(twice: bytes) -> None:
    result = extracted(INDEX + RUN_EXPORTS + OUTSIDE + twice + END)
    assert isinstance(result, Rejected)
    assert "more than once" in result.reason


def window(tar: bytes) -> RangeFile:
    store = MemoryStore()
    body = conda("a-1-0", zst(tar))
    return RangeFile(store, store.upload(KEY, body), body, 0)
