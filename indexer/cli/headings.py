"""Shows the options of a command under headings: those of the command first, then the groups in one order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand

from indexer.cli.options import HEADINGS

if TYPE_CHECKING:
    from collections.abc import Callable

_ARGUMENTS, _OF_COMMAND = "Arguments", "Options"


class Command(TyperCommand):
    """A command whose help has a section for each heading."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, then the options of each heading.  typer calls this for the help."""
        sections: dict[str, list[tuple[str, str]]] = {name: [] for name in (_ARGUMENTS, _OF_COMMAND, *HEADINGS)}
        for parameter in self.get_params(ctx):
            own = _ARGUMENTS if parameter.param_type_name == "argument" else _OF_COMMAND
            if record := parameter.get_help_record(ctx):
                sections[getattr(parameter, "rich_help_panel", None) or own].append(record)
        for name, records in sections.items():
            if records:
                with formatter.section(name):
                    formatter.write_dl(records)


class Application(typer.Typer):
    """An application whose commands are of the class above."""

    def command(self, name: str | None = None, **more: Any) -> Callable[[Any], Any]:
        """A decorator that registers a command."""
        return super().command(name, **{"cls": Command, **more})
