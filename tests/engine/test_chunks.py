"""A run replaces only the chunks of repodata.json with changed records, and believes no table that does not fit."""

from __future__ import annotations

from dataclasses import replace as replaced
from typing import TYPE_CHECKING

import msgspec
import pytest
from msgspec.structs import replace

from indexer.core import names
from indexer.core.artifact import Artifact, Codec, Rank, with_digest
from indexer.core.chunks import chunked_object
from indexer.core.pages.catalog import decode_catalog
from indexer.core.saved_chunks import MADE_BY, ChunkTable, Row, saved_chunks, table_of
from indexer.core.state import State, decode_state, encode_state
from tests.support.channel_check import faults
from tests.support.memory import copy_of
from tests.support.memory_channel import (
    DAY_MS,
    NOW_MS,
    PLAIN,
    channel,
    fill,
    index,
    keys,
    only,
    package,
    packages_read,
    published,
    with_outputs,
)

if TYPE_CHECKING:
    from indexer.core.options import Options
    from tests.support.memory import MemoryStore

LATER = NOW_MS + DAY_MS
NEW = "linux-64/p03-2.0-0.conda"
STATE = f"linux-64/{names.STATE_FILE}"
ZST = f"linux-64/{names.REPODATA_ZST}"
WHOLE = {f"linux-64/{name}" for name in (names.REPODATA, names.RUN_EXPORTS)}


def indexed(count: int, options: Options = PLAIN) -> MemoryStore:
    """A channel that a run has left, with a package that came later."""
    store = channel(*keys(count), *keys(1, "noarch"))
    index(store, options)
    return fill(store, NEW)


def read(store: MemoryStore, first: int) -> set[str]:
    return {call.key for call in store.calls[first:] if call.verb == "GET" and call.key.startswith("linux-64/")}


def state_of(store: MemoryStore) -> State:
    state = decode_state(store.bodies()[STATE])
    assert state is not None
    return state


def with_table(store: MemoryStore, table: ChunkTable | None) -> None:
    """Leave another table of the chunks of repodata.json.zst."""
    state = state_of(store)
    files = {**state.files, names.REPODATA_ZST: msgspec.structs.replace(state.files[names.REPODATA_ZST], chunks=table)}
    store.upload(STATE, encode_state(msgspec.structs.replace(state, files=files)))


def test_the_plain_files_are_not_read() -> None:
    store = indexed(20)
    first = len(store.calls)
    report = only(index(store, now_ms=LATER))
    assert (report.added, report.packages) == (("p03-2.0-0.conda",), 21)
    assert not read(store, first) & WHOLE
    assert packages_read(store.calls, first) == [NEW]
    assert set(store.composed) == WHOLE | {f"{key}.zst" for key in WHOLE}
    assert faults(store) == []


def test_with_pages_only_the_catalog_is_read_whole() -> None:
    pages = with_outputs(html=True, rss=True)
    key, about = keys(1)[0], {"summary": "Sings"}
    store = channel(*keys(20)[1:], *keys(1, "noarch"))
    store.upload(key, package(key, about=about))
    index(store, pages)
    fill(store, NEW)
    first = len(store.calls)
    index(store, pages, now_ms=LATER)
    assert not read(store, first) & WHOLE
    assert packages_read(store.calls, first) == [NEW]
    catalog = decode_catalog(store.bodies()[f"linux-64/{names.CATALOG}"])
    assert catalog is not None
    assert set(catalog.packages) == {key[9:] for key in (*keys(20), NEW)}
    metadata = catalog.packages[key[9:]].metadata
    assert metadata is not None
    assert metadata.summary == "Sings"


@pytest.mark.parametrize("lost", [False, True], ids=["damaged", "lost"])
def test_without_a_catalog_all_is_read(lost: bool) -> None:  # noqa: FBT001  a parameter of the test
    pages = with_outputs(html=True)
    store, whole = indexed(5, pages), indexed(5, pages)
    stored = store.objects[f"linux-64/{names.CATALOG}"]
    if lost:
        store.remove(f"linux-64/{names.CATALOG}")
    else:  # with the same ETag
        store.objects[f"linux-64/{names.CATALOG}"] = replaced(stored, body=bytes(len(stored.body)))
    first = len(store.calls)
    for one in (store, whole):
        index(one, pages, now_ms=LATER)
    assert read(store, first) >= WHOLE
    assert published(store) == published(whole)


@pytest.mark.parametrize("damage", ["no table", "empty table", "another table", "another size", "another file"])
def test_a_table_that_does_not_fit_is_not_believed(damage: str) -> None:
    store, undisturbed = indexed(5), indexed(5)
    table = state_of(store).chunks[names.REPODATA_ZST]
    first_row = next(row for row in table.rows if row.section)
    if damage == "no table":
        with_table(store, None)
    elif damage == "empty table":
        with_table(store, ChunkTable((), table.digest, table.made_by))
    elif damage == "another table":
        with_table(store, state_of(indexed(6)).chunks[names.REPODATA_ZST])
    elif damage == "another size":
        rows = tuple(msgspec.structs.replace(row, first="z") if row == first_row else row for row in table.rows)
        with_table(store, ChunkTable(rows, table.digest, table.made_by))
    else:  # with the same ETag
        stored = store.objects[ZST]
        store.objects[ZST] = replaced(stored, body=stored.body[:-9] + bytes(9))
    first = len(store.calls)
    index(store, now_ms=LATER)
    index(undisturbed, now_ms=LATER)
    assert read(store, first) >= WHOLE
    assert published(store) == published(undisturbed)
    assert state_of(store).chunks == state_of(undisturbed).chunks


def test_a_check_names_a_table_that_does_not_fit() -> None:
    store = indexed(5)
    index(store, now_ms=LATER)
    assert faults(store) == []
    with_table(store, ChunkTable((), "0", MADE_BY))
    (fault,) = faults(store)
    assert "has other chunks than the state has" in str(fault)


def test_a_table_of_another_version_of_zstd_is_no_fault_and_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    store, undisturbed = indexed(5), indexed(5)
    table = state_of(store).chunks[names.REPODATA_ZST]
    with_table(store, msgspec.structs.replace(table, made_by="0.1"))
    first = len(store.calls)
    index(store, now_ms=LATER)
    index(undisturbed, now_ms=LATER)
    assert read(store, first) >= WHOLE
    assert (published(store), caplog.messages) == (published(undisturbed), [])
    with_table(store, ChunkTable((), "0", "0.1"))
    assert faults(store) == []


def test_a_file_of_chunks_has_a_digest_of_its_own() -> None:
    text = b'{"packages":{}}'
    chunked = with_digest(Artifact("a.zst", Rank.DERIVED, chunked_object({"packages": {}}), Codec.ZSTD))
    assert chunked.digest != with_digest(Artifact("a.zst", Rank.DERIVED, text, Codec.ZSTD)).digest


@pytest.mark.parametrize("sizes", [(-1, 1), (1, -1), (2**26, 1), (2**62, 1)])
def test_a_forged_table_is_not_believed(sizes: tuple[int, int]) -> None:
    rows = [Row("packages", f"p{number}", *sizes) for number in range(8)]
    assert saved_chunks(lambda *_: b"x", 1, table_of(rows), "repodata.json.zst") is None


@pytest.mark.parametrize("level", [3, 16])
def test_other_options_make_all_chunks_anew(level: int) -> None:
    store = indexed(5)
    options = replace(PLAIN, outputs=replace(PLAIN.outputs, zst_level=level))
    whole = copy_of(store)
    whole.remove(STATE)
    index(store, options, now_ms=LATER)
    index(whole, options, now_ms=LATER)
    assert store.bodies()[ZST] == whole.bodies()[ZST]


@pytest.mark.parametrize("count", [5, 50])
def test_one_named_package_takes_as_many_requests_in_a_channel_of_any_size(count: int) -> None:
    store = indexed(count)
    first = len(store.calls)
    index(store, replace(PLAIN, packages=frozenset({NEW})), now_ms=LATER)
    calls = store.calls[first:]
    assert not read(store, first) & WHOLE
    assert len(calls) == 18
    assert [call.key for call in calls if call.verb == "LIST"] == []
    assert faults(store) == []


def test_a_replaced_package_of_a_name_with_upper_case_is_found() -> None:
    key = "linux-64/Up-1.0-0.conda"
    store = channel(key, *keys(3), *keys(1, "noarch"))
    index(store)
    store.upload(key, package(key, depends=["replaced"]))
    assert only(index(store, now_ms=LATER)).updated == ("Up-1.0-0.conda",)
    assert faults(store) == []
