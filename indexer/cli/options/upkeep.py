"""The options of the commands that index nothing: check, doctor and gc."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from typer import Option

from indexer.cli.options import Texts
from indexer.core.errors import BadConfig


@dataclass(frozen=True)
class CheckOptions:
    """What a check looks at."""

    subdirs: Annotated[
        Texts,
        Option("--subdir", metavar="SUBDIR", help="Look only at this subdir; repeatable."),
    ] = None
    deep: Annotated[bool, Option("--deep", help="Read every indexed package too, and compare digests and records.")] = (
        False
    )


@dataclass(frozen=True)
class DoctorOptions:
    """What a doctor tells instead of asking the store."""

    policy: Annotated[
        bool, Option("--policy", help="Print the least rights for indexer, readers and public, and ask nothing.")
    ] = False
    show_config: Annotated[
        bool, Option("--show-config", help="Print each setting, masked, and where it came from, and ask nothing.")
    ] = False


@dataclass(frozen=True)
class GcOptions:
    """What a gc deletes."""

    subdirs: Annotated[
        Texts,
        Option("--subdir", metavar="SUBDIR", help="Look only at this subdir; repeatable."),
    ] = None
    older_than: Annotated[
        str,
        Option(
            metavar="AGE",
            help="How old a shard must be: 30m, 12h, 7d. Readers may hold an index of yesterday, and a run that is "
            "under way must be younger.",
        ),
    ] = "7d"
    yes: Annotated[bool, Option("--yes", "-y", help="Delete; without it only said what would go.")] = False

    def older_than_ms(self) -> int:
        """The age in milliseconds.  Raises BadConfig."""
        match = re.fullmatch(r"(\d{1,6})([smhd])", self.older_than)
        if match is None:
            raise BadConfig(f"--older-than {self.older_than}", "is not an age", "give one such as 30m, 12h or 7d")
        return int(match[1]) * {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}[match[2]]
