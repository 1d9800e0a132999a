"""What a reader sees after a channel has changed: the new state, and nothing else."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from indexer import Options, Outputs, index, unyank, yank
from tests.support.channels import BROKEN, copy, lay_out, write
from tests.support.http_servers import serving_folder
from tests.support.pixi import FORMATS, Errand, Found, ReaderError, send

if TYPE_CHECKING:
    from pathlib import Path

# 2026-05-01: before CEP 47.
OLD = 1_777_593_600
WITH_BZ2 = Options(outputs=Outputs(bz2=True))


@pytest.fixture
def channel(tmp_path: Path) -> Path:
    folder = lay_out(tmp_path / "channel")
    index(str(folder), WITH_BZ2)
    return folder


def visit(channel: Path, **wishes: object) -> Found:
    with serving_folder(channel) as server:
        return send(Errand(server.url, **wishes))  # type: ignore[arg-type]  # fields of Errand


def test_a_replaced_package_has_new_digest_and_depends_and_installs(channel: Path, tmp_path: Path) -> None:
    path = write(channel, "noarch/mire-1.0-0.conda", depends=["reedbed-data"], noarch="generic")
    index(str(channel), WITH_BZ2)
    result = visit(channel, spec="mire", prefix=str(tmp_path / "prefix"))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    for form in FORMATS:
        mire = result.records[form]["noarch/mire-1.0-0.conda"]
        assert (mire["sha256"], mire["depends"]) == (digest, ["reedbed-data"])
    # The reader checks the digest of what it downloads.
    assert (tmp_path / "prefix" / "share" / "mire" / "README.txt").is_file()


def test_a_package_that_was_removed_is_offered_in_no_format(channel: Path) -> None:
    (channel / "noarch" / "reedbed-1.1.0-0.conda").unlink()
    index(str(channel), WITH_BZ2)
    result = visit(channel, spec="reedbed")
    for form in FORMATS:
        assert "noarch/reedbed-1.1.0-0.conda" not in result.records[form]
        assert "noarch/reedbed-1.0.0-0.conda" in result.solutions[form]


def test_a_yanked_package_is_in_no_format_until_unyanked(channel: Path) -> None:
    yank(str(channel), ["noarch/reedbed-1.1.0-0.conda", "noarch/mire-1.0-0.conda"], "broken")
    result = visit(channel, spec="reedbed")
    for form in FORMATS:
        assert not {"noarch/reedbed-1.1.0-0.conda", "noarch/mire-1.0-0.conda"} & result.records[form].keys()
        assert "noarch/reedbed-1.0.0-0.conda" in result.solutions[form]
    unyank(str(channel), ["noarch/reedbed-1.1.0-0.conda"])
    result = visit(channel, spec="reedbed")
    for form in FORMATS:
        assert "noarch/reedbed-1.1.0-0.conda" in result.solutions[form]


def test_a_patched_dependency_is_seen_and_solved_by_in_every_format(channel: Path) -> None:
    results = {
        "packages.conda": {"reedbed-1.1.0-0.conda": {"depends": ["mire"]}},
        "remove": ["reedbed-1.0.0-0.conda"],
        "revoke": ["reedbed-data-2026.1-0.conda"],
    }
    (channel / "noarch" / "patch_instructions.json").write_text(json.dumps(results))
    index(str(channel), WITH_BZ2)
    result = visit(channel, spec="reedbed")
    for form in FORMATS:
        assert result.records[form]["noarch/reedbed-1.1.0-0.conda"]["depends"] == ["mire"]
        assert "noarch/reedbed-1.0.0-0.conda" not in result.records[form]
        assert "package_has_been_revoked" in result.records[form]["noarch/reedbed-data-2026.1-0.conda"]["depends"]
        assert result.solutions[form] == ["noarch/mire-1.0-0.conda", "noarch/reedbed-1.1.0-0.conda"]


def test_the_last_package_of_a_name_leaves_nothing_to_solve_with(channel: Path) -> None:
    (channel / "noarch" / "mire-1.0-0.conda").unlink()
    index(str(channel), WITH_BZ2)
    for form in FORMATS:
        with pytest.raises(ReaderError, match="mire"):
            visit(channel, formats=(form,), spec="mire")


def test_a_rejected_package_is_seen_by_nobody_and_disturbs_nobody(channel: Path) -> None:
    for path in (BROKEN / "linux-64").iterdir():
        if path.stat().st_size < 2**16:
            copy(path, channel)
    index(str(channel), WITH_BZ2)
    result = visit(channel)
    assert result.records["shards"]
    for form in FORMATS:
        assert not any("half-" in key or "cuckoo-" in key for key in result.records[form])
        assert len(result.without_twins(form)) == 15


def test_a_channel_of_shards_alone_is_read(channel: Path, tmp_path: Path) -> None:
    before = visit(channel, formats=("shards",))
    index(str(channel), Options(outputs=Outputs(monolithic=False)))
    assert not list(channel.glob("*/repodata.json*"))
    result = visit(channel, formats=("shards",), spec="reedbed", prefix=str(tmp_path / "prefix"))
    assert result.records == before.records
    assert (tmp_path / "prefix" / "share" / "reedbed-data" / "README.txt").is_file()


def test_a_channel_without_shards_is_read(channel: Path) -> None:
    before = visit(channel, formats=("json",))
    index(str(channel), Options(outputs=Outputs(shards=False)))
    # With shards asked for first, as pixi does, the reader must find that there are none.
    result = visit(channel, formats=("shards",))
    assert result.records["shards"] == before.records["json"]


@pytest.mark.parametrize("subdir", ["linux-64", "osx-arm64", "noarch", "win-64"])
def test_every_subdir_is_read_even_one_that_is_not_there(channel: Path, subdir: str) -> None:
    result = visit(channel, platforms=(subdir,))
    counts = {"linux-64": 15, "osx-arm64": 6, "noarch": 4, "win-64": 4}
    assert {form: len(result.without_twins(form)) for form in FORMATS} == dict.fromkeys(FORMATS, counts[subdir])


def test_a_channel_without_packages_is_read_as_empty(tmp_path: Path) -> None:
    index(str(tmp_path), replace(WITH_BZ2, create=True))
    assert visit(tmp_path).records == {form: {} for form in FORMATS}


def test_a_folder_is_read_without_a_server(channel: Path) -> None:
    result = send(Errand(channel.as_uri(), formats=("json",)))
    assert len(result.records["json"]) == 15


def test_packages_are_fetched_from_the_base_url(channel: Path, tmp_path: Path) -> None:
    packages = lay_out(tmp_path / "elsewhere" / "ch")
    with serving_folder(packages.parent) as elsewhere:
        index(str(channel), Options(outputs=Outputs(bz2=True, base_url=f"{elsewhere.url}/ch")))
        for path in channel.glob("*/*.conda"):
            path.unlink()
        for form in FORMATS:
            prefix = tmp_path / form
            visit(channel, formats=(form,), spec="reedbed-data", prefix=str(prefix))
            assert (prefix / "share" / "reedbed-data" / "README.txt").is_file()
    assert {request.path for request in elsewhere.requests} == {"/ch/noarch/reedbed-data-2026.1-0.conda"}


def test_exclude_newer_finds_old_packages_and_no_replaced_one(tmp_path: Path) -> None:
    channel = lay_out(tmp_path / "channel")
    path = channel / "noarch/mire-1.0-0.conda"
    for package in channel.glob("*/*.conda"):
        os.utime(package, (OLD, OLD))
    index(str(channel), WITH_BZ2)
    solutions = visit(channel, spec="mire", exclude_newer_days=7).solutions
    assert solutions == {form: ["noarch/mire-1.0-0.conda"] for form in FORMATS}
    write(channel, "noarch/mire-1.0-0.conda", noarch="generic", license="swapped")
    os.utime(path, (OLD, OLD))
    index(str(channel), WITH_BZ2)
    with pytest.raises(ReaderError, match="mire"):
        visit(channel, spec="mire", exclude_newer_days=7)
    assert visit(channel, spec="mire").solutions == solutions
