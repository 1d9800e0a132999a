"""Builds the sdist and the wheel, checks them, and indexes a folder with the installed wheel."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.core.release import __version__
from tests.release.called import call, expect
from tests.support.channels import lay_out
from tests.support.command import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

_BUILT = ROOT / "indexer"


def check(folder: Path) -> Iterator[str]:
    """A line for each step that passed.  Raises CheckFailed."""
    dist = folder / "dist"
    # The wheel is made from the sdist, so the sdist has everything that a build needs.
    call(sys.executable, "-m", "build", "--outdir", dist, ROOT, folder=folder)
    (sdist,), (wheel,) = dist.glob("*.tar.gz"), dist.glob("*.whl")
    yield f"built {sdist.name} ({sdist.stat().st_size:,} bytes) and {wheel.name} ({wheel.stat().st_size:,} bytes)"
    call(sys.executable, "-m", "twine", "check", "--strict", sdist, wheel, folder=folder)
    yield "twine check --strict has no complaint"
    missing = _sources() - set(zipfile.ZipFile(wheel).namelist())
    expect(not missing, f"the wheel lacks {sorted(missing)}")
    yield "the wheel has each file of the package"
    yield from _use(folder, wheel)


def _sources() -> set[str]:
    """The files that a wheel must have."""
    files = (path for path in _BUILT.rglob("*") if path.is_file() and path.parent.name != "__pycache__")
    return {path.relative_to(ROOT).as_posix() for path in files}


def _use(folder: Path, wheel: Path) -> Iterator[str]:
    """Install the wheel into a new environment, and index a folder with it."""
    call(sys.executable, "-m", "venv", "installed", folder=folder)
    programs = folder / "installed" / ("Scripts" if sys.platform == "win32" else "bin")
    call(programs / "pip", "install", "--quiet", wheel, folder=folder)
    call(programs / "pip", "check", folder=folder)
    indexer = programs / "indexer"
    shown = call(indexer, "--version", folder=folder).strip()
    expect(shown == f"indexer {__version__}", f"--version prints {shown!r}")
    place = call(programs / "python", "-c", "import indexer; print(indexer.__file__)", folder=folder).strip()
    expect(Path(place).is_relative_to(folder / "installed"), f"{place} was imported")
    yield f"the wheel is installed into a new environment: {shown}"
    channel = lay_out(folder / "channel")
    call(indexer, "fs", channel, "--html", "--channeldata", folder=folder)
    call(indexer, "check", channel, "--deep", folder=folder)
    yield "the installed wheel indexes a folder, and `check --deep` finds no fault"
