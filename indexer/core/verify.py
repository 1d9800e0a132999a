"""Comparisons for `indexer check`: the formats of an index with each other, and records with their packages."""

from __future__ import annotations

import bz2
import io
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import zstandard

from indexer.core.amounts import counted
from indexer.core.errors import BadIndex
from indexer.core.json_form import dump
from indexer.core.model import UNREADABLE, Raw, Rejected
from indexer.core.records.index_json import RUN_EXPORTS_KINDS
from indexer.core.specs.matchspec import canonical

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from indexer.core.model import Extracted, Index

COMMAND = "{command}"
# The next steps of faults.  `with_command` replaces COMMAND by the command that indexes the channel.
RUN = f"run `{COMMAND}`; if a run is in progress, check again afterwards"
CREATE = f"run `{COMMAND} --create`"
FORCE = f"run `{COMMAND} --force`"
DELETE_AND_RUN = f"restore it, or delete it and run `{COMMAND}`"
DELETE_AND_FORCE = f"restore it, or delete it and run `{COMMAND} --force`"
COMPLETE = f"run `{COMMAND} --complete` to read these packages"
UPDATE = "update the indexer"
UPLOAD_AGAIN = f"upload a sound package, or delete it and run `{COMMAND}`"
END_PATCH = f"run `{COMMAND}` with `--repodata-patch FILENAME`, or with `--no-repodata-patch` to end the patch"

_STEP = 2**20
# zstd is fed in small steps: a kilobyte can unpack to 32 MiB.
_FEED = 2**10
# The number of packages that one line names.
_NAMED = 3
# The fields by which readers find a record and recognize its package.
_IDENTITY = ("name", "version", "build", "build_number", "size", "sha256", "md5")
_SPECS = ("depends", "constrains")
_OTHER = (
    *("noarch", "timestamp", "track_features", "features", "license", "license_family", "purls"),
    *("python_site_packages_path", "flags"),
)
# Values of a package that does not have a subdir; rattler-index writes `unknown`.
_NO_SUBDIR = (None, "unknown")


class Fault(NamedTuple):
    """An error in a published file: the key in the channel, the reason, the next step."""

    key: str
    reason: str
    next_step: str = RUN

    def with_command(self, command: str) -> Fault:
        """The fault with a next step that has the command that indexes this channel, such as `indexer fs DIR`."""
        return self._replace(next_step=self.next_step.replace(COMMAND, command))

    def __str__(self) -> str:
        return f"{self.key}: {self.reason}; {self.next_step}"


def shortened_list(filenames: Collection[str]) -> str:
    """The first three names of a set, and the number of the others."""
    first = ", ".join(sorted(filenames)[:_NAMED])
    more = len(filenames) - _NAMED
    return f"{first} and {more:,} more" if more > 0 else first


def has_content(packed: bytes, name: str, content: bytes) -> bool:
    """Whether the decompressed content of a `.zst` or `.bz2` file is `content`; stops at the first difference."""
    rest = memoryview(content)
    try:
        for chunk in _decompressed_chunks(packed, name):
            if rest[: len(chunk)] != chunk:
                return False
            rest = rest[len(chunk) :]
    except (zstandard.ZstdError, OSError, EOFError):
        return False
    return not rest


def decompress_file(packed: bytes, name: str, limit: int) -> bytes:
    """The content of a `.zst` or `.bz2` file.  Raises BadIndex if it is damaged or exceeds `limit` bytes."""
    content = bytearray()
    try:
        for chunk in _decompressed_chunks(packed, name):
            content += chunk
            if len(content) > limit:
                raise BadIndex(name, f"holds more than {limit} bytes")
    except (zstandard.ZstdError, OSError, EOFError) as error:
        raise BadIndex(name, f"is damaged or incomplete ({error})") from error
    return bytes(content)


def _decompressed_chunks(packed: bytes, name: str) -> Iterator[bytes]:
    """The content of a compressed file in chunks.  Raises EOFError if the file is cut off."""
    if name.endswith(".bz2"):
        with bz2.BZ2File(io.BytesIO(packed)) as reader:
            yield from iter(lambda: reader.read(_STEP), b"")
        return
    frame = zstandard.ZstdDecompressor().decompressobj()
    for start in range(0, len(packed), _FEED):
        yield frame.decompress(packed[start : start + _FEED])
    if not frame.eof:
        raise EOFError("it ends too early")


def index_differences(index: Index, other: Index) -> Iterator[str]:
    """How the `other` index differs from `index`, a line for each kind of difference."""
    yield from missing_or_surplus(index.records.keys(), other.records.keys())
    both = index.records.keys() & other.records.keys()
    yield from record_differences({name for name in both if not same_json(index.records[name], other.records[name])})
    if moved := {name for name in both if (name in index.v3) is not (name in other.v3)}:
        yield f"has a different place, under v3 or not, for {shortened_list(moved)}"
    if removed := set(index.removed) ^ set(other.removed):
        yield f"has a different list of removed packages: {shortened_list(removed)}"
    for mine, its in ((index.info, other.info), (index.rest, other.rest), (_flat(index.v3_rest), _flat(other.v3_rest))):
        if different := {key for key in mine.keys() | its.keys() if not same_json(mine.get(key), its.get(key))}:
            yield f"has different values for {shortened_list(different)}"


def _flat(buckets: Mapping[str, Mapping[str, Raw]]) -> dict[str, Raw]:
    return {f"v3/{bucket}/{key}": record for bucket, records in buckets.items() for key, record in records.items()}


def missing_or_surplus(filenames: Collection[str], others: Collection[str]) -> Iterator[str]:
    """A line for missing and one for surplus packages, if one format has `others` and should have `filenames`."""
    if lacking := set(filenames) - set(others):
        yield f"lacks {counted(len(lacking), 'package')}: {shortened_list(lacking)}"
    if surplus := set(others) - set(filenames):
        yield f"has {counted(len(surplus), 'package')} too many: {shortened_list(surplus)}"


def record_differences(filenames: Collection[str]) -> Iterator[str]:
    """A line for packages whose records differ between two formats, if there are any."""
    if filenames:
        yield f"has different records of {counted(len(filenames), 'package')}: {shortened_list(filenames)}"


def same_json(raw: Raw | None, other: Raw | None, *, without: Collection[str] = ()) -> bool:
    """Whether two slices of JSON have the same value, apart from the keys in `without` of their objects."""
    if raw is None or other is None:
        return raw is other
    return bytes(raw) == bytes(other) or _value(raw, without) == _value(other, without)


def _value(raw: Raw, without: Collection[str]) -> object:
    """The value in our one form, which distinguishes 1 from 1.0 and true; the plain value if it cannot be encoded."""
    value = msgspec.json.decode(raw)
    if isinstance(value, dict):
        value = {key: part for key, part in value.items() if key not in without}
    try:
        return bytes(dump(value))
    except TypeError:
        return value


def shard_format_error(shard: Mapping[str, Any]) -> str | None:
    """Why clients would refuse a decoded shard (CEP 16), None if they would not."""
    for section in ("packages", "packages.conda"):
        if not isinstance(shard.get(section), dict):
            return f"has no {section}"
    records = [record for section in ("packages", "packages.conda") for record in shard[section].values()]
    records += [record for bucket in shard.get("v3", {}).values() for record in bucket.values()]
    for record in records:
        for key, size in (("md5", 16), ("sha256", 32)):
            if key in record and not (isinstance(record[key], bytes) and len(record[key]) == size):
                return f"has a {key} that is not {size} bytes"
    return None


def revision_count_error(index: Index) -> str | None:
    """Why the number of v3 records that `info` announces (CEP 48) is wrong, None if it is right."""
    try:
        announced = msgspec.json.decode(index.info.get("repodata_revisions", b"{}"), type=dict[str, dict[str, Any]])
    except UNREADABLE:
        return "has a repodata_revisions that is not an object of objects"
    if others := announced.keys() - {"v3"}:
        return f"announces {shortened_list(others)} in repodata_revisions, which is not a revision with records"
    count = announced.get("v3", {}).get("n_packages")
    records = len(index.v3) + sum(map(len, index.v3_rest.values()))
    return f"announces {count} records of v3 and has {records}" if count not in (None, records) else None


def package_differences(
    record: Raw, run_exports: Raw | None, result: Extracted | Rejected, *, patched: bool
) -> Iterator[str]:
    """How a record and run exports in an index differ from the package that was read for them.

    Of a `patched` record only the fields are compared that no patch may change.  Specs are compared by their meaning.
    Keys that only the record has are ignored: each indexer has its own.
    """
    fields: dict[str, Any] = msgspec.json.decode(record)
    if isinstance(result, Rejected):
        # A record of exactly these bytes may stay if they can be unpacked: readers could use it so far.
        if result.damaged or result.sha256 is None or result.sha256 != fields.get("sha256"):
            yield f"cannot be indexed any more ({result.reason})"
        return
    package: dict[str, Any] = msgspec.json.decode(result.record)
    for key in _different_fields(fields, package, patched=patched):
        yield f"has {key} {_short(fields.get(key))} in the index and {_short(package.get(key))} in the package"
    if patched or run_exports is None or result.run_exports is None:
        return
    if _kinds(run_exports) != _kinds(result.run_exports):
        yield f"has run_exports {bytes(run_exports).decode()[:80]} in the index and others in the package"


def _different_fields(fields: Mapping[str, Any], package: Mapping[str, Any], *, patched: bool) -> Iterator[str]:
    """The keys whose values differ between a record in an index and the record of its package."""
    for key in _IDENTITY:
        # A record may lack the md5.
        if package.get(key) != fields.get(key, package.get(key) if key == "md5" else None):
            yield key
    if not patched:
        yield from (key for key in _SPECS if _specs(package.get(key)) != _specs(fields.get(key)))
        yield from (key for key in _OTHER if _normalized(package.get(key)) != _normalized(fields.get(key)))
    if fields.get("subdir") not in (*_NO_SUBDIR, package.get("subdir")):
        yield "subdir"


def _kinds(run_exports: Raw) -> dict[str, Any]:
    """Run exports by kind, without unknown kinds; a bare list, which conda-index leaves, means weak ones."""
    value = msgspec.json.decode(run_exports)
    kinds = value if isinstance(value, dict) else {"weak": value}
    return {kind: specs for kind, specs in kinds.items() if specs and kind in RUN_EXPORTS_KINDS}


def _normalized(value: object) -> object:
    """A value without the spellings of other indexers: `noarch: true`, lists of words, fractions of seconds."""
    if value is True:
        return "generic"
    if isinstance(value, list):
        return " ".join(map(str, value)) or None
    return int(value) if isinstance(value, float) else value or None


def _specs(value: object) -> list[str]:
    return [canonical(str(spec)) for spec in value] if isinstance(value, list) else []


def _short(value: object) -> str:
    text = bytes(dump(value)).decode()
    return text if len(text) <= 80 else f"{text[:77]}..."  # noqa: PLR2004  half a line
