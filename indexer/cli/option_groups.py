"""Commands whose options are values: each group of options is a dataclass, its fields are options to typer."""

from __future__ import annotations

import functools
import inspect
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, get_type_hints

if TYPE_CHECKING:
    from collections.abc import Callable


def flattened(command: Callable[..., Any]) -> Callable[..., Any]:
    """A command whose groups of options are, to typer, options one by one."""
    hints = get_type_hints(command, include_extras=True)
    plain: list[inspect.Parameter] = []
    groups: dict[str, type] = {}
    for name, parameter in inspect.signature(command).parameters.items():
        if not is_dataclass(hints[name]):
            plain.append(parameter.replace(annotation=hints[name]))
            continue
        groups[name] = group = hints[name]
        inner = get_type_hints(group, include_extras=True)
        plain += [
            inspect.Parameter(
                field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=inner[field.name]
            )
            for field in fields(group)
        ]

    @functools.wraps(command)
    def wrapper(**given: object) -> object:
        for name, group in groups.items():
            given[name] = group(**{field.name: given.pop(field.name) for field in fields(group)})
        return command(**given)

    wrapper.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # what inspect looks at first
        [it.replace(kind=inspect.Parameter.KEYWORD_ONLY) for it in plain]
    )
    wrapper.__annotations__ = {it.name: it.annotation for it in plain}
    del wrapper.__wrapped__  # typer would look at the groups behind it
    return wrapper
