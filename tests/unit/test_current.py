"""`current_repodata.json` has the records that conda-index would choose."""

from __future__ import annotations

import json
from typing import Any

import pytest

from indexer.core.json_form import dump
from indexer.core.model import Index
from indexer.core.pages.current import current_filenames, encode_current_repodata


def index_of(*records: str | dict[str, Any], v3: frozenset[str] = frozenset()) -> Index:
    """An index of records, each as `name version [depends;...]` or as all its fields."""
    result = {}
    for number, record in enumerate(records):
        fields: dict[str, Any] = {"build": "0", "build_number": 0, "depends": [], "extension": ".conda"}
        if isinstance(record, str):
            name, version, *depends = record.split(" ", 2)
            fields |= {"name": name, "version": version, "depends": depends[0].split(";") if depends else []}
        else:
            fields |= record
        filename = f"{fields['name']}-{fields['version']}-{fields['build']}{fields.pop('extension')}"
        result[filename] = dump({**fields, "md5": f"{number:032x}"})
    return Index(records=result, v3=v3)


def stems(index: Index) -> list[str]:
    return sorted(
        name.removesuffix(".conda").removesuffix(".tar.bz2").removesuffix("-0") for name in current_filenames(index)
    )


@pytest.mark.parametrize(
    ("records", "kept"),
    [
        (["a 1", "a 2", "b 1"], "a-2 b-1"),
        (["a 1.0", "a 1.0.0", "a 1.0.1", "a 1.0a1"], "a-1.0.1"),
        (["a 1.0", "a 1.0.0", "a 1.0a1", "a 0.9"], "a-1.0 a-1.0.0 a-1.0a1"),
        (["a 9", "a 10"], "a-10"),
        (["c 1 d <2", "d 1 e <2", "d 2", "e 1", "e 2"], "c-1 d-1 d-2 e-2"),
        (["c 1 d <2", "c 2", "d 1", "d 2"], "c-2 d-2"),
        (["c 1 d 1.*", "d 1.0", "d 1.1", "d 2"], "c-1 d-1.1 d-2"),
        (["c 1 d >=1", "d 1", "d 2"], "c-1 d-2"),
        (["c 1 d nonsense[;d[flags=[x]]", "d 1", "d 2"], "c-1 d-2"),
        (["c 1 d[version='>=1,<2']", "d 1", "d 2"], "c-1 d-1 d-2"),
        (["c 1 d 1 py*", "d 1", "d 2"], "c-1 d-2"),
        (["c 1 __glibc >=2"], "c-1"),
        (["Upper 1", "a 1"], "a-1"),
        ([{"name": "a", "version": "2", "track_features": "f"}, "a 1"], "a-1 a-2"),
        ([{"name": "a", "version": "2", "features": None}, "a 1"], "a-2"),
    ],
    ids=str,
)
def test_the_newest_version_and_its_dependencies_are_kept(records: list[Any], kept: str) -> None:
    assert stems(index_of(*records)) == kept.split()


def test_all_builds_of_the_newest_version_are_kept() -> None:
    builds = [{"name": "a", "version": "1", "build": build} for build in ("x", "y")]
    assert stems(index_of(*builds)) == ["a-1-x", "a-1-y"]


def test_of_one_build_the_conda_stays_with_the_legacy_md5() -> None:
    index = index_of("a 1", {"name": "a", "version": "1", "extension": ".tar.bz2"}, "b 1")
    result = json.loads(bytes(encode_current_repodata(index, {"subdir": "noarch"})))
    assert result["packages"] == {}
    assert result["packages.conda"]["a-1-0.conda"]["legacy_bz2_md5"] == f"{1:032x}"
    assert "legacy_bz2_md5" not in result["packages.conda"]["b-1-0.conda"]


def test_records_are_copied_and_v3_records_are_left_out() -> None:
    index = index_of("a 1", "b 1", v3=frozenset({"b-1-0.conda"}))
    content = encode_current_repodata(index, {"subdir": "noarch", "repodata_revisions": {"v3": {"n_packages": 1}}})
    result = json.loads(bytes(content))
    assert result == {
        "info": {"subdir": "noarch"},
        "packages": {},
        "packages.conda": {"a-1-0.conda": json.loads(bytes(index.records["a-1-0.conda"]))},
        "removed": [],
        "repodata_version": 1,
    }
    assert bytes(index.records["a-1-0.conda"]) in bytes(content)


@pytest.mark.parametrize("odd", [{"version": "no version"}, {"version": 1}, {"depends": "text"}, {"build": None}])
def test_an_invalid_record_is_skipped(odd: dict[str, Any]) -> None:
    index = index_of("a 1", {"name": "b", "version": "1"} | odd)
    assert stems(index) == ["a-1"]


def test_null_features_are_accepted() -> None:
    assert stems(index_of({"name": "a", "version": "1", "features": None, "track_features": None})) == ["a-1"]
