"""Compares the run exports of run_exports.json, the shards and the records with each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.commands.check.findings import Findings
from indexer.core import names
from indexer.core.errors import BadIndex
from indexer.core.formats import repodata
from indexer.core.verify import (
    COMPLETE,
    FORCE,
    RUN,
    missing_or_surplus,
    record_differences,
    same_json,
    shortened_list,
)
from indexer.lister.existing import load_packed_run_exports

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from indexer.commands.check.findings import PublishedFiles
    from indexer.core.model import Index, Raw


def read_run_exports(files: PublishedFiles) -> tuple[Mapping[str, Raw], Findings]:
    """The run exports in run_exports.json by file name, and the faults of all forms of this file."""
    name, data, findings = names.RUN_EXPORTS, b"", Findings()
    run_exports: Mapping[str, Raw] = {}
    if files.has(name):
        data = files.read(name)
        try:
            run_exports = repodata.decode_run_exports(data, name)
        except BadIndex as error:
            has_packed = load_packed_run_exports(files.folder, files.snapshot) is not None
            findings += files.faults(name, [error.reason], RUN if has_packed else FORCE)
    for packed in (names.RUN_EXPORTS_ZST, names.RUN_EXPORTS_BZ2):
        findings += files.packed_faults(packed, data, lambda content: _map_differences(run_exports, content))
    return run_exports, findings


def check_run_exports(files: PublishedFiles, index: Index, sharded: Mapping[str, Raw] | None) -> Findings:
    """Faults if run exports differ between files, or belong to missing packages; hints if some are unknown.

    `index` has the run exports of run_exports.json, and `sharded` those of the shards, None if there are no shards.
    """
    if files.has(names.RUN_EXPORTS):
        findings = files.faults(names.RUN_EXPORTS, _run_exports_errors(index, sharded))
        return findings + _check_missing(files, names.RUN_EXPORTS, index.records.keys() - index.run_exports.keys())
    state, findings = files.snapshot.state, Findings()
    was_published = state is not None and names.RUN_EXPORTS in state.files
    if was_published and not (files.has(names.RUN_EXPORTS_ZST) or files.has(names.RUN_EXPORTS_BZ2)):
        findings += files.faults(names.RUN_EXPORTS, ["does not exist, but the last run published it"])
    if state is not None and state.incomplete and sharded is not None:
        findings += _check_missing(files, names.SHARD_INDEX, index.records.keys() - sharded.keys())
    in_records = repodata.inline_run_exports(index.records)  # as rattler-index has them
    if different := _unequal(in_records, sharded or {}):
        reason = f"has other run exports than {names.REPODATA} of {shortened_list(different)}"
        findings += files.faults(names.SHARD_INDEX, [reason])
    return findings


def _check_missing(files: PublishedFiles, name: str, missing: Collection[str]) -> Findings:
    """A hint if a file has no run exports of some packages, as after another indexer; a fault if all were known."""
    if not missing:
        return Findings()
    snapshot = files.snapshot
    all_known = snapshot.state is not None and snapshot.state.incomplete == 0
    if all_known and snapshot.is_unchanged(snapshot.source(monolithic=True)):
        return files.faults(name, [f"does not have run exports of {shortened_list(missing)}, which were known"], RUN)
    reason = f"does not have run exports of {shortened_list(missing)}, because they are unknown"
    return files.hint(name, reason, COMPLETE)


def _run_exports_errors(index: Index, sharded: Mapping[str, Raw] | None) -> Iterator[str]:
    run_exports = index.run_exports
    if surplus := run_exports.keys() - index.records.keys() - set(index.removed):
        yield f"has packages that are not in the index: {shortened_list(surplus)}"
    if sharded is None:
        return
    if different := _unequal(run_exports, sharded):
        yield f"and the shards have different run exports of {shortened_list(different)}"
    if one_sided := (run_exports.keys() & index.records.keys()) ^ sharded.keys():
        yield f"and the shards list different packages: {shortened_list(one_sided)}"


def _map_differences(run_exports: Mapping[str, Raw], content: bytes) -> Iterator[str]:
    other = repodata.decode_run_exports(content, "")
    yield from missing_or_surplus(run_exports.keys(), other.keys())
    yield from record_differences(_unequal(run_exports, other))


def _unequal(some: Mapping[str, Raw], other: Mapping[str, Raw]) -> set[str]:
    return {filename for filename in some.keys() & other.keys() if not same_json(some[filename], other[filename])}
