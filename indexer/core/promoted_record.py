"""Decides whether the record that a package has in one channel may be used for its copy in another channel.

A record may be used if a run that looks at the copy would make the same one: then the copy need not be read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from indexer.core import attestations
from indexer.core.model import Extracted
from indexer.core.plan import is_current
from indexer.core.records.dates import FIELD, first_date
from indexer.core.records.identity import altered, identity_of
from indexer.core.release import __version__
from indexer.core.state import config_fingerprint
from indexer.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from indexer.core.metadata import Metadata
    from indexer.core.model import ETag, Index, Raw, Rules, Stat
    from indexer.core.plan import DiffContext
    from indexer.core.state import State


class _Built(msgspec.Struct):
    timestamp: Any = None


_built = msgspec.json.Decoder(_Built)


class PromotedRecord(Value, frozen=True):
    """The record of a package in the channel that it is copied from, made by these rules.

    `metadata` is None if it is not known.  `etag` is the one that the copy got when it was made.
    """

    record: Raw
    run_exports: Raw
    v3: bool
    rules: Rules
    metadata: Metadata | None = None
    etag: ETag | None = None


class Wish(Value, frozen=True):
    """How a run would read the copy: its rules, its time, whether it needs metadata, and whether no date is known."""

    rules: Rules
    now_ms: int
    metadata: bool = False
    undated: bool = False


def source_fault(filename: str, stat: Stat | None, index: Index, known: DiffContext) -> str:
    """The reason why the object under the name of a package is not the package that the index describes, else empty."""
    identity = identity_of(index.records[filename])
    if stat is None:
        return "does not exist any more"
    if identity.sha256 is None:
        return "has no sha256 in its record"
    if filename in index.unreadable or not is_current(filename, stat, identity, known):
        return "is not the package that the index describes"
    return ""


def promoted_record(
    filename: str, index: Index, state: State | None, metadata: Mapping[str, Metadata]
) -> PromotedRecord | None:
    """The record of a package, from an index before any patch that the last run left, with the state of that run.

    None if another release or program made the record, if it was changed since, or if its run exports are unknown.
    """
    run_exports = index.run_exports.get(filename)
    if state is None or state.outputs is None or state.rules is None or run_exports is None or state.all_in_v3:
        return None
    if state.config_fingerprint != config_fingerprint(state.outputs, state.rules, __version__):
        return None
    record = index.records[filename]
    known = metadata.get(filename)
    if known is not None and known.sha256 != identity_of(record).sha256:
        known = None
    return PromotedRecord(record, run_exports, filename in index.v3, state.rules, known)


def extracted_from(promoted: PromotedRecord, stat: Stat, wish: Wish) -> Extracted | None:
    """What reading the copy of a package would give, by the object under its name now; None if that is not certain."""
    identity = identity_of(promoted.record)
    if stat.etag != promoted.etag or stat.size != identity.size or promoted.rules != wish.rules:
        return None
    if wish.metadata and promoted.metadata is None:
        return None
    date = first_date(stat, _built.decode(promoted.record).timestamp, wish.now_ms, undated=wish.undated)
    # The channel of the copy has attestations of its own, or none.
    record = altered(promoted.record, {FIELD: date, attestations.FIELD: None})
    return Extracted(
        stat.key,
        stat.etag,
        record,
        promoted.run_exports,
        promoted.v3,
        metadata=promoted.metadata if wish.metadata else None,
        md5_matches_etag=stat.md5 is not None and stat.md5 == identity.md5,
    )
