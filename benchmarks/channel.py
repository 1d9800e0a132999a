"""The channel that is indexed: a folder, or a prefix of a bucket behind the counting proxy; no indexer changes it.

Packages and index are kept from one benchmark to the next, because half a million packages take long to make. The next
benchmark in the same place undoes the additions and replacements of the one before.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from benchmarks import measure, proxy
from benchmarks.corpus import EXTENSIONS, PREFIX, SUBDIR
from benchmarks.proxy import Counters
from fixtures import bucket as uploads
from fixtures import seaweed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.corpus import Corpus
    from benchmarks.proxy import Proxy
    from fixtures.seaweed import Server

FOLDER = "folder"
BUCKET = "bucket"
_NAME = "channel"
_UPLOADS_AT_ONCE = 16
# Sorts after the names of all packages and before all other files.
_AFTER_PACKAGES = f"{PREFIX}~"


class Channel(Protocol):
    """The operations of a benchmark on a channel."""

    @property
    def target(self) -> str:
        """The argument of an indexer: a path or a URL."""

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables of an indexer."""

    def put(self, number: int, edition: int = 0) -> str:
        """Upload a package of the corpus, or replace the one of the same name; returns its sha256."""

    def remove(self, number: int) -> None:
        """Delete a package, if it exists."""

    def clear(self) -> None:
        """Delete all files that are not packages."""

    def read(self, name: str) -> bytes | None:
        """A file of the subdir, None if it does not exist."""

    def take(self, latency_ms: float) -> Counters:
        """The requests and bytes since the last call, if they are counted; from now on requests wait this long."""


@dataclass
class FolderChannel:
    """A channel in a folder."""

    corpus: Corpus
    folder: Path

    @property
    def target(self) -> str:
        """The folder."""
        return str(self.folder)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of this process."""
        return _environment()

    def put(self, number: int, edition: int = 0) -> str:
        """Write a package; the first edition comes back as the file that it was, with its inode and date."""
        path = self.folder / SUBDIR / self.corpus.filename(number)
        kept = self.folder.with_name(f"{self.folder.name}.{path.name}")
        if edition and not kept.exists():
            path.rename(kept)
        elif not edition and kept.exists():
            kept.replace(path)
        if edition or not path.exists():
            self.corpus.write(self.folder / SUBDIR, number, edition)
        return _sha256(path)

    def remove(self, number: int) -> None:
        """Delete a package."""
        (self.folder / SUBDIR / self.corpus.filename(number)).unlink(missing_ok=True)

    def clear(self) -> None:
        """Delete all files that are not packages."""
        subdirs = self.corpus.subdirs
        for folder in (self.folder, *(self.folder / subdir for subdir in subdirs)):
            with os.scandir(folder) as entries:
                extra = [entry for entry in entries if not entry.name.endswith((*EXTENSIONS, *subdirs))]
            for entry in extra:
                shutil.rmtree(entry) if entry.is_dir() else Path(entry).unlink()

    def read(self, name: str) -> bytes | None:
        """A file of the subdir."""
        with contextlib.suppress(FileNotFoundError):
            return (self.folder / SUBDIR / name).read_bytes()
        return None

    def take(self, latency_ms: float) -> Counters:
        """Nothing is counted."""
        del latency_ms
        return Counters()


@dataclass
class BucketChannel:
    """A channel in a bucket: measured through the proxy, changed past it."""

    corpus: Corpus
    server: Server
    between: Proxy
    scratch: Path
    direct: uploads.Bucket = field(init=False)

    def __post_init__(self) -> None:
        endpoint, name = self.server.endpoint, f"benchmark-{self.corpus.title}"
        self.direct = uploads.Bucket(endpoint, name, uploads.connect(endpoint))

    @property
    def target(self) -> str:
        """The URL."""
        return f"s3://{self.direct.bucket}/{_NAME}"

    @property
    def environment(self) -> dict[str, str]:
        """Keys are environment variables: everybody on the machine can read a command line."""
        endpoint = f"http://{proxy.LOOPBACK}:{self.between.port}"
        settings = {**self.direct.environment(), "S3_ENDPOINT_URL": endpoint, "NO_PROXY": "*", "no_proxy": "*"}
        return {**_environment(), **settings}

    def make(self, folder: Path) -> None:
        """Upload the packages of the same channel in a folder, and its index, unless they are there."""
        client, bucket = self.direct.client, self.direct.bucket
        if self._exists(".complete"):
            return
        with contextlib.suppress(client.exceptions.BucketAlreadyOwnedByYou, client.exceptions.BucketAlreadyExists):
            client.create_bucket(Bucket=bucket)
        existing = set(self._keys())
        paths = (path for subdir in self.corpus.subdirs for path in sorted((folder / subdir).iterdir()))
        packages = (path for path in paths if path.name.endswith(EXTENSIONS))
        missing = [path for path in packages if self._key(path.name, path.parent.name) not in existing]
        with ThreadPoolExecutor(1 if self.corpus.large else _UPLOADS_AT_ONCE) as threads:
            for _ in threads.map(self._upload, missing):
                pass
        index = folder / SUBDIR / "repodata.json"
        if index.exists():
            # So that the first run does not read half a million packages.
            client.upload_file(str(index), bucket, self._key(index.name))
        client.put_object(Bucket=bucket, Key=".complete")

    def put(self, number: int, edition: int = 0) -> str:
        """Upload a package."""
        self.remove(number)
        path = self.corpus.write(self.scratch / SUBDIR, number, edition)
        self._upload(path)
        digest = _sha256(path)
        path.unlink()
        return digest

    def remove(self, number: int) -> None:
        """Delete a package."""
        self.direct.client.delete_object(Bucket=self.direct.bucket, Key=self._key(self.corpus.filename(number)))

    def clear(self) -> None:
        """Delete all objects that are not packages."""
        keys = list(self._index_keys())
        for start in range(0, len(keys), 1000):
            objects = [{"Key": key} for key in keys[start : start + 1000]]
            answer = self.direct.client.delete_objects(Bucket=self.direct.bucket, Delete={"Objects": objects})
            if answer.get("Errors"):
                raise RuntimeError(f"cannot delete: {answer['Errors'][0]}")

    def read(self, name: str) -> bytes | None:
        """An object of the subdir."""
        client = self.direct.client
        with contextlib.suppress(client.exceptions.NoSuchKey):
            body: bytes = client.get_object(Bucket=self.direct.bucket, Key=self._key(name))["Body"].read()
            return body
        return None

    def take(self, latency_ms: float) -> Counters:
        """The requests and bytes that passed the proxy."""
        return self.between.take(latency_ms)

    def _upload(self, path: Path) -> None:
        if self.corpus.vouched:
            uploads.upload(self.direct, _NAME, path, path.parent.name)
        else:
            self.direct.client.upload_file(str(path), self.direct.bucket, self._key(path.name))

    def _key(self, name: str, subdir: str = SUBDIR) -> str:
        return f"{_NAME}/{subdir}/{name}"

    def _exists(self, key: str) -> bool:
        client = self.direct.client
        with contextlib.suppress(client.exceptions.ClientError):
            client.head_object(Bucket=self.direct.bucket, Key=key)
            return True
        return False

    def _index_keys(self) -> Iterator[str]:
        """The keys of objects that are not packages; packages are not listed, because they can be half a million."""
        places = [self._key("", subdir) for subdir in sorted(self.corpus.subdirs)]
        for after in ("", *(f"{place}{_AFTER_PACKAGES}" for place in places)):
            for key in self._keys(after):
                if key.endswith(EXTENSIONS):
                    break
                yield key

    def _keys(self, after: str = "") -> Iterator[str]:
        pages: Any = self.direct.client.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self.direct.bucket, Prefix=f"{_NAME}/", StartAfter=after):
            yield from (entry["Key"] for entry in page.get("Contents", ()))


@contextlib.contextmanager
def serving(corpus: Corpus, place: Path, folder: Path) -> Iterator[BucketChannel]:
    """The channel in a bucket, while its server runs; the server's data stays in `place`."""
    (place / "upload" / SUBDIR).mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(seaweed.running(uploads.ACCESS_KEY, uploads.SECRET_KEY, keep=place / "server"))
        between = stack.enter_context(proxy.running(server.port))
        channel = BucketChannel(corpus, server, between, place / "upload")
        channel.make(folder)
        yield channel


def _environment() -> dict[str, str]:
    """The environment of an installed program: compiled modules are kept, as pip keeps them."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def server_seconds(channel: Channel) -> float:
    """The CPU seconds of the store's server until now."""
    return measure.cpu_seconds(channel.server.pid) if isinstance(channel, BucketChannel) else 0.0
