"""`channeldata.json` (CEP 38): the texts of the newest version, the traits of every release."""

from __future__ import annotations

import json
from typing import Any

import pytest

from indexer.core.json_form import dump
from indexer.core.metadata import Metadata
from indexer.core.model import Index
from indexer.core.pages.catalog import (
    Catalog,
    Entry,
    decode_catalog,
    encode_catalog,
    filenames_without_metadata,
    make_catalog,
)
from indexer.core.pages.channeldata import encode_channeldata
from indexer.core.records.about import TRAITS
from indexer.core.zstd import compress


def entry(version: str, built: int = 1_700_000_000, *, license: str | None = None, **about: Any) -> Entry:
    return Entry("a", version, "0", timestamp=built, license=license, metadata=Metadata(**about))


def data(**subdirs: dict[str, Entry]) -> dict[str, Any]:
    catalogs = {name.replace("_", "-"): Catalog(packages) for name, packages in subdirs.items()}
    result: dict[str, Any] = json.loads(encode_channeldata(catalogs))
    return result


def test_a_package_has_all_keys_of_cep_38() -> None:
    result = data(noarch={"a-1-0.conda": entry("1")}, linux_64={})
    assert result == {
        "channeldata_version": 1,
        "subdirs": ["linux-64", "noarch"],
        "packages": {
            "a": {
                **dict.fromkeys(TRAITS, False),
                "run_exports": {},
                "subdirs": ["noarch"],
                "timestamp": 1_700_000_000,
                "version": "1",
            }
        },
    }


def test_a_text_is_of_the_newest_version_that_has_one() -> None:
    result = data(
        noarch={"a-10-0.conda": entry("10", summary="new", source_url=("https://x/", "https://y/"))},
        linux_64={"a-9-0.conda": entry("9", summary="old", home="https://old/", source_git_url=("https://g/",))},
    )["packages"]["a"]
    assert (result["version"], result["summary"], result["home"]) == ("10", "new", "https://old/")
    assert (result["source_url"], result["source_git_url"]) == (["https://x/", "https://y/"], "https://g/")
    assert result["subdirs"] == ["linux-64", "noarch"]


def test_the_time_is_the_latest_of_all_records_in_any_unit() -> None:
    result = data(noarch={"a-1-0.conda": entry("1", 1_800_000_000_123), "a-2-0.conda": entry("2", 1_700_000_000)})
    assert result["packages"]["a"]["timestamp"] == 1_800_000_000


def test_traits_are_of_any_release_and_run_exports_by_version() -> None:
    result = data(
        noarch={
            "a-1-0.conda": entry("1", traits=("post_link",), run_exports={"weak": ["a 1"]}),
            "a-1-1.conda": entry("1", 1_700_000_001, run_exports={"weak": ["a 1.1"]}),
            "a-2-0.conda": entry("2", traits=("text_prefix",)),
        }
    )["packages"]["a"]
    assert [trait for trait in TRAITS if result[trait]] == ["post_link", "text_prefix"]
    assert result["run_exports"] == {"1": {"weak": ["a 1.1"]}}


def test_the_license_of_the_record_wins() -> None:
    result = data(noarch={"a-1-0.conda": entry("1", license="MIT")})
    assert result["packages"]["a"]["license"] == "MIT"


def test_of_two_files_of_one_build_the_conda_counts() -> None:
    result = data(
        noarch={"a-1-0.conda": entry("1", summary="c"), "a-1-0.tar.bz2": entry("1", summary="b", tags=("x",))}
    )
    assert result["packages"]["a"]["summary"] == "c"
    assert "tags" not in result["packages"]["a"]


RECORD = {"name": "a", "version": "1", "build": "0", "sha256": "5" * 64, "size": 3}


def index(**fields: object) -> Index:
    return Index({"a-1-0.conda": dump(RECORD | fields)}, removed=("b-1-0.conda",))


def test_metadata_of_another_sha256_is_not_used() -> None:
    known = {"a-1-0.conda": Metadata(sha256="5" * 64, summary="x")}
    assert make_catalog(index(), known, {}).packages["a-1-0.conda"].metadata == known["a-1-0.conda"]
    assert filenames_without_metadata(index(), known) == frozenset()
    replaced = index(sha256="6" * 64)
    assert make_catalog(replaced, known, {}).packages["a-1-0.conda"].metadata is None
    assert filenames_without_metadata(replaced, known) == {"a-1-0.conda"}


def test_a_catalog_survives_encode_and_decode() -> None:
    catalog = make_catalog(index(about="a key of its own that says nothing"), {}, {"b-1-0.conda": "broken"})
    assert catalog.packages["a-1-0.conda"].name == "a"
    assert decode_catalog(compress(encode_catalog(catalog))) == catalog


@pytest.mark.parametrize("data", [b"", b"{}", compress(b"[]"), compress(b'{"packages": {"a": {}}}')])
def test_an_unreadable_catalog_is_none(data: bytes) -> None:
    assert decode_catalog(data) is None


@pytest.mark.parametrize("fields", [{"size": "3"}, {"license": 3}, {"timestamp": "x"}, {"name": 3}])
def test_an_invalid_record_has_the_fields_of_its_file_name(fields: dict[str, object]) -> None:
    result = make_catalog(index(**fields), {}, {}).packages["a-1-0.conda"]
    assert (result.name, result.version, result.build) == ("a", "1", "0")


@pytest.mark.parametrize("when", [-1, 10**18, 1e300, None])
def test_a_time_beyond_the_calendar_is_limited(when: float | None) -> None:
    odd = Entry("a", "1", timestamp=when, indexed_timestamp=None)
    assert 0 <= odd.built_ms == odd.indexed_ms <= 253402300799000
