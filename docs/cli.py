"""Prints docs/cli.md, made from the `--help` of each command, so that the page is never out of date."""

from __future__ import annotations

import re
from collections import Counter

from typer.main import get_command
from typer.testing import CliRunner

from indexer.cli.app import app
from indexer.cli.options import HEADINGS

_HEAD = """\
# The command line

<!-- docs/cli.py makes this page from --help: run `make docs`. -->

Options may also come before the command, as with rattler-index.  An empty environment variable counts as unset.
`indexer --install-completion` makes the shell complete commands and options; a name that is nearly right is suggested.

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


# So many commands must have the same options under a heading before the page shows these once.
_MANY = 3


def page() -> str:
    """The whole page."""
    names = [None, *get_command(app).commands]  # type: ignore[attr-defined]  # a group has commands
    blocks = {" ".join(["indexer", *filter(None, [name])]): _help(name) for name in names}
    counts = Counter(block for shown in blocks.values() for block in shown)
    shared = [block for block, count in counts.items() if count >= _MANY and _heading(block) in HEADINGS]
    shared.sort(key=lambda block: HEADINGS.index(_heading(block)))
    sections = [_HEAD, *(_command(title, shown, shared) for title, shown in blocks.items())]
    sections.append("## Options of several commands\n")
    sections += [f"### {_heading(block)}\n\n```text\n{_options(block)}\n```\n" for block in shared]
    return "\n".join(sections)


def _help(name: str | None) -> list[str]:
    """The paragraphs of the help of a command; the options of a heading are one paragraph."""
    words = [name] if name else []
    shown = CliRunner().invoke(
        app, [*words, "--help"], prog_name="indexer", env={"COLUMNS": "100", "TERMINAL_WIDTH": "100"}
    )
    return re.split(r"\n\n(?=\S)", shown.output.strip())


def _heading(block: str) -> str:
    return block.partition(":\n")[0]


def _options(block: str) -> str:
    return block.partition(":\n")[2]


def _command(title: str, blocks: list[str], shared: list[str]) -> str:
    """The section of a command, with a link to each group of options that several commands have."""
    own = "\n\n".join(block for block in blocks if block not in shared)
    headings = [_heading(block) for block in shared if block in blocks]
    links = [f"[{heading}](#{heading.lower().replace(' ', '-')})" for heading in headings]
    more = f"\nFurther options: {', '.join(links)}.\n" if links else ""
    return f"## `{title}`\n\n```text\n{own}\n```\n{more}"


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201  it prints a page
