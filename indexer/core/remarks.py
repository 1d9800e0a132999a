"""The remarks of a report on packages and records, besides the numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.core import names
from indexer.core.attestations import SUFFIX
from indexer.core.model import Extracted, Rejected
from indexer.core.plan import nameless, was_replaced
from indexer.core.report import Note

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from indexer.core.existing import Existing
    from indexer.core.extraction import Extraction
    from indexer.core.job import SubdirJob
    from indexer.core.model import Index, Plan
    from indexer.core.patch import Patched
    from indexer.core.snapshot import Snapshot
    from indexer.core.state import Bad

_REPLACED = "was replaced: another artifact has its name now, so it gets a new date (CEP 47)"


def remarks(
    job: SubdirJob, snapshot: Snapshot, existing: Existing, todo: Plan, extracted: Extraction
) -> tuple[Note, ...]:
    """The remarks on a subdir, in no certain order."""
    index = existing.index
    read = [result for result in extracted.results if isinstance(result, Extracted)]
    unknown = not_found(job, snapshot, existing) - job.named_packages
    return (
        *remarks_on_listing(snapshot),
        *(Note(filename, "was yanked by another indexer and stays out") for filename in todo.yanked),
        *(Note(filename, "is neither in the channel nor in its index") for filename in unknown),
        *(Note(filename, "is a record under v3 without a name, so it is left out") for filename in nameless(index)),
        *(Note(result.filename, warning) for result in read for warning in result.warnings),
        *(Note(result.filename, _REPLACED) for result in read if was_replaced(index, result)),
        *_unreadable(index, {result.filename for result in read}),
    )


def not_found(job: SubdirJob, snapshot: Snapshot, existing: Existing) -> frozenset[str]:
    """The packages that the caller named and that are neither in the channel nor in its index."""
    wanted = job.scope or frozenset()
    return wanted - snapshot.packages.keys() - snapshot.left_out - existing.index.records.keys()


def remarks_on_listing(snapshot: Snapshot) -> Iterator[Note]:
    """The remarks on files that are not indexed."""
    yield from (Note(filename, "wheels are not indexed") for filename in snapshot.wheels)
    reason = "is a folder in a subdir; packages in it are not indexed"
    yield from (Note(folder, reason) for folder in snapshot.folders)


def remarks_on_attestations(unattested: Mapping[str, str]) -> Iterator[Note]:
    """The remarks on attestations that no record names, by the reason for each file name of a package."""
    for filename, reason in sorted(unattested.items()):
        yield Note(filename + SUFFIX, f"{reason}, so the record does not name it")


def remarks_on_patch(patched: Patched) -> tuple[Note, ...]:
    """The warnings of a patch."""
    return tuple(Note(names.PATCH_INSTRUCTIONS, warning) for warning in patched.warnings)


def _unreadable(index: Index, read: set[str]) -> Iterator[Note]:
    """The remarks on the index of another indexer that readers cannot parse, besides those on rejected packages."""
    for filename in read & index.unreadable.keys():
        yield Note(filename, f"its record {index.unreadable[filename]}, so the package was read again")
    for name, reason in index.left_out.items():
        yield Note(name, f"{reason}, so it is left out")


def rejected_before(filename: str, bad: Bad) -> Rejected:
    """A package that the last run rejected, from the state of that run."""
    return Rejected(filename, bad.etag, bad.reason, kept=bad.kept)
