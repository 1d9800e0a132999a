"""Builds what a release publishes, installs it and uses it: `make release-check`, or `python -m tests.release`."""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tests.release import conda_package, distributions, image
from tests.release.called import CheckFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Check = Callable[[Path], Iterator[str]]


def main() -> int:
    """Run all checks, print a line for each step, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.release", description=__doc__)
    parser.add_argument("--image-args", default="", help="more arguments for the build of the image, in one text")
    arguments = parser.parse_args()
    checks: dict[str, Check] = {"wheel": distributions.check, "recipe": conda_package.check}
    engine = image.engine()
    if engine:
        checks["image"] = partial(image.check, name=engine, args=shlex.split(arguments.image_args))
    failed = [name for name, check in checks.items() if not _passed(name, check)]
    if not engine:
        print("image   skipped: there is no docker, podman or buildah that works here")
    return 1 if failed else 0


def _passed(name: str, check: Check) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        try:
            for line in check(Path(folder).resolve()):
                print(f"{name:<7} {line}", flush=True)
        except CheckFailed as error:
            print(f"{name:<7} FAILED: {error}")
            return False
    return True


if __name__ == "__main__":
    sys.exit(main())
