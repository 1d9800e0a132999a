"""The options of `snapshot` and `rollback`."""

from __future__ import annotations

from typing import Annotated

from msgspec import Struct
from typer import Option

from indexer.cli.options import Text
from indexer.core.errors import BadConfig

_REASON = "Why; `indexer status` shows it behind `rolled back to NAME`."


class SnapshotOptions(Struct, frozen=True):
    """The options of `snapshot`."""

    monolithic: Annotated[
        bool,
        Option(
            "--monolithic", help="Also write repodata.json and .zst into the snapshot, for clients that read no shards."
        ),
    ] = False
    list_all: Annotated[bool, Option("--list", help="List all snapshots of the channel.")] = False
    delete: Annotated[Text, Option("--delete", metavar="NAME", help="Delete a snapshot; packages and shards stay.")] = (
        None
    )
    yes: Annotated[
        bool, Option("--yes", "-y", help="With --delete: delete it; without this option it is only shown.")
    ] = False

    def check(self, name: str | None) -> None:
        """Raise BadConfig unless exactly one of a name, `--list` and `--delete` is given."""
        if sum([name is not None, self.list_all, self.delete is not None]) != 1:
            raise BadConfig("snapshot", "needs one of NAME, --list and --delete NAME", "give exactly one of them")
        if self.yes and self.delete is None:
            raise BadConfig("--yes", "is for --delete", "leave it out")
        if self.monolithic and name is None:
            raise BadConfig("--monolithic", "is for a new snapshot", "leave it out")


class RollbackOptions(Struct, frozen=True):
    """The options of `rollback`."""

    reason: Annotated[str, Option(metavar="TEXT", help=_REASON)] = ""
    yes: Annotated[bool, Option("--yes", "-y", help="Roll back; without this option the changes are only shown.")] = (
        False
    )
