"""Laps over the life of a subdir end where one look at its last state would."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from indexer.core.plan import DiffContext, diff, merge
from indexer.core.records.identity import identity_of
from tests.support.core_runs import Subdir
from tests.support.strategies import LIVES, Content, extracted, indexes, listed, values, without

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from indexer.core.model import Index, Stat

Life = list[dict[str, Content]]
DAY = 86_400_000


def listings(life: Sequence[dict[str, Content]], *, md5: bool) -> list[dict[str, Stat]]:
    """What a listing shows after each change: what stays the same keeps its version, all else is a day younger."""
    shown: list[dict[str, Stat]] = []
    for day, contents in enumerate(life, 1):
        before = (life[day - 2], shown[-1]) if shown else ({}, {})
        shown.append(
            {
                name: before[1][name] if before[0].get(name) == content else listed(content, name, day * DAY, md5=md5)
                for name, content in contents.items()
            }
        )
    return shown


@given(life=LIVES, md5=st.booleans(), forced=st.booleans())
def test_diff_after_merge_is_empty(life: Life, *, md5: bool, forced: bool) -> None:
    subdir = Subdir()
    for day, (contents, listing) in enumerate(zip(life, listings(life, md5=md5), strict=True), 1):
        subdir.lap(contents, listing, day * DAY, force=forced)
        plan = subdir.plan(listing, day * DAY)
        assert (plan.to_read, plan.drop) == ((), frozenset())
        assert {item.filename for item in plan.rejected} == {name for name, content in contents.items() if content.bad}


@given(life=LIVES, md5=st.booleans(), loses_state=st.booleans())
def test_incremental_equals_from_scratch(life: Life, *, md5: bool, loses_state: bool) -> None:
    subdir, fresh = Subdir(), Subdir()
    shown = listings(life, md5=md5)
    for day, (contents, listing) in enumerate(zip(life, shown, strict=True), 1):
        subdir.lap(contents, listing, day * DAY)
        if loses_state:
            subdir.state = None
    fresh.lap(life[-1], shown[-1], len(life) * DAY)
    assert {k: without(v, "indexed_timestamp") for k, v in subdir.index.records.items()} == {
        k: without(v, "indexed_timestamp") for k, v in fresh.index.records.items()
    }
    assert (subdir.index.v3, subdir.index.run_exports) == (fresh.index.v3, fresh.index.run_exports)
    assert subdir.index.records.keys() == {name for name, content in life[-1].items() if not content.bad}


@given(LIVES)
def test_what_did_not_change_is_not_read_again(life: Life) -> None:
    subdir = Subdir()
    for day, (contents, listing) in enumerate(zip(life, listings(life, md5=False), strict=True), 1):
        plan = subdir.lap(contents, listing, day * DAY)
        assert all(stat.modified_ms == day * DAY for stat in plan.to_read)


@given(life=LIVES, forced=st.booleans())
def test_first_indexed_timestamp_is_kept(life: Life, *, forced: bool) -> None:
    subdir = Subdir()
    first: dict[str, tuple[str | None, int]] = {}
    for day, (contents, listing) in enumerate(zip(life, listings(life, md5=False), strict=True), 1):
        subdir.lap(contents, listing, day * DAY, force=forced)
        facts = {name: identity_of(record) for name, record in subdir.index.records.items()}
        kept = {name for name, value in facts.items() if name in first and first[name][0] == value.sha256}
        first = {name: first[name] if name in kept else (item.sha256, day * DAY) for name, item in facts.items()}
        assert {name: (it.sha256, it.indexed_timestamp) for name, it in facts.items()} == first


@given(indexes(), LIVES, st.randoms(use_true_random=False))
def test_merge_ignores_the_order_of_results(index: Index, life: Life, random: Random) -> None:
    contents = {**dict.fromkeys(index.records, Content(3)), **life[0]}
    listing = {name: listed(content, name, DAY, md5=False) for name, content in contents.items()}
    plan = diff(index, listing, DiffContext(force=True))
    results = [extracted(contents[name], name, stat.etag) for name, stat in listing.items()]
    straight = merge(index, plan, results, DAY)
    assert merge(index, plan, reversed(results), DAY) == straight
    random.shuffle(results)
    assert merge(index, plan, results, DAY) == straight


@given(indexes())
def test_unknown_keys_survive_a_lap_that_changes_a_record(index: Index) -> None:
    new = "brand-new-1-0.conda"
    stat = listed(Content(1), new, DAY, md5=True)
    plan = diff(index, {new: stat}, DiffContext(scope=frozenset({new})))
    merged = merge(index, plan, [extracted(Content(1), new, stat.etag)], DAY)
    assert {name: raw for name, raw in merged.records.items() if name != new} == index.records
    assert (merged.info, merged.rest, merged.v3_rest) == (index.info, index.rest, index.v3_rest)
    assert (merged.v3, merged.removed) == (index.v3, index.removed)
    assert values(merged.run_exports) == {**values(index.run_exports), new: {"weak": ["x 1"]}}


@given(indexes(), st.integers(0, 2**40))
def test_the_same_input_gives_the_same_bytes(index: Index, now_ms: int) -> None:
    stat = listed(Content(1), "z-1-0.conda", DAY, md5=True)
    twice = [
        merge(
            index,
            diff(index, {"z-1-0.conda": stat}, DiffContext()),
            [extracted(Content(1), "z-1-0.conda", stat.etag)],
            now_ms,
        )
        for _ in range(2)
    ]
    assert twice[0] == twice[1]
    assert json.loads(bytes(twice[0].records["z-1-0.conda"]))["indexed_timestamp"] == now_ms
