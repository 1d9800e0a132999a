"""Writes the files of a folder in the order of publication, each in the place of the version that was seen."""

from __future__ import annotations

import itertools
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from indexer.core import names
from indexer.core.artifact import Artifact, Codec, Publication, Rank
from indexer.core.composition import with_composition
from indexer.core.errors import Conflict
from indexer.core.progress import Phase, Step, silent
from indexer.core.state import PublishedFile, State, encode_state
from indexer.core.value import Value
from indexer.store import Expect
from indexer.store.concurrent import Limits, bounded
from indexer.writer.compress import Packed, compressed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Executor

    from indexer.core.model import ETag
    from indexer.core.proof import Proof
    from indexer.core.saved_chunks import ChunkTable
    from indexer.core.snapshot import Snapshot
    from indexer.core.stream import Content
    from indexer.store.channel_folder import ChannelFolder

_LIMITS: Limits[Artifact] = Limits(32)
# A file up to this size is compressed while the files before it are written.  The frame of a larger one takes memory.
_COMPRESSED_EARLY = 32 * 2**20


class _Written(Value, frozen=True):
    """A file that was written, or deleted (then without an ETag); `rewritten` if a shard existed already.

    `chunks` is the table of its chunks if it has chunks.
    """

    artifact: Artifact
    etag: ETag | None = None
    rewritten: bool = False
    chunks: ChunkTable | None = None


def pending(publication: Publication, snapshot: Snapshot) -> set[tuple[str, bool]]:
    """The keys of the files to write (true) and of those to delete (false), relative to the folder."""
    known = _known_files(snapshot)
    artifacts = _pending(publication, known, snapshot.etags)
    files = {(artifact.key, artifact.content is not None) for artifact in artifacts}
    return files | {(key, True) for key in publication.new_shards.keys}


def publish(
    folder: ChannelFolder,
    publication: Publication,
    snapshot: Snapshot,
    before_rank: Callable[[Rank], None] | None = None,
) -> dict[str, PublishedFile]:
    """Write and delete files, rank by rank, until the folder has the publication; return the files that it has then.

    `before_rank` is called before each rank and may raise Conflict.  Raises Conflict if another indexer wrote in the
    meantime: the published index is then complete, and the run looks at the folder again.
    """
    try:
        files = _publish(folder, publication, snapshot, before_rank)
    except Conflict:
        _restore_source(folder, publication, snapshot)
        raise
    return {**files, **_restore_source(folder, publication, snapshot)}


def save_state(folder: ChannelFolder, state: State, snapshot: Snapshot, proof: Proof | None = None) -> None:
    """Write the state for the next run with a `proof`, if the state without it is new.  Raises Conflict."""
    before = snapshot.state
    if before is not None and state == msgspec.structs.replace(before, proof=None):
        return
    content = encode_state(msgspec.structs.replace(state, proof=proof))
    folder.store.put(folder.prefix + names.STATE_FILE, content, expect=snapshot.state_etag or Expect.ABSENT)


def _known_files(snapshot: Snapshot) -> dict[str, PublishedFile]:
    """The files that are as the last run left them."""
    files = snapshot.state.files if snapshot.state else {}
    return {key: published for key, published in files.items() if snapshot.etags.get(key) == published.etag}


def _is_pending(artifact: Artifact, known: Mapping[str, PublishedFile], etags: Mapping[str, ETag]) -> bool:
    """Whether a file is not known to have the right content already."""
    if artifact.content is None:
        return artifact.key in etags
    published = known.get(artifact.key)
    return published is None or published.digest != artifact.digest


def _pending(publication: Publication, known: Mapping[str, PublishedFile], etags: Mapping[str, ETag]) -> list[Artifact]:
    """The files to write or to delete, without new shards."""
    return [artifact for artifact in publication.artifacts if _is_pending(artifact, known, etags)]


def _publish(
    folder: ChannelFolder, publication: Publication, snapshot: Snapshot, before_rank: Callable[[Rank], None] | None
) -> dict[str, PublishedFile]:
    read, etags = _known_files(snapshot), dict(snapshot.etags)
    known = dict(read)
    contents = _Contents(folder.executor, _pending(publication, known, etags))
    rewritten: list[Artifact] = []
    shown = _shown(folder, publication, snapshot)
    for rank in Rank:
        todo = [file for file in _pending(publication, known, etags) if file.rank is rank]
        shards = publication.new_shards if rank is Rank.SHARD else ()
        write = partial(_write, folder, contents, read=read, etags=etags)
        before = before_rank and partial(before_rank, rank)
        written = _without_new_shards(shown(_write_rank(folder, write, itertools.chain(todo, shards), before)))
        rewritten += [one.artifact for one in written if one.rewritten]
        files = _files_of(written)
        # A file that is in the publication twice is written again only if its second content differs.
        known |= files
        etags |= {key: published.etag for key, published in files.items()}
        if names.SHARD_INDEX in files:
            _ensure_shards(folder, rewritten)
            rewritten = []
    _ensure_shards(folder, rewritten)
    return {key: known[key] for key in known.keys() & _wanted(publication)}


def _without_new_shards(written: Iterable[_Written]) -> list[_Written]:
    """The written files that are looked at again; new shards are many, and are not held."""
    return [one for one in written if one.rewritten or not one.artifact.immutable]


def _wanted(publication: Publication) -> set[str]:
    return {artifact.key for artifact in publication.artifacts if artifact.content is not None}


def _files_of(written: Sequence[_Written]) -> dict[str, PublishedFile]:
    """The files that were written, without shards and deleted files."""
    return {
        one.artifact.key: PublishedFile(one.etag, one.artifact.digest, one.chunks)
        for one in written
        if one.etag is not None and not one.artifact.immutable
    }


class _Contents:
    """The contents of files as they are put; small files are compressed ahead, in threads of an executor.

    These threads begin before those that put files, so that no put waits for a thread.
    """

    def __init__(self, executor: Executor, artifacts: Iterable[Artifact]) -> None:
        self._begun = {
            (artifact.key, artifact.digest): executor.submit(compressed, artifact)
            for artifact in artifacts
            if artifact.content is not None
            and artifact.codec is Codec.ZSTD
            and len(artifact.content) <= _COMPRESSED_EARLY
        }

    def of(self, artifact: Artifact) -> Packed:
        """The content of one file, compressed if the file is."""
        begun = self._begun.get((artifact.key, artifact.digest))
        return compressed(artifact) if begun is None else begun.result()


def _write_rank(
    folder: ChannelFolder,
    write: Callable[[Artifact], _Written],
    artifacts: Iterator[Artifact],
    before: Callable[[], None] | None,
) -> Iterator[_Written]:
    """Write the files of one rank; all are written, or have failed, before anything else happens."""
    first = next(artifacts, None)
    if first is None:
        return iter(())
    if before is not None:
        before()
    return bounded(folder.executor, write, itertools.chain([first], artifacts), _LIMITS)


def _shown(
    folder: ChannelFolder, publication: Publication, snapshot: Snapshot
) -> Callable[[Iterator[_Written]], Iterator[_Written]]:
    """A function that shows progress for each file that is written, and returns what was written."""
    if folder.progress is silent:
        return iter
    total, count = len(pending(publication, snapshot)), itertools.count(1)

    def shown(written: Iterator[_Written]) -> Iterator[_Written]:
        for one in written:
            yield one
            folder.progress(Step(Phase.WRITING, folder.name, min(next(count), total), total))

    return shown


def _write(
    folder: ChannelFolder,
    contents: _Contents,
    artifact: Artifact,
    *,
    read: Mapping[str, PublishedFile],
    etags: Mapping[str, ETag],
) -> _Written:
    """Write or delete a file; `read` has the published files, whose chunks the content can have."""
    expect = etags.get(artifact.key, Expect.ABSENT)
    if artifact.content is None:
        folder.store.delete(folder.prefix + artifact.key, expect=expect)
        return _Written(artifact)
    content, chunks = contents.of(artifact)
    if artifact.key in read:
        content = with_composition(content, read[artifact.key].etag)
    try:
        return _Written(artifact, _put(folder, artifact, expect, content), chunks=chunks)
    except Conflict:
        if not artifact.immutable:
            raise
    # The name of a shard is its digest, so its content is right even if another program wrote it.  But perhaps no index
    # has named the shard until now, and a gc may be about to delete it: a shard that is written again is young.
    return _Written(artifact, _put(folder, artifact, Expect.ANYTHING, content), rewritten=True)


def _ensure_shards(folder: ChannelFolder, rewritten: Sequence[Artifact]) -> None:
    """Write again the shards that a gc has deleted: the gc had read their age before they were written again."""
    stats = folder.stats(artifact.key for artifact in rewritten) if rewritten else {}
    for artifact in rewritten:
        if artifact.key not in stats:
            _put(folder, artifact, Expect.ANYTHING)


def _restore_source(folder: ChannelFolder, publication: Publication, snapshot: Snapshot) -> dict[str, PublishedFile]:
    """Write the source again if this run has deleted another index and the source is gone now.

    A run with opposite options has deleted the source.  The run that deletes last notices that the other file is gone,
    so that one of the two indexes exists in the end.
    """
    artifacts = publication.artifacts
    deleted = {artifact.key for artifact in artifacts if artifact.content is None} & snapshot.etags.keys()
    if not deleted & {names.REPODATA, names.SHARD_INDEX}:
        return {}
    sources = {file.key: file for file in artifacts if file.rank is Rank.SOURCE and file.content is not None}
    gone = sources.keys() - folder.stats(sources).keys()
    return {key: PublishedFile(_put(folder, sources[key], Expect.ABSENT), sources[key].digest) for key in sorted(gone)}


def _put(folder: ChannelFolder, artifact: Artifact, expect: Expect | ETag, content: Content | None = None) -> ETag:
    content = compressed(artifact).content if content is None else content
    return folder.store.put(folder.prefix + artifact.key, content, expect=expect, headers=artifact.headers)
