"""The benchmark of sizes and times has a row for each way to compress, and can be believed."""

from __future__ import annotations

import bz2
from typing import TYPE_CHECKING

from benchmarks import compression
from fixtures.golden import CHANNELS
from indexer.writer.compress import frame

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

REPODATA = CHANNELS / "first" / "expected" / "linux-64" / "repodata.json"


def rows(printed: str) -> list[list[str]]:
    """The cells of all rows below the heads of tables."""
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in printed.splitlines() if line[:1] == "|"]
    return [row for row in cells if row[0] not in {"level", "---"}]


def test_each_level_and_each_kind_of_jobs_has_a_row_and_bzip2_one(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--levels", "3", "16", "--jobs", "ours", "0.5", "own", "--threads", "1", "--runs", "1"]
    assert compression.main([str(REPODATA), *options]) == 0
    made = [row[:2] for row in rows(capsys.readouterr().out)]
    kinds = ["ours", "0.5 MiB", "own"]
    assert made == [["3", kind] for kind in kinds] + [["16", kind] for kind in kinds] + [["bzip2", ""]]


def test_the_sizes_are_those_of_the_files_that_are_published(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = b"".join(b"%d " % number for number in range(200_000))
    large = tmp_path / "repodata.json"
    large.write_bytes(content)
    options = ["--join", "--levels", "3", "--jobs", "ours", "--threads", "1", "2", "--runs", "1"]
    assert compression.main([str(large), str(REPODATA), *options]) == 0
    joined = content + REPODATA.read_bytes()
    ours, bzip2 = rows(capsys.readouterr().out)
    assert ours[2] == f"{len(frame(joined, 3)):,}"
    assert ours[-1] == "yes"
    assert bzip2[2] == f"{len(bz2.compress(joined)):,}"


def test_a_file_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = tmp_path / "repodata.json"
    assert compression.main([str(missing)]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith(f"benchmarks.compression: {missing}: No such file")
