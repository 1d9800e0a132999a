"""docs/publish.md shows what its commands print; `python -m tests.cli.test_publish_page` writes the outputs anew."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from fixtures import pack, tree
from fixtures.tree import Written
from tests.support.channels import BROKEN, FEW, PACKAGES, lay_out
from tests.support.command import ROOT, invoke
from tests.support.console_blocks import comparable, output_of_python, with_real_output

PAGE = ROOT / "docs" / "publish.md"


def lay(folder: Path) -> None:
    """The channel and the files that the page publishes."""
    lay_out(
        folder / "channel", [path for path in FEW if path.name != "dew-1.0-0.conda" and "reedbed-1.1" not in path.name]
    )
    invoke("fs", "channel", folder=folder)
    for name in ("output", "changed", "signed"):
        (folder / name).mkdir()
    for name in ("linux-64/mist-1.0-0.conda", "linux-64/dew-1.0-0.conda", "noarch/reedbed-1.1.0-0.conda"):
        shutil.copyfile(PACKAGES / name, folder / "output" / name.partition("/")[2])
    shutil.copyfile(BROKEN / "linux-64" / "half-1.0-0.conda", folder / "output" / "half-1.0-0.conda")
    shutil.copyfile(PACKAGES / "linux-64" / "dew-1.0-0.conda", folder / "signed" / "dew-1.0-0.conda")
    (folder / "signed" / "dew-1.0-0.conda.sigs").write_bytes(b'[{"mediaType":"application/vnd.dev.sigstore.bundle"}]')
    changed = Written("linux-64/mist-1.0-0.conda", "", index={"license": "BSD-3-Clause"})
    pack.write(tree.files(changed), folder / "changed" / "mist-1.0-0.conda")


def page(folder: Path) -> str:
    """The page with the outputs of all its commands."""
    lay(folder)
    return with_real_output(PAGE.read_text(), folder)


def test_the_page_shows_the_output_of_its_commands(tmp_path: Path) -> None:
    assert comparable(page(tmp_path)) == comparable(PAGE.read_text())


def test_the_python_of_the_page_runs(tmp_path: Path) -> None:
    lay(tmp_path)
    assert output_of_python(PAGE, tmp_path) == ["sent linux-64/mist-1.0-0.conda"]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        PAGE.write_text(page(Path(name)))
