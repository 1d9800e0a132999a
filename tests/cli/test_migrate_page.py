"""docs/migrate.md shows what its commands print; `python -m tests.cli.test_migrate_page` writes the outputs anew."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks import peers
from tests.support.channels import FEW, lay_out
from tests.support.command import ROOT
from tests.support.console_blocks import comparable, with_real_output

PAGE = ROOT / "docs" / "migrate.md"


def page(folder: Path) -> str:
    """The page with the outputs of all its commands, on a channel of rattler-index."""
    lay_out(folder / "channel", FEW)
    outcome = peers.rattler_folder(folder / "channel")
    assert outcome.ok, outcome.output
    return with_real_output(PAGE.read_text(), folder)


def test_the_page_shows_the_output_of_its_commands(tmp_path: Path) -> None:
    assert comparable(page(tmp_path)) == comparable(PAGE.read_text())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        PAGE.write_text(page(Path(name)))
