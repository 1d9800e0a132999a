"""The codes that a command can end with (docs/cli.md)."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class ExitCode(IntEnum):
    """The meaning of each exit code.  After a signal a command ends with 128 and the number of the signal."""

    OK = 0
    FAILED = 1
    WRONG_USAGE = 2
    PARTIAL = 3
    CONFLICT = 4
    FAULTS = 5
    REFUSED = 6
    WORK_TO_DO = 7


_WORST_FIRST = (
    ExitCode.FAILED,
    ExitCode.WRONG_USAGE,
    ExitCode.FAULTS,
    ExitCode.REFUSED,
    ExitCode.CONFLICT,
    ExitCode.PARTIAL,
    ExitCode.WORK_TO_DO,
    ExitCode.OK,
)


def worst_code(codes: Iterable[ExitCode]) -> ExitCode:
    """The worst of the codes of several subdirs, OK without any."""
    return min(codes, key=_WORST_FIRST.index, default=ExitCode.OK)
