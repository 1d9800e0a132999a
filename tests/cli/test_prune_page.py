"""docs/prune.md shows what its commands print; `python -m tests.cli.test_prune_page` writes the outputs anew."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.support.command import ROOT, invoke
from tests.support.console_blocks import comparable, output_of_python, with_real_output
from tests.support.memory_channel import package

PAGE = ROOT / "docs" / "prune.md"


def lay(folder: Path) -> None:
    """The channel of the page: three versions of two packages; one version needs an old one."""
    for version in ("1.0", "2.0", "3.0"):
        needs = ["app-data 1.0"] if version == "2.0" else ["app-data"]
        for key, depends in ((f"linux-64/app-{version}-0.conda", needs), (f"noarch/app-data-{version}-0.conda", [])):
            path = folder / "channel" / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(package(key, depends=depends))
    invoke("fs", "channel", folder=folder)


def page(folder: Path) -> str:
    """The page with the outputs of all its commands."""
    lay(folder)
    return with_real_output(PAGE.read_text(), folder)


def test_the_page_shows_the_output_of_its_commands(tmp_path: Path) -> None:
    assert comparable(page(tmp_path)) == comparable(PAGE.read_text())


def test_the_python_of_the_page_runs(tmp_path: Path) -> None:
    lay(tmp_path)
    assert "linux-64/app-1.0-0.conda left the index" in output_of_python(PAGE, tmp_path)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        PAGE.write_text(page(Path(name)))
