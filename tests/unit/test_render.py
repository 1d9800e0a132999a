"""The files of a subdir: headers, the `info` key, dates that stay, files that go."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from indexer.core import names
from indexer.core.artifact import Artifact, Codec, Rank, with_digest
from indexer.core.formats import shards
from indexer.core.model import Index, Outputs, Raw
from indexer.core.publication import RenderContext, publication, source_of
from tests.support.render_context import NOW_MS, contents, first_context, published

if TYPE_CHECKING:
    from indexer.core.formats.shards import ShardIndex

RECORD = Raw(b'{"indexed_timestamp":5,"name":"a"}')
INDEX = Index({"a-1-0.conda": RECORD})
SHORT = "public, max-age=300"


def info_of(index: Index = INDEX, outputs: Outputs | None = None) -> dict[str, object]:
    files = published(index, outputs)
    info: dict[str, object] = json.loads(files[names.REPODATA])["info"]
    return info


def shard_index(index: Index = INDEX, scene: RenderContext | None = None) -> ShardIndex:
    files = contents(publication(index, scene or first_context()))
    return shards.decode_index(files[names.SHARD_INDEX], names.SHARD_INDEX)


def test_every_file_says_what_it_is_and_how_long_it_may_be_kept() -> None:
    headers = {
        item.key: item.headers
        for item in publication(INDEX, first_context(Outputs(bz2=True)))
        if item.content is not None
    }
    shard = next(key for key in headers if key.startswith("shards/"))
    assert headers == {
        "repodata.json": {"Cache-Control": SHORT, "Content-Type": "application/json"},
        "repodata.json.zst": {"Cache-Control": SHORT, "Content-Type": "application/zstd"},
        "repodata.json.bz2": {"Cache-Control": SHORT, "Content-Type": "application/x-bzip2"},
        "run_exports.json": {"Cache-Control": SHORT, "Content-Type": "application/json"},
        "run_exports.json.zst": {"Cache-Control": SHORT, "Content-Type": "application/zstd"},
        "run_exports.json.bz2": {"Cache-Control": SHORT, "Content-Type": "application/x-bzip2"},
        "repodata_shards.msgpack.zst": {"Cache-Control": SHORT, "Content-Type": "application/zstd"},
        shard: {"Cache-Control": "public, max-age=31536000, immutable", "Content-Type": "application/zstd"},
    }


def test_the_headers_of_files_and_shards_can_be_chosen() -> None:
    outputs = Outputs(cache_control="no-cache", shard_cache_control="private")
    results = {
        item.rank is Rank.SHARD: item.headers.get("Cache-Control")
        for item in publication(INDEX, first_context(outputs))
        if item.content
    }
    assert results == {True: "private", False: "no-cache"}


def test_an_empty_subdir_has_every_file_too() -> None:
    files = published(Index())
    assert files.keys() == {
        *("repodata.json", "repodata.json.zst", "run_exports.json", "run_exports.json.zst"),
        "repodata_shards.msgpack.zst",
    }
    empty = b'{"packages":{},"packages.conda":{},"removed":[],"repodata_version":1,"info":{"subdir":"noarch"}}'
    assert files["repodata.json"] == empty


ALL_JSON = (names.REPODATA, names.CURRENT, names.FROM_PACKAGES)


@pytest.mark.parametrize("key", ALL_JSON)
def test_info_stands_after_all_package_maps(key: str) -> None:
    record = Raw(b'{"build":"0","build_number":0,"depends":[],"name":"a","version":"1"}')
    index = Index({"a-1-0.conda": record, "b-1-0.conda": record}, v3=frozenset({"b-1-0.conda"}), rest={"z": Raw(b"1")})
    index = replace(index, info={"channel_relations": Raw(b'{"base":"../main"}')})
    scene = first_context(Outputs(current_repodata=True))
    content = json.loads(contents(publication(index, scene, unpatched=index))[key])
    assert "channel_relations" in content["info"]
    assert "z" in content
    assert list(content)[-1] == "info"


@pytest.mark.parametrize("v3", [False, True])
def test_the_old_reader_of_mamba_finds_all_packages(*, v3: bool) -> None:
    files = published(Index({**INDEX.records, "b-1-0.conda": RECORD}, v3=frozenset({"b-1-0.conda"} if v3 else ())))
    assert found_by_libsolv(files[names.REPODATA]) == (["a-1-0.conda"] if v3 else ["a-1-0.conda", "b-1-0.conda"])


def found_by_libsolv(data: bytes) -> list[str]:
    """The packages that libsolv's own reader finds: it ends the document after an `info` with an object in it."""
    results = []
    for key, value in json.loads(data, object_pairs_hook=list):
        if key in {"packages", "packages.conda"}:
            results += [filename for filename, _ in value]
        if key == "info" and any(isinstance(item, list) for _, item in value):
            break
    return results


@pytest.mark.parametrize(("configured", "url"), [(None, "https://a.example/noarch/"), ("", None)])
def test_a_base_url_of_another_run_stays_until_an_empty_one_is_given(configured: str | None, url: str | None) -> None:
    index = replace(INDEX, info={"base_url": Raw(b'"https://a.example/noarch/"')})
    outputs = Outputs(base_url=configured)
    assert info_of(index, outputs).get("base_url") == url
    assert shard_index(index, first_context(outputs)).info["base_url"] == (url or "")
    assert json.loads(published(index, outputs)[names.REPODATA])["repodata_version"] == (2 if url else 1)


@pytest.mark.parametrize("base_url", [b"null", b"7", b"[]", b'""'])
def test_a_base_url_that_is_no_text_goes(base_url: bytes) -> None:
    assert "base_url" not in info_of(replace(INDEX, info={"base_url": Raw(base_url)}))


@pytest.mark.parametrize(
    ("options", "url"),
    [
        ({"base_url": "https://channel.example/c"}, "https://channel.example/c/noarch/"),
        ({"base_url": "https://channel.example/c/"}, "https://channel.example/c/noarch/"),
        ({"base_url": "https://channel.example/c", "base_url_verbatim": True}, "https://channel.example/c"),
    ],
)
def test_a_base_url_has_the_subdir_appended_unless_it_is_verbatim(options: dict[str, object], url: str) -> None:
    outputs = replace(Outputs(), **options)
    assert info_of(outputs=outputs)["base_url"] == url
    assert shard_index(scene=first_context(outputs)).info["base_url"] == url


def test_the_subdir_of_the_info_is_where_the_index_lies() -> None:
    assert info_of(Index(info={"subdir": Raw(b'"elsewhere"')})) == {"subdir": "noarch"}


def test_deprecated_keys_of_info_are_dropped_and_unknown_keys_kept() -> None:
    before = Index(info={"arch": Raw(b'"x86_64"'), "platform": Raw(b'"linux"'), "weather": Raw(b'"fine"')})
    assert info_of(before) == {"subdir": "noarch", "weather": "fine"}


def test_the_shard_index_has_the_three_texts_that_readers_need() -> None:
    info = shard_index().info
    assert {key: info[key] for key in ("subdir", "base_url", "shards_base_url")} == {
        "subdir": "noarch",
        "base_url": "",
        "shards_base_url": "./shards/",
    }


@pytest.mark.parametrize("key", ["channel_relations", "virtual_package_detectors"])
def test_the_shard_index_carries_what_repodata_carries(key: str) -> None:
    assert shard_index(Index(info={key: Raw(b'{"base":"../x"}')})).info[key] == {"base": "../x"}


def test_revisions_tell_what_old_clients_do_not_see() -> None:
    records = {
        f"{name}-1-0.conda": Raw(b'{"name":"%s","indexed_timestamp":%d}' % (name.encode(), date))
        for name, date in (("a", 5), ("b", 9), ("c", 1))
    }
    index = Index(
        records,
        frozenset({"a-1-0.conda", "b-1-0.conda"}),
        info={"repodata_revisions": Raw(b'{"v3":{"message":"m","n_packages":7,"oldest":0},"v0":{"n_packages":1}}')},
    )
    expected = {"v3": {"message": "m", "n_packages": 2, "oldest": 5, "newest": 9}}
    assert info_of(index)["repodata_revisions"] == expected
    assert shard_index(index).info["repodata_revisions"] == expected
    result = info_of(replace(index, v3=frozenset()))["repodata_revisions"]
    assert result == {"v3": {"message": "m", "n_packages": 0}}, "a person wrote the message"
    silent = replace(index, v3=frozenset(), info={"repodata_revisions": Raw(b'{"v3":{"n_packages":2}}')})
    assert "repodata_revisions" not in info_of(silent)


def test_the_date_of_a_shard_index_stays_while_it_says_the_same() -> None:
    before = shard_index()
    assert before.info["created_at"] == "2027-01-15T08:00:00Z"
    later = RenderContext("noarch", Outputs(), before, frozenset(), NOW_MS + 60_000)
    assert shard_index(scene=later) == before


@pytest.mark.parametrize(
    ("index", "outputs"),
    [
        (Index({"a-1-0.conda": Raw(b'{"name":"a"}')}), Outputs()),
        (Index({**INDEX.records, "b-1-0.conda": Raw(b'{"name":"b"}')}), Outputs()),
        (Index(), Outputs()),
        (INDEX, Outputs(base_url="https://channel.example")),
    ],
)
def test_the_date_of_a_shard_index_is_the_time_of_its_last_change(index: Index, outputs: Outputs) -> None:
    later = RenderContext("noarch", outputs, shard_index(), frozenset(), NOW_MS + 60_000)
    assert shard_index(index, later).info["created_at"] == "2027-01-15T08:01:00Z"


MONOLITHIC = [f"{name}{form}" for name in ("repodata.json", "run_exports.json") for form in ("", ".zst", ".bz2")]


@pytest.mark.parametrize(
    ("outputs", "gone"),
    [
        (Outputs(), {"repodata.json.bz2", "run_exports.json.bz2"}),
        (Outputs(bz2=True), set()),
        (Outputs(bz2=True, zst=False), {"repodata.json.zst", "run_exports.json.zst"}),
        (Outputs(bz2=True, shards=False), {"repodata_shards.msgpack.zst"}),
        (Outputs(bz2=True, run_exports=False), {"run_exports.json", "run_exports.json.zst", "run_exports.json.bz2"}),
        (Outputs(bz2=True, monolithic=False), set(MONOLITHIC)),
    ],
)
def test_what_is_switched_off_is_deleted(outputs: Outputs, gone: set[str]) -> None:
    never_ours = {f"current_repodata.json{extension}" for extension in ("", ".zst", ".bz2")}
    artifacts = publication(INDEX, first_context(outputs))
    assert {artifact.key for artifact in artifacts if artifact.content is None} == gone | never_ours | {
        names.CATALOG,
        names.FROM_PACKAGES_ZST,
        names.INDEX_HTML,
    }


def test_the_order_of_a_publication_is_the_one_that_was_proved() -> None:
    order = [
        (item.key.partition("/")[0], item.content is None)
        for item in publication(INDEX, first_context(Outputs(zst=False)))
    ]
    assert order[0] == ("shards", False)
    assert order[1] == ("repodata_shards.msgpack.zst", False)
    assert ("repodata.json.zst", True) in order[2:-1]
    assert order[-4] == ("repodata.json", False)
    assert all(key.startswith("current_repodata.json") and gone for key, gone in order[-3:])


def test_the_source_is_the_file_that_the_next_run_reads() -> None:
    assert source_of(Outputs()) == "repodata.json"
    assert source_of(Outputs(monolithic=False)) == "repodata_shards.msgpack.zst"


def test_the_digest_of_an_artifact_depends_on_all_that_is_written() -> None:
    plain = Artifact("a", Rank.DERIVED, b"x", Codec.ZSTD, 3, {"A": "1", "B": "2"})
    others = [
        replace(plain, content=b"y"),
        replace(plain, codec=Codec.BZIP2),
        replace(plain, level=4),
        replace(plain, headers={"A": "2", "B": "2"}),
        replace(plain, content=None),
    ]
    assert len({with_digest(item).digest for item in (plain, *others)}) == 6
    assert with_digest(replace(plain, headers={"B": "2", "A": "1"})).digest == with_digest(plain).digest
    assert with_digest(replace(plain, content=None)).digest == ""


def test_an_index_of_a_few_names_is_never_published_alone() -> None:
    index = Index({"a-1-0.conda": Raw(b'{"name":"a"}')}, records_not_loaded=1)
    with pytest.raises(ValueError, match="never alone"):
        publication(index, first_context())
