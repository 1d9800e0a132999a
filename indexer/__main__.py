"""`python -m indexer` and the `indexer` command."""

from __future__ import annotations

import sys

_COMMANDS = ("s3", "fs", "status")


def main() -> None:
    """Run the command line."""
    # Imported here: the processes that read packages import this module too, and need no commands.
    from indexer.cli import app

    app(args=command_first(sys.argv[1:]))


def command_first(arguments: list[str]) -> list[str]:
    """The arguments with the command at the head: rattler-index takes options before it too."""
    at = next((i for i, word in enumerate(arguments) if word in _COMMANDS), 0)
    return [arguments[at], *arguments[:at], *arguments[at + 1 :]] if at else arguments


if __name__ == "__main__":
    main()
