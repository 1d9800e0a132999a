"""How a command talks, and how much it does at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from typer import Option

from indexer.cli.options import Number


@dataclass(frozen=True)
class OutputOptions:
    """How a run talks."""

    verbose: Annotated[
        int, Option("--verbose", "-v", count=True, show_default=False, help="Say more; -vv also shows tracebacks.")
    ] = 0
    quiet: Annotated[int, Option("--quiet", "-q", count=True, show_default=False, help="Say less; only errors.")] = 0
    json: Annotated[bool, Option("--json", help="Print one JSON object and nothing else.")] = False
    no_progress: Annotated[
        bool, Option("--no-progress", help="No progress bars; without a terminal there are none anyway.")
    ] = False
    max_parallel: Annotated[
        Number, Option(min=1, metavar="N", help="Packages read at once. [default: by where the channel lies]")
    ] = None
