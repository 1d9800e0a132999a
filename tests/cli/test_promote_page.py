"""docs/promote.md shows what its commands print; `python -m tests.cli.test_promote_page` writes the outputs anew."""

from __future__ import annotations

import tempfile
from pathlib import Path

from fixtures import pack, tree
from fixtures.tree import Written
from tests.support.channels import PACKAGES, lay_out
from tests.support.command import ROOT, invoke
from tests.support.console_blocks import comparable, output_of_python, with_real_output

PAGE = ROOT / "docs" / "promote.md"
_STAGED = ("mist", "dew", "rush", "sundew", "bittern", "libreed")


def lay(folder: Path) -> None:
    """The channels of the page: `staging`, `prod`, and `other`, which has another package of a name."""
    staged = [path for name in _STAGED for path in PACKAGES.glob(f"linux-64/{name}-*.conda")]
    lay_out(folder / "staging", [*staged, *PACKAGES.glob("noarch/*.conda")])
    lay_out(folder / "prod", [PACKAGES / "noarch" / "mire-1.0-0.conda"])
    other = folder / "other" / "linux-64"
    other.mkdir(parents=True)
    changed = Written("linux-64/mist-1.0-0.conda", "", index={"license": "BSD-3-Clause"})
    pack.write(tree.files(changed), other / "mist-1.0-0.conda")
    for name in ("staging", "prod", "other"):
        assert invoke("fs", name, folder=folder).code == 0
    assert invoke("yank", "staging", "linux-64/sundew-1.0-1.conda", "--reason", "broken", folder=folder).code == 0


def page(folder: Path) -> str:
    """The page with the outputs of all its commands."""
    lay(folder)
    return with_real_output(PAGE.read_text(), folder)


def test_the_page_shows_the_output_of_its_commands(tmp_path: Path) -> None:
    assert comparable(page(tmp_path)) == comparable(PAGE.read_text())


def test_the_python_of_the_page_runs(tmp_path: Path) -> None:
    lay(tmp_path)
    assert "promoted linux-64/mist-1.0-0.conda" in output_of_python(PAGE, tmp_path)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        PAGE.write_text(page(Path(name)))
