"""Groups of options: a group is a Struct, whose fields are options for typer or other groups.

A group names in `HEADING` the heading of its options in the help.
"""

from __future__ import annotations

import copy
import functools
import inspect
from typing import TYPE_CHECKING, Annotated, Any, TypeGuard, get_type_hints

from msgspec import Struct
from typer.models import OptionInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


def flattened(command: Callable[..., Any]) -> Callable[..., Any]:
    """A command with one parameter for each option, made from a command with groups of options."""
    hints = get_type_hints(command, include_extras=True)
    parameters = inspect.signature(command).parameters.values()
    options = [option for parameter in parameters for option in _options(parameter, hints[parameter.name])]

    @functools.wraps(command)
    def wrapper(**given: object) -> object:
        return command(
            **{parameter.name: _value(parameter.name, hints[parameter.name], given) for parameter in parameters}
        )

    wrapper.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]  # inspect reads this first
    wrapper.__annotations__ = {option.name: option.annotation for option in options}
    del wrapper.__wrapped__  # typer would read the groups through this attribute
    return wrapper


def _options(parameter: inspect.Parameter, kind: Any) -> Iterator[inspect.Parameter]:
    """The parameters of all options in a group; a parameter that is not a group is itself an option."""
    if not _is_group(kind):
        yield parameter.replace(annotation=kind, kind=inspect.Parameter.KEYWORD_ONLY)
        return
    for name, hint, default in _fields(kind):
        yield from _options(inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default), hint)


def _value(name: str, kind: Any, given: Mapping[str, object]) -> object:
    """The value of a parameter: a group that is made of the given options, or one of these."""
    if not _is_group(kind):
        return given[name]
    return kind(**{field: _value(field, hint, given) for field, hint, _ in _fields(kind)})


def _is_group(kind: Any) -> TypeGuard[type[Struct]]:
    return isinstance(kind, type) and issubclass(kind, Struct)


@functools.cache
def _fields(group: type[Struct]) -> list[tuple[str, Any, Any]]:
    """The name, the annotation and the default of each field.  Evaluated once: ten commands share the groups."""
    hints = get_type_hints(group, include_extras=True)
    names = group.__struct_fields__
    # Fields without a default come first.
    missing = [inspect.Parameter.empty] * (len(names) - len(group.__struct_defaults__))
    defaults = [*missing, *group.__struct_defaults__]
    heading = getattr(group, "HEADING", None)
    return [(name, _under(heading, hints[name]), default) for name, default in zip(names, defaults, strict=True)]


def _under(heading: str | None, hint: Any) -> Any:
    """The annotation of an option under a heading; it keeps its own heading, if it has one."""
    option = next(iter(getattr(hint, "__metadata__", ())), None)
    if not isinstance(option, OptionInfo) or option.rich_help_panel is not None or heading is None:
        return hint
    option = copy.copy(option)
    option.rich_help_panel = heading
    return Annotated[hint.__origin__, option]
