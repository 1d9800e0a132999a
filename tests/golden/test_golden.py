"""The engine makes of every committed case what is committed with it, byte for byte."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from fixtures.golden import CHANNELS, DECODED, PACKAGES, cases, expected, make
from indexer.store.fs import FolderStore
from tests.support.channel_check import faults
from tests.support.channels import copy, records_of

if TYPE_CHECKING:
    from pathlib import Path

CASES = cases()
# conda-index takes a package's own word for when it was indexed; this one says 1970, is younger, and so is read again.
FORGED = {"teal-1.0-0.conda"}


def test_there_are_cases_for_what_channels_go_through() -> None:
    assert {
        "first",
        "incremental",
        "conda-index",
        "rattler-index",
        "shards",
        "v3",
        "base-url",
        "patched",
        "channel-info",
        "rattler-index-patched",
        "conda-index-patched",
    } <= set(CASES)


@pytest.mark.parametrize("case", CASES)
def test_a_channel_is_made_as_it_is_committed(case: str, tmp_path: Path) -> None:
    made, wanted = make(case, tmp_path), expected(case)
    assert sorted(made) == sorted(wanted)
    for key, body in wanted.items():
        assert made[key].decode() == body.decode(), key


@pytest.mark.parametrize("case", CASES)
def test_a_check_finds_no_fault_in_a_channel_that_was_made(case: str, tmp_path: Path) -> None:
    make(case, tmp_path)
    assert faults(FolderStore(tmp_path), deep=True) == []


@pytest.mark.parametrize("case", ["conda-index", "rattler-index"])
def test_a_check_finds_no_fault_in_what_another_tool_has_made(case: str, tmp_path: Path) -> None:
    shutil.copytree(CHANNELS / case / "before", tmp_path, dirs_exist_ok=True)
    for path in (CHANNELS / case / "before").glob("*/repodata.json"):
        for filename in records_of(json.loads(path.read_bytes())):
            copy(PACKAGES / path.parent.name / filename, tmp_path)
    result = faults(FolderStore(tmp_path), deep=True)
    if case == "conda-index":  # it takes a package's own word for attestations too
        forged = result.pop()
        assert forged.startswith(f"osx-arm64/{min(FORGED)}.sigs.000")
        assert "is in the index, but missing" in forged
        torn = result.pop(0)  # and its time with parts of a second
        assert torn.startswith("linux-64/mist-1.0-0.conda: its record cannot be parsed by readers")
        assert "`$.timestamp`" in torn
    assert result == []


@pytest.mark.parametrize("case", CASES)
def test_all_forms_of_a_committed_index_say_the_same(case: str) -> None:
    files = expected(case)
    for key, body in files.items():
        for suffix in (".zst", ".bz2"):
            plain = key.removesuffix(suffix + DECODED)
            if plain != key and plain.endswith(".json") and not plain.rpartition("/")[2].startswith("."):
                assert body == files[plain]


@pytest.mark.parametrize("case", CASES)
def test_the_records_in_shards_are_those_of_the_committed_repodata(case: str) -> None:
    pages = (".html", ".xml")
    files = {key: json.loads(body) for key, body in expected(case).items() if not key.endswith(pages)}
    for key, repodata in files.items():
        if not key.endswith("/repodata.json"):
            continue
        folder = key.removesuffix("repodata.json") + "shards/"
        shards = [shard for name, shard in files.items() if name.startswith(folder) and name.endswith(DECODED)]
        for section in ("packages", "packages.conda"):
            results = {filename: record for shard in shards for filename, record in shard[section].items()}
            assert {filename: _as_in_json(record) for filename, record in results.items()} == {
                filename: _without_run_exports(record) for filename, record in repodata[section].items()
            }


def _as_in_json(record: dict[str, object]) -> dict[str, object]:
    plain = {key: value.removeprefix("bytes ") if isinstance(value, str) else value for key, value in record.items()}
    return _without_run_exports(plain)


def _without_run_exports(record: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in record.items() if key != "run_exports"}


@pytest.mark.parametrize("case", ["conda-index", "rattler-index"])
def test_records_of_another_tool_stay_as_they_were_but_for_a_date(case: str) -> None:
    after = expected(case)
    for path in (CHANNELS / case / "before").glob("*/repodata.json"):
        before = json.loads(path.read_bytes())
        now = json.loads(after[f"{path.parent.name}/repodata.json"])
        for section in ("packages", "packages.conda"):
            # A time with parts of a second is read again: pixi's engine cannot parse it.
            torn = {name for name, value in before[section].items() if isinstance(value.get("timestamp"), float)}
            for filename in before[section].keys() - FORGED - torn:
                was, result = before[section][filename], now[section][filename]
                assert {"indexed_timestamp": result["indexed_timestamp"], **was} == result
