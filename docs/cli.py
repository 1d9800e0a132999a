"""Prints docs/cli.md, made from the `--help` of each command, so that the page is never out of date."""

from __future__ import annotations

from typer.main import get_command
from typer.testing import CliRunner

from indexer.cli.app import app

_HEAD = """\
# The command line

<!-- docs/cli.py makes this page from --help: run `make docs`. -->

Options may also come before the command, as with rattler-index.  An empty environment variable counts as unset.

| exit code | meaning |
|---|---|
| 0 | done, or nothing to do |
| 1 | failed: the store refuses or does not answer, or an index is broken; every published file is still complete |
| 2 | a wrong target, option, variable or file; no keys, or half of a pair; an endpoint that is not an S3 endpoint |
| 3 | some packages were rejected, or a package named on the command line does not exist; the rest is published |
| 4 | gave up after write conflicts; safe to repeat |
| 5 | `check` found a fault |
| 6 | refused: a person must decide: too many packages would leave the index, or a name has other bytes |
| 7 | `status --exit-code`: a run would write or delete a file |
| 130, 143, 129 | interrupted by Ctrl-C, SIGTERM or SIGHUP; every published file is still complete |
"""


def page() -> str:
    """The whole page."""
    sections = [_HEAD]
    for name in (None, *get_command(app).commands):  # type: ignore[attr-defined]  # a group has commands
        words = [name] if name else []
        shown = CliRunner().invoke(
            app, [*words, "--help"], prog_name="indexer", env={"COLUMNS": "100", "TERMINAL_WIDTH": "100"}
        )
        sections.append(f"## `{' '.join(['indexer', *words])}`\n\n```text\n{shown.output.strip()}\n```\n")
    return "\n".join(sections)


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201  it prints a page
