"""Runs of the pure core over the history of one subdir, without an engine; the state is kept between runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from indexer.core.model import Extracted, Index, Plan, Rejected
from indexer.core.plan import DiffContext, diff, etags_to_remember, merge
from indexer.core.records.identity import identity_of
from indexer.core.state import Bad, State
from tests.support.strategies import extracted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from indexer.core.model import Stat
    from tests.support.strategies import Content


@dataclass
class Subdir:
    """A subdir's index and ledger as lap after lap leaves them; `read` counts the packages that were read."""

    index: Index = field(default_factory=Index)
    state: State | None = None
    read: int = 0

    def plan(self, listing: Mapping[str, Stat], now_ms: int, *, force: bool = False) -> Plan:
        """Compare the index with a listing."""
        known = DiffContext(
            self.state, index_matches_state=self.state is not None, index_written_ms=now_ms, force=force
        )
        return diff(self.index, listing, known)

    def lap(
        self, contents: Mapping[str, Content], listing: Mapping[str, Stat], now_ms: int, *, force: bool = False
    ) -> Plan:
        """Bring the index in step with a listing."""
        plan = self.plan(listing, now_ms, force=force)
        results: list[Extracted | Rejected] = []
        for stat in plan.to_read:
            name = stat.key.rpartition("/")[2]
            result = extracted(contents[name], name, stat.etag)
            if isinstance(result, Extracted):
                result = msgspec.structs.replace(result, md5_matches_etag=identity_of(result.record).md5 == stat.md5)
            results.append(result)
        self.read += len(results)
        self.index = merge(self.index, plan, results, now_ms)
        bad = [*plan.rejected, *(item for item in results if isinstance(item, Rejected))]
        self.state = State(
            package_etags={**plan.etags_to_remember, **etags_to_remember(results)},
            rejected={value.filename: Bad(value.etag, value.reason) for value in bad},
        )
        return plan
