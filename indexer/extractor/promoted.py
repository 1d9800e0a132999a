"""Workers that do not read the copy of a package whose record is known from another channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.core.promoted_record import Wish, extracted_from

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from indexer.core.model import Stat
    from indexer.core.promoted_record import PromotedRecord
    from indexer.extractor.extract import ExtractSpec, Reading
    from indexer.extractor.workers import Workers
    from indexer.store import Store


def with_promoted_records(workers: Workers, promoted: Mapping[str, PromotedRecord | None]) -> Workers:
    """The workers; they read a package only if `promoted` has no record under its key that may be used."""

    def read(store: Store, spec: ExtractSpec, packages: Sequence[Stat]) -> Iterator[Reading]:
        from indexer.extractor.extract import Reading, ReadStrategy

        wish = Wish(spec.rules, spec.now_ms, spec.metadata, spec.undated)
        others = []
        for stat in packages:
            known = promoted.get(f"{spec.subdir}/{stat.key}")
            result = extracted_from(known, stat, wish) if known is not None else None
            if result is None:
                others.append(stat)
            else:
                yield Reading(result, ReadStrategy.RECORD)
        if others:
            yield from workers(store, spec, others)

    return read
