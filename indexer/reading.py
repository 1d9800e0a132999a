"""Reads the packages of a subdir, each version of one at most once a run, and counts the ways it was read."""

from __future__ import annotations

from dataclasses import dataclass, field
from sys import intern
from typing import TYPE_CHECKING

import msgspec

from indexer.core.about import About
from indexer.core.model import Extracted, Rejected
from indexer.core.plan import dated
from indexer.core.repodata import facts_of
from indexer.errors import Conflict, Denied
from indexer.extractor import Gone, Spec
from indexer.report import Way

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from indexer.core.model import Index, Plan, Raw, Stat, Version
    from indexer.options import Run
    from indexer.store import Store


@dataclass(frozen=True, slots=True)
class Packages:
    """The packages of a subdir as far as a run has read them.

    `known` has what came of each, by key and version, so that a lap after a conflict reads nothing twice;
    `ways` counts it.  `alike` has the run exports that packages have, each once.
    """

    known: dict[tuple[str, Version], Extracted | Rejected] = field(default_factory=dict)
    ways: dict[str, Way] = field(default_factory=dict)
    alike: dict[bytes, Raw] = field(default_factory=dict)

    def read(self, store: Store, asked: Sequence[Stat], spec: Spec, run: Run) -> None:
        """Read what is not known yet.

        Raises Conflict for a package that changed meanwhile, and Denied where not one could be read.
        """
        missing = [stat for stat in asked if (stat.key, stat.version) not in self.known]
        if not missing:
            return
        stats = {intern(stat.key.rpartition("/")[2]): stat for stat in missing}
        gone: list[str] = []
        refused: list[Rejected] = []
        run.progress(spec.subdir, 0, len(missing))
        for done, reading in enumerate(run.workers(store, spec, missing), 1):
            way = self.ways.setdefault(reading.way.value, Way())
            way.packages += 1
            way.requests += sum(reading.usage.requests.values())
            way.bytes += reading.usage.bytes_read
            if isinstance(reading.result, Gone):
                gone.append(reading.result.filename)
            else:
                stat = stats[reading.result.filename]
                self.known[stat.key, stat.version] = self._sparing(reading.result, stat)
                if isinstance(reading.result, Rejected) and reading.result.passing:
                    refused.append(reading.result)
            run.progress(spec.subdir, done, len(missing))
        if gone:
            raise Conflict(f"{spec.subdir}/{min(gone)}", "changed while it was read")
        if len(refused) == len(missing) > 1:
            raise Denied(
                f"{spec.subdir}/{refused[0].filename}", refused[0].reason, "look at the rights to read objects"
            )

    def _sparing(self, result: Extracted | Rejected, stat: Stat) -> Extracted | Rejected:
        """The same in less memory: strings that are here already, and one slice for what most packages say."""
        if isinstance(result, Rejected):
            return result
        run_exports = self.alike.setdefault(bytes(result.run_exports), result.run_exports)
        filename = intern(result.filename)
        return msgspec.structs.replace(result, filename=filename, version=stat.version, run_exports=run_exports)

    def results(self, asked: Sequence[Stat], index: Index, now_ms: int) -> tuple[Extracted | Rejected, ...]:
        """What came of packages that were read, dated by the index that they are for.

        What is known is dated too, or each record would be held twice; another lap dates it anew.
        """
        for stat in asked:
            result = self.known[stat.key, stat.version]
            if isinstance(result, Extracted):
                record = dated(index, result, now_ms)
                self.known[stat.key, stat.version] = msgspec.structs.replace(result, record=record)
        return tuple(self.known[stat.key, stat.version] for stat in asked)

    def changing(self, packages: Mapping[str, Stat]) -> frozenset[str]:
        """Those that this run has met at another version: no date proves that a record of them stands."""
        met = ((key.rpartition("/")[2], version) for key, version in self.known)
        return frozenset(name for name, version in met if (now := packages.get(name)) and now.version != version)

    def abouts(self, index: Index, plan: Plan) -> dict[str, About]:
        """What the packages that were read say of themselves.

        One that stands in the index and is no package by our rules says nothing, which is known then.
        """
        found = {}
        for stat in (*plan.fetch, *plan.ask):
            result = self.known.get((stat.key, stat.version))
            if result is None:  # a run that only plans does not ask
                continue
            if isinstance(result, Extracted):
                about = result.about
            elif result.filename in index.records and not result.passing:
                about = About(sha256=facts_of(index.records[result.filename]).sha256 or "")
            else:
                about = None
            if about is not None:
                found[result.filename] = about
        return found
