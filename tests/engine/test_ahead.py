"""What a run reads before it knows that it needs it: a wrong guess costs a request and changes nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from msgspec.structs import replace

from indexer.core.errors import Conflict
from tests.support.interfering_store import InterferingStore
from tests.support.memory_channel import (
    DAY_MS,
    NOW_MS,
    PLAIN,
    channel,
    fill,
    index,
    keys,
    package,
    packages_read,
    published,
    records,
)
from tests.support.turns import run_counted

if TYPE_CHECKING:
    from tests.support.memory import Call, MemoryStore

KNOWN, NEW = keys(3), keys(1, start=7)[0]


def later(*, count: int = 1) -> MemoryStore:
    """An indexed channel to which packages were uploaded a day later."""
    store = channel(*KNOWN)
    index(store)
    store.clock_ms += DAY_MS
    return fill(store, *keys(count, start=7))


def test_many_new_packages_are_read_when_the_plan_is_made() -> None:
    _, turns = run_counted(later(count=32))
    assert turns.now == 9, str(turns)
    _, turns = run_counted(later(count=33))
    assert turns.now > 9, str(turns)


def test_known_packages_that_are_uploaded_again_are_not_read() -> None:
    store = later(count=0)
    fill(store, *KNOWN)
    first = len(store.calls)
    index(store)
    assert packages_read(store.calls, first) == []


def test_a_wrong_guess_costs_a_request_and_changes_nothing() -> None:
    guessed, told = later(), later()
    for store in (guessed, told):
        store.clock_ms += DAY_MS
        fill(store, KNOWN[0])  # younger than the new package
    first = len(guessed.calls)
    index(guessed)
    assert sorted(packages_read(guessed.calls, first)) == sorted([KNOWN[0], NEW])
    index(told, replace(PLAIN, force=True))
    assert published(guessed) == published(told)


def test_no_package_is_read_before_an_overlay_that_is_new() -> None:
    store = later(count=0)
    store.upload("linux-64/.indexer-yanked.json", json.dumps({"version": 1, "yanked": {}}).encode())
    fill(store, NEW)
    first = len(store.calls)
    index(store)
    asked = [call.key for call in store.calls[first:] if call.verb == "GET"]
    # The overlay is new, so it is read before any package.
    assert asked.index("linux-64/.indexer-yanked.json") < asked.index(NEW)


def test_a_new_package_that_changes_while_it_is_read_early_is_read_again() -> None:
    store = later()
    again: list[Call] = []

    def replaced(_number: int, call: Call) -> None:
        if (call.verb, call.key) == ("GET", NEW) and not again:
            again.append(call)
            store.upload(NEW, package(NEW, license="mended"))

    index(InterferingStore(store, before=replaced), now_ms=NOW_MS + DAY_MS)
    assert records(store)["p07-1.0-0.conda"]["license"] == "mended"


def test_a_file_that_changes_after_it_was_requested_makes_another_attempt() -> None:
    store = later()
    failed: list[Call] = []

    def conflict(_number: int, call: Call) -> None:
        if (call.verb, call.key) == ("GET", "linux-64/run_exports.json.zst") and not failed:
            failed.append(call)
            raise Conflict(call.key, "changed since it was read")

    report = index(InterferingStore(store, before=conflict), now_ms=NOW_MS + DAY_MS)
    assert report.subdirs["linux-64"].attempts == 2
    assert "p07-1.0-0.conda" in records(store)
    assert packages_read(store.calls).count(NEW) == 1


def test_attestations_of_a_new_package_cost_no_turn() -> None:
    store = later()
    store.upload(f"{NEW}.sigs", b'[{"some": "bundle"}]')
    report, turns = run_counted(store)
    assert turns.now == 9, str(turns)
    assert ".sigs" in str(report.subdirs["linux-64"].warnings)
