"""`python -m indexer` and the `indexer` command."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_COMMANDS = ("s3", "fs", "status", "check", "gc", "doctor", "yank", "unyank", "ignore", "unignore")

_SWITCHES = ("--write-zst", "--write-shards")
_VALUES: dict[str, Callable[[str], str]] = {"true": str, "false": lambda name: f"--no-{name[2:]}"}


def main() -> None:
    """Run the command line and exit with its code; wrong usage is one line too."""
    # Imported here: the processes that read packages import this module too, and need no commands.
    from typer.exceptions import TyperException

    from indexer.cli.app import app
    from indexer.cli.output import err, out_json

    arguments = without_values(command_first(sys.argv[1:]))
    try:
        sys.exit(app(args=arguments or ["--help"], standalone_mode=False))
    except TyperException as error:
        command = f" {arguments[0]}" if arguments and arguments[0] in _COMMANDS else ""
        said = f"{error.format_message().rstrip('.')}; look at `indexer{command} --help`"
        if "--json" in arguments:
            out_json(_failure(said))
        err(f"error: {said}")
        sys.exit(2)


def _failure(error: str) -> dict[str, object]:
    """The object that `--json` prints for wrong usage."""
    from indexer.core.exit_codes import ExitCode
    from indexer.core.report import failure_as_json

    return failure_as_json("", error, ExitCode.WRONG_USAGE)


def command_first(arguments: list[str]) -> list[str]:
    """The arguments with the command at the head: rattler-index takes options before it too."""
    at = next((i for i, word in enumerate(arguments) if word in _COMMANDS), 0)
    return [arguments[at], *arguments[:at], *arguments[at + 1 :]] if at else arguments


def without_values(arguments: list[str]) -> list[str]:
    """The arguments with `--write-zst false`, as rattler-index 0.28 has it, spelled `--no-write-zst`."""
    found: list[str] = []
    for word in arguments:
        name, equals, value = word.partition("=")
        if equals and name in _SWITCHES and value in _VALUES:
            found.append(_VALUES[value](name))
        elif found and found[-1] in _SWITCHES and word in _VALUES:
            found[-1] = _VALUES[word](found[-1])
        else:
            found.append(word)
    return found


if __name__ == "__main__":
    main()
