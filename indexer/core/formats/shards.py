"""CEP 16 shards: one small file a package name, and the index that names them by content."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import zstandard

from indexer.core.errors import BadIndex
from indexer.core.formats.repodata import refuse_unknown_revisions, run_exports_by_kind, section_of, v3_buckets
from indexer.core.json_stream import dump
from indexer.core.model import UNREADABLE, Index, Raw
from indexer.core.names import EXTENSIONS, SHARD_SUFFIX, SHARDS_FOLDER, parse_filename
from indexer.core.records.identity import identity_of
from indexer.core.zstd import compress, decompress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

_SHA256 = re.compile(r"[0-9a-f]{64}")
# What conda accepts of one shard, decompressed.
_MAX_SHARD = 16 * 2**20
_MAX_SHARD_INDEX = 128 * 2**20
BASE_URL = f"./{SHARDS_FOLDER}"
# Keys of repodata.json's `info` that a shard index carries too (CEP 42, 48).
SHARED_INFO = ("channel_relations", "repodata_revisions", "virtual_package_detectors")
# Digests are raw bytes in msgpack, hexadecimal in JSON (CEP 16).
_DIGESTS = ("md5", "sha256", "legacy_bz2_md5", "attestations_sha256")


@dataclass(frozen=True, slots=True)
class ShardIndex:
    """The shards of a subdir: sha256 (32 bytes) of the compressed shard by lower-case package name."""

    shards: Mapping[str, bytes] = field(default_factory=dict)
    info: Mapping[str, object] = field(default_factory=dict)

    @property
    def named(self) -> frozenset[bytes]:
        """The shards that are there because this index names them.

        conda-index keeps its shards beside the packages: those are not where ours are looked for.
        """
        ours = self.info.get("shards_base_url") == BASE_URL
        return frozenset(self.shards.values()) if ours else frozenset()

    @property
    def folder(self) -> str | None:
        """Where the shards lie, from the subdir on; None where that is outside of it."""
        base = str(self.info.get("shards_base_url", "")).removeprefix("./")
        return None if "//" in base or base.startswith("/") or ".." in base.split("/") else base


class _Named(msgspec.Struct):
    name: Annotated[str, msgspec.Meta(min_length=1)]


_named = msgspec.json.Decoder(_Named)


def filenames_by_name(records: Mapping[str, Raw]) -> dict[str, list[str]]:
    """File names by lower-case package name, which is what readers ask for.  Raises BadIndex."""
    groups: dict[str, list[str]] = defaultdict(list)
    for filename, record in records.items():
        try:
            groups[_named.decode(record).name.lower()].append(filename)
        except UNREADABLE as error:
            raise _bad_record(filename, error) from error
    return groups


def _bad_record(filename: str, error: Exception) -> BadIndex:
    return BadIndex(
        filename, f"has a record in the index that readers refuse ({error})", "repeat with --force to read it again"
    )


def encode_shard(index: Index, filenames: Iterable[str], removed: Iterable[str]) -> dict[str, Any]:
    """The shard of one package name: its records, and which of its files were `removed`.

    A record's `run_exports` is there when they are known, empty or not: absent means that a reader
    must look into the package (CEP 21).
    """
    shard: dict[str, Any] = {"packages": {}, "packages.conda": {}, "removed": sorted(removed)}
    decoded = {filename: _in_msgpack(filename, index.records[filename]) for filename in filenames}
    for filename in decoded.keys() & index.run_exports.keys():
        decoded[filename]["run_exports"] = msgspec.json.decode(index.run_exports[filename])
    for filename in decoded.keys() - index.v3:
        shard[section_of(filename)][filename] = decoded[filename]
    if v3 := decoded.keys() & index.v3:
        shard["v3"] = v3_buckets(v3, decoded)
    return shard


def _in_msgpack(filename: str, raw: Raw) -> dict[str, Any]:
    try:
        record: dict[str, Any] = msgspec.json.decode(raw)
    except UNREADABLE as error:  # a number that is too large
        raise _bad_record(filename, error) from error
    for key in _DIGESTS:
        if isinstance(record.get(key), str):
            try:
                record[key] = bytes.fromhex(record[key])
            except ValueError as error:
                raise _bad_record(filename, error) from error
    return record


def changed_shard_names(before: Index, after: Index) -> frozenset[str]:
    """The package names, in lower case, whose shards can differ between an index and what became of it."""
    pairs = ((before.records, after.records), (before.run_exports, after.run_exports))
    filenames = {*(before.v3 ^ after.v3), *(set(before.removed) ^ set(after.removed))}
    for old, new in pairs:
        filenames |= {filename for filename, value in new.items() if old.get(filename) != value}
        filenames.update(filename for filename in old if filename not in new)
    found = set()
    for filename in filenames:
        records = [index.records[filename] for index in (before, after) if filename in index.records]
        found |= {identity_of(record).name.lower() for record in records}
        if parsed := parse_filename(filename):
            found.add(parsed.name.lower())
    return frozenset(found)


def build_shards(index: Index, wanted: frozenset[str] | None = None) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """What makes each shard of an index, compressed, by package name; only some names where these are `wanted`.

    A shard is made in a third of a millisecond, and all of a large channel take a quarter of its records' memory.
    """
    removed: dict[str, list[str]] = defaultdict(list)
    for filename in index.removed:
        if parsed := parse_filename(filename):
            removed[parsed.name.lower()].append(filename)
    groups = filenames_by_name(index.records)
    # Of what is not ours to judge, a record without a name is in no shard.
    others = {
        bucket: filenames_by_name({key: record for key, record in records.items() if identity_of(record).name})
        for bucket, records in index.v3_rest.items()
    }
    named = {*groups, *removed, *(name for names in others.values() for name in names)}

    def make(name: str) -> bytes:
        shard = encode_shard(index, groups.get(name, ()), removed.get(name, ()))
        for bucket, names in others.items():
            if name in names:
                records = index.v3_rest[bucket]
                found = {key: _in_msgpack(key, records[key]) for key in names[name]}
                shard.setdefault("v3", {})[bucket] = found
        try:
            content = msgspec.msgpack.encode(shard, order="deterministic")
        except (OverflowError, RecursionError) as error:
            raise _bad_record(f"a package of the name {name}", error) from error
        return compress(content)

    for name in sorted(named if wanted is None else named & wanted):
        yield name, partial(make, name)


def shard_digest(shard: bytes) -> bytes:
    """What a shard is called: the sha256 of its compressed bytes."""
    return hashlib.sha256(shard).digest()


def filename_of(sha256: bytes) -> str:
    """A shard's file name inside the shards folder."""
    return f"{sha256.hex()}{SHARD_SUFFIX}"


def digest_of_filename(filename: str) -> bytes | None:
    """The sha256 that a shard is called by, None for any other file."""
    name = filename.removesuffix(SHARD_SUFFIX)
    return bytes.fromhex(name) if filename.endswith(SHARD_SUFFIX) and _SHA256.fullmatch(name) else None


def encode_index(shard_index: ShardIndex) -> bytes:
    """The bytes of a `repodata_shards.msgpack.zst`."""
    return compress(
        msgspec.msgpack.encode(
            {"version": 1, "info": shard_index.info, "shards": shard_index.shards},
            order="deterministic",
        )
    )


def decode_index(data: bytes, key: str) -> ShardIndex:
    """A published shard index.  Raises BadIndex, and NewerIndex where it tells of a revision that we do not know."""
    try:
        top = msgspec.msgpack.decode(decompress(data, _MAX_SHARD_INDEX), type=dict[str, Any])
        shards = msgspec.convert(top["shards"], dict[str, bytes])
        info = msgspec.convert(top.get("info", {}), dict[str, Any])
        dump(info)  # msgpack has keys that are no text: what JSON cannot say cannot be written again
    except (*UNREADABLE, ValueError, TypeError, KeyError) as error:
        raise BadIndex(
            key, f"is not a readable shard index ({error})", "nothing was changed: restore it, or delete it"
        ) from error
    refuse_unknown_revisions((), info, key)
    return ShardIndex(shards, info)


def decode_shard(data: bytes, key: str) -> Index:
    """A published shard as an index of one package name.  Raises BadIndex."""
    return index_of_shard(unpack_shard(data, key), key)


def unpack_shard(data: bytes, key: str) -> dict[str, Any]:
    """A published shard as it is.  Raises BadIndex."""
    try:
        return msgspec.msgpack.decode(decompress(data, _MAX_SHARD), type=dict[str, Any])
    except (*UNREADABLE, ValueError) as error:
        raise _bad_shard(key, error) from error


def _bad_shard(key: str, error: Exception) -> BadIndex:
    return BadIndex(key, f"is not a readable shard ({error})", "nothing was changed: restore or delete the shard index")


def index_of_shard(top: Mapping[str, Any], key: str) -> Index:
    """What a decoded shard says.  Raises BadIndex, and NewerIndex where it has a revision that we do not know."""
    refuse_unknown_revisions(top, {}, key)
    try:
        v3_rest = msgspec.convert(top.get("v3", {}), dict[str, dict[str, dict[str, Any]]])
        v3 = {
            stem + extension: record
            for extension in EXTENSIONS
            for stem, record in v3_rest.pop(extension[1:], {}).items()
        }
        found = {**top.get("packages", {}), **top.get("packages.conda", {}), **v3}
        msgspec.convert(found, dict[str, dict[str, Any]])
        run_exports = {
            filename: run_exports_by_kind(dump(record.pop("run_exports")))
            for filename, record in found.items()
            if "run_exports" in record
        }
        records = {filename: dump(_in_json(record)) for filename, record in found.items()}
        return Index(
            records=records,
            v3=frozenset(v3),
            run_exports=run_exports,
            removed=tuple(msgspec.convert(top.get("removed", []), list[str])),
            v3_rest={
                bucket: {key: dump(_in_json(record)) for key, record in others.items()}
                for bucket, others in v3_rest.items()
            },
        )
    except (*UNREADABLE, ValueError, TypeError, AttributeError) as error:
        raise _bad_shard(key, error) from error


def _in_json(record: dict[str, Any]) -> dict[str, Any]:
    return record | {key: bytes(record[key]).hex() for key in _DIGESTS if isinstance(record.get(key), bytes)}


def merge_shards(parts: Iterable[Index]) -> Index:
    """One index of all shards of a subdir."""
    records: dict[str, Raw] = {}
    run_exports: dict[str, Raw] = {}
    v3: set[str] = set()
    removed: set[str] = set()
    v3_rest: dict[str, dict[str, Raw]] = {}
    for part in parts:
        records |= part.records
        run_exports |= part.run_exports
        v3 |= part.v3
        removed.update(part.removed)
        for bucket, others in part.v3_rest.items():
            v3_rest.setdefault(bucket, {}).update(others)
    return Index(records, frozenset(v3), run_exports, tuple(sorted(removed)), v3_rest=v3_rest)


def check_shard_size(name: str, shard: bytes) -> None:
    """Raise BadIndex for a shard that conda would refuse to read."""
    size = zstandard.frame_content_size(shard)
    if size > _MAX_SHARD:
        raise BadIndex(
            f"shard of {name}",
            f"would hold {size} bytes, more than the {_MAX_SHARD} that conda reads",
            "remove old builds of this package, or publish with --no-shards",
        )
