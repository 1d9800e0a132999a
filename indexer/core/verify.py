"""Whether what is published of a subdir says the same in every form, and of every package what lies there."""

from __future__ import annotations

import bz2
import io
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import zstandard

from indexer.core.errors import BadIndex
from indexer.core.json_stream import dump
from indexer.core.model import UNREADABLE, Raw, Rejected
from indexer.core.records.index_json import RUN_EXPORTS_KINDS
from indexer.core.specs.matchspec import canonical

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from indexer.core.model import Extracted, Index

COMMAND = "{command}"
# What heals a fault, where the command that indexes the channel is put in by `naming`.
RUN = f"run `{COMMAND}` with your usual options; if a run is in progress, check again afterwards"
CREATE = f"run `{COMMAND} --create` with your usual options"
FORCE = f"run `{COMMAND} --force` with your usual options"
DELETE_AND_RUN = f"restore it, or delete it and run `{COMMAND}` with your usual options"
DELETE_AND_FORCE = f"restore it, or delete it and run `{COMMAND} --force` with your usual options"
COMPLETE = f"run `{COMMAND} --complete` with your usual options to read these packages"
UPDATE = "update the indexer"
UPLOAD_AGAIN = f"upload a sound package, or delete it and run `{COMMAND}` with your usual options"
END_PATCH = f"run `{COMMAND}` with `--repodata-patch FILENAME`, or with `--no-repodata-patch` to end the patch"

_STEP = 2**20
# So little may unpack to 32 MiB.
_FEED = 2**10
# How many packages a line names before it says how many more there are.
_NAMED = 3
# What readers find a record by, and know its package by.
_IDENTITY = ("name", "version", "build", "build_number", "size", "sha256", "md5")
_SPECS = ("depends", "constrains")
_OTHER = (
    *("noarch", "timestamp", "track_features", "features", "license", "license_family", "purls"),
    *("python_site_packages_path", "flags"),
)
# rattler-index's word for a package that does not say where it belongs.
_NO_SUBDIR = (None, "unknown")


class Fault(NamedTuple):
    """Something published that is not as it must be: the key in the channel, what is wrong, what heals it."""

    key: str
    reason: str
    next_step: str = RUN

    def naming(self, command: str) -> Fault:
        """The same; the next step names the command that indexes this channel, such as `indexer fs DIR`."""
        return self._replace(next_step=self.next_step.replace(COMMAND, command))

    def __str__(self) -> str:
        return f"{self.key}: {self.reason}; {self.next_step}"


def shortened_list(filenames: Collection[str]) -> str:
    """The first names of a set, and how many more there are."""
    first = ", ".join(sorted(filenames)[:_NAMED])
    more = len(filenames) - _NAMED
    return f"{first} and {more:,} more" if more > 0 else first


def has_content(packed: bytes, name: str, content: bytes) -> bool:
    """Whether a `.zst` or `.bz2` file holds this very content, unpacking no more than a step beyond it."""
    rest = memoryview(content)
    try:
        for part in _parts(packed, name):
            if rest[: len(part)] != part:
                return False
            rest = rest[len(part) :]
    except (zstandard.ZstdError, OSError, EOFError):
        return False
    return not rest


def decompress_file(packed: bytes, name: str, limit: int) -> bytes:
    """The content of a `.zst` or `.bz2` file.  Raises BadIndex where it is damaged or longer than `limit`."""
    content = bytearray()
    try:
        for part in _parts(packed, name):
            content += part
            if len(content) > limit:
                raise BadIndex(name, f"holds more than {limit} bytes")
    except (zstandard.ZstdError, OSError, EOFError) as error:
        raise BadIndex(name, f"is damaged or not whole ({error})") from error
    return bytes(content)


def _parts(packed: bytes, name: str) -> Iterator[bytes]:
    """What a compressed file holds, piece by piece.  Raises EOFError where it is cut off."""
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
    """What the `other` index says otherwise than `index`."""
    yield from missing_or_surplus(index.records.keys(), other.records.keys())
    both = index.records.keys() & other.records.keys()
    yield from record_differences({name for name in both if not same_json(index.records[name], other.records[name])})
    if moved := {name for name in both if (name in index.v3) is not (name in other.v3)}:
        yield f"has in another of the maps and v3: {shortened_list(moved)}"
    if removed := set(index.removed) ^ set(other.removed):
        yield f"disagrees on what is removed: {shortened_list(removed)}"
    for mine, its in ((index.info, other.info), (index.rest, other.rest), (_flat(index.v3_rest), _flat(other.v3_rest))):
        if odd := {key for key in mine.keys() | its.keys() if not same_json(mine.get(key), its.get(key))}:
            yield f"says something else of {shortened_list(odd)}"


def _flat(buckets: Mapping[str, Mapping[str, Raw]]) -> dict[str, Raw]:
    return {f"v3/{bucket}/{key}": record for bucket, records in buckets.items() for key, record in records.items()}


def missing_or_surplus(filenames: Collection[str], others: Collection[str]) -> Iterator[str]:
    """What is said where one form has other packages than it should."""
    if lacking := set(filenames) - set(others):
        yield f"lacks {_count(lacking)}: {shortened_list(lacking)}"
    if more := set(others) - set(filenames):
        yield f"has {_count(more)} too many: {shortened_list(more)}"


def record_differences(filenames: Collection[str]) -> Iterator[str]:
    """What is said where one form has other records of some packages."""
    if filenames:
        yield f"says something else of {_count(filenames)}: {shortened_list(filenames)}"


def _count(filenames: Collection[str]) -> str:
    return f"{len(filenames):,} package{'' if len(filenames) == 1 else 's'}"


def same_json(raw: Raw | None, other: Raw | None, *, without: Collection[str] = ()) -> bool:
    """Whether two slices of JSON say the same, whatever their spelling, some keys of objects left out."""
    if raw is None or other is None:
        return raw is other
    return bytes(raw) == bytes(other) or _value(raw, without) == _value(other, without)


def _value(raw: Raw, without: Collection[str]) -> object:
    """The value in our one form, which knows 1 from 1.0 and true; as it is where that has no form for its numbers."""
    value = msgspec.json.decode(raw)
    if isinstance(value, dict):
        value = {key: part for key, part in value.items() if key not in without}
    try:
        return bytes(dump(value))
    except TypeError:
        return value


def shard_format_error(shard: Mapping[str, Any]) -> str | None:
    """What clients would refuse of a decoded shard (CEP 16), None for a sound one."""
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
    """What is wrong with the number of v3 records that `info` announces (CEP 48), None if nothing."""
    try:
        said = msgspec.json.decode(index.info.get("repodata_revisions", b"{}"), type=dict[str, dict[str, Any]])
    except UNREADABLE:
        return "has repodata_revisions that are not of their form"
    if others := said.keys() - {"v3"}:
        return f"tells of {shortened_list(others)} in repodata_revisions, which is no revision that has records"
    count = said.get("v3", {}).get("n_packages")
    there = len(index.v3) + sum(map(len, index.v3_rest.values()))
    return f"announces {count} records of v3 and has {there}" if count not in (None, there) else None


def package_differences(
    record: Raw, run_exports: Raw | None, found: Extracted | Rejected, *, patched: bool
) -> Iterator[str]:
    """What a record and run exports say otherwise than the package that was read for it.

    Of a `patched` record only what no patch may change is looked at.  Specs are compared by what they mean,
    and keys that only the record has are nobody's concern: each indexer has its own.
    """
    said: dict[str, Any] = msgspec.json.decode(record)
    if isinstance(found, Rejected):
        # Of the very bytes that are rejected a record may stay if they can be unpacked: readers got by with it.
        if found.damaged or found.sha256 is None or found.sha256 != said.get("sha256"):
            yield f"cannot be indexed as it lies there ({found.reason})"
        return
    truth: dict[str, Any] = msgspec.json.decode(found.record)
    odd = [key for key in _IDENTITY if truth.get(key) != said.get(key, truth.get(key) if key == "md5" else None)]
    if not patched:
        odd += [key for key in _SPECS if _specs(truth.get(key)) != _specs(said.get(key))]
        odd += [key for key in _OTHER if _plain(truth.get(key)) != _plain(said.get(key))]
    if said.get("subdir") not in (*_NO_SUBDIR, truth.get("subdir")):
        odd.append("subdir")
    for key in odd:
        yield f"has {key} {_short(said.get(key))} in the index and {_short(truth.get(key))} in the package"
    told = None if patched else found.run_exports
    if told is not None and run_exports is not None and _kinds(run_exports) != _kinds(told):
        yield f"has run_exports {bytes(run_exports).decode()[:80]} in the index and others in the package"


def _kinds(run_exports: Raw) -> dict[str, Any]:
    """Run exports by kind; conda-index leaves a bare list, which means weak ones, and kinds that nobody knows."""
    said = msgspec.json.decode(run_exports)
    kinds = said if isinstance(said, dict) else {"weak": said}
    return {kind: specs for kind, specs in kinds.items() if specs and kind in RUN_EXPORTS_KINDS}


def _plain(value: object) -> object:
    """A value as other indexers mean it: they leave `noarch: true`, lists of words and parts of seconds as they are."""
    if value is True:
        return "generic"
    if isinstance(value, list):
        return " ".join(map(str, value)) or None
    return int(value) if isinstance(value, float) else value or None


def _specs(value: object) -> list[str]:
    return [canonical(str(spec)) for spec in value] if isinstance(value, list) else []


def _short(value: object) -> str:
    text = bytes(dump(value)).decode()
    return text if len(text) <= 80 else f"{text[:77]}..."  # noqa: PLR2004  a line's half
