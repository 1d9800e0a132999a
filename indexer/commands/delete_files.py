"""Deletes files of ours in a folder, each in the version that was listed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.commands.change_file import change_file
from indexer.core import names
from indexer.core.errors import Conflict, GaveUp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from indexer.commands.context import Context
    from indexer.core.model import Stat
    from indexer.store import Store

_STEP = "stop all runs that write the channel, then repeat"


def delete_files(store: Store, folder: str, files: Sequence[Stat], context: Context) -> None:
    """Delete files in their order; a file that is gone already is no error.

    `folder` is empty, or ends in `/`.  If the store has no conditional writes, they are deleted under the lease of the
    folder.  Raises GaveUp if another program has written one of the files since it was listed.
    """

    def delete(leased: Store) -> None:
        for stat in files:
            if stat.key == folder + names.LEASE and leased is not store:
                continue  # it is ours now, and ends with this call
            try:
                leased.delete(stat.key, expect=stat.etag)
            except Conflict as conflict:
                raise GaveUp(stat.key, "was written by another program meanwhile", _STEP) from conflict

    if files:
        change_file(store, folder, context, delete)
