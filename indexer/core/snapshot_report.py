"""The report of `indexer snapshot`: the snapshots of a channel, or the one that was made or deleted."""

from __future__ import annotations

import msgspec

from indexer.core.exit_codes import ExitCode
from indexer.core.report import ChannelReport, Outcome
from indexer.core.value import Value


class SnapshotInfo(Value, frozen=True):
    """A named snapshot: when it was made (milliseconds), its number of packages, and the size of its files in bytes.

    `created_timestamp` is None if the snapshot is not complete; then nothing more is known about it.
    """

    name: str
    created_timestamp: int | None = None
    packages: int = 0
    bytes: int = 0


class SnapshotReport(ChannelReport, frozen=True):
    """The result of `indexer snapshot`.

    `outcome` is PUBLISHED if a snapshot was made, UNCHANGED if it was there already or if snapshots were listed,
    PLANNED if a snapshot would be deleted, DELETED if it was.
    """

    outcome: Outcome
    snapshots: tuple[SnapshotInfo, ...] = ()

    @property
    def exit_code(self) -> ExitCode:
        """The code that the command ends with."""
        return ExitCode.OK

    def as_json(self) -> dict[str, object]:
        """The object that `--json` prints."""
        return self._as_json(self.outcome, self.exit_code, snapshots=msgspec.to_builtins(self.snapshots))
