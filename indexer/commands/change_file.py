"""Changes one file of a channel by compare-and-swap: reads and writes it again until no other program comes between."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from indexer.commands.retry import backoff
from indexer.core.errors import Conflict, GaveUp, NoConditions
from indexer.writer.lease import Lease, under

if TYPE_CHECKING:
    from collections.abc import Callable

    from indexer.commands.context import Context
    from indexer.store import Store

T = TypeVar("T")

JSON = {"Content-Type": "application/json"}
"""The headers of a file that is changed in this way."""


def change_file(store: Store, key: str, context: Context, change: Callable[[Store], T]) -> T:
    """The result of `change`, which reads and writes the file `key`, and which is repeated after a conflict.

    If the store has no conditional writes, `change` is called under the lease of the folder.  Raises GaveUp.
    """
    pauses = backoff(context)
    lease: Lease | None = None
    while True:
        try:
            with under(lease, store) as leased:
                return change(leased)
        except NoConditions:
            lease = Lease(store, key[: key.rfind("/") + 1], context.clock)
        except Conflict as conflict:
            wait = next(pauses, None)
            if wait is None:
                raise GaveUp(key, "changed during every attempt", "nothing was changed: repeat") from conflict
            context.clock.sleep(wait)
