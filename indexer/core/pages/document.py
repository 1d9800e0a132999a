"""The frame of every HTML page: its policy, style and script are inside, so that it loads nothing else."""

from __future__ import annotations

import base64
import functools
import hashlib
import pkgutil
from string import Template
from typing import TYPE_CHECKING

from indexer.core import names
from indexer.core.pages.safe_html import text
from indexer.core.value import Value

if TYPE_CHECKING:
    from indexer.core.model import Outputs

_UNKNOWN_ADDRESS = "THE-ADDRESS-OF-THIS-CHANNEL"


class Look(Value, frozen=True):
    """The style and the script of a kind of page."""

    style: str
    script: str


class Page(Value, frozen=True):
    """A page: its title as text, its content as HTML, the path from it to the root, and what it has in its head."""

    title: str
    root: str
    content: str
    head: str = ""


def resources(*filenames: str) -> str:
    """The text of some files beside this module, one after the other."""
    return "".join((pkgutil.get_data(__package__, name) or b"").decode() for name in filenames)


_TEMPLATE = Template(resources("frame.html"))


def document(page: Page, look: Look) -> bytes:
    """The bytes of a page."""
    return (
        _template(look)
        .substitute(title=text(page.title), root=page.root, head=page.head, content=page.content)
        .encode()
    )


@functools.cache
def _template(look: Look) -> Template:
    """The frame with its style and its script, whose digests are in the policy."""
    fixed = {"style": look.style, "script": look.script}
    digests = {f"{key}_digest": _digest(value) for key, value in fixed.items()}
    doubled = {key: value.replace("$", "$$") for key, value in (fixed | digests).items()}
    return Template(_TEMPLATE.safe_substitute(doubled))


def _digest(source: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"


def feed_link(root: str, outputs: Outputs) -> str:
    """The element by which a browser finds the feed, empty if there is none."""
    address = f"{root}/{names.RSS}"
    return (
        f'<link rel=alternate type="application/rss+xml" title="New releases" href="{address}">' if outputs.rss else ""
    )


def channel_address(outputs: Outputs) -> str:
    """The address of the channel for a command, which the script replaces by the one under which the page was found."""
    return f"<span class=url>{text(outputs.address or _UNKNOWN_ADDRESS)}</span>"


def command(tool: str, lines: str) -> str:
    """A command to copy; `lines` are HTML."""
    return f"<div class=command><pre data-tool={tool}>{lines}</pre></div>"
