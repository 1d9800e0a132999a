"""Every publication has the one safe order, and the next publication of the same index is equal."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from indexer.core import names
from indexer.core.artifact import Artifact, Rank
from indexer.core.formats import shards
from indexer.core.model import Index, Outputs, Raw
from indexer.core.publication import RenderContext, publication, source_of
from tests.support.render_context import NOW_MS, contents, first_context, published, read_back
from tests.support.strategies import indexes, values

OUTPUTS = st.builds(
    Outputs,
    zst=st.booleans(),
    bz2=st.booleans(),
    shards=st.booleans(),
    run_exports=st.booleans(),
    monolithic=st.booleans(),
    base_url=st.sampled_from([None, "https://channel.example/c"]),
).filter(lambda outputs: outputs.monolithic or outputs.shards)


def position(artifacts: list[Artifact], key: str) -> int:
    return [artifact.key for artifact in artifacts].index(key)


@given(indexes(), OUTPUTS)
def test_publication_respects_rank(index: Index, outputs: Outputs) -> None:
    artifacts = [*publication(index, first_context(outputs))]
    ranks = [artifact.rank for artifact in artifacts]
    assert ranks == sorted(ranks)
    assert len({artifact.key for artifact in artifacts}) == len(artifacts)
    for artifact in artifacts:
        assert artifact.immutable == artifact.key.startswith(names.SHARDS_FOLDER) == (artifact.rank is Rank.SHARD)


@given(indexes(), OUTPUTS)
def test_nothing_is_put_after_the_source(index: Index, outputs: Outputs) -> None:
    artifacts = [*publication(index, first_context(outputs))]
    put = [artifact.key for artifact in artifacts if artifact.content is not None]
    assert put[-1] == source_of(outputs)
    assert [artifact.key for artifact in artifacts if artifact.rank is Rank.SOURCE] == [source_of(outputs)]


@given(indexes(), OUTPUTS.filter(lambda outputs: outputs.shards))
def test_shards_are_put_before_the_index_that_names_them(index: Index, outputs: Outputs) -> None:
    artifacts = [*publication(index, first_context(outputs))]
    content = contents(artifacts)[names.SHARD_INDEX]
    named = {
        names.SHARDS_FOLDER + shards.filename_of(digest)
        for digest in shards.decode_index(content, names.SHARD_INDEX).shards.values()
    }
    before = {artifact.key for artifact in artifacts[: position(artifacts, names.SHARD_INDEX)]}
    assert named <= before


@given(indexes(), OUTPUTS)
def test_every_file_that_is_ours_is_either_put_or_deleted(index: Index, outputs: Outputs) -> None:
    artifacts = [*publication(index, first_context(outputs))]
    put = contents(artifacts)
    gone = {artifact.key for artifact in artifacts if artifact.content is None}
    run_exports = outputs.run_exports and outputs.monolithic  # shards have them too
    wanted = {
        names.REPODATA: outputs.monolithic,
        names.REPODATA_ZST: outputs.monolithic and outputs.zst,
        names.REPODATA_BZ2: outputs.monolithic and outputs.bz2,
        names.SHARD_INDEX: outputs.shards,
        names.RUN_EXPORTS: run_exports,
        names.RUN_EXPORTS_ZST: run_exports and outputs.zst,
        names.RUN_EXPORTS_BZ2: run_exports and outputs.bz2,
    }
    assert {key for key in put if not key.startswith(names.SHARDS_FOLDER)} == {k for k, on in wanted.items() if on}
    assert gone == set(names.OWNED) - put.keys()


@given(indexes(), OUTPUTS)
def test_preferred_files_are_deleted_before_the_source(index: Index, outputs: Outputs) -> None:
    artifacts = [*publication(index, first_context(outputs))]
    source = position(artifacts, source_of(outputs))
    gone = [
        place
        for place, artifact in enumerate(artifacts)
        if artifact.content is None and artifact.key not in names.CURRENT_FILES
    ]
    assert all((place < source) == outputs.monolithic for place in gone)
    if outputs.monolithic and not outputs.shards:  # readers ask for shards first
        derived = [place for place, artifact in enumerate(artifacts) if artifact.rank is Rank.DERIVED]
        assert position(artifacts, names.SHARD_INDEX) < min(derived)


@given(indexes(), OUTPUTS)
def test_the_same_input_gives_the_same_bytes(index: Index, outputs: Outputs) -> None:
    backwards = Index(
        dict(reversed(list(index.records.items()))),
        index.v3,
        dict(reversed(list(index.run_exports.items()))),
        index.removed,
        dict(reversed(list(index.info.items()))),
        dict(reversed(list(index.rest.items()))),
        index.v3_rest,
    )
    one, other = (publication(it, first_context(outputs)) for it in (backwards, index))
    assert [with_bytes(artifact) for artifact in one] == [with_bytes(artifact) for artifact in other]


def with_bytes(artifact: Artifact) -> Artifact:
    return artifact if artifact.content is None else replace(artifact, content=bytes(artifact.content))


@given(indexes(), st.integers(1, 2**40))
def test_what_is_read_back_and_published_again_is_the_same(index: Index, later_ms: int) -> None:
    files = published(index)
    again, shard_index = read_back(files)
    scene = RenderContext("noarch", Outputs(), shard_index, frozenset(), NOW_MS + later_ms)
    assert contents(publication(again, scene)) == files


@given(indexes())
def test_shards_that_are_there_are_not_put_again(index: Index) -> None:
    again, shard_index = read_back(published(index))
    scene = RenderContext("noarch", Outputs(), shard_index, shard_index.own_digests, NOW_MS)
    artifacts = [*publication(again, scene)]
    assert not [artifact for artifact in artifacts if artifact.rank is Rank.SHARD]
    assert any(artifact.key == names.SHARD_INDEX for artifact in artifacts)


@given(indexes())
def test_unknown_keys_survive_in_the_info_of_repodata(index: Index) -> None:
    info = json.loads(published(index)[names.REPODATA])["info"]
    assert {key: info[key] for key in index.info} == values(index.info)
    assert info["subdir"] == "noarch"


@given(indexes(), st.data())
def test_shards_of_changed_names_make_the_index_of_all_shards(index: Index, data: st.DataObject) -> None:
    some = st.sets(st.sampled_from(sorted(index.records))) if index.records else st.just(set())
    leaving, moving, exporting = data.draw(some), data.draw(some), data.draw(some)
    coming = data.draw(indexes())
    records = {key: record for key, record in index.records.items() if key not in leaving} | dict(coming.records)
    run_exports = {**index.run_exports, **coming.run_exports, **dict.fromkeys(exporting, Raw(b'{"weak":["new"]}'))}
    after = replace(
        index,
        records=records,
        run_exports={key: it for key, it in run_exports.items() if key in records},
        v3=frozenset(((index.v3 ^ moving) | coming.v3) & records.keys()),
        removed=tuple(sorted({*index.removed} ^ data.draw(st.sets(st.just("ghost-1-0.conda"))))),
    )
    files = published(index)
    previous = read_back(files)[1]
    scene = RenderContext("noarch", Outputs(), previous, previous.own_digests, NOW_MS + 1, names.REPODATA)
    few = replace(scene, changed_names=shards.changed_shard_names(index, after))
    of_all, of_few = [*publication(after, scene)], [*publication(after, few)]
    assert [(item.key, item.digest) for item in of_few] == [(value.key, value.digest) for value in of_all]
