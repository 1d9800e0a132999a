"""Hints of a check: properties of a subdir that are no faults, but need attention."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.core import names
from indexer.core.verify import COMMAND, Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from indexer.core.snapshot import Snapshot
    from indexer.store.channel_folder import ChannelFolder


def hints_of(folder: ChannelFolder, snapshot: Snapshot) -> Iterator[Fault]:
    """The hints about an interrupted gc, an outdated state, and packages that are not indexed."""
    if snapshot.gc_in_progress:
        yield Fault(
            folder.prefix + names.GC_MARKER,
            "a gc is in progress or was interrupted",
            "if it was interrupted, run `indexer gc` again with the same options",
        )
    if snapshot.state is not None and not snapshot.files_match_state:
        yield Fault(folder.prefix + names.STATE_FILE, "is out of date", f"the next run of `{COMMAND}` scans everything")
    for invalid in snapshot.invalid_filenames:
        yield Fault(folder.prefix + invalid.filename, f"is not indexed: {invalid.reason}", "rename or delete it")
    for filename, rejected in snapshot.state.rejected.items() if snapshot.state else ():
        if filename in snapshot.packages and snapshot.packages[filename].etag == rejected.etag:
            consequence = "was rejected, and its old record stays" if rejected.kept else "is not indexed"
            yield Fault(
                folder.prefix + filename,
                f"{consequence}: {rejected.reason}",
                "rebuild it and upload it again, delete it, or hide it with `indexer ignore`",
            )
