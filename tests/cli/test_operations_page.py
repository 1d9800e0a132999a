"""docs/operations.md and docs/python.md run; `python -m tests.cli.test_operations_page` writes the outputs anew."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from tests.support.channels import BROKEN, FEW, lay_out
from tests.support.command import ROOT, invoke
from tests.support.console_blocks import comparable, output_of_python, with_real_output

PAGE = ROOT / "docs" / "operations.md"
PYTHON = ROOT / "docs" / "python.md"


def page(folder: Path) -> str:
    """The page with the outputs of all its commands."""
    lay_out(folder / "channel", FEW)
    shutil.copyfile(BROKEN / "linux-64" / "half-1.0-0.conda", folder / "half-1.0-0.conda")
    (folder / "broken.json").write_text('{"packages": ')
    invoke("fs", "channel", folder=folder)
    return with_real_output(PAGE.read_text(), folder)


def test_the_page_shows_the_output_of_its_commands(tmp_path: Path) -> None:
    assert comparable(page(tmp_path)) == comparable(PAGE.read_text())


def test_the_python_of_the_page_runs(tmp_path: Path) -> None:
    lay_out(tmp_path / "channel", FEW)
    lines = [f"would index {len(FEW)} packages", "published 0", "sound", "s3://conda/main"]
    assert output_of_python(PYTHON, tmp_path) == lines


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        PAGE.write_text(page(Path(name)))
