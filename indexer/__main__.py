"""`python -m indexer` and the `indexer` command."""

from __future__ import annotations

import sys

_COMMANDS = ("s3", "fs", "status", "check", "gc", "doctor", "yank", "unyank")


def main() -> None:
    """Run the command line and exit with its code; wrong usage is one line too."""
    # Imported here: the processes that read packages import this module too, and need no commands.
    from typer.exceptions import TyperException

    from indexer.cli import app

    try:
        sys.exit(app(args=command_first(sys.argv[1:]) or ["--help"], standalone_mode=False))
    except TyperException as error:
        said = error.format_message().rstrip(".")
        sys.stderr.write(f"error: {said}; look at `indexer --help`\n")
        sys.exit(2)


def command_first(arguments: list[str]) -> list[str]:
    """The arguments with the command at the head: rattler-index takes options before it too."""
    at = next((i for i, word in enumerate(arguments) if word in _COMMANDS), 0)
    return [arguments[at], *arguments[:at], *arguments[at + 1 :]] if at else arguments


if __name__ == "__main__":
    main()
