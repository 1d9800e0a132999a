"""Groups of options: each group is a dataclass, whose fields are options for typer."""

from __future__ import annotations

import functools
import inspect
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, get_type_hints

if TYPE_CHECKING:
    from collections.abc import Callable


def flattened(command: Callable[..., Any]) -> Callable[..., Any]:
    """A command with one parameter for each option, made from a command with groups of options."""
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

    wrapper.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # inspect reads this first
        [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in plain]
    )
    wrapper.__annotations__ = {parameter.name: parameter.annotation for parameter in plain}
    del wrapper.__wrapped__  # typer would read the groups through this attribute
    return wrapper
