"""A run over a channel that has not changed reads no package and writes nothing."""

from __future__ import annotations

from msgspec.structs import replace

from indexer.core import names
from indexer.core.model import Rules
from indexer.core.report import Outcome
from tests.support.memory_channel import (
    DAY_MS,
    NOW_MS,
    PLAIN,
    changes,
    channel,
    index,
    keys,
    only,
    package,
    packages_read,
    with_outputs,
)


def test_a_second_run_is_a_listing_and_the_ledger_for_every_subdir() -> None:
    store = channel(*keys(5), *keys(2, "noarch"))
    index(store)
    before, first = store.bodies(), len(store.calls)
    report = index(store, now_ms=NOW_MS + DAY_MS)
    assert report.outcome is Outcome.UNCHANGED
    assert report.exit_code == 0
    assert only(report).packages == 5
    assert store.bodies() == before
    assert [(call.verb, call.key) for call in store.calls[first:]] == [
        ("LIST", ""),
        ("GET", f"linux-64/{names.STATE_FILE}"),
        ("LIST", "linux-64/"),
        ("GET", f"noarch/{names.STATE_FILE}"),
        ("LIST", "noarch/"),
    ]


def test_without_a_ledger_nothing_is_read_and_the_same_is_published() -> None:
    store = channel(*keys(5))
    index(store)
    before, first = store.bodies(), len(store.calls)
    store.remove(f"linux-64/{names.STATE_FILE}")
    index(store, now_ms=NOW_MS + DAY_MS)
    assert packages_read(store.calls, first) == []
    after = store.bodies()
    assert {key: body for key, body in after.items() if not key.endswith(names.STATE_FILE)} == {
        key: body for key, body in before.items() if not key.endswith(names.STATE_FILE)
    }
    again = len(store.calls)
    assert index(store).outcome is Outcome.UNCHANGED
    assert changes(store.calls, again) == []


def test_a_ledger_that_is_no_ledger_costs_time_only() -> None:
    store = channel(*keys(3))
    index(store)
    store.upload(f"linux-64/{names.STATE_FILE}", b"no ledger")
    first = len(store.calls)
    report = index(store)
    assert report.exit_code == 0
    assert packages_read(store.calls, first) == []
    again = len(store.calls)
    assert index(store).outcome is Outcome.UNCHANGED
    assert changes(store.calls, again) == []


def test_the_same_package_again_is_read_at_most_once_and_changes_nothing() -> None:
    store = channel(*keys(3))
    index(store)
    store.upload("linux-64/p00-1.0-0.conda", package("linux-64/p00-1.0-0.conda"))
    first = len(store.calls)
    report = index(store, now_ms=NOW_MS + DAY_MS)
    assert report.outcome is Outcome.UNCHANGED
    assert packages_read(store.calls, first) == []
    assert {key for _, key in changes(store.calls, first)} == {f"linux-64/{names.STATE_FILE}"}
    again = len(store.calls)
    index(store)
    assert changes(store.calls, again) == []


def test_a_touched_package_of_a_store_without_md5_is_read_once() -> None:
    store = channel(*keys(2))
    for key in keys(2):
        store.disguise(key)
    index(store)
    store.upload("linux-64/p00-1.0-0.conda", package("linux-64/p00-1.0-0.conda"))
    store.disguise("linux-64/p00-1.0-0.conda")
    first = len(store.calls)
    report = index(store)
    assert packages_read(store.calls, first) == ["linux-64/p00-1.0-0.conda"]
    assert only(report).written == ()
    again = len(store.calls)
    assert index(store).outcome is Outcome.UNCHANGED
    assert store.calls[again:] != []
    assert packages_read(store.calls, again) == []
    assert changes(store.calls, again) == []


def test_other_options_are_not_quiet_and_become_so() -> None:
    store = channel(*keys(2))
    index(store)
    for options in (with_outputs(bz2=True), replace(PLAIN, rules=Rules(lenient=True))):
        first = len(store.calls)
        index(store, options)
        assert changes(store.calls, first) != []
        assert packages_read(store.calls, first) == []
        again = len(store.calls)
        assert index(store, options).outcome is Outcome.UNCHANGED
        assert changes(store.calls, again) == []


def test_our_file_that_somebody_rewrote_or_deleted_is_made_good() -> None:
    for key in ("repodata.json.zst", "run_exports.json.zst", "repodata_shards.msgpack.zst"):
        store = channel(*keys(2))
        index(store)
        before = store.bodies()
        store.upload(f"linux-64/{key}", b"somebody's")
        index(store)
        assert {k: v for k, v in store.bodies().items() if names.STATE_FILE not in k} == {
            k: v for k, v in before.items() if names.STATE_FILE not in k
        }
        store.remove(f"linux-64/{key}")
        index(store)
        assert store.bodies()[f"linux-64/{key}"] == before[f"linux-64/{key}"]


def test_a_dry_run_writes_nothing_and_says_what_it_would() -> None:
    store = channel(*keys(2))
    report = index(store, replace(PLAIN, dry_run=True))
    assert changes(store.calls) == []
    assert report.outcome is Outcome.PLANNED
    assert only(report).added == ("p00-1.0-0.conda", "p01-1.0-0.conda")
    planned = set(only(report).written)
    done = index(store)
    assert set(only(done).written) == planned
