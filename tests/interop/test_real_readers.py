"""pixi's engine reads every subdir of real packages, the same in every format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.http_servers import serving_folder
from tests.support.pixi import FILE_OF, FORMATS, Errand, send

if TYPE_CHECKING:
    from tests.interop.real_packages import Indexed

pytestmark = pytest.mark.xdist_group("real packages")  # indexed once, not once in each process

SUBDIRS = (
    *("linux-32", "linux-64", "linux-aarch64", "linux-armv6l", "linux-armv7l", "linux-ppc64le"),
    *("osx-64", "osx-arm64", "win-32", "win-64", "win-arm64"),
)


def test_the_list_of_subdirs_is_whole(folder: Indexed) -> None:
    assert sorted(folder.report.subdirs) == sorted((*SUBDIRS, "noarch"))


def test_every_subdir_is_read_in_every_format_with_the_same_records(folder: Indexed) -> None:
    with serving_folder(Path(folder.target.location)) as server:
        result = send(Errand(server.url, platforms=SUBDIRS))
    fetched = {item.path for item in server.of("GET")}
    for form in FORMATS:
        assert {f"/{subdir}/{FILE_OF[form]}" for subdir in (*SUBDIRS, "noarch")} <= fetched
    shards = result.without_twins("shards")
    for form in ("zst", "bz2", "json"):
        assert result.records[form] == shards, form
    assert len(result.records["shards"]) == sum(sub.packages for sub in folder.report.subdirs.values())


@pytest.mark.parametrize("spec", ["bzip2", "t-epoch"])
def test_a_real_package_is_solved_and_installed(folder: Indexed, tmp_path: Path, spec: str) -> None:
    with serving_folder(Path(folder.target.location)) as server:
        result = send(Errand(server.url, spec=spec, prefix=str(tmp_path / "prefix")))
    solutions = list(result.solutions.values())
    assert all(solution == solutions[0] for solution in solutions)
    installed = {path.name.removesuffix(".json") for path in (tmp_path / "prefix" / "conda-meta").glob("*.json")}
    stems = (key.rpartition("/")[2].removesuffix(".conda").removesuffix(".tar.bz2") for key in solutions[0])
    assert installed == set(stems)
    assert any(name.startswith(f"{spec}-") for name in installed)
