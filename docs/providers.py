"""Writes the policies into docs/providers.md, as `indexer doctor --policy` prints them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.commands.doctor.policies import page

if TYPE_CHECKING:
    from collections.abc import Iterator

_PAGE = Path(__file__).parent / "providers.md"
_HEADING = "## Least rights"


def blocks() -> Iterator[tuple[str, str]]:
    """The name of each provider, with its block."""
    for name, text in page():
        yield name, f"<details><summary>{name}</summary>\n\n```text\n{text.rstrip()}\n```\n\n</details>\n"


def main() -> None:
    """Replace the section of the policies, or append it."""
    before = re.split(rf"^{_HEADING}$", _PAGE.read_text(), flags=re.MULTILINE)[0].rstrip("\n")
    lead = (
        "`indexer doctor s3://my-bucket/my-channel --policy` prints these policies. "
        "Only the policy of a publisher allows to write packages. At R2, Backblaze and Google the rights of an indexer "
        "are those of a publisher, too."
    )
    _PAGE.write_text("\n".join([before, "", _HEADING, "", lead, "", *(block for _, block in blocks())]))


if __name__ == "__main__":
    main()
