"""What a client finds in a channel at one moment, given the content of all objects by key."""

from __future__ import annotations

import bz2
import hashlib
import json
from typing import TYPE_CHECKING, Any

import msgspec
import zstandard

from indexer.core import names
from indexer.core.formats.shards import digest_of_filename
from tests.support.channels import records_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_UNPACK = {".zst": lambda data: zstandard.ZstdDecompressor().decompress(data), ".bz2": bz2.decompress}


def unreadable(bodies: Mapping[str, bytes]) -> list[str]:
    """What is broken for a reader who comes now: a file that cannot be read, a shard that is not there."""
    wrong: list[str] = []
    for key, body in bodies.items():
        try:
            wrong += _unreadable(key, body, bodies)
        except (ValueError, KeyError, TypeError, zstandard.ZstdError, msgspec.MsgspecError, OSError) as error:
            wrong.append(f"{key}: {error!r}")
    return wrong


def _unreadable(key: str, body: bytes, bodies: Mapping[str, bytes]) -> Iterator[str]:
    subdir, _, name = key.partition("/")
    if name == names.SHARD_INDEX:
        for package, shard in _shards(subdir, body).items():
            if shard not in bodies:
                yield f"{shard}: is named by the shard index for {package} and is not there"
    elif digest := digest_of_filename(name.removeprefix("shards/")):  # nothing else there is read, scratch files least
        if hashlib.sha256(body).digest() != digest:
            yield f"{key}: has another content than its name says"
    elif name.startswith(("repodata.json", "run_exports.json")):
        json.loads(_plain(key, body))


def indexed(bodies: Mapping[str, bytes]) -> set[str]:
    """The keys of the packages that readers of every format find as they lie there."""
    results: set[str] = set()
    for subdir in {key.partition("/")[0] for key in bodies}:
        here = _inside(subdir, bodies)
        right = [
            {name for name, record in view.items() if name in here and _is_of(record, here[name])}
            for _, view in views(subdir, bodies)
        ]
        results |= {f"{subdir}/{name}" for name in set.intersection(*right)} if right else set()
    return results


def listed(bodies: Mapping[str, bytes]) -> set[str]:
    """The keys of the packages that any format names, there or not."""
    subdirs = {key.partition("/")[0] for key in bodies}
    return {f"{subdir}/{name}" for subdir in subdirs for _, view in views(subdir, bodies) for name in view}


def _inside(subdir: str, bodies: Mapping[str, bytes]) -> dict[str, bytes]:
    return {key.partition("/")[2]: body for key, body in bodies.items() if key.startswith(f"{subdir}/")}


def views(subdir: str, bodies: Mapping[str, bytes]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The records by file name, as each of the formats that are there tells them."""
    here = _inside(subdir, bodies)
    for name in ("repodata.json", "repodata.json.zst", "repodata.json.bz2"):
        if name in here:
            yield name, records_of(json.loads(_plain(name, here[name])))
    if names.SHARD_INDEX in here:
        results: dict[str, Any] = {}
        for shard in _shards(subdir, here[names.SHARD_INDEX]).values():
            results |= records_of(_texts(_msgpack(bodies[shard])))
        for record in results.values():
            record.pop("run_exports", None)
        yield names.SHARD_INDEX, results


def _is_of(record: Mapping[str, Any], body: bytes) -> bool:
    return bool(record["size"] == len(body) and record["sha256"] == hashlib.sha256(body).hexdigest())


def _shards(subdir: str, index: bytes) -> dict[str, str]:
    return {name: f"{subdir}/shards/{sha.hex()}.msgpack.zst" for name, sha in _msgpack(index)["shards"].items()}


def _msgpack(body: bytes) -> Any:
    return msgspec.msgpack.decode(zstandard.ZstdDecompressor().decompress(body))


def _texts(value: Any) -> Any:
    """The same with every digest as the text that JSON has."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {key: _texts(item) for key, item in value.items()}
    return [_texts(item) for item in value] if isinstance(value, list) else value


def _plain(key: str, body: bytes) -> bytes:
    unpack = _UNPACK.get(key[-4:])
    return unpack(body) if unpack else body
