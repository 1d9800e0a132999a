"""docs/snapshots.md shows what its commands print; `python -m tests.cli.test_snapshots_page` writes it anew."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

from tests.support.channels import FEW, PACKAGES, lay_out
from tests.support.command import ROOT, invoke
from tests.support.console_blocks import comparable, output_of_python, with_real_output

PAGE = ROOT / "docs" / "snapshots.md"
_DATE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC")
_SIZE = re.compile(r"(packages  )\d+ B")


def lay(folder: Path) -> None:
    """The channel of the page, and the files that it publishes."""
    lay_out(folder / "channel", [path for path in FEW if path.name != "dew-1.0-0.conda"])
    invoke("fs", "channel", folder=folder)
    (folder / "output").mkdir()
    for name in ("mist-1.0-0.conda", "dew-1.0-0.conda"):
        shutil.copyfile(PACKAGES / "linux-64" / name, folder / "output" / name)


def page(folder: Path) -> str:
    """The page with the outputs of all its commands, as if it were always the same minute."""
    lay(folder)
    return _DATE.sub("2026-11-28 20:00 UTC", with_real_output(PAGE.read_text(), folder))


def without_sizes(text: str) -> str:
    """A page without the sizes of snapshots, which depend on the time of the run in the index."""
    return _SIZE.sub(r"\1", comparable(text))


def test_the_page_shows_the_output_of_its_commands(tmp_path: Path) -> None:
    assert without_sizes(page(tmp_path)) == without_sizes(PAGE.read_text())


def test_the_python_of_the_page_runs(tmp_path: Path) -> None:
    lay(tmp_path)
    assert output_of_python(PAGE, tmp_path) == ["nightly 4", "unchanged"]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        PAGE.write_text(page(Path(name)))
