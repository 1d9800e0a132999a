"""docs/operations.md and docs/python.md run; `python -m tests.cli.test_operations_page` writes the outputs anew."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import tempfile
from pathlib import Path

from tests.support.channels import BROKEN, FEW, lay_out
from tests.support.command import ROOT, invoke
from tests.support.console_blocks import comparable, with_real_output

PAGE = ROOT / "docs" / "operations.md"
PYTHON = ROOT / "docs" / "python.md"
_PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


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
    before = Path.cwd()
    os.chdir(tmp_path)
    try:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            for code in _PYTHON.findall(PYTHON.read_text()):
                exec(compile(code, str(PYTHON), "exec"), {})
    finally:
        os.chdir(before)
    lines = [f"would index {len(FEW)} packages", "published 0", "sound", "s3://conda/main"]
    assert out.getvalue().splitlines() == lines


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        PAGE.write_text(page(Path(name)))
