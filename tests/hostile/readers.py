"""Every reader of what strangers wrote, as one function of bytes that gives back something comparable.

A reader may raise IndexerError and nothing else.  What is compressed on its way is compressed here, or a
fuzzer would not get past the checksums.
"""

from __future__ import annotations

import io
import itertools
from functools import cache, partial
from typing import TYPE_CHECKING

from indexer.core import state
from indexer.core.errors import IndexerError
from indexer.core.formats import shards
from indexer.core.formats.repodata import decode_repodata, decode_run_exports, inline_run_exports
from indexer.core.model import ETag, Index, Rules, Stat
from indexer.core.names import parse_filename
from indexer.core.packed_listing import pack
from indexer.core.plan import DiffContext, check_mass_removal, diff, dropped, merge
from indexer.core.records.index_json import PackageFile, parse_run_exports, validate
from indexer.core.snapshot import Snapshot, snapshot_of_listing
from indexer.core.specs.matchspec import canonical
from indexer.core.zstd import compress
from indexer.extractor.archive import read_conda, read_tar_bz2
from indexer.extractor.range_file import RangeFile
from indexer.lister.listing import listed
from tests.support.archives import conda, zst
from tests.support.listing_pages import PAGE_END, Paged
from tests.support.memory import MemoryStore
from tests.support.memory_channel import Inline
from tests.support.render_context import published

if TYPE_CHECKING:
    from collections.abc import Callable

_NOW_MS = 1_800_000_000_000
_FILE = PackageFile("linux-64", "reed-1.0-0.conda", 1000, "a" * 64, "b" * 32)


def _zip(data: bytes) -> object:
    store = MemoryStore()
    return read_conda(RangeFile(store, store.upload("linux-64/reed-1.0-0.conda", data), data, 0))


def _tar(data: bytes) -> object:
    return _zip(conda("reed-1.0-0", zst(data)))


def _bz2(data: bytes) -> object:
    return read_tar_bz2(io.BytesIO(data), len(data))


def _index_json(data: bytes) -> object:
    return [_said(partial(validate, data, _FILE, rules, _NOW_MS)) for rules in (Rules(), Rules(lenient=True))]


def _said(call: Callable[[], object]) -> object:
    try:
        return call()
    except IndexerError as error:
        return str(error)


def _carried_on(index: Index) -> object:
    """What a run makes of an index that it has read: everything is there, then nothing."""
    listing = {name: Stat(f"linux-64/{name}", 1, ETag("v"), 0) for name in index.records if parse_filename(name)}
    plan = diff(index, listing, DiffContext())
    kept = merge(index, plan, (), _NOW_MS)
    gone = diff(index, {}, DiffContext())
    _said(lambda: check_mass_removal(index, dropped(index, gone, ()), "linux-64"))
    return inline_run_exports(index.records), published(kept)


def _repodata(data: bytes) -> object:
    return _carried_on(decode_repodata(data, "repodata.json"))


def _shard(data: bytes) -> object:
    return _carried_on(shards.merge_shards([shards.decode_shard(compress(data), "shard")]))


def _shard_index(data: bytes) -> object:
    result = shards.decode_index(compress(data), "shard index")
    return result, result.own_digests, shards.encode_index(result)


def _ledger(data: bytes) -> object:
    result = state.decode_state(state.state_file(data))
    return result and state.decode_state(state.encode_state(result))


def _listing(data: bytes) -> object:
    names = data.decode("utf-8", "replace").split("\0")
    seen = snapshot_of_listing(pack(Stat(name, 1, ETag("v"), 0) for name in names), Snapshot()).unpacked()
    index = Index()
    plan = diff(index, seen.packages, DiffContext())
    return plan, seen.invalid_filenames, seen.wheels, published(merge(index, plan, (), _NOW_MS))


def _pages(data: bytes) -> object:
    """A listing whose pages these are, the last one again and again: as a whole, and in two parts."""
    return [_said(partial(_listed, data.split(PAGE_END), cuts)) for cuts in ([], ["b-1-0.conda"])]


def _listed(pages: list[bytes], cuts: list[str]) -> object:
    following = itertools.chain(pages, itertools.repeat(pages[-1]))
    return listed(_paged().store(lambda _: next(following)), "noarch/", cuts, Inline(), list)


@cache
def _paged() -> Paged:
    return Paged()


def _spec(data: bytes) -> object:
    return canonical(data.decode("utf-8", "replace"))


READERS: dict[str, Callable[[bytes], object]] = {
    "zip": _zip,
    "tar": _tar,
    "bz2": _bz2,
    "index_json": _index_json,
    "run_exports_json": parse_run_exports,
    "repodata": _repodata,
    "run_exports": lambda data: decode_run_exports(data, "run_exports.json"),
    "shard": _shard,
    "shard_index": _shard_index,
    "ledger": _ledger,
    "listing": _listing,
    "pages": _pages,
    "spec": _spec,
}
