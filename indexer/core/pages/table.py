"""A table that a script can search, filter and sort, as two kinds of pages have it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.core.pages.safe_html import link, text
from indexer.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_FIND = """<div class=find role=search hidden>
<label for=find>Search</label>
<input id=find type=search autocomplete=off spellcheck=false placeholder="package name or version">
<output for=find></output>
</div>
"""


class Table(Value, frozen=True):
    """A table: its kind, its columns with the way in which the script sorts each, its rows as HTML, and its caption.

    `filters` has the columns by which the script filters: those with `one` value in a row, or with `many`.
    """

    kind: str
    columns: Mapping[str, str]
    rows: Sequence[str]
    caption: str
    filters: Mapping[str, str]


def table(shown: Table) -> str:
    """The table, and above it the controls, which the script shows.

    Neither rows nor cells have end tags: HTML allows that, and a page can have twenty thousand rows.
    """
    columns = (
        f"<th scope=col{f' data-sort={sort}' if sort else ''}"
        f"{f' data-filter={shown.filters[name]}' if name in shown.filters else ''}>{text(name)}"
        for name, sort in shown.columns.items()
    )
    rows = "\n".join(f"<tr><td>{row}" for row in shown.rows)
    return (
        f"{_FIND}<table class={shown.kind}>\n<caption>{text(shown.caption)}</caption>\n"
        f"<thead><tr>{''.join(columns)}</thead>\n<tbody>\n{rows}\n</tbody>\n</table>\n"
    )


def links_to_files(files: Mapping[str, bool]) -> str:
    """Links to those of the files that are published."""
    links = "".join(f"<li>{link(f'./{name}', name)}" for name, published in files.items() if published)
    return f"<footer class=soft><ul class=files>{links}</ul></footer>" if links else ""
