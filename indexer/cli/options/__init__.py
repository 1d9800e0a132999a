"""The options of the commands, in groups: each group is a value, its fields are options on the command line.

This module has the types of options, and the options that several groups have.  typer reads them at run time, and on
Python 3.10 it knows `Optional`, not `X | None`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

from typer import Option

Text = Optional[str]  # noqa: UP045
Texts = Optional[list[str]]  # noqa: UP045
Number = Optional[int]  # noqa: UP045
File = Optional[Path]  # noqa: UP045
Switch = Optional[bool]  # noqa: UP045
"""None if the option is not given: then a configuration file may set the value."""

HEADINGS = WHAT_TO_INDEX, WHAT_TO_PUBLISH, PATCH, SAFETY, SPEED, OUTPUT, MONITORING, CONNECTION = (
    "What to index",
    "What to publish",
    "Patch",
    "Safety",
    "Speed",
    "Output",
    "Monitoring",
    "Connection",
)
"""The headings of options in the help, in this order.  A group names its heading in `HEADING`; an option that belongs
under another heading names that one itself."""

DryRun = Annotated[bool, Option("--dry-run", help="Show what would change, write nothing.", rich_help_panel=SAFETY)]
Create = Annotated[
    bool,
    Option(
        "--create",
        help="Create an unknown subdir, or a channel in an existing folder or bucket.",
        rich_help_panel=SAFETY,
    ),
]
