"""The options for the output of a command, for its progress, and for how much it reads at once."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Struct
from typer import Option

from indexer.cli.options import OUTPUT, SPEED, Number


class OutputOptions(Struct, frozen=True):
    """The output of a command."""

    HEADING: ClassVar[str] = OUTPUT

    verbose: Annotated[
        int, Option("--verbose", "-v", count=True, show_default=False, help="Show more; -vv also shows tracebacks.")
    ] = 0
    quiet: Annotated[int, Option("--quiet", "-q", count=True, show_default=False, help="Show only errors.")] = 0
    json: Annotated[bool, Option("--json", help="Print one JSON object and nothing else.")] = False


class ProgressOptions(OutputOptions, frozen=True):
    """The output of a command that shows its progress."""

    no_progress: Annotated[
        bool, Option("--no-progress", help="Show lines instead of progress bars, one every 30 seconds.")
    ] = False


class ReadingOptions(ProgressOptions, frozen=True):
    """The output of a command that reads packages, and how many it reads at once."""

    max_parallel: Annotated[
        Number,
        Option(
            min=1,
            metavar="N",
            help="Number of packages read at once. [default: by the kind of target]",
            rich_help_panel=SPEED,
        ),
    ] = None
