"""The options of check, doctor and gc."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

from msgspec import Struct
from typer import Option

from indexer.cli.options import Texts
from indexer.core.ages import checked_ms

_Subdirs = Annotated[Texts, Option("--subdir", metavar="SUBDIR", help="Only this subdir; repeatable.")]


class CheckOptions(Struct, frozen=True):
    """The options of `check`."""

    subdirs: _Subdirs = None
    deep: Annotated[
        bool, Option("--deep", help="Also read every indexed package, and compare its digests and its record.")
    ] = False


class DoctorOptions(Struct, frozen=True):
    """The options of `doctor`; each of them replaces the probes."""

    policy: Annotated[
        bool,
        Option("--policy", help="Print the least permissions for indexer, clients and public access; send no request."),
    ] = False
    show_config: Annotated[
        bool, Option("--show-config", help="Print each setting and its source, with secrets masked; send no probe.")
    ] = False


class SettingsOptions(Struct, frozen=True):
    """The options of `settings`."""

    assignments: Annotated[
        Texts,
        Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change a setting: a key of [index-config], and its value as in TOML; repeatable.",
        ),
    ] = None
    unset: Annotated[Texts, Option("--unset", metavar="KEY", help="Return a setting to its default; repeatable.")] = (
        None
    )


class SuccessorName(str, Enum):
    """The indexer that goes on with a channel."""

    RATTLER = "rattler-index"
    CONDA = "conda-index"


class RemovalOptions(Struct, frozen=True):
    """The options of `remove`."""

    successor: Annotated[
        SuccessorName,
        Option("--for", help="The indexer that goes on with the channel; only the formats of its defaults stay."),
    ]
    yes: Annotated[
        bool, Option("--yes", "-y", help="Change the channel; without this option the changes are only listed.")
    ] = False


class GcOptions(Struct, frozen=True):
    """The options of `gc`."""

    subdirs: _Subdirs = None
    older_than: Annotated[
        str,
        Option(
            metavar="AGE",
            help="Minimum age of a shard: 30m, 12h, 7d. Clients may use an index of yesterday; no run may take longer "
            "than this.",
        ),
    ] = "7d"
    yes: Annotated[bool, Option("--yes", "-y", help="Delete the files; without this option they are only listed.")] = (
        False
    )

    def older_than_ms(self) -> int:
        """The age in milliseconds.  Raises BadConfig."""
        return checked_ms("--older-than", self.older_than)
