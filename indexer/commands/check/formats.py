"""Reads every format in which the index of a subdir is published, and compares the formats with each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from indexer.commands.check.findings import MAX_SURPLUS_BYTES, Findings
from indexer.commands.check.run_exports import check_run_exports, read_run_exports
from indexer.commands.check.shards import read_shards
from indexer.core import names
from indexer.core.errors import BadIndex
from indexer.core.formats import repodata
from indexer.core.model import Index
from indexer.core.plan import nameless
from indexer.core.records.identity import identity_of
from indexer.core.records.validation import validated
from indexer.core.value import Value
from indexer.core.verify import decompress_file, index_differences, revision_count_error, same_json, shortened_list

if TYPE_CHECKING:
    from collections.abc import Iterator

    from indexer.commands.check.findings import PublishedFiles

# How many times larger than the compressed file a decompressed file for older clients may be.
_MAX_CURRENT_RATIO = 128
# conda-index writes these fields into only one of its files.
_LEGACY = ("legacy_bz2_md5", "legacy_bz2_size")


class PublishedIndex(Value, frozen=True):
    """The index that a subdir publishes, None if no format can be read, and the findings about its formats.

    `shards` is the number of shards.  `unread` has the package names whose only records are in unreadable shards.
    """

    index: Index | None
    findings: Findings
    shards: int
    unread: frozenset[str]


def read_formats(files: PublishedFiles) -> PublishedIndex:
    """The published index, after a comparison of all its formats.  Raises Conflict."""
    index, findings = _read_repodata(files)
    sharded = read_shards(files, index)
    findings += sharded.findings
    if index is not None and sharded.index is not None:
        reasons = index_differences(_as_in_shards(index), _as_in_shards(sharded.index))
        findings += files.faults(names.SHARD_INDEX, (f"{line} (compared with {names.REPODATA})" for line in reasons))
    whole = index or sharded.index
    if whole is not None:
        run_exports, run_exports_findings = read_run_exports(files)
        in_shards = sharded.index.run_exports if sharded.index else None
        findings += run_exports_findings
        findings += check_run_exports(files, replace(whole, run_exports=run_exports), in_shards)
        findings += _check_other_formats(files, whole)
        whole = replace(whole, run_exports=run_exports or whole.run_exports)
        findings += _check_parsable(files, whole)
    return PublishedIndex(whole, findings, sharded.count, sharded.unread)


def _read_repodata(files: PublishedFiles) -> tuple[Index | None, Findings]:
    """The index in repodata.json, None if it does not exist or cannot be read, and faults of all forms of this file."""
    index, data, findings = None, b"", Findings()
    if files.has(names.REPODATA):
        data = files.read(names.REPODATA)
        try:
            index = repodata.decode_repodata(data, names.REPODATA)
        except BadIndex as error:
            next_step = files.repair_step(names.REPODATA, beside=False, error=error)
            findings += files.faults(names.REPODATA, [error.reason], next_step)
    if index is not None:
        findings += files.faults(names.REPODATA, _repodata_errors(index, data, files.folder.name))
    for name in (names.REPODATA_ZST, names.REPODATA_BZ2):
        findings += files.packed_faults(name, data, lambda content: _differences(index, content))
    return index, findings


def _repodata_errors(index: Index, data: bytes, subdir: str) -> Iterator[str]:
    """Errors in repodata.json that do not depend on other files."""
    published = _text(index.info.get("subdir"))
    if published not in {"", subdir}:
        yield f"is for subdir {published}"
    if reason := revision_count_error(index):
        yield reason
    if duplicates := repodata.duplicate_filenames(data):
        yield f"has more than one record of {shortened_list(duplicates)}"
    if without_name := nameless(index):
        yield f"has records under v3 without a name, which clients cannot find: {shortened_list(without_name)}"
    if invalid := {name for name in index.records if names.parse_filename(name) is None}:
        yield f"has records under invalid file names: {shortened_list(invalid)}"


def _check_parsable(files: PublishedFiles, index: Index) -> Findings:
    """Faults if clients cannot parse a record, its run exports or a part of `info`."""
    checked, findings = validated(index), Findings()
    for filename, reason in checked.unreadable.items():
        findings += files.faults(filename, [f"its record {reason}"])
    for name, reason in checked.left_out.items():
        findings += files.faults(files.snapshot.source(monolithic=True), [f"{name} {reason}"])
    if invalid := index.run_exports.keys() - checked.run_exports.keys():
        name = names.RUN_EXPORTS if files.has(names.RUN_EXPORTS) else names.SHARD_INDEX
        findings += files.faults(name, [f"has run exports that clients cannot parse: {shortened_list(invalid)}"])
    return findings


def _check_other_formats(files: PublishedFiles, index: Index) -> Findings:
    """Faults if files for older clients have records that the index does not have."""
    findings = Findings()
    for name in filter(files.has, names.CURRENT_FILES):
        content = files.read(name)
        try:
            limit = MAX_SURPLUS_BYTES + _MAX_CURRENT_RATIO * len(content)
            plain = content if name.endswith(".json") else decompress_file(content, name, limit)
            records = repodata.decode_repodata(plain, name).records
        except BadIndex as error:
            findings += files.faults(name, [error.reason])
            continue
        surplus = {
            filename
            for filename, record in records.items()
            if not same_json(record, index.records.get(filename), without=_LEGACY)
        }
        if surplus:
            findings += files.faults(name, [f"has records that are not in the index: {shortened_list(surplus)}"])
    return findings


def _as_in_shards(index: Index) -> Index:
    """The part of an index that shards can have: the records with a package name."""
    v3_rest = {
        bucket: {key: record for key, record in records.items() if identity_of(record).name}
        for bucket, records in index.v3_rest.items()
    }
    return Index(
        index.records,
        index.v3,
        removed=tuple(filename for filename in index.removed if names.parse_filename(filename)),
        v3_rest={bucket: records for bucket, records in v3_rest.items() if records},
    )


def _text(raw: msgspec.Raw | None) -> str:
    return str(msgspec.json.decode(raw) or "") if raw is not None else ""


def _differences(index: Index | None, content: bytes) -> Iterator[str]:
    other = repodata.decode_repodata(content, "")
    return index_differences(index, other) if index is not None else iter(())
