"""How far a command is: the value that functions for `progress` are called with."""

from __future__ import annotations

from enum import Enum

from indexer.core.value import Value


class Phase(Enum):
    """What a command is doing."""

    LISTING = "listing"
    READING = "reading"
    WRITING = "writing"
    UPLOADING = "uploading"


class Step(Value, frozen=True):
    """How far a phase is: `done` of `total`; the total is 0 if it is not known yet.

    The counts are objects listed, packages read, files written, and bytes uploaded.  `subdir` is empty for an upload,
    which is of all subdirs, and for the files at the root.  A phase that has ended has `done == total`.
    """

    phase: Phase
    subdir: str
    done: int
    total: int = 0


def silent(_step: Step) -> None:
    """Show nothing.  Where this function shows progress, nothing is counted for it."""
