"""Writes the keys that the code reads into docs/configuration.md, so that its tables are never out of date."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.core.channel_settings import ChannelSettings
from indexer.settings.schema import BucketOptions, Concurrency, ProxyConfig, Tls, keys

if TYPE_CHECKING:
    from msgspec import Struct

PAGE = Path(__file__).with_suffix(".md")


def page() -> str:
    """The whole page: the text as it is, the tables from the code."""
    text = PAGE.read_text()
    for struct in (BucketOptions, ChannelSettings, Concurrency, Tls, ProxyConfig):
        mark = f"<!-- {struct.__name__} -->\n"
        text = re.sub(rf"{mark}(\|.*\n)*", mark + _table(struct), text)
    return text


def _table(struct: type[Struct]) -> str:
    rows = [f"| `{key.name}` | {key.holds} | {key.meaning} |\n" for key in keys(struct)]
    return "".join(["| key | holds | meaning |\n", "|---|---|---|\n", *rows])


if __name__ == "__main__":
    PAGE.write_text(page())
