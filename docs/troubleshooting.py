"""Writes docs/troubleshooting.md: each kind of error with its exit code and remedy, and the messages of the code."""

from __future__ import annotations

import ast
import inspect
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.core import errors
from indexer.core.errors import IndexerError

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).with_suffix(".md")
_CODE = Path(errors.__file__).parents[1]
# The kinds that a run handles itself, and the class of all.
INTERNAL = frozenset({"IndexerError", "Conflict", "Missing", "NoConditions", "RangeRefused", "CopyRefused"})
_HEAD = """\
# Troubleshooting

<!-- docs/troubleshooting.py makes this page from the code: run `make docs`. -->

Every message names the thing, the reason and the next step: `THING: REASON; NEXT STEP`. This page has the reasons by
kind of error. `...` stands for names and values, and for the words of a server or of the operating system. `-v` shows
more, `-vv` also tracebacks.
"""


def page() -> str:
    """The whole page."""
    messages: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for path in sorted(_CODE.rglob("*.py")):
        for name, reason, step in _messages(ast.parse(path.read_text(encoding="utf-8"))):
            messages[name].add((reason, step))
    return "\n".join([_HEAD, *(_section(name, messages[name]) for name in kinds())])


def kinds() -> list[str]:
    """The names of the kinds of errors that a user sees."""
    return [
        name
        for name, kind in vars(errors).items()
        if inspect.isclass(kind) and issubclass(kind, IndexerError) and name not in INTERNAL
    ]


def _section(name: str, messages: set[tuple[str, str]]) -> str:
    kind = getattr(errors, name)
    meaning = " ".join((inspect.getdoc(kind) or "").split("\n\n")[0].split())
    with_steps = any(step for _, step in messages)
    columns = [("reason", "next step"), ("---", "---"), *sorted(messages)] if messages else []
    table = ["| " + " | ".join(map(_cell, row if with_steps else row[:1])) + " |" for row in columns]
    return "\n".join([f"## {name}", "", f"{meaning} Exit code {int(kind.exit_code)}.", "", *table, ""])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def _messages(module: ast.Module) -> Iterator[tuple[str, str, str]]:
    """The class, the reason and the next step of each error that a module makes, if the reason is written there."""
    texts = {
        target.id: node.value
        for node in module.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in vars(errors):
            reason, step = [_text(part, texts) for part in [*_arguments(node, texts), None, None][:2]]
            if reason.strip(". "):
                yield node.func.id, reason, step


def _arguments(call: ast.Call, texts: dict[str, ast.expr]) -> Iterator[ast.expr]:
    """The arguments after the thing, with those of a tuple that is passed as `*NAME`."""
    for argument in call.args[1:]:
        value = argument.value if isinstance(argument, ast.Starred) else argument
        known = texts.get(value.id) if isinstance(value, ast.Name) else None
        if isinstance(argument, ast.Starred) and isinstance(known, ast.Tuple):
            yield from known.elts
        else:
            yield value


def _text(part: ast.expr | None, texts: dict[str, ast.expr]) -> str:
    """A text as it is written in the code, with `...` for each value in it."""
    if part is None:
        return ""
    if isinstance(part, ast.Name) and part.id in texts:
        return _text(texts[part.id], {})
    if isinstance(part, ast.Constant) and isinstance(part.value, str):
        return part.value
    if isinstance(part, ast.JoinedStr):
        return "".join(_text(value, texts) for value in part.values)
    return "..."


if __name__ == "__main__":
    PAGE.write_text(page())
