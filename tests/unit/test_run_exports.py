"""The forms of run exports in packages, and the one form in which they are published."""

from __future__ import annotations

import pytest

from indexer.core.errors import BadIndex, BadPackage
from indexer.core.formats.repodata import decode_run_exports, inline_run_exports
from indexer.core.json_form import dump
from indexer.core.model import ETag, Extracted, Index, Plan, Raw
from indexer.core.plan import merge
from indexer.core.records.index_json import parse_run_exports, run_exports_faults


@pytest.mark.parametrize(
    ("text", "result"),
    [
        (None, {}),
        (b"null", {}),
        (b"{}", {}),
        (b"[]", {}),
        (b'["a >=1"]', {"weak": ["a >=1"]}),
        (b'{"weak": ["a >=1"], "strong": ["b"]}', {"weak": ["a >=1"], "strong": ["b"]}),
        (b'{"weak": [], "noarch": null, "strong": ["b"]}', {"strong": ["b"]}),
        (b'{"weak_constrains": ["a"], "strong_constrains": ["b"], "noarch": ["c"]}', ...),
        (b'{"weak": ["a"], "weakest": ["b"], "schema_version": 1}', {"weak": ["a"]}),
    ],
)
def test_every_form_becomes_a_map_of_lists(text: bytes | None, result: object) -> None:
    every = {"weak_constrains": ["a"], "strong_constrains": ["b"], "noarch": ["c"]}
    assert parse_run_exports(text) == (every if result is ... else result)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b'{"weak": "a >=1"}', "weak"),
        (b"[1, 2]", "weak"),
        (b'{"strong": ["a", null]}', "strong"),
        (b'{"noarch": {"a": 1}}', "noarch"),
        (b'"a"', "neither"),
        (b"1", "neither"),
        (b"{", "not JSON"),
        (b'{"weak": [], "weak": []}', "more than once"),
        (b'["a[extras=[Foo!]]"]', "CEP 44"),
    ],
)
def test_run_exports_that_are_not_lists_of_texts_are_rejected(text: bytes, reason: str) -> None:
    with pytest.raises(BadPackage, match=reason):
        parse_run_exports(text)


def test_run_exports_that_readers_cannot_parse_are_faults() -> None:
    text = {"weak": ["a >=1"], "strong": ["b =>1", "c"]}
    assert run_exports_faults(text) == ["'b =>1' in the run exports (strong) has the unknown operator '=>'"]


def test_text_that_cannot_be_written_is_rejected_before_the_merge() -> None:
    try:
        result = parse_run_exports(b'{"weak": ["\\ud800"]}')
    except BadPackage:
        return
    merge(Index(), Plan(), [Extracted("a-1-0.conda", ETag("v"), dump({"name": "a"}), dump(result))], 0)


def test_an_empty_file_has_no_run_exports() -> None:
    assert decode_run_exports(b"", "run_exports.json") == {}
    assert decode_run_exports(b"\n", "run_exports.json") == {}
    assert decode_run_exports(b"{}", "run_exports.json") == {}


def test_an_entry_without_run_exports_is_unknown_not_empty() -> None:
    data = b'{"packages": {"a-1-0.tar.bz2": {}}, "packages.conda": {"b-1-0.conda": {"run_exports": {}}}}'
    assert decode_run_exports(data, "run_exports.json") == {"b-1-0.conda": Raw(b"{}")}


@pytest.mark.parametrize("data", [b"{", b"[]", b'{"packages": []}', b'{"packages": {"a-1-0.conda": []}}'])
def test_a_file_that_cannot_be_read_is_a_bad_index(data: bytes) -> None:
    with pytest.raises(BadIndex, match=r"run_exports\.json"):
        decode_run_exports(data, "run_exports.json")


def test_run_exports_inside_records_are_found() -> None:
    records = {
        "a-1-0.conda": Raw(b'{"name":"a","run_exports":{"weak":["a"]}}'),
        "b-1-0.conda": Raw(b'{"name":"b","run_exports":{"weak":["b"]}}'),
        "c-1-0.conda": Raw(b'{"name":"c"}'),
        "d-1-0.conda": Raw(b'{"name":"d","license":"see \\"run_exports\\""}'),
    }
    assert inline_run_exports(records) == {
        "a-1-0.conda": Raw(b'{"weak":["a"]}'),
        "b-1-0.conda": Raw(b'{"weak":["b"]}'),
    }


def test_equal_run_exports_of_many_packages_are_held_once() -> None:
    text = b'{"packages":{"a-1-0.tar.bz2":{"run_exports":{}}},"packages.conda":{"b-1-0.conda":{"run_exports":{}}}}'
    result = decode_run_exports(text, "run_exports.json")
    assert result["a-1-0.tar.bz2"] is result["b-1-0.conda"]
