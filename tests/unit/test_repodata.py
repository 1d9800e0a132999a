"""Which repodata.json is refused, so that it is never overwritten, and which parts are published again."""

from __future__ import annotations

import pytest

from indexer.core.errors import BadIndex, IndexerError, NewerIndex
from indexer.core.formats.repodata import decode_repodata, encode_repodata
from indexer.core.formats.shards import ShardIndex, decode_index, encode_index, filenames_by_name, index_of_shard
from indexer.core.json_form import dump
from indexer.core.model import Index, Raw
from indexer.core.publication import publication
from indexer.core.records.identity import altered, identity_of
from tests.support.render_context import first_context

WHOLE = (
    b'{"info":{"subdir":"noarch"},"packages":{"a-1-0.tar.bz2":{"name":"a"}},"packages.conda":{},"repodata_version":1}'
)


@pytest.mark.parametrize("data", [b"", b"\n", b" \t\r\n", b"{}"])
def test_an_empty_file_is_an_empty_index(data: bytes) -> None:
    assert decode_repodata(data, "repodata.json") == Index()


@pytest.mark.parametrize("length", range(1, len(WHOLE), 7))
def test_a_truncated_file_is_a_bad_index(length: int) -> None:
    with pytest.raises(BadIndex, match=r"noarch/repodata\.json: .*nothing was changed"):
        decode_repodata(WHOLE[:length], "noarch/repodata.json")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"<!doctype html>", "readable"),
        (b"[]", "readable"),
        (b"null", "readable"),
        (b'{"packages": []}', "readable"),
        (b'{"packages.conda": 1}', "readable"),
        (b'{"v3": []}', "readable"),
        (b'{"v3": {"conda": []}}', "readable"),
        (b'{"removed": {"a": 1}}', "readable"),
        (b'{"removed": [1]}', "readable"),
        (b'{"info": []}', "readable"),
        (b'{"repodata_version": 3}', "repodata_version 3"),
        (
            b'{"v4": {"conda": {"a-1-0": {"name": "a"}}}}',
            "the revision v4, which this release does not know; .* update",
        ),
        (b'{"v0": {}}', "the revision v0"),
        (b'{"v10": {}, "v3": {}}', "the revision v10"),
        (b'{"info": {"repodata_revisions": {"v4": {"n_packages": 1}}}}', "the revision v4"),
        (b'{"repodata_version": "1"}', "repodata_version '1'"),
        (b'{"repodata_version": null}', "repodata_version None"),
        (WHOLE + b"x", "readable"),
    ],
)
def test_an_unreadable_repodata_is_a_bad_index(data: bytes, reason: str) -> None:
    with pytest.raises(BadIndex, match=reason):
        decode_repodata(data, "repodata.json")


def test_keys_that_are_not_revisions_are_published_again() -> None:
    assert decode_repodata(b'{"v3": {}, "vx": 1, "v": 2}', "repodata.json").rest == {"vx": Raw(b"1"), "v": Raw(b"2")}


@pytest.mark.parametrize("told", [b'{"v0": {"n_packages": 4}}', b'{"v0": 1}', b"[]", b"7"])
def test_numbers_of_old_revisions_are_accepted(told: bytes) -> None:
    assert decode_repodata(b'{"info": {"repodata_revisions": ' + told + b"}}", "repodata.json").records == {}


@pytest.mark.parametrize(
    "top",
    [{"packages": {}, "v4": {}}, {"packages": {}, "packages.conda": {}, "v5": {"conda": {"a-1-0": {"name": "a"}}}}],
)
def test_a_shard_with_another_revision_is_a_newer_index(top: dict[str, object]) -> None:
    with pytest.raises(NewerIndex, match="which this release does not know"):
        index_of_shard(top, "k")


def test_a_shard_index_with_a_later_revision_is_a_newer_index() -> None:
    result = encode_index(ShardIndex({}, {"repodata_revisions": {"v4": {"n_packages": 3}}}))
    with pytest.raises(NewerIndex, match="the revision v4"):
        decode_index(result, "k")


def test_info_is_read_at_any_place_in_the_file() -> None:
    last = b'{"packages":{"a-1-0.tar.bz2":{"name":"a"}},"repodata_version":1,"info":{"subdir":"noarch"}}'
    index = decode_repodata(WHOLE, "repodata.json")
    assert decode_repodata(last, "repodata.json") == index
    assert bytes(index.info["subdir"]) == b'"noarch"'


def test_records_of_all_maps_are_decoded_by_file_name() -> None:
    data = b"""{"packages": {"a-1-0.tar.bz2": {"n":1}}, "packages.conda": {"a-1-0.conda": {"n":2}},
        "v3": {"conda": {"b-1-0": {"n":3}}, "tar.bz2": {"b-1-0": {"n":4}}, "whl": {"c-1-0": {"n":5}}}}"""
    index = decode_repodata(data, "repodata.json")
    assert index.records == {
        "a-1-0.tar.bz2": Raw(b'{"n":1}'),
        "a-1-0.conda": Raw(b'{"n":2}'),
        "b-1-0.conda": Raw(b'{"n":3}'),
        "b-1-0.tar.bz2": Raw(b'{"n":4}'),
    }
    assert index.v3 == {"b-1-0.conda", "b-1-0.tar.bz2"}
    assert index.v3_rest == {"whl": {"c-1-0": Raw(b'{"n":5}')}}


def test_json_is_sorted_compact_utf_8_without_a_final_newline() -> None:
    records = {
        "foo-9-0.conda": Raw(b'{"name":"foo"}'),
        "foo-10-0.conda": Raw('{"license":"é"}'.encode()),
        "foo-1-2-0.tar.bz2": Raw(b"{}"),
    }
    published = bytes(
        encode_repodata(Index(records, rest={"zeta": Raw(b"1"), "alpha": Raw(b"[ 2 ]")}), {"subdir": "noarch"})
    )
    assert published.decode() == (
        '{"alpha":[ 2 ],"packages":{"foo-1-2-0.tar.bz2":{}},'
        '"packages.conda":{"foo-10-0.conda":{"license":"é"},"foo-9-0.conda":{"name":"foo"}},'
        '"removed":[],"repodata_version":1,"zeta":1,"info":{"subdir":"noarch"}}'
    )


def test_signatures_are_not_published_again() -> None:
    index = decode_repodata(b'{"signatures": {"a": 1}, "x": 1}', "repodata.json")
    assert index.rest == {"x": Raw(b"1")}


def test_repodata_version_is_2_if_there_is_a_base_url() -> None:
    assert b'"repodata_version":2' in bytes(encode_repodata(Index(), {"base_url": "https://channel.example/noarch/"}))
    assert b'"repodata_version":1' in bytes(encode_repodata(Index(), {}))


@pytest.mark.parametrize("record", [b'{"size":"1"}', b"[]", b'{"md5":1}', b'{"indexed_timestamp":"now"}'])
def test_a_record_with_wrong_types_has_no_size(record: bytes) -> None:
    assert identity_of(Raw(record)).size == -1


@pytest.mark.parametrize(
    "data",
    [
        b'{"packages": {"a-1-0.tar.bz2": {"name": 5}}}',
        b'{"packages": {"a-1-0.tar.bz2": 5}}',
        b'{"packages": {"a-1-0.tar.bz2": {"name": "a", "md5": "not hex"}}}',
        b'{"packages": {"a-1-0.tar.bz2": {"name": "a\xff"}}}',
        b'{"packages": {"\xff": {}}}',
        b'{"info": {"repodata_revisions": []}}',
    ],
)
def test_an_index_that_cannot_be_encoded_is_an_indexer_error(data: bytes) -> None:
    try:
        index = decode_repodata(data, "repodata.json")
        artifacts = [*publication(index, first_context())]
    except IndexerError:
        return
    assert artifacts


def test_bytes_that_are_not_utf_8_are_not_published_again() -> None:
    try:
        index = decode_repodata(b'{"x": "\xff"}', "repodata.json")
    except BadIndex:
        return
    bytes(encode_repodata(index, {})).decode()


def test_no_shard_has_an_empty_name() -> None:
    try:
        groups = filenames_by_name(
            decode_repodata(b'{"packages": {"a-1-0.tar.bz2": {"build": "0"}}}', "repodata.json").records
        )
    except IndexerError:
        return
    assert "" not in groups


@pytest.mark.parametrize("value", [1e16, 1e22, 1.5, 1e-7, 12345678901234567890])
def test_a_number_has_one_spelling_in_all_files(value: float) -> None:
    form = bytes(dump(value))
    info = {"channel_relations": {"x": value}}
    assert b'"channel_relations":{"x":%b}' % form in bytes(encode_repodata(Index(), info))
    assert bytes(altered(Raw(b"{}"), {"x": value})) == b'{"x":%b}' % form
    assert (
        bytes(index_of_shard({"packages": {"a-1-0.conda": {"x": value}}}, "k").records["a-1-0.conda"])
        == b'{"x":%b}' % form
    )


def test_records_of_others_keep_their_bytes() -> None:
    assert bytes(dump({"b": Raw(b"1.0e+16"), "a": [Raw(b"{ }")]})) == b'{"a":[{ }],"b":1.0e+16}'
    with pytest.raises(TypeError):
        dump({"a": b"bytes"})
