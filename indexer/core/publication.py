"""What a subdir publishes: the content of each artifact, and the order of publication as data."""

from __future__ import annotations

import contextlib
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import field
from msgspec.structs import replace

from indexer.core import names
from indexer.core.artifact import Artifact, Codec, NewShards, Publication, Rank, mutable, with_digest
from indexer.core.formats import shards
from indexer.core.formats.repodata import encode_repodata, encode_run_exports, encode_unpatched
from indexer.core.formats.shards import ShardIndex
from indexer.core.model import UNREADABLE, Raw
from indexer.core.pages import catalog
from indexer.core.pages.catalog import Catalog
from indexer.core.pages.current import encode_current_repodata
from indexer.core.records.identity import identity_of
from indexer.core.stream import Stream
from indexer.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from indexer.core.channel_info import ChannelInfo, Revision
    from indexer.core.formats.repodata import PublishedRecords
    from indexer.core.metadata import Metadata
    from indexer.core.model import Index, Outputs
    from indexer.core.stream import Content

_JSON = "application/json"
_HTML = "text/html; charset=utf-8"
_ZSTD = "application/zstd"
_BZIP2 = "application/x-bzip2"
# Only the next run reads the catalog.
_CATALOG_LEVEL = 3
# Deprecated (CEP 36): conda has read them once, no indexer writes them today.
_STALE_INFO = frozenset({"arch", "platform", "base_url", "subdir", "repodata_revisions"})


class RenderContext(Value, frozen=True):
    """What a publication depends on besides the index.

    `shard_index` is the published one, an empty one if there is none.  `existing_shards` are the shards that need not
    be written, by their SHA-256: those of the published shard index that are known to exist.  `source` is the published
    file that an index can be read from: repodata.json if there is one, else the shard index, else the empty text.
    `instructions` are those of a patch that is not published yet.  `keeps_unpatched` is true if an unpatched index is
    published already.  `changed_names` are the package names, in lower case, whose shards can differ from the published
    ones; None if any can.  `metadata` has the metadata of packages and `yanked` the reasons of yanks, by file name.
    `published` has the files, by key, in which the records that were not loaded stay as they are, and `catalog` the
    published entries of these records.
    """

    subdir: str
    outputs: Outputs
    shard_index: ShardIndex
    existing_shards: frozenset[bytes]
    now_ms: int
    source: str = ""
    instructions: bytes | None = None
    keeps_unpatched: bool = True
    changed_names: frozenset[str] | None = None
    metadata: Mapping[str, Metadata] = field(default_factory=dict)
    yanked: Mapping[str, str] = field(default_factory=dict)
    published: Mapping[str, PublishedRecords] = field(default_factory=dict)
    catalog: Catalog = field(default_factory=Catalog)


def publication(index: Index, context: RenderContext, unpatched: Index | None = None) -> Publication:
    """Every file of a subdir in the order of publication, the unwanted ones as deletions.

    `index` has the records that readers shall see.  `unpatched` has the records before a patch if these are kept: then
    they are the source, and all other files are made from `index`.
    """
    if not context.outputs.run_exports:
        # The next run would not know the run exports, so no shard may have them.
        index = replace(index, run_exports={})
        unpatched = unpatched and replace(unpatched, run_exports={})
    info = _info(index, context)
    source = source_of(context.outputs, unpatched)
    new_shards, shard_index = _shards(index, info, context, source)
    wanted = [
        *_instructions(context),
        *_unpatched(index, unpatched, context),
        *shard_index,
        *_monolith(index, info, context, source),
        # Those of yanked packages too: the file is of the unpatched index (CEP 12).
        *_run_exports(replace(unpatched or index, run_exports=index.run_exports), context),
        *_current(index, info, context),
        *_described(index, context),
    ]
    keys = {artifact.key for artifact in wanted}
    unwanted = [Artifact(key, _deletion_rank(key, context)) for key in names.OWNED if key not in keys]
    artifacts = sorted([*unwanted, *map(with_digest, wanted)], key=lambda artifact: artifact.rank)
    return Publication(tuple(artifacts), new_shards)


def source_of(outputs: Outputs, unpatched: Index | None = None) -> str:
    """The file that the next run reads back."""
    if unpatched is not None:
        return names.FROM_PACKAGES
    return names.REPODATA if outputs.monolithic else names.SHARD_INDEX


def instructions_of(content: bytes, outputs: Outputs) -> Artifact:
    """The file of patch instructions, as they were given."""
    return with_digest(Artifact(names.PATCH_INSTRUCTIONS, Rank.SHARD, content, headers=mutable(outputs, _JSON)))


def _instructions(context: RenderContext) -> list[Artifact]:
    return [] if context.instructions is None else [instructions_of(context.instructions, context.outputs)]


def _unpatched(index: Index, unpatched: Index | None, context: RenderContext) -> list[Artifact]:
    """The unpatched index and its compressed form; the first time the plain file is written twice.

    The run exports that run_exports.json has are left out of it.  The first time no such file has them yet.
    """
    if unpatched is None:
        return []
    info, shape = _info(unpatched, context), replace(context.outputs, bz2=False)
    patched = index.run_exports if context.outputs.monolithic else {}
    content = encode_unpatched(unpatched, info, patched, context.published.get(names.FROM_PACKAGES))
    files = _variants(names.FROM_PACKAGES, content, Rank.SOURCE, shape)
    if context.keeps_unpatched:
        return files
    return [replace(files[0], rank=Rank.UNPATCHED, content=encode_unpatched(unpatched, info, {})), *files]


def _deletion_rank(key: str, context: RenderContext) -> Rank:
    """When an unwanted file is deleted.

    Clients prefer shards to .zst, and .zst to .json, so the files that they prefer are deleted first.  The file that
    the index was read from is deleted after the new source is written, or a crash would leave no index; so is a file
    that is not ours, because the credentials may not allow to delete it.
    """
    if not context.outputs.monolithic or key == context.source or key in names.CURRENT_FILES:
        return Rank.STALE
    return Rank.SHARD_INDEX if key == names.SHARD_INDEX else Rank.DERIVED


def _info(index: Index, context: RenderContext) -> dict[str, object]:
    info: dict[str, object] = {k: v for k, v in index.info.items() if k not in _STALE_INFO}
    info["subdir"] = context.subdir
    if url := _base_url(index, context):
        info["base_url"] = url
    for key, value in _of_channel(context.outputs.info).items():
        info.pop(key, None)
        if value:
            info[key] = value
    if revisions := _revisions(index, context.outputs.info.revisions):
        info["repodata_revisions"] = revisions
    return info


def _base_url(index: Index, context: RenderContext) -> str:
    """The URL of the packages, empty if they are beside the index: as configured, or else as published before."""
    url = context.outputs.base_url
    if url is None:
        published = _plain(index.info.get("base_url"))
        return published if isinstance(published, str) else ""
    # Clients join package names to the URL, older clients without adding the slash (CEP 15).
    return url if context.outputs.base_url_verbatim or not url else f"{url.rstrip('/')}/{context.subdir}/"


def _of_channel(info: ChannelInfo) -> dict[str, Any]:
    """The configured keys of `info`; an empty value removes the published one."""
    configured = {"channel_relations": info.relations, "virtual_package_detectors": info.detectors}
    return {key: msgspec.to_builtins(value) for key, value in configured.items() if value is not None}


def _revisions(index: Index, configured: Sequence[Revision] | None) -> dict[str, object]:
    """`repodata_revisions` (CEP 48): how many records old clients do not see, and a message for these clients.

    There is an entry for v3 if v3 has records, is `configured` or has a message.  If nothing is configured, the message
    of another indexer stays.  Any other content of the key goes: readers refuse an index that has it.
    """
    before = _published_v3(index)
    if index.records_not_loaded is not None:  # the run that loaded all records has counted them
        return {"v3": before} if before else {}
    message = before.get("message")
    if configured is not None:
        message = next((revision.message for revision in configured), None)
    if not (index.v3 or index.v3_rest or configured or message):
        return {}
    return {"v3": {**({"message": message} if message else {}), **_v3_counts(index)}}


def _published_v3(index: Index) -> dict[str, object]:
    """The published entry for v3, empty if there is none that can be read."""
    published = index.info.get("repodata_revisions")
    if published is not None:
        with contextlib.suppress(*UNREADABLE):
            return msgspec.json.decode(published, type=dict[str, dict[str, object]]).get("v3", {})
    return {}


def _v3_counts(index: Index) -> dict[str, object]:
    """The number of records in v3, and the oldest and the newest of their dates."""
    records = [index.records[filename] for filename in index.v3]
    records += [record for bucket in index.v3_rest.values() for record in bucket.values()]
    dates = [date for record in records if (date := identity_of(record).indexed_timestamp) is not None]
    span = {"oldest": min(dates), "newest": max(dates)} if dates else {}
    return {"n_packages": len(records), **span}


def _shards(
    index: Index, info: Mapping[str, object], context: RenderContext, source: str
) -> tuple[NewShards, list[Artifact]]:
    """The shards to write, and the shard index if shards are wanted."""
    outputs = context.outputs
    if not outputs.shards:
        return NewShards(), []
    if index.records_not_loaded is not None and context.changed_names is None:
        raise ValueError("an index of some names is published together with the published shards, never alone")
    digests = _unchanged_shards(context)
    contents = []
    for name, make in shards.build_shards(index, context.changed_names):
        shard = make()
        shards.check_shard_size(name, shard)
        digests[name] = shards.shard_digest(shard)
        if digests[name] not in context.existing_shards:
            contents.append(Stream(partial(_once, make), len(shard), digests[name]))
    headers = {"Cache-Control": outputs.shard_cache_control, "Content-Type": _ZSTD}
    content = shards.encode_index(_shard_index(digests, info, context))
    rank = Rank.SOURCE if source == names.SHARD_INDEX else Rank.SHARD_INDEX
    new_shards = NewShards(tuple(contents), headers)
    return new_shards, [Artifact(names.SHARD_INDEX, rank, content, headers=mutable(outputs, _ZSTD))]


def _once(make: Callable[[], bytes]) -> Iterator[bytes]:
    yield make()


def _unchanged_shards(context: RenderContext) -> dict[str, bytes]:
    """The published shards of the names that do not change, as digest by name."""
    changed = context.changed_names
    if changed is None:
        return {}
    return {name: digest for name, digest in context.shard_index.shards.items() if name not in changed}


def _shard_index(digests: Mapping[str, bytes], info: Mapping[str, object], context: RenderContext) -> ShardIndex:
    shard_info: dict[str, object] = {
        "subdir": context.subdir,
        "base_url": info.get("base_url", ""),
        "shards_base_url": shards.BASE_URL,
        **{key: _plain(info[key]) for key in shards.SHARED_INFO if key in info},
    }
    created = _created_at(ShardIndex(digests, shard_info), context)
    return ShardIndex(digests, {**shard_info, "created_at": created})


def _plain(value: object) -> object:
    return msgspec.json.decode(value) if isinstance(value, Raw) else value


def _created_at(index: ShardIndex, context: RenderContext) -> object:
    """The time of the last change (CEP 16): an index with the same content keeps its time, so its bytes do not change.

    A run that deletes repodata.json sets a new time.  Then a run with opposite options, which deletes the shard index,
    gets a conflict; without the conflict both indexes would be deleted.
    """
    before = dict(context.shard_index.info)
    created = before.pop("created_at", None)
    alone = context.source == names.REPODATA and not context.outputs.monolithic
    if created is not None and not alone and (before, context.shard_index.shards) == (index.info, index.shards):
        return created
    now = datetime.fromtimestamp(context.now_ms / 1000, tz=timezone.utc)
    return now.strftime("%Y-%m-%dT%H:%M:%SZ")


def _monolith(index: Index, info: Mapping[str, object], context: RenderContext, source: str) -> list[Artifact]:
    if not context.outputs.monolithic:
        return []
    if index.records_not_loaded is not None and names.REPODATA not in context.published:
        raise ValueError("an index of some names is published together with the published chunks, never alone")
    rank = Rank.SOURCE if source == names.REPODATA else Rank.DERIVED
    content = encode_repodata(index, info, context.published.get(names.REPODATA))
    return _variants(names.REPODATA, content, rank, context.outputs)


def _run_exports(index: Index, context: RenderContext) -> list[Artifact]:
    if not context.outputs.run_exports or not context.outputs.monolithic:
        return []
    content = encode_run_exports(index, context.subdir, context.published.get(names.RUN_EXPORTS))
    return _variants(names.RUN_EXPORTS, content, Rank.DERIVED, context.outputs)


def _current(index: Index, info: Mapping[str, object], context: RenderContext) -> list[Artifact]:
    if not context.outputs.current_repodata:
        return []
    return _variants(names.CURRENT, encode_current_repodata(index, info), Rank.DERIVED, context.outputs)


def _described(index: Index, context: RenderContext) -> list[Artifact]:
    """The files that show more of packages than their records: the catalog, and the page."""
    outputs = context.outputs
    if not outputs.needs_metadata:
        return []
    known = catalog.make_catalog(index, context.metadata, context.yanked, dependencies=outputs.html)
    known = catalog.merged(known, context.catalog, context.yanked)
    content, headers = catalog.encode_catalog(known), mutable(outputs, _ZSTD)
    found = [Artifact(names.CATALOG, Rank.DERIVED, content, Codec.ZSTD, _CATALOG_LEVEL, headers)]
    if outputs.html:
        from indexer.core.pages.subdir_page import (
            subdir_page,
        )  # its template, styles and script are made as it is imported

        page = subdir_page(context.subdir, known, outputs)
        found.append(Artifact(names.INDEX_HTML, Rank.DERIVED, page, headers=mutable(outputs, _HTML)))
    return found


def _variants(key: str, content: Content, rank: Rank, outputs: Outputs) -> list[Artifact]:
    """A JSON file and its compressed forms.  No Content-Encoding: readers ask for the .zst by name."""
    found = [Artifact(key, rank, content, headers=mutable(outputs, _JSON))]
    if outputs.zst:
        headers = mutable(outputs, _ZSTD)
        found.append(Artifact(f"{key}.zst", Rank.DERIVED, content, Codec.ZSTD, outputs.zst_level, headers))
    if outputs.bz2:
        headers = mutable(outputs, _BZIP2)
        found.append(Artifact(f"{key}.bz2", Rank.DERIVED, content, Codec.BZIP2, headers=headers))
    return found
