"""Puts artifacts in the order of publication, each under the version it replaces, and only what changed."""

from __future__ import annotations

import bz2
import io
import itertools
import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import zstandard

from indexer.core import names
from indexer.core.errors import Conflict
from indexer.core.publication import Artifact, Codec, Rank
from indexer.core.state import PublishedFile, encode_state
from indexer.core.stream import chunks_of
from indexer.store import Expect
from indexer.store.concurrent import Limits, bounded, drain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from concurrent.futures import Executor

    from indexer.core.model import ETag
    from indexer.core.snapshot import Snapshot
    from indexer.core.state import State
    from indexer.core.stream import Content
    from indexer.store import Store

# Jobs of a mebibyte that look back an eighth of that (a sixteenth of the window): less time for 0.2 to 1.7 % more
# bytes, and other cores have work from the second mebibyte on (docs/adr/0006-zstd.md).
_JOB_SIZE = 2**20
OVERLAP_LOG = 5
# A window that holds such a job, and small tables: 3 MiB for each core instead of 32, and no slower.
_WINDOW_LOG = 21
_CHAIN_LOG = 19
_HASH_LOG = 18
# A shorter match begins inside a digest more often than it saves bytes; a long one is taken as it is.
_MIN_MATCH = 6
_LONG_MATCH = 256
MOST_THREADS = 8
# A frame takes all cores: a second one at the same time would take memory and save nothing.
_FRAMES = threading.Lock()
_BOUNDS: Limits[Artifact] = Limits(32, 32, lambda _: 1)


@dataclass(frozen=True, slots=True)
class _Done:
    """An artifact that was put, or deleted; `revived` where it was there although no index named it."""

    artifact: Artifact
    etag: ETag | None = None
    revived: bool = False


@dataclass(frozen=True, slots=True)
class Writer:
    """Where to write: the store, the folder, and an executor for requests that do not wait for each other.

    `folder` is empty for the root of the channel, else it ends in `/`.
    `before` is told each rank before it begins, and may raise Conflict.
    """

    store: Store
    folder: str
    executor: Executor
    before: Callable[[Rank], None] = lambda _rank: None

    def pending(self, artifacts: Sequence[Artifact], snapshot: Snapshot) -> list[Artifact]:
        """Those of the artifacts that the folder is not known to be in step with, in their order."""
        return [
            artifact
            for artifact in artifacts
            if _standing(artifact, snapshot) is None
            and (artifact.content is not None or artifact.key in snapshot.etags)
        ]

    def publish(self, artifacts: list[Artifact], snapshot: Snapshot) -> Mapping[str, PublishedFile]:
        """Bring the folder's files in step with `artifacts`, rank by rank, and say what is there now.

        The list is emptied, so that shards are let go of as they are put.  Raises Conflict where somebody else wrote
        meanwhile: what is published then is whole all the same, and the run looks again.
        """
        lasting = [artifact for artifact in artifacts if not artifact.immutable]
        try:
            wrote = self._publish(artifacts, snapshot)
        except Conflict:
            self._put_back(lasting, snapshot)
            raise
        return {**wrote, **self._put_back(lasting, snapshot)}

    def _publish(self, artifacts: list[Artifact], snapshot: Snapshot) -> dict[str, PublishedFile]:
        wrote = {artifact.key: standing for artifact in artifacts if (standing := _standing(artifact, snapshot))}
        revived: list[Artifact] = []
        pending = self.pending(artifacts, snapshot)
        artifacts.clear()
        for rank, files in itertools.groupby(drain(pending), key=lambda artifact: artifact.rank):
            self.before(rank)
            indexed = False
            # All of a rank are through, done or failed, before anything else happens.
            for done in bounded(self.executor, self._writing(snapshot), files, _BOUNDS):
                if done.revived:
                    revived.append(done.artifact)
                elif done.etag is not None and not done.artifact.immutable:
                    wrote[done.artifact.key] = PublishedFile(done.etag, done.artifact.digest)
                indexed = indexed or done.artifact.key == names.SHARD_INDEX
            if indexed:
                self._look_after(revived)
                revived = []
        self._look_after(revived)
        return wrote

    def _put_back(self, artifacts: Sequence[Artifact], snapshot: Snapshot) -> dict[str, PublishedFile]:
        """The source, if it is gone after an index was deleted: a run with opposite options did the same to this one.

        Whoever deletes later sees what the other has deleted, so that one of the two indexes stands in the end.
        """
        deleted = {it.key for it in artifacts if it.content is None} & snapshot.etags.keys()
        if not deleted & {names.REPODATA, names.SHARD_INDEX}:
            return {}
        sources = [it for it in artifacts if it.rank is Rank.SOURCE and it.content is not None]
        gone = [it for it in sources if self.store.stat(self._key(it)) is None]
        return {it.key: PublishedFile(self._put(it, Expect.ABSENT), it.digest) for it in gone}

    def _writing(self, snapshot: Snapshot) -> Callable[[Artifact], _Done]:
        return lambda artifact: self._write(artifact, snapshot)

    def _write(self, artifact: Artifact, snapshot: Snapshot) -> _Done:
        expect = snapshot.etags.get(artifact.key, Expect.ABSENT)
        if artifact.content is None:
            self.store.delete(self._key(artifact), expect=expect)
            return _Done(artifact)
        try:
            return _Done(artifact, self._put(artifact, expect))
        except Conflict:
            if not artifact.immutable:
                raise
        # Named by its content, it is right whoever wrote it.  But it may have lain here unnamed until a
        # gc is about to delete it: put again, it is young.
        return _Done(artifact, self._put(artifact, Expect.ANYTHING), revived=True)

    def _look_after(self, revived: Sequence[Artifact]) -> None:
        """Put back what a gc has deleted although it had just been put: it had looked before that."""
        there = self.executor.map(self.store.stat, [self._key(artifact) for artifact in revived])
        for artifact in [artifact for artifact, stat in zip(revived, there, strict=True) if stat is None]:
            self._put(artifact, Expect.ANYTHING)

    def _put(self, artifact: Artifact, expect: Expect | ETag) -> ETag:
        return self.store.put(self._key(artifact), compressed(artifact), expect=expect, headers=artifact.headers)

    def _key(self, artifact: Artifact) -> str:
        return self.folder + artifact.key

    def save_state(self, state: State, snapshot: Snapshot) -> None:
        """Leave the ledger for the next run, if it says anything new.  Raises Conflict."""
        if state != snapshot.state:
            expect = snapshot.state_etag or Expect.ABSENT
            self.store.put(self.folder + names.LEDGER, encode_state(state), expect=expect)


def _standing(artifact: Artifact, snapshot: Snapshot) -> PublishedFile | None:
    """What the ledger knows of a file that is there and already says what it should."""
    known = snapshot.state.files.get(artifact.key) if snapshot.state else None
    if known is None or artifact.content is None or snapshot.etags.get(artifact.key) != known.etag:
        return None
    return known if known.digest == artifact.digest else None


def compressed(artifact: Artifact) -> Content:
    """The content of an artifact as it is put."""
    content = b"" if artifact.content is None else artifact.content
    if artifact.codec is Codec.ZSTD:
        return frame(content, artifact.level)
    if artifact.codec is Codec.BZIP2:
        return _packed(content, bz2.BZ2Compressor())
    return bytes(content) if artifact.immutable else content


def _packed(content: Content, packer: zstandard.ZstdCompressionObj | bz2.BZ2Compressor) -> bytes:
    """Content compressed as it is made.  The result is held: a put wants to know its size and digest first."""
    packed = io.BytesIO()  # grows in one place, where a list of pieces would lie scattered
    for piece in chunks_of(content):
        packed.write(packer.compress(piece))
    packed.write(packer.flush())
    return packed.getvalue()


def frame(content: Content, level: int, threads: int | None = None) -> bytes:
    """One frame, with its size in the header and no checksum.

    Always in zstd's threaded mode: its bytes are the same for any number of threads, and other than
    those of the mode without threads.
    """
    shape = zstandard.ZstdCompressionParameters.from_level(level, source_size=len(content))
    thorough = {}
    if shape.strategy >= zstandard.STRATEGY_BTOPT:
        # Of so few matches fewer need be looked at (docs/adr/0006-zstd.md).
        thorough = {"search_log": shape.search_log - 2, "target_length": _LONG_MATCH}
    parameters = zstandard.ZstdCompressionParameters.from_level(
        level,
        source_size=len(content),
        window_log=min(shape.window_log, _WINDOW_LOG),
        chain_log=min(shape.chain_log, _CHAIN_LOG),
        hash_log=min(shape.hash_log, _HASH_LOG),
        min_match=_MIN_MATCH,
        **thorough,
        threads=threads or min(os.cpu_count() or 1, MOST_THREADS),
        job_size=_JOB_SIZE,
        overlap_log=OVERLAP_LOG,
        write_content_size=True,
        write_checksum=False,
    )
    size = len(content)
    with _FRAMES:
        compressor = zstandard.ZstdCompressor(compression_params=parameters)
        return _packed(content, compressor.compressobj(size=size))
