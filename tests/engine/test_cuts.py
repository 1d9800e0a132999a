"""A ledger says at which names the next listing may be cut; whatever it says, nothing else changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from msgspec.structs import replace

from indexer.core import names
from indexer.core.report import Outcome
from indexer.core.state import decode_state, encode_state
from indexer.store import WHOLE
from tests.support.memory_channel import PLAIN, channel, fill, index, keys, only, package, records

if TYPE_CHECKING:
    from tests.support.memory import MemoryStore

LEDGER = f"linux-64/{names.STATE_FILE}"
NEW = "linux-64/new-1.0-0.conda"
CUTS = ("p01-1.0-0.conda", "p03-1.0-0.conda")


def cuts(store: MemoryStore) -> tuple[str, ...]:
    state = decode_state(store.objects[LEDGER].body)
    assert state is not None
    return state.split_points


def cut(store: MemoryStore, *at: str) -> None:
    """Let the ledger say where to cut, as after a run over many packages."""
    state = decode_state(store.objects[LEDGER].body)
    assert state is not None
    store.upload(LEDGER, encode_state(msgspec.structs.replace(state, split_points=at)))


def test_a_listing_is_asked_for_in_the_parts_that_the_ledger_cuts_it_into() -> None:
    store = channel(*keys(5))
    index(store)
    cut(store, *CUTS)
    first = len(store.calls)
    assert index(store).outcome is Outcome.UNCHANGED
    parts = [call.part for call in store.calls[first:] if call.verb == "LIST" and call.key == "linux-64/"]
    one, two = (f"linux-64/{name}" for name in CUTS)
    assert parts == [("", one), (one, two), (two, "")]


@pytest.mark.parametrize("at", [CUTS, CUTS[::-1], ("z-1-0.conda",), ("", "/", "a/b", "\0", "shards/"), ("x",) * 9])
def test_whatever_it_is_cut_at_a_run_sees_all_that_is_there(at: tuple[str, ...]) -> None:
    store = channel(*keys(5))
    index(store)
    cut(store, *at)
    fill(store, NEW)
    store.remove(keys(5)[1])
    report = only(index(store))
    assert (report.added, report.removed) == (("new-1.0-0.conda",), ("p01-1.0-0.conda",))
    assert len(records(store)) == 5
    assert index(store).outcome is Outcome.UNCHANGED


def test_a_store_that_lists_no_parts_is_listed_whole() -> None:
    store = channel(*keys(3))
    index(store)
    cut(store, *CUTS)
    whole = len(store.calls)
    store.behavior.lists_parts = False
    assert index(store).outcome is Outcome.UNCHANGED
    assert [call.part for call in store.calls[whole:] if call.key == "linux-64/"][-1] == WHOLE


def test_a_small_subdir_has_no_split_points_and_named_packages_keep_them() -> None:
    store = channel(*keys(3))
    index(store)
    assert cuts(store) == ()
    cut(store, *CUTS)
    store.upload(NEW, package(NEW))
    index(store, replace(PLAIN, packages=frozenset({NEW})))
    assert cuts(store) == CUTS
