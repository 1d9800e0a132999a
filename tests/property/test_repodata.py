"""A decoded index is encoded again byte for byte, whichever indexer wrote it."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from indexer.core.formats.repodata import decode_repodata, decode_run_exports, encode_repodata, encode_run_exports
from indexer.core.model import Index, Raw
from indexer.core.names import CONDA
from tests.support.strategies import JSON, TEXTS, indexes, values


@given(indexes(), st.dictionaries(TEXTS, JSON, max_size=2))
def test_decode_then_encode_is_identity(index: Index, info: dict[str, object]) -> None:
    published = bytes(encode_repodata(index, info))
    again = decode_repodata(published, "repodata.json")
    assert bytes(encode_repodata(again, again.info)) == published


@given(indexes())
def test_an_encoded_index_decodes_to_itself(index: Index) -> None:
    again = decode_repodata(bytes(encode_repodata(index, index.info)), "repodata.json")
    assert again.records == index.records  # the same bytes, not only the same values
    assert (again.v3, again.removed, again.info, again.rest) == (index.v3, index.removed, index.info, index.rest)
    assert again.v3_rest == index.v3_rest


@given(indexes())
def test_unknown_keys_survive(index: Index) -> None:
    top = json.loads(bytes(encode_repodata(index, index.info)))
    for name, record in index.records.items():
        stem, extension = (name[: -len(CONDA)], "conda") if name.endswith(CONDA) else (name[:-8], "tar.bz2")
        where = (
            top["v3"][extension] if name in index.v3 else top["packages.conda" if extension == "conda" else "packages"]
        )
        assert where[stem if name in index.v3 else name] == json.loads(bytes(record))
    assert top["info"] == values(index.info)
    assert {key: top[key] for key in index.rest} == values(index.rest)
    assert {key: top["v3"][key] for key in index.v3_rest} == {
        key: values(value) for key, value in index.v3_rest.items()
    }


@given(indexes())
def test_a_record_is_in_one_map_only(index: Index) -> None:
    top = json.loads(bytes(encode_repodata(index, {})))
    legacy = top["packages"].keys() | top["packages.conda"].keys()
    assert legacy == index.records.keys() - index.v3
    assert all(name.endswith(".tar.bz2") for name in top["packages"])
    assert ("v3" in top) == bool(index.v3 or index.v3_rest)


@given(indexes())
def test_the_order_of_records_does_not_matter(index: Index) -> None:
    backwards = dict(reversed(list(index.records.items())))
    other = Index(backwards, index.v3, index.run_exports, index.removed, index.info, index.rest, index.v3_rest)
    assert bytes(encode_repodata(other, other.info)) == bytes(encode_repodata(index, index.info))


@given(indexes())
def test_run_exports_survive_encode_and_decode(index: Index) -> None:
    result = decode_run_exports(bytes(encode_run_exports(index, "noarch")), "run_exports.json")
    assert result == index.run_exports


@given(indexes())
def test_run_exports_of_packages_without_a_record_are_written_too(index: Index) -> None:
    more = {**index.run_exports, "stray-1-0.conda": Raw(b"{}")}
    written = bytes(encode_run_exports(Index(index.records, index.v3, more), "noarch"))
    assert decode_run_exports(written, "").keys() == more.keys()
