"""Values of packages as safe HTML: all texts are escaped, and only http and https addresses become links."""

from __future__ import annotations

import html
from datetime import datetime, timezone
from typing import TYPE_CHECKING
from urllib.parse import quote

from indexer.core import names
from indexer.core.amounts import counted, size_in_words
from indexer.core.printable import clean
from indexer.core.records.about import link_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from indexer.core.model import Outputs

_SUMMARY_LENGTH = 300


def text(value: str) -> str:
    """A text in one line."""
    return html.escape(clean(value))


def quoted(value: str) -> str:
    """A text as the value of an attribute."""
    return f'"{text(value)}"'


def link(address: str, words: str) -> str:
    """A link to an address that is safe already, such as a relative one."""
    return f"<a href={quoted(address)}>{text(words)}</a>"


def link_outside(address: str, words: str) -> str:
    """A link to an address that a package names; empty if the address is not safe."""
    return f"<a href={quoted(address)} rel=noreferrer>{text(words)}</a>" if link_of(address) else ""


def summary(value: str) -> str:
    """The first 300 characters of a summary, as a paragraph; empty for an empty one."""
    cleaned = clean(value)
    short = cleaned if len(cleaned) <= _SUMMARY_LENGTH else f"{cleaned[:_SUMMARY_LENGTH]}…"
    return f"<p>{html.escape(short)}" if short else ""


def size(number: int) -> str:
    """A number of bytes, by which a script can sort."""
    return f"<data value={number}>{size_in_words(number)}</data>"


def day(milliseconds: int) -> str:
    """The day of a time in UTC; empty for 0."""
    return f"<time>{_formatted(milliseconds, '%Y-%m-%d')}</time>" if milliseconds else ""


def minute(milliseconds: int) -> str:
    """The day and the minute of a time in UTC; empty for 0."""
    return f"<time>{_formatted(milliseconds, '%Y-%m-%d %H:%M')} UTC</time>" if milliseconds else ""


def _formatted(milliseconds: int, form: str) -> str:
    return datetime.fromtimestamp(milliseconds // 1000, tz=timezone.utc).strftime(form)


def counts(packages: int, files: int) -> str:
    """The number of packages and of their files, in the same words on every page."""
    return f"{counted(packages, 'package')}, {counted(files, 'file')}"


def downloads(subdir: str, outputs: Outputs, beside: str) -> str:
    """The address of the package files of a subdir; `beside` is the relative one, if they are beside the index."""
    base = link_of(outputs.base_url or "")
    return f"{base.rstrip('/')}/{subdir}/" if base and not outputs.base_url_verbatim else beside


def download(folder: str, filename: str) -> str:
    """A link to a package file in a folder."""
    return link(folder + quote(clean(filename), safe="!+~="), filename)


def removed_files(files: Sequence[tuple[str, str]], *, is_open: bool = False) -> str:
    """The list of files that were removed from the index, each with the reason."""
    if not files:
        return ""
    items = "".join(f"<li>{text(name)}" + (f": {text(reason)}" if reason else "") for name, reason in files)
    title = f"{counted(len(files), 'file')} taken out (yanked)"
    return f"<details{' open' if is_open else ''}><summary>{title}</summary><ul>{items}</ul></details>"


def page_link(name: str, folder: str) -> str:
    """The name of a package, as a link to its page if it has one; `folder` is the path to the folder of the pages."""
    return text(name) if names.page_key(name) is None else f'<a href="{folder}{name}.html">{name}</a>'
