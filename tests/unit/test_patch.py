"""Patch instructions and yanks, rule by rule."""

from __future__ import annotations

import json
from typing import Any

import pytest

from indexer.core.errors import BadPatch
from indexer.core.json_form import dump
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
from indexer.core.specs.matchspec import universal_fault

OLD, NEW = "a-1-0.tar.bz2", "a-1-0.conda"


def record(**more: object) -> dict[str, object]:
    return {"name": "a", "version": "1", "build": "0", "depends": ["b"], "license": "MIT", "sha256": "00", **more}


def patched(instructions: dict[str, Any], index: Index | None = None) -> Patched:
    whole = index or Index(records={OLD: dump(record()), NEW: dump(record())})
    return apply_instructions(whole, parse_instructions(json.dumps(instructions).encode(), "the key"))


def records_of(instructions: dict[str, Any], index: Index | None = None) -> dict[str, Any]:
    return {name: json.loads(bytes(raw)) for name, raw in patched(instructions, index).index.records.items()}


def test_a_tar_bz2_patch_also_patches_the_conda_before_its_own_patch() -> None:
    result = records_of(
        {"packages": {OLD: {"license": "one", "depends": ["c"]}}, "packages.conda": {NEW: {"license": "two"}}}
    )
    assert (result[OLD]["license"], result[NEW]["license"]) == ("one", "two")
    assert result[OLD]["depends"] == result[NEW]["depends"] == ["c"]


def test_a_conda_patch_does_not_patch_the_tar_bz2() -> None:
    result = records_of({"packages.conda": {NEW: {"license": "two"}}, "remove": []})
    assert (result[OLD]["license"], result[NEW]["license"]) == ("MIT", "two")


def test_a_name_in_the_map_of_the_other_format_is_ignored() -> None:
    assert records_of({"packages": {NEW: {"license": "x"}}, "packages.conda": {OLD: {"license": "x"}}}) == records_of(
        {}
    )


@pytest.mark.parametrize("key", ["license", "constrains", "track_features", "never_there"])
def test_null_clears_a_field_and_never_adds_one(key: str) -> None:
    index = Index(records={NEW: dump(record(constrains=["x"], track_features="y"))})
    assert key not in records_of({"packages.conda": {NEW: {key: None}}}, index)[NEW]


def test_null_leaves_an_empty_list_of_dependencies() -> None:
    assert records_of({"packages.conda": {NEW: {"depends": None}}})[NEW]["depends"] == []


def test_lists_and_maps_replace() -> None:
    index = Index(records={NEW: dump(record(extra_depends={"x": ["p"], "y": ["q"]}))})
    result = records_of({"packages.conda": {NEW: {"depends": ["c"], "extra_depends": {"x": ["r"]}}}}, index)[NEW]
    assert (result["depends"], result["extra_depends"]) == (["c"], {"x": ["r"]})


def test_the_bytes_of_all_other_fields_survive() -> None:
    raw = Raw(b'{"z" : 1.50, "name":"a", "depends": [ "b" ], "license":"MIT","a":"\\u00e9"}')
    index = Index(records={NEW: raw})
    result = bytes(patched({"packages.conda": {NEW: {"license": "BSD"}}}, index).index.records[NEW])
    assert result == b'{"a":"\\u00e9","depends":[ "b" ],"license":"BSD","name":"a","z":1.50}'
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
def test_a_field_that_cannot_be_patched_stays_with_a_warning(key: str) -> None:
    instructions = {"packages": {OLD: {key: "forged"}, "gone-1-0.tar.bz2": {key: "forged"}}}
    assert records_of(instructions) == records_of({})
    assert patched(instructions).warnings == (f"sets {key} of {NEW} and 1 more, which no patch may change",)


def test_a_revoked_build_depends_on_a_missing_package_in_both_formats() -> None:
    result = records_of({"revoke": [OLD, "gone-1-0.conda"]})
    for name in (OLD, NEW):
        assert result[name]["revoked"] is True
        assert result[name]["depends"] == ["b", "package_has_been_revoked"]


def test_removed_lists_both_formats_and_no_unknown_package() -> None:
    result = patched({"remove": [OLD, "gone-1-0.conda"]}).index
    assert result.records == {}
    assert result.removed == (NEW, OLD)
    alone = patched({"remove": [NEW]}).index
    assert set(alone.records) == {OLD}


def test_v3_records_are_patched_by_v3_alone_in_its_spelling() -> None:
    index = Index(records={NEW: dump(record())}, v3=frozenset({NEW}))
    assert records_of({"packages.conda": {NEW: {"license": "x"}}}, index)[NEW]["license"] == "MIT"
    fix = {"depends": ["d 1.2.*", 'e[when="__linux"]'], "extra_depends": {"x": ["f 1.*"]}}
    result = records_of({"v3": {"conda": {"a-1-0": fix}}}, index)[NEW]
    assert result["depends"] == ['d[version="1.2.*"]', 'e[when="__linux"]']
    assert result["extra_depends"] == {"x": ['f[version="1.*"]']}
    assert records_of({"v3": {"conda": {"a-1-0": {"license": "x"}}}})[NEW]["license"] == "MIT"
    assert patched({"remove": [NEW]}, index).index.v3 == frozenset()


def test_wheels_under_v3_are_patched() -> None:
    index = Index(v3_rest={"whl": {"a-1-0": dump(record(url="x")), "b-1-0": dump(record())}})
    result = patched({"v3": {"whl": {"a-1-0": {"license": "x"}, "c-1-0": {"license": "x"}}, "zip": {}}}, index).index
    assert json.loads(bytes(result.v3_rest["whl"]["a-1-0"]))["license"] == "x"
    assert result.v3_rest["whl"]["b-1-0"] is index.v3_rest["whl"]["b-1-0"]


def test_run_exports_are_patched_by_version_2_alone() -> None:
    index = Index(records={NEW: dump(record())}, run_exports={NEW: dump({"weak": ["a"]})})
    for value, expected in ((["x"], {"weak": ["x"]}), ({"strong": ["x"], "weak": []}, {"strong": ["x"]}), (None, {})):
        instructions = {"packages.conda": {NEW: {"run_exports": value}}}
        result = patched({**instructions, "patch_instructions_version": 2}, index)
        assert json.loads(bytes(result.index.run_exports[NEW])) == expected
        assert result.warnings == ()
        first = patched(instructions, index)
        assert first.index.run_exports == index.run_exports
        assert len(first.warnings) == 1


@pytest.mark.parametrize("data", [b"", b"{}", NO_INSTRUCTIONS, b'{"a":{},"remove":{}}', b'{"nobody":"knows"}'])
def test_empty_instructions_are_false(data: bytes) -> None:
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
def test_unreadable_instructions_are_an_error_with_their_key(data: bytes) -> None:
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
def test_an_invalid_patch_is_an_error_with_the_file_name(fields: dict[str, Any]) -> None:
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
def test_a_spec_that_some_reader_parses_has_no_fault(spec: str) -> None:
    assert universal_fault(spec) is None


@pytest.mark.parametrize("spec", ["", " ", ">=1", "=1", "a >=", "a >=1,", "a 1.0|", "a[version=1", "a]", "a (b", "::"])
def test_a_spec_that_no_reader_parses_has_a_fault(spec: str) -> None:
    assert universal_fault(spec) is not None


def test_yanks_survive_encode_and_decode() -> None:
    yanks = {"b-1-0.conda": Yank("späte Reue\n", 2), NEW: Yank("", 1)}
    data = encode_withdrawn(WithdrawnPackages(yanks))
    assert decode_withdrawn(data, "").yanked == yanks
    assert data == encode_withdrawn(WithdrawnPackages(dict(reversed(yanks.items()))))
    assert decode_withdrawn(b"", "") == WithdrawnPackages()


def test_a_yank_withdraws_the_patched_record() -> None:
    instructions = json.dumps({"packages.conda": {NEW: {"license": "x"}}}).encode()
    result = make_overlay("", instructions, WithdrawnPackages({NEW: Yank("", 1), "gone-1-0.conda": Yank("", 1)})).apply(
        Index(records={OLD: dump(record()), NEW: dump(record())})
    )
    assert set(result.index.records) == {OLD}
    assert result.index.removed == (NEW,)


def test_unreadable_records_stay_and_stop_no_patch() -> None:
    index = Index(records={NEW: Raw(b"[1]"), OLD: Raw(b'{"depends":5,"license":"MIT"}')})
    result = patched({"packages": {OLD: {"license": "x"}}}, index).index.records
    assert bytes(result[NEW]) == b"[1]"
    assert json.loads(bytes(result[OLD])) == {"depends": 5, "license": "x"}
    assert not is_patched(result[NEW], result[NEW])
    assert records_of({"revoke": [OLD]}, Index(records={OLD: Raw(b'{"depends":5}')}))[OLD]["depends"] == [
        "package_has_been_revoked"
    ]


def test_a_legacy_patch_of_a_v3_record_is_ignored_with_a_warning() -> None:
    instructions = {"packages.conda": {NEW: {"license": "MIT-0"}}}
    index = Index(records={NEW: dump(record())}, v3=frozenset({NEW}))
    result = patched(instructions, index)
    assert result.index == index
    assert result.warnings == (f"does not patch {NEW}, whose record is under v3; add the patch under v3 too",)
    both = {**instructions, "v3": {"conda": {NEW.removesuffix(".conda"): {"license": "0BSD"}}}}
    assert patched(both, index).warnings == ()
