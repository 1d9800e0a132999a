"""`python -m indexer` and the `indexer` command."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from typer.exceptions import TyperException

_SWITCHES = ("--write-zst", "--write-shards")
_VALUES: dict[str, Callable[[str], str]] = {"true": str, "false": lambda name: f"--no-{name[2:]}"}


def main() -> None:
    """Run the command line and exit with its code; Ctrl-C before a command has begun is not a traceback."""
    try:
        _run()
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(130)


def _run() -> None:
    """Run the command line and exit with its code; wrong usage is reported in one line, too."""
    # Imported here: processes that read packages also import this module, and need no commands.
    from indexer.cli.arenas import share_one_arena

    share_one_arena()  # before any thread has an arena
    from typer.exceptions import TyperException

    from indexer.cli.app import app
    from indexer.cli.output import err, out_json

    commands = app.names
    arguments = without_values(command_first(sys.argv[1:], commands))
    try:
        application = app.only("".join(arguments[:1]))
        sys.exit(application(args=arguments or ["--help"], prog_name="indexer", standalone_mode=False))
    except TyperException as error:
        command = f" {arguments[0]}" if commands.intersection(arguments[:1]) else ""
        message = f"{_problem(error)} see `indexer{command} --help`"
        if "--json" in arguments:
            out_json(_failure(message))
        err(f"error: {message}")
        sys.exit(2)


def _problem(error: TyperException) -> str:
    """What is wrong, with the names that are nearly right."""
    if similar := getattr(error, "possibilities", None):
        return f"{error.message}; did you mean {' or '.join(similar)}?"
    # typer lists the values of an option in lines.
    problem = (
        " ".join(error.format_message().split())
        .replace(". Choose from:", "; choose from")
        .replace("Value error, ", "")
        .rstrip(".")
        .replace(". Did you mean", "; did you mean")
        .replace(" Did", " did")
    )
    return problem if problem.endswith("?") else f"{problem};"


def _failure(error: str) -> dict[str, object]:
    """The object that `--json` prints for wrong usage."""
    from indexer.core.exit_codes import ExitCode
    from indexer.core.report import failure_as_json

    return failure_as_json("", error, ExitCode.WRONG_USAGE)


def command_first(arguments: list[str], commands: Collection[str]) -> list[str]:
    """The arguments with the command first: rattler-index also accepts options before the command."""
    at = next((i for i, word in enumerate(arguments) if word in commands), 0)
    return [arguments[at], *arguments[:at], *arguments[at + 1 :]] if at else arguments


def without_values(arguments: list[str]) -> list[str]:
    """The arguments with `--no-write-zst` instead of `--write-zst false`, which rattler-index 0.28 accepts."""
    result: list[str] = []
    for word in arguments:
        name, equals, value = word.partition("=")
        if equals and name in _SWITCHES and value in _VALUES:
            result.append(_VALUES[value](name))
        elif result and result[-1] in _SWITCHES and word in _VALUES:
            result[-1] = _VALUES[word](result[-1])
        else:
            result.append(word)
    return result


if __name__ == "__main__":
    main()
