"""Channels for tests: the fixtures' packages in folders and buckets, and what lies in them at a moment."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import zstandard

from fixtures import pack, tree
from fixtures.bucket import Bucket, upload
from fixtures.tree import Written

if TYPE_CHECKING:
    from collections.abc import Iterable

PACKAGES = Path(__file__).parents[2] / "fixtures" / "packages"
BROKEN = PACKAGES.parent / "broken"
FEW = [PACKAGES / "linux-64" / "dew-1.0-0.conda", *sorted(PACKAGES.glob("noarch/*.conda"))]
"""Packages of two subdirs, for a bucket: a server takes some milliseconds for each request."""


def lay_out(folder: Path, packages: Iterable[Path] = ()) -> Path:
    """Copy packages, all of the fixtures' unless some are named, into a folder laid out as a channel."""
    for path in list(packages) or sorted(PACKAGES.glob("*/*")):
        copy(path, folder)
    return folder


def copy(package: Path, folder: Path) -> Path:
    """Copy one package into its subdir of a channel."""
    place = folder / package.parent.name / package.name
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(package, place)
    return place


def lay_up(bucket: Bucket, prefix: str, packages: Iterable[Path] = ()) -> str:
    """Upload packages, all of the fixtures' unless some are named, and return the channel's URL."""
    for path in list(packages) or sorted(PACKAGES.glob("*/*")):
        upload(bucket, prefix, path, path.parent.name)
    return f"s3://{bucket.bucket}/{prefix}"


def write(folder: Path, key: str, **index: object) -> Path:
    """Make a package whose index.json says something of its own."""
    pack.write(tree.files(Written(key, "", index=index)), folder / key)
    return folder / key


def snapshot(folder: Path) -> dict[str, tuple[int, int, str]]:
    """Every file under a folder: when it was written, which inode it is, and what is in it."""
    results = {}
    for path in sorted(folder.rglob("*")):
        status = path.stat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        results[path.relative_to(folder).as_posix()] = (status.st_mtime_ns, status.st_ino, content)
    return results


def files(folder: Path) -> dict[str, bytes]:
    """Every file under a folder, by its path, with its content."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def objects(bucket: Bucket, prefix: str, read: dict[str, bytes] | None = None) -> dict[str, bytes]:
    """Every object under a prefix, by its key without that, with its content; `read` keeps contents by their ETag."""
    read, results = {} if read is None else read, {}
    for page in bucket.client.get_paginator("list_objects_v2").paginate(Bucket=bucket.bucket, Prefix=f"{prefix}/"):
        for entry in page.get("Contents", ()):
            if entry["ETag"] not in read:
                with contextlib.closing(
                    bucket.client.get_object(Bucket=bucket.bucket, Key=entry["Key"])["Body"]
                ) as body:
                    read[entry["ETag"]] = body.read()
            results[entry["Key"].removeprefix(f"{prefix}/")] = read[entry["ETag"]]
    return results


def repodata(folder: Path, subdir: str) -> Any:
    """What repodata.json of a subdir says."""
    return json.loads((folder / subdir / "repodata.json").read_bytes())


def records(folder: Path, subdir: str) -> dict[str, Any]:
    """The records of a subdir by file name, those under v3 too."""
    return records_of(repodata(folder, subdir))


def records_of(content: Any) -> dict[str, Any]:
    """The records of a repodata.json or of a shard by file name, those under v3 too."""
    results = {**content.get("packages", {}), **content.get("packages.conda", {})}
    for extension, revised in content.get("v3", {}).items():
        results |= {f"{stem}.{extension}": record for stem, record in revised.items()}
    return results


def unpacked(path: Path) -> Any:
    """What a file in msgpack and zstd says."""
    with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(path.read_bytes())) as stream:
        return msgspec.msgpack.decode(stream.read())


def touch_later(path: Path) -> None:
    """Let a file look as if it had been written a minute later than it was."""
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 60 * 10**9))
