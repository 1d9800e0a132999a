"""The text of each report for a person: a module for each kind, which is imported only if a command needs it.

Each module has three functions of its report: `lines` on standard output, `errors` and `warnings` on standard error.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

_MODULES = {
    "Report": "run",
    "PublishReport": "publish",
    "PruneReport": "prune",
    "RollbackReport": "rollback",
    "RemovalReport": "remove",
    "SettingsReport": "settings",
    "SnapshotReport": "snapshot",
    "CheckReport": "check",
    "GcReport": "gc",
}


class Text(Protocol):
    """A module of this package."""

    def lines(self, report: Any, /) -> Iterator[str]:
        """The lines on standard output."""

    def errors(self, report: Any, /) -> Iterator[str]:
        """A line for each error on standard error."""

    def warnings(self, report: Any, /) -> Iterator[str]:
        """A line for each warning on standard error."""


def text_of(report: object) -> Text:
    """The module for a report: that of its class, or of the class that it is a kind of."""
    names = (kind.__name__ for kind in type(report).__mro__)
    module: Text = import_module(f"{__name__}.{next(_MODULES[name] for name in names if name in _MODULES)}")
    return module
