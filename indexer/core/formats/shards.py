"""Shards (CEP 16): one small file for each package name, and the shard index, which has their digests."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import zstandard
from msgspec import field

from indexer.core.errors import BadIndex
from indexer.core.formats.repodata import refuse_unknown_revisions, run_exports_by_kind, section_of, v3_buckets
from indexer.core.json_form import dump
from indexer.core.model import UNREADABLE, Index, Raw
from indexer.core.names import EXTENSIONS, SHARD_SUFFIX, SHARDS_FOLDER, parse_filename
from indexer.core.records.identity import identity_of
from indexer.core.value import Value
from indexer.core.zstd import compress, decompress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

_SHA256 = re.compile(r"[0-9a-f]{64}")
# conda refuses a shard that is larger than this after decompression.
_MAX_SHARD = 16 * 2**20
_MAX_SHARD_INDEX = 128 * 2**20
BASE_URL = f"./{SHARDS_FOLDER}"
# Keys of repodata.json's `info` that a shard index carries too (CEP 42, 48).
SHARED_INFO = ("channel_relations", "repodata_revisions", "virtual_package_detectors")
# Digests are raw bytes in msgpack, hexadecimal in JSON (CEP 16).
_DIGESTS = ("md5", "sha256", "legacy_bz2_md5", "attestations_sha256")


class ShardIndex(Value, frozen=True):
    """The shards of a subdir: the sha256 (32 bytes) of each compressed shard by lower-case package name."""

    shards: Mapping[str, bytes] = field(default_factory=dict)
    info: Mapping[str, object] = field(default_factory=dict)

    @property
    def own_digests(self) -> frozenset[bytes]:
        """The digests of the shards in the folder `shards/`.

        Empty if the index is of conda-index, which keeps its shards beside the packages.
        """
        own = self.info.get("shards_base_url") == BASE_URL
        return frozenset(self.shards.values()) if own else frozenset()

    @property
    def folder(self) -> str | None:
        """The folder of the shards, relative to the subdir; None if it is outside of the subdir."""
        base = str(self.info.get("shards_base_url", "")).removeprefix("./")
        return None if "//" in base or base.startswith("/") or ".." in base.split("/") else base


class _NamedRecord(msgspec.Struct):
    name: Annotated[str, msgspec.Meta(min_length=1)]


_named_record = msgspec.json.Decoder(_NamedRecord)


def filenames_by_name(records: Mapping[str, Raw]) -> dict[str, list[str]]:
    """File names by lower-case package name, the name that readers request.  Raises BadIndex."""
    groups: dict[str, list[str]] = defaultdict(list)
    for filename, record in records.items():
        try:
            groups[_named_record.decode(record).name.lower()].append(filename)
        except UNREADABLE as error:
            raise _bad_record(filename, error) from error
    return groups


def _bad_record(filename: str, error: Exception) -> BadIndex:
    return BadIndex(
        filename, f"has a record in the index that readers refuse ({error})", "repeat with --force to read it again"
    )


def encode_shard(index: Index, filenames: Iterable[str], removed: Iterable[str]) -> dict[str, Any]:
    """The shard of one package name: its records, and its `removed` files.

    A record has a key `run_exports` if they are known, even if they are empty: without the key a reader must open
    the package (CEP 21).
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
    """The package names, in lower case, whose shards can differ between an index before and after an update."""
    filenames = {*(before.v3 ^ after.v3), *(set(before.removed) ^ set(after.removed))}
    for old, new in ((before.records, after.records), (before.run_exports, after.run_exports)):
        filenames |= {filename for filename, value in new.items() if old.get(filename) != value}
        filenames.update(filename for filename in old if filename not in new)
    names = set()
    for filename in filenames:
        records = [index.records[filename] for index in (before, after) if filename in index.records]
        names |= {identity_of(record).name.lower() for record in records}
        if parsed := parse_filename(filename):
            names.add(parsed.name.lower())
    return frozenset(names)


def build_shards(index: Index, wanted: frozenset[str] | None = None) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Each package name with a function that returns its compressed shard; only for the names in `wanted`, if given.

    A function, because one shard takes a third of a millisecond to make, and all shards of a large channel together
    take a quarter of the memory of its records.
    """
    removed: dict[str, list[str]] = defaultdict(list)
    for filename in index.removed:
        if parsed := parse_filename(filename):
            removed[parsed.name.lower()].append(filename)
    groups = filenames_by_name(index.records)
    # Records of other things than packages are not validated; one without a name is in no shard.
    others = {
        bucket: filenames_by_name({key: record for key, record in records.items() if identity_of(record).name})
        for bucket, records in index.v3_rest.items()
    }
    names = {*groups, *removed, *(name for by_name in others.values() for name in by_name)}

    def make(name: str) -> bytes:
        shard = encode_shard(index, groups.get(name, ()), removed.get(name, ()))
        for bucket, by_name in others.items():
            if name in by_name:
                records = index.v3_rest[bucket]
                shard.setdefault("v3", {})[bucket] = {key: _in_msgpack(key, records[key]) for key in by_name[name]}
        try:
            content = msgspec.msgpack.encode(shard, order="deterministic")
        except (OverflowError, RecursionError) as error:
            raise _bad_record(f"a package of the name {name}", error) from error
        return compress(content)

    for name in sorted(names if wanted is None else names & wanted):
        yield name, partial(make, name)


def shard_digest(shard: bytes) -> bytes:
    """The sha256 of a compressed shard, which its file name has."""
    return hashlib.sha256(shard).digest()


def filename_of(sha256: bytes) -> str:
    """The file name of a shard in the folder of shards."""
    return f"{sha256.hex()}{SHARD_SUFFIX}"


def digest_of_filename(filename: str) -> bytes | None:
    """The sha256 in the file name of a shard, None for any other file."""
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
    """A published shard index.  Raises BadIndex, and NewerIndex if it announces a revision that we do not know."""
    try:
        top = msgspec.msgpack.decode(decompress(data, _MAX_SHARD_INDEX), type=dict[str, Any])
        shards = msgspec.convert(top["shards"], dict[str, bytes])
        info = msgspec.convert(top.get("info", {}), dict[str, Any])
        dump(info)  # msgpack allows keys that are not text; JSON could not have them
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
    """The decoded content of a published shard.  Raises BadIndex."""
    try:
        return msgspec.msgpack.decode(decompress(data, _MAX_SHARD), type=dict[str, Any])
    except (*UNREADABLE, ValueError) as error:
        raise _bad_shard(key, error) from error


def _bad_shard(key: str, error: Exception) -> BadIndex:
    return BadIndex(key, f"is not a readable shard ({error})", "nothing was changed: restore or delete the shard index")


def index_of_shard(top: Mapping[str, Any], key: str) -> Index:
    """The index in a decoded shard.  Raises BadIndex, and NewerIndex if it has a revision that we do not know."""
    refuse_unknown_revisions(top, {}, key)
    try:
        v3_rest = msgspec.convert(top.get("v3", {}), dict[str, dict[str, dict[str, Any]]])
        v3 = {
            stem + extension: record
            for extension in EXTENSIONS
            for stem, record in v3_rest.pop(extension[1:], {}).items()
        }
        maps = {**top.get("packages", {}), **top.get("packages.conda", {}), **v3}
        fields = msgspec.convert(maps, dict[str, dict[str, Any]])
        run_exports = {
            filename: run_exports_by_kind(dump(record["run_exports"]))
            for filename, record in fields.items()
            if "run_exports" in record
        }
        records = {filename: _in_json(record, without="run_exports") for filename, record in fields.items()}
        return Index(
            records=records,
            v3=frozenset(v3),
            run_exports=run_exports,
            removed=tuple(msgspec.convert(top.get("removed", []), list[str])),
            v3_rest={
                bucket: {key: _in_json(record) for key, record in others.items()} for bucket, others in v3_rest.items()
            },
        )
    except (*UNREADABLE, ValueError, TypeError, AttributeError) as error:
        raise _bad_shard(key, error) from error


def _in_json(record: dict[str, Any], without: str = "") -> Raw:
    fields = {key: value for key, value in record.items() if key != without}
    return dump(fields | {key: fields[key].hex() for key in _DIGESTS if isinstance(fields.get(key), bytes)})


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
    """Raise BadIndex if conda would refuse to read a shard."""
    size = zstandard.frame_content_size(shard)
    if size > _MAX_SHARD:
        raise BadIndex(
            f"shard of {name}",
            f"would hold {size} bytes, more than the {_MAX_SHARD} that conda reads",
            "remove old builds of this package, or publish with --no-shards",
        )
