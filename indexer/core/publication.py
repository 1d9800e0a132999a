"""What a subdir publishes: the content of each artifact, and the order of publication as data."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from enum import Enum, IntEnum
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import msgspec

from indexer.core import names
from indexer.core.formats import shards
from indexer.core.formats.repodata import encode_repodata, encode_run_exports, encode_unpatched
from indexer.core.formats.shards import ShardIndex
from indexer.core.model import UNREADABLE, Raw
from indexer.core.pages import catalog
from indexer.core.pages.current import encode_current_repodata
from indexer.core.records.identity import identity_of
from indexer.core.stream import Stream, sha256_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from indexer.core.channel_info import ChannelInfo, Revision
    from indexer.core.metadata import Metadata
    from indexer.core.model import Index, Outputs
    from indexer.core.stream import Content

_JSON = "application/json"
_HTML = "text/html; charset=utf-8"
_ZSTD = "application/zstd"
_BZIP2 = "application/x-bzip2"
# Read by nobody but the next run.
_CATALOG_LEVEL = 3
# Deprecated (CEP 36): known to conda once, written by nobody today.
_STALE_INFO = frozenset({"arch", "platform", "base_url", "subdir", "repodata_revisions"})


class Rank(IntEnum):
    """When an artifact is written: what is named before what names it, the source last of all.

    The source is the file that the next run reads back.  As long as it is old, the next run sees
    work to do, so a run that dies anywhere is made good by the next one.  With the shards go the instructions
    that all the rest is made by.
    """

    SHARD = 0
    SHARD_INDEX = 1
    DERIVED = 2
    SOURCE = 3
    # Deletions that must not come before the new source is there.
    STALE = 4
    LEDGER = 5


class Codec(Enum):
    """How the content of an artifact is compressed when it is put."""

    NONE = "none"
    ZSTD = "zstd"
    BZIP2 = "bzip2"


@dataclass(frozen=True)
class Artifact:
    """One file to publish: `content` before compression, or None where the file must not be there.

    `key` is relative to the subdir.  `immutable` files are named by their content: one that is there
    is right.
    """

    key: str
    rank: Rank
    content: Content | None = None
    codec: Codec = Codec.NONE
    level: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    immutable: bool = False

    @cached_property
    def digest(self) -> str:
        """Stands for the bytes and headers without making them; the empty text for a file to delete."""
        if self.content is None:
            return ""
        shape = msgspec.json.encode((self.codec.value, self.level, self.headers), order="deterministic")
        return hashlib.sha256(sha256_of(self.content) + shape).hexdigest()


@dataclass(frozen=True, slots=True)
class RenderContext:
    """What a publication is made for: the subdir, its options, the shard index that stands, the time.

    `existing_shards` are the shards that need not be put, by their sha256: those that the standing index names and
    that are known to be there, or were seen.  `source` is the file that an index can be read from, empty
    for none: repodata.json where it is there, else the shard index.  `instructions` are those of a patch that
    lie there not yet.  `changed_names` are the package names, in lower case, whose shards can differ from those of the
    standing index, None where any can.  `metadata` has what is known of what packages say of themselves, `yanked` why
    packages are withdrawn, both by file name.
    """

    subdir: str
    outputs: Outputs
    previous: ShardIndex
    existing_shards: frozenset[bytes]
    now_ms: int
    source: str = ""
    instructions: bytes | None = None
    changed_names: frozenset[str] | None = None
    metadata: Mapping[str, Metadata] = field(default_factory=dict)
    yanked: Mapping[str, str] = field(default_factory=dict)


def publication(index: Index, context: RenderContext, unpatched: Index | None = None) -> list[Artifact]:
    """Every artifact of a subdir in the order of publication, those that are switched off as deletions.

    `index` is what readers shall see.  `unpatched` is what it was made from, where that is kept: then it
    is the source, and all else derives from `index`.
    """
    if not context.outputs.run_exports:
        # Nothing would remember them for the next run, so no shard may have them either.
        index = replace(index, run_exports={})
        unpatched = unpatched and replace(unpatched, run_exports={})
    info = _info(index, context)
    source = source_of(context.outputs, unpatched)
    wanted = [
        *_state(context),
        *([] if unpatched is None else [unpatched_of(unpatched, context, index.run_exports)]),
        *_shards(index, info, context, source),
        *_monolith(index, info, context, source),
        # Those of yanked packages too: it is of the unpatched index (CEP 12).
        *_run_exports(replace(unpatched or index, run_exports=index.run_exports), context),
        *_current(index, info, context),
        *_described(index, context),
    ]
    there = {artifact.key for artifact in wanted}
    unwanted = [Artifact(key, _deletion_rank(key, context)) for key in names.OWNED if key not in there]
    return sorted([*unwanted, *wanted], key=lambda artifact: artifact.rank)


def source_of(outputs: Outputs, unpatched: Index | None = None) -> str:
    """The file that the next run reads back."""
    if unpatched is not None:
        return names.UNPATCHED
    return names.REPODATA if outputs.monolithic else names.SHARD_INDEX


def instructions_of(content: bytes, outputs: Outputs) -> Artifact:
    """The file of patch instructions, as they were given."""
    return Artifact(names.INSTRUCTIONS, Rank.SHARD, content, headers=mutable(outputs, _JSON))


def _state(context: RenderContext) -> list[Artifact]:
    return [] if context.instructions is None else [instructions_of(context.instructions, context.outputs)]


def unpatched_of(index: Index, context: RenderContext, published: Mapping[str, Raw]) -> Artifact:
    """What the packages say; `published` are the run exports that another file remembers for the next run."""
    if not context.outputs.monolithic:
        published = {}
    content = encode_unpatched(index, _info(index, context), published)
    return Artifact(names.UNPATCHED, Rank.SOURCE, content, headers=mutable(context.outputs, _JSON))


def _deletion_rank(key: str, context: RenderContext) -> Rank:
    """Readers prefer shards to .zst to .json, so what they prefer goes first.

    But what the index was read from goes once the new source stands, or a crash would leave none; and
    so does what is not ours, for the credentials may not allow it.
    """
    if not context.outputs.monolithic or key == context.source or key in names.FOREIGN:
        return Rank.STALE
    return Rank.SHARD_INDEX if key == names.SHARD_INDEX else Rank.DERIVED


def _info(index: Index, context: RenderContext) -> dict[str, object]:
    info: dict[str, object] = {k: v for k, v in index.info.items() if k not in _STALE_INFO}
    info["subdir"] = context.subdir
    if url := _base_url(index, context):
        info["base_url"] = url
    for key, said in _of_channel(context.outputs.info).items():
        info.pop(key, None)
        if said:
            info[key] = said
    if revisions := _revisions(index, context.outputs.info.revisions):
        info["repodata_revisions"] = revisions
    return info


def _base_url(index: Index, context: RenderContext) -> str:
    """Where readers find the packages, empty for beside the index: as configured, or else as it was found."""
    url = context.outputs.base_url
    if url is None:
        found = _plain(index.info.get("base_url"))
        return found if isinstance(found, str) else ""
    # Readers join package names to it, older ones without adding the slash (CEP 15).
    return url if context.outputs.base_url_verbatim or not url else f"{url.rstrip('/')}/{context.subdir}/"


def _of_channel(info: ChannelInfo) -> dict[str, Any]:
    """What is configured of `info`, empty where what stands there shall go."""
    said = {"channel_relations": info.relations, "virtual_package_detectors": info.detectors}
    return {key: msgspec.to_builtins(value) for key, value in said.items() if value is not None}


def _revisions(index: Index, configured: Sequence[Revision] | None) -> dict[str, object]:
    """`repodata_revisions` (CEP 48): what old clients do not see.

    v3 is told of where it has records, is `configured` or has a message.  Where nothing is configured, the message
    of another indexer survives.  What stands there of anything else is no revision, or an index that is refused.
    """
    before: dict[str, object] = {}
    if "repodata_revisions" in index.info:
        with contextlib.suppress(*UNREADABLE):  # not of its form: nobody's to keep
            told = msgspec.json.decode(index.info["repodata_revisions"], type=dict[str, dict[str, object]])
            before = told.get("v3", {})
    if index.records_not_loaded is not None:  # all of them were counted by the run that read all
        return {"v3": before} if before else {}
    kept = {key: value for key, value in before.items() if key == "message" and value}
    if configured is not None:
        message = next((revision.message for revision in configured), None)
        kept = {"message": message} if message else {}
    if not index.v3 and not index.v3_rest and not configured and not kept:
        return {}
    records = [index.records[filename] for filename in index.v3]
    records += [record for bucket in index.v3_rest.values() for record in bucket.values()]
    dates = [date for record in records if (date := identity_of(record).indexed_timestamp) is not None]
    span = {"oldest": min(dates), "newest": max(dates)} if dates else {}
    return {"v3": {**kept, "n_packages": len(records), **span}}


def _shards(index: Index, info: Mapping[str, object], context: RenderContext, source: str) -> list[Artifact]:
    outputs = context.outputs
    if not outputs.shards:
        return []
    headers = {"Cache-Control": outputs.shard_cache_control, "Content-Type": _ZSTD}
    digests: dict[str, bytes] = {}
    if index.records_not_loaded is not None and context.changed_names is None:
        raise ValueError("an index of a few names is published over what stands, never alone")
    if context.changed_names is not None:
        digests = {
            name: digest for name, digest in context.previous.shards.items() if name not in context.changed_names
        }
    fresh = []
    for name, make in shards.build_shards(index, context.changed_names):
        shard = make()
        shards.check_shard_size(name, shard)
        digests[name] = shards.shard_digest(shard)
        if digests[name] not in context.existing_shards:
            key = names.SHARDS_FOLDER + shards.filename_of(digests[name])
            again = Stream(partial(_anew, make), len(shard), digests[name])
            fresh.append(Artifact(key, Rank.SHARD, again, headers=headers, immutable=True))
    shard_info: dict[str, object] = {
        "subdir": context.subdir,
        "base_url": info.get("base_url", ""),
        "shards_base_url": shards.BASE_URL,
        **{key: _plain(info[key]) for key in shards.SHARED_INFO if key in info},
    }
    shard_info["created_at"] = _created_at(ShardIndex(digests, shard_info), context)
    content = shards.encode_index(ShardIndex(digests, shard_info))
    rank = Rank.SOURCE if source == names.SHARD_INDEX else Rank.SHARD_INDEX
    return [*fresh, Artifact(names.SHARD_INDEX, rank, content, headers=mutable(outputs, _ZSTD))]


def _anew(make: Callable[[], bytes]) -> Iterator[bytes]:
    """A shard as content: made again when it is put, for all of a large channel are not held at once."""
    yield make()


def _plain(value: object) -> object:
    return msgspec.json.decode(value) if isinstance(value, Raw) else value


def _created_at(index: ShardIndex, context: RenderContext) -> object:
    """The time of the last change, so that an index that says the same is the same (CEP 16).

    Where repodata.json is about to go it is another one all the same: a run with opposite options that
    shall delete the shard index meets a conflict then, or both would be gone.
    """
    before = dict(context.previous.info)
    created = before.pop("created_at", None)
    alone = context.source == names.REPODATA and not context.outputs.monolithic
    if created is not None and not alone and (before, context.previous.shards) == (index.info, index.shards):
        return created
    now = datetime.fromtimestamp(context.now_ms / 1000, tz=timezone.utc)
    return now.strftime("%Y-%m-%dT%H:%M:%SZ")


def _monolith(index: Index, info: Mapping[str, object], context: RenderContext, source: str) -> list[Artifact]:
    if not context.outputs.monolithic:
        return []
    rank = Rank.SOURCE if source == names.REPODATA else Rank.DERIVED
    return _variants(names.REPODATA, encode_repodata(index, info), rank, context.outputs)


def _run_exports(index: Index, context: RenderContext) -> list[Artifact]:
    if not context.outputs.run_exports or not context.outputs.monolithic:
        return []
    content = encode_run_exports(index, context.subdir)
    return _variants(names.RUN_EXPORTS, content, Rank.DERIVED, context.outputs)


def _current(index: Index, info: Mapping[str, object], context: RenderContext) -> list[Artifact]:
    if not context.outputs.current_repodata:
        return []
    return _variants(names.CURRENT, encode_current_repodata(index, info), Rank.DERIVED, context.outputs)


def _described(index: Index, context: RenderContext) -> list[Artifact]:
    """What tells more of packages than their records do: the catalog, and the page."""
    outputs = context.outputs
    if not outputs.needs_metadata:
        return []
    known = catalog.make_catalog(index, context.metadata, context.yanked)
    content, headers = catalog.encode_catalog(known), mutable(outputs, _ZSTD)
    found = [Artifact(names.CATALOG, Rank.DERIVED, content, Codec.ZSTD, _CATALOG_LEVEL, headers)]
    if outputs.html:
        from indexer.core.pages.html import subdir_page  # its template, styles and script are made as it is imported

        page = subdir_page(context.subdir, known, outputs)
        found.append(Artifact(names.PAGE, Rank.DERIVED, page, headers=mutable(outputs, _HTML)))
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


def mutable(outputs: Outputs, content_type: str) -> dict[str, str]:
    """The headers of a file whose name stays and whose content changes."""
    return {"Cache-Control": outputs.cache_control, "Content-Type": content_type}
