"""Calls the programs of a release check, each away from this checkout and without its variables."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_LIMIT = 1800
_SHOWN = 4000
# With these variables a program would find the checkout instead of what was installed.
_OF_CHECKOUT = ("PYTHONPATH", "VIRTUAL_ENV")


class CheckFailed(Exception):
    """A check of the release failed."""


def call(*words: object, folder: Path) -> str:
    """The standard output of a program in a folder.  Raises CheckFailed with the end of its output if it fails."""
    command = [str(word) for word in words]
    env = {name: value for name, value in os.environ.items() if name not in _OF_CHECKOUT}
    done = subprocess.run(
        command, cwd=folder, env=env, capture_output=True, encoding="utf-8", check=False, timeout=_LIMIT
    )
    if done.returncode:
        raise CheckFailed(f"{' '.join(command)}: exit code {done.returncode}\n{(done.stdout + done.stderr)[-_SHOWN:]}")
    return done.stdout


def expect(condition: object, message: str) -> None:
    """Raise CheckFailed unless the condition holds."""
    if not condition:
        raise CheckFailed(message)
