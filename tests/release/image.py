"""Builds the container image, and checks its user, its size and a run in it."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

from indexer.core.release import __version__
from tests.release.called import call, expect
from tests.support.command import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_NAME = "localhost/indexer-release-check"
_AT_MOST_MB = 150
_RUN = """
set -e
test "$(id -u)" = 10001
cd /tmp; mkdir channel
indexer fs channel --create --quiet
indexer check channel --quiet
indexer --version
du -sk /opt/indexer | cut -f1
"""


def engine() -> str | None:
    """The program that builds images here; None if there is none, or if its daemon does not run."""
    for name, asks in (("docker", "info"), ("podman", "info"), ("buildah", "info")):
        path = shutil.which(name)
        if path and subprocess.run([path, asks], capture_output=True, check=False).returncode == 0:
            return name
    return None


def check(folder: Path, name: str, args: Sequence[str]) -> Iterator[str]:
    """A line for each step that passed, with the engine `name`, `args` for its build.  Raises CheckFailed."""
    call(name, "build", "--tag", _NAME, *args, ROOT, folder=folder)
    yield f"{name} built the image"
    version, size = _run(name, folder).split("\n")[-2:]
    expect(version == f"indexer {__version__}", f"the image has {version!r}")
    yield f"in the image, {version} indexes and checks a folder as user 10001"
    megabytes = int(size) / 1000
    expect(megabytes <= _AT_MOST_MB, f"the image has {megabytes:.0f} MB over its base, more than {_AT_MOST_MB}")
    yield f"the image has {megabytes:.0f} MB over its base (at most {_AT_MOST_MB})"


def _run(name: str, folder: Path) -> str:
    """The output of the script in a container of the image."""
    if name != "buildah":
        return call(name, "run", "--rm", "--entrypoint", "sh", _NAME, "-c", _RUN, folder=folder).strip()
    container = call("buildah", "from", _NAME, folder=folder).strip()
    try:
        return call("buildah", "run", container, "--", "sh", "-c", _RUN, folder=folder).strip()
    finally:
        call("buildah", "rm", container, folder=folder)
