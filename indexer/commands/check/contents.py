"""Reads every indexed package and compares the content with the record."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from indexer.core import names
from indexer.core.errors import BadIndex, Conflict, Missing
from indexer.core.formats import repodata
from indexer.core.model import Rejected, Rules
from indexer.core.progress import Phase, Step
from indexer.core.verify import FORCE, UPLOAD_AGAIN, Fault, package_differences, same_json
from indexer.extractor.extract import ExtractSpec, Vanished
from indexer.store.read import read_whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from indexer.commands.context import Context
    from indexer.core.model import Index
    from indexer.core.snapshot import Snapshot
    from indexer.store.channel_folder import ChannelFolder


class ContentsCheck:
    """Compares the packages of a subdir with their records, in constant memory.

    The check remembers packages that match, so that a repeated check does not read them again.
    """

    def __init__(self, folder: ChannelFolder, context: Context) -> None:
        self._folder = folder
        self._context = context
        self._matching: set[tuple[str, str, int]] = set()

    def faults(self, snapshot: Snapshot, index: Index) -> Iterator[Fault]:
        """The faults of all packages that have a record.  Raises Conflict if a package changes."""
        patched = self._patched(snapshot, index)
        stats = [snapshot.packages[name] for name in sorted(index.records.keys() & snapshot.packages.keys())]
        versions = {stat.key: (stat.key, stat.etag, hash(bytes(index.records[stat.key]))) for stat in stats}
        to_read = [stat for stat in stats if versions[stat.key] not in self._matching]
        self._context.progress(Step(Phase.READING, self._folder.name, 0, len(to_read)))
        for done, reading in enumerate(self._context.workers(self._folder.store, self._spec(), to_read), 1):
            self._context.progress(Step(Phase.READING, self._folder.name, done, len(to_read)))
            result = reading.result
            key = self._folder.prefix + result.filename
            if isinstance(result, Vanished):
                raise Conflict(key, "changed while it was read")
            name = result.filename
            record, run_exports = index.records[name], index.run_exports.get(name)
            reasons = list(package_differences(record, run_exports, result, patched=name in patched))
            if not reasons:
                self._matching.add(versions[name])
            next_step = UPLOAD_AGAIN if isinstance(result, Rejected) else FORCE
            yield from (Fault(key, reason, next_step) for reason in reasons)

    def _spec(self) -> ExtractSpec:
        now_ms = self._context.clock.now_ms()
        return ExtractSpec(self._folder.name, Rules(lenient=True), now_ms, verify_digests=True, unpack=True)

    def _patched(self, snapshot: Snapshot, index: Index) -> frozenset[str]:
        """The packages whose records differ from those before the patch."""
        if names.FROM_PACKAGES not in snapshot.etags:
            return frozenset()
        with contextlib.suppress(Missing, BadIndex):
            data, _ = read_whole(self._folder.store, self._folder.prefix + names.FROM_PACKAGES)
            before = repodata.decode_repodata(data, names.FROM_PACKAGES).records
            return frozenset(key for key, record in index.records.items() if not same_json(record, before.get(key)))
        return frozenset()
