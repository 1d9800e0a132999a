"""Shows the options of a command under headings: those of the command first, then the groups in one order."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand

from indexer.cli.options import HEADINGS

if TYPE_CHECKING:
    from collections.abc import Callable

    from typer.models import CommandInfo

_ARGUMENTS, _OF_COMMAND = "Arguments", "Options"


class Command(TyperCommand):
    """A command whose help has a section for each heading."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, then the options of each heading.  typer calls this for the help."""
        sections: dict[str, list[tuple[str, str]]] = {name: [] for name in (_ARGUMENTS, _OF_COMMAND, *HEADINGS)}
        for parameter in self.get_params(ctx):
            own = _ARGUMENTS if parameter.param_type_name == "argument" else _OF_COMMAND
            if record := parameter.get_help_record(ctx):
                name = record[0].partition(" <")[0] if own == _ARGUMENTS else record[0]  # without the Python type
                sections[getattr(parameter, "rich_help_panel", None) or own].append((name, record[1]))
        for name, records in sections.items():
            if records:
                with formatter.section(name):
                    formatter.write_dl(records)


class Application(typer.Typer):
    """An application whose commands are of the class above."""

    @property
    def names(self) -> set[str]:
        """The names of all commands."""
        return {_name_of(command) for command in self.registered_commands}

    def only(self, name: str) -> Application:
        """The application with one command; with all, and shell completion, if no command has this name.

        typer makes each registered command, which takes as long as a run with nothing to do.
        """
        called = [command for command in self.registered_commands if _name_of(command) == name]
        if not called:
            return self
        single = copy.copy(self)
        single.registered_commands, single._add_completion = called, False  # noqa: SLF001  typer has no other way
        return single

    def command(self, name: str | None = None, **more: Any) -> Callable[[Any], Any]:
        """A decorator that registers a command."""
        return super().command(name, **{"cls": Command, **more})


def _name_of(command: CommandInfo) -> str:
    return str(command.name or getattr(command.callback, "__name__", ""))
