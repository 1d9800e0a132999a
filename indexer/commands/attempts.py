"""The frame of all work on a folder of a channel: attempts until no conflict ends one, under a lease if necessary."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from indexer.commands.retry import Attempt, retry_on_conflict
from indexer.core.errors import NoConditions
from indexer.writer.lease import Lease

if TYPE_CHECKING:
    from collections.abc import Callable

    from indexer.commands.context import Context
    from indexer.core.report import SubdirReport
    from indexer.store.channel_folder import ChannelFolder

    Work = Callable[[ChannelFolder, Attempt], SubdirReport]


def run_attempts(
    thing: str, folder: ChannelFolder, context: Context, work: Work, warn: Callable[[NoConditions], None]
) -> SubdirReport:
    """The report of the work on a folder, after as many attempts as it needs.

    If the store knows no conditional writes, `warn` is called, and each attempt is made under a lease.  Each attempt
    takes the lease anew: an attempt that waits after a conflict does not hold up others, and a lost lease is taken
    again.  Raises GaveUp, and the errors of the work besides Conflict.
    """
    try:
        return retry_on_conflict(thing, context, partial(work, folder))
    except NoConditions as error:
        warn(error)
    lease = Lease(folder.store, folder.prefix, context.clock)

    def leased(attempt: Attempt) -> SubdirReport:
        with lease.held() as store:
            return work(replace(folder, store=store), replace(attempt, leased=True))

    return retry_on_conflict(thing, context, leased)
