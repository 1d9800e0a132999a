"""Patch instructions, one by one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from indexer.core.errors import BadPatch
from indexer.core.json_stream import dump
from indexer.core.model import Index, Raw
from indexer.core.overlay import WithdrawnPackages, Yank, decode_withdrawn, encode_withdrawn, make_overlay
from indexer.core.patch import (
    NO_INSTRUCTIONS,
    Patched,
    apply_instructions,
    check_instructions,
    is_patched,
    parse_instructions,
)
from indexer.core.specs.matchspec import fault

OLD, NEW = "a-1-0.tar.bz2", "a-1-0.conda"


def record(**more: object) -> dict[str, object]:
    return {"name": "a", "version": "1", "build": "0", "depends": ["b"], "license": "MIT", "sha256": "00", **more}


def patched(instructions: dict[str, Any], index: Index | None = None) -> Patched:
    whole = index or Index(records={OLD: dump(record()), NEW: dump(record())})
    return apply_instructions(whole, parse_instructions(json.dumps(instructions).encode(), "the key"))


def told(instructions: dict[str, Any], index: Index | None = None) -> dict[str, Any]:
    return {name: json.loads(bytes(raw)) for name, raw in patched(instructions, index).index.records.items()}


def test_what_is_said_of_a_tar_bz2_is_said_of_its_conda_twin_and_what_is_said_of_that_comes_last() -> None:
    found = told({"packages": {OLD: {"license": "one", "depends": ["c"]}}, "packages.conda": {NEW: {"license": "two"}}})
    assert (found[OLD]["license"], found[NEW]["license"]) == ("one", "two")
    assert found[OLD]["depends"] == found[NEW]["depends"] == ["c"]


def test_what_is_said_of_a_conda_is_said_of_it_alone() -> None:
    found = told({"packages.conda": {NEW: {"license": "two"}}, "remove": []})
    assert (found[OLD]["license"], found[NEW]["license"]) == ("MIT", "two")


def test_a_name_in_the_map_of_the_other_format_is_ignored() -> None:
    assert told({"packages": {NEW: {"license": "x"}}, "packages.conda": {OLD: {"license": "x"}}}) == told({})


@pytest.mark.parametrize("key", ["license", "constrains", "track_features", "never_there"])
def test_null_clears_a_field_and_one_that_is_not_there_stays_away(key: str) -> None:
    index = Index(records={NEW: dump(record(constrains=["x"], track_features="y"))})
    assert key not in told({"packages.conda": {NEW: {key: None}}}, index)[NEW]


def test_null_leaves_an_empty_list_of_dependencies() -> None:
    assert told({"packages.conda": {NEW: {"depends": None}}})[NEW]["depends"] == []


def test_lists_and_maps_replace() -> None:
    index = Index(records={NEW: dump(record(extra_depends={"x": ["p"], "y": ["q"]}))})
    found = told({"packages.conda": {NEW: {"depends": ["c"], "extra_depends": {"x": ["r"]}}}}, index)[NEW]
    assert (found["depends"], found["extra_depends"]) == (["c"], {"x": ["r"]})


def test_the_bytes_of_all_other_fields_survive() -> None:
    raw = Raw(b'{"z" : 1.50, "name":"a", "depends": [ "b" ], "license":"MIT","a":"\\u00e9"}')
    index = Index(records={NEW: raw})
    found = bytes(patched({"packages.conda": {NEW: {"license": "BSD"}}}, index).index.records[NEW])
    assert found == b'{"a":"\\u00e9","depends":[ "b" ],"license":"BSD","name":"a","z":1.50}'
    assert patched({"packages.conda": {NEW: {"license": "MIT"}}}, index).index.records[NEW] is raw


@pytest.mark.parametrize(
    "key",
    [
        "md5",
        "sha256",
        "size",
        "name",
        "version",
        "build",
        "build_number",
        "subdir",
        "indexed_timestamp",
        "noarch",
        "fn",
    ],
)
def test_what_no_patch_may_change_is_named_and_stays(key: str) -> None:
    instructions = {"packages": {OLD: {key: "forged"}, "gone-1-0.tar.bz2": {key: "forged"}}}
    assert told(instructions) == told({})
    assert patched(instructions).warnings == (f"sets {key} of {NEW} and 1 more, which no patch may change",)


def test_a_revoked_package_depends_on_what_nobody_makes_and_so_does_its_twin() -> None:
    found = told({"revoke": [OLD, "gone-1-0.conda"]})
    for name in (OLD, NEW):
        assert found[name]["revoked"] is True
        assert found[name]["depends"] == ["b", "package_has_been_revoked"]


def test_a_removed_package_stands_in_removed_with_its_twin_and_what_never_was_does_not() -> None:
    found = patched({"remove": [OLD, "gone-1-0.conda"]}).index
    assert found.records == {}
    assert found.removed == (NEW, OLD)
    alone = patched({"remove": [NEW]}).index
    assert set(alone.records) == {OLD}


def test_records_under_v3_are_patched_by_v3_alone_and_their_dependencies_are_spelled_as_it_wants() -> None:
    index = Index(records={NEW: dump(record())}, v3=frozenset({NEW}))
    assert told({"packages.conda": {NEW: {"license": "x"}}}, index)[NEW]["license"] == "MIT"
    fix = {"depends": ["d 1.2.*", 'e[when="__linux"]'], "extra_depends": {"x": ["f 1.*"]}}
    found = told({"v3": {"conda": {"a-1-0": fix}}}, index)[NEW]
    assert found["depends"] == ['d[version="1.2.*"]', 'e[when="__linux"]']
    assert found["extra_depends"] == {"x": ['f[version="1.*"]']}
    assert told({"v3": {"conda": {"a-1-0": {"license": "x"}}}})[NEW]["license"] == "MIT"
    assert patched({"remove": [NEW]}, index).index.v3 == frozenset()


def test_wheels_of_others_are_patched_where_they_stand() -> None:
    index = Index(v3_rest={"whl": {"a-1-0": dump(record(url="x")), "b-1-0": dump(record())}})
    found = patched({"v3": {"whl": {"a-1-0": {"license": "x"}, "c-1-0": {"license": "x"}}, "zip": {}}}, index).index
    assert json.loads(bytes(found.v3_rest["whl"]["a-1-0"]))["license"] == "x"
    assert found.v3_rest["whl"]["b-1-0"] is index.v3_rest["whl"]["b-1-0"]


def test_run_exports_in_any_form_are_patched_by_the_second_version_alone() -> None:
    index = Index(records={NEW: dump(record())}, run_exports={NEW: dump({"weak": ["a"]})})
    for value, expected in ((["x"], {"weak": ["x"]}), ({"strong": ["x"], "weak": []}, {"strong": ["x"]}), (None, {})):
        said = {"packages.conda": {NEW: {"run_exports": value}}}
        found = patched({**said, "patch_instructions_version": 2}, index)
        assert json.loads(bytes(found.index.run_exports[NEW])) == expected
        assert found.warnings == ()
        first = patched(said, index)
        assert first.index.run_exports == index.run_exports
        assert len(first.warnings) == 1


@pytest.mark.parametrize("data", [b"", b"{}", NO_INSTRUCTIONS, b'{"a":{},"remove":{}}', b'{"nobody":"knows"}'])
def test_instructions_that_say_nothing_are_none(data: bytes) -> None:
    assert not parse_instructions(data, "")
    assert not make_overlay("", data, WithdrawnPackages())


@pytest.mark.parametrize(
    "data",
    [
        b'{"packages":{"a-1-0.conda":' + b"[" * 100_000,
        *(b"{", b"[]", b"\xff", b'{"packages":[]}', b'{"remove":[1]}', b'{"v3":1}', b'{"v3":{"conda":[]}}'),
        *(b'{"patch_instructions_version":3}', b'{"patch_instructions_version":true}', b'{"packages":{"a-1-0.conda"'),
    ],
)
def test_what_is_no_instructions_is_an_error_that_names_its_file(data: bytes) -> None:
    with pytest.raises(BadPatch, match=r"^linux-64/patch_instructions.json: .*nothing was changed: correct the patch"):
        parse_instructions(data, "linux-64/patch_instructions.json")


@pytest.mark.parametrize(
    "fields",
    [
        {"depends": [">=1"]},
        {"depends": [""]},
        {"depends": ["a\nb"]},
        {"constrains": ["a[version=1"]},
        {"depends": {"a": 1}},
        {"flags": ["Not A Flag"]},
        {"purls": "x"},
        {"extra_depends": {"Not An Extra!": []}},
        {"run_exports": {"weak": "x"}},
    ],
)
def test_what_cannot_be_followed_is_an_error_that_names_the_package(fields: dict[str, Any]) -> None:
    instructions = parse_instructions(
        json.dumps({"patch_instructions_version": 2, "packages": {OLD: fields}}).encode(), "the key"
    )
    with pytest.raises(BadPatch, match=rf"the key: .*{OLD}|the key: .*{NEW}"):
        check_instructions(instructions)
    with pytest.raises(BadPatch, match="the key"):
        apply_instructions(Index(records={OLD: dump(record())}), instructions)


@pytest.mark.parametrize(
    "spec",
    [
        *("python", "python >=3.6,<3.7.0a0", "blas * openblas", "libfoo 1.2|1.3.*", "numpy 1.11*", "openssl=1.1"),
        *("conda-forge::x >=1", "https://some.example/c/noarch::x", "x[version='>=1,<2']", "__glibc >=2.17,<3.0.a0"),
        *("x >=1 *_cpython", "x 1.0 h_(a|b)", "x~=1.0", "pytorch 2.6.0 cpu_mkl*104", "_openmp_mutex", "r-base =4.1"),
        *("x >=1.0|<0.5", "x !=1.2,==1.*", "conda-forge/linux-64::x", "foo 1.*,!=1.9.* build", "x =1"),
    ],
)
def test_what_some_reader_understands_is_no_fault(spec: str) -> None:
    assert fault(spec) is None


@pytest.mark.parametrize("spec", ["", " ", ">=1", "=1", "a >=", "a >=1,", "a 1.0|", "a[version=1", "a]", "a (b", "::"])
def test_what_no_reader_understands_is_a_fault(spec: str) -> None:
    assert fault(spec) is not None


def test_yanks_come_back_as_they_were_written() -> None:
    yanks = {"b-1-0.conda": Yank("späte Reue\n", 2), NEW: Yank("", 1)}
    data = encode_withdrawn(WithdrawnPackages(yanks))
    assert decode_withdrawn(data, "").yanked == yanks
    assert data == encode_withdrawn(WithdrawnPackages(dict(reversed(yanks.items()))))
    assert decode_withdrawn(b"", "") == WithdrawnPackages()


def test_a_yank_withdraws_the_patched_record() -> None:
    said = json.dumps({"packages.conda": {NEW: {"license": "x"}}}).encode()
    found = make_overlay("", said, WithdrawnPackages({NEW: Yank("", 1), "gone-1-0.conda": Yank("", 1)})).apply(
        Index(records={OLD: dump(record()), NEW: dump(record())})
    )
    assert set(found.index.records) == {OLD}
    assert found.index.removed == (NEW,)


def test_records_that_are_none_stay_as_they_are_and_stop_nothing() -> None:
    index = Index(records={NEW: Raw(b"[1]"), OLD: Raw(b'{"depends":5,"license":"MIT"}')})
    found = patched({"packages": {OLD: {"license": "x"}}}, index).index.records
    assert bytes(found[NEW]) == b"[1]"
    assert json.loads(bytes(found[OLD])) == {"depends": 5, "license": "x"}
    assert not is_patched(found[NEW], found[NEW])
    assert told({"revoke": [OLD]}, Index(records={OLD: Raw(b'{"depends":5}')}))[OLD]["depends"] == [
        "package_has_been_revoked"
    ]


def test_what_legacy_maps_say_of_a_record_under_v3_is_not_followed_and_that_is_said() -> None:
    said = {"packages.conda": {NEW: {"license": "MIT-0"}}}
    index = Index(records={NEW: dump(record())}, v3=frozenset({NEW}))
    found = patched(said, index)
    assert found.index == index
    assert found.warnings == (f"does not patch {NEW}, whose record is under v3; add the patch under v3 too",)
    both = {**said, "v3": {"conda": {NEW.removesuffix(".conda"): {"license": "0BSD"}}}}
    assert patched(both, index).warnings == ()
