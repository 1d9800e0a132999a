"""What `remove` is asked for and reports: which indexer goes on with a channel, and the files that only we read."""

from __future__ import annotations

from enum import Enum

from indexer.core.report import Outcome, Report
from indexer.core.value import Value


class Successor(str, Enum):
    """The indexer that goes on with a channel."""

    RATTLER = "rattler-index"
    CONDA = "conda-index"


class RemovalRequest(Value, frozen=True):
    """Which indexer goes on with the channel, and whether anything is changed or only listed."""

    successor: Successor
    delete: bool = False


class RemovalReport(Report, frozen=True):
    """The result of `remove`: of the run that published the formats of the `successor`, and `own_files`.

    These are the keys of the files that only we read; `deleted` is false if they were only listed.
    """

    successor: str = ""
    own_files: tuple[str, ...] = ()
    deleted: bool = False

    @property
    def outcome(self) -> Outcome:
        """The outcome of the run; if the run had nothing to do, that of our files."""
        of_run = super().outcome
        if of_run is not Outcome.UNCHANGED or not self.own_files:
            return of_run
        return Outcome.PUBLISHED if self.deleted else Outcome.PLANNED

    def as_json(self) -> dict[str, object]:
        """The object that `--json` prints."""
        deleted, planned = (self.own_files, ()) if self.deleted else ((), self.own_files)
        own = {"deleted": deleted, "would_delete": planned}
        return {**super().as_json(), "successor": self.successor, "own_files": own}
