"""pixi's engine finds the same packages in a channel as in the one that they were promoted from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from indexer import Options, Outputs, index, promote
from tests.support.http_servers import serving_folder
from tests.support.pixi import FORMATS, Errand, Found, send

if TYPE_CHECKING:
    from pathlib import Path

DATE = "indexed_timestamp"


def undated(found: Found, form: str) -> dict[str, dict[str, Any]]:
    """The records of a format without their dates, which each channel sets by itself."""
    return {
        key: {name: value for name, value in record.items() if name not in {DATE, "url", "channel"}}
        for key, record in found.records[form].items()
    }


def visited(folder: Path, prefix: Path) -> Found:
    with serving_folder(folder) as server:
        return send(Errand(server.url, tuple(FORMATS), spec="reedbed", prefix=str(prefix)))


def test_a_reader_solves_the_same_from_both_channels(indexed: Path, tmp_path: Path) -> None:
    target = tmp_path / "prod"
    target.mkdir()
    index(str(target), Options(outputs=Outputs(bz2=True), create=True))
    report = promote(str(indexed), str(target), ["reedbed"], with_dependencies=True)
    assert report.exit_code == 0
    assert {package.key for package in report.packages} >= {"noarch/reedbed-1.1.0-0.conda"}
    theirs, mine = visited(indexed, tmp_path / "one"), visited(target, tmp_path / "two")
    assert mine.solutions == theirs.solutions
    for form in FORMATS:
        assert undated(mine, form).items() <= undated(theirs, form).items()
