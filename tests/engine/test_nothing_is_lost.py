"""Sequences in which a record could become wrong, be dropped or come back, each found once by a reviewer."""

from __future__ import annotations

import hashlib

import orjson
import pytest
from msgspec.structs import replace

from indexer.core import names
from indexer.core.errors import Conflict
from indexer.core.model import Rules
from indexer.core.report import Outcome
from tests.support.memory import Call, MemoryStore
from tests.support.memory_channel import (
    DAY_MS,
    NOW_MS,
    PLAIN,
    fill,
    index,
    keys,
    only,
    package,
    packages_read,
    records,
    with_outputs,
)

KEYS = keys(3)
FIRST = KEYS[0].partition("/")[2]
OTHER = "linux-64/odd-1.0-0.conda"
REPODATA = f"linux-64/{names.REPODATA}"
LEDGER = f"linux-64/{names.STATE_FILE}"


def channel(*more: str) -> MemoryStore:
    return fill(MemoryStore(clock_ms=NOW_MS - DAY_MS), *KEYS, *more)


def sha256_of(store: MemoryStore, key: str) -> str:
    with store.open(key) as reader:
        return hashlib.sha256(reader.read()).hexdigest()


def shown(store: MemoryStore, key: str) -> object:
    result = records(store)[key.partition("/")[2]]
    assert isinstance(result, dict)
    return result["sha256"]


def of_the_size_of(body: bytes, key: str) -> bytes:
    """Another package of the same name and size."""
    for number in range(100):
        other = package(key, timestamp=number + 1)
        if len(other) == len(body) and other != body:
            return other
    raise AssertionError


@pytest.mark.parametrize("disguised", [False, True], ids=["md5 ETags", "other ETags"])
def test_a_package_replaced_while_a_lap_runs_is_read_by_the_next_lap(*, disguised: bool) -> None:
    store = fill(MemoryStore(clock_ms=NOW_MS), KEYS[0])
    bodies = [package(KEYS[0], timestamp=1), of_the_size_of(package(KEYS[0], timestamp=1), KEYS[0])]
    store.upload(KEYS[0], bodies[0])
    steps: list[str] = []

    def meanwhile(call: Call) -> None:
        store.clock_ms += 3000
        if call.verb == "PUT" and not steps:
            steps.append("replaced")
            store.upload(KEYS[0], bodies[1])
            if disguised:
                store.disguise(KEYS[0])
        if (call.verb, call.key) == ("PUT", LEDGER) and len(steps) == 1:
            steps.append("conflict")
            raise Conflict(LEDGER, "changed")

    store.hook = meanwhile
    assert only(index(store, now_ms=NOW_MS)).attempts == 2
    assert shown(store, KEYS[0]) == sha256_of(store, KEYS[0])


def test_the_only_index_is_not_deleted_before_another_one_stands() -> None:
    store = channel()
    index(store, with_outputs(monolithic=False))
    crashed: list[Call] = []

    def crash(call: Call) -> None:
        assert REPODATA in store.objects or f"linux-64/{names.SHARD_INDEX}" in store.objects, "readers find no index"
        if call.verb == "PUT" and call.key == REPODATA and not crashed:
            crashed.append(call)
            raise ConnectionError

    store.hook = crash
    with pytest.raises(ConnectionError):
        index(store, with_outputs(shards=False), now_ms=NOW_MS + DAY_MS)
    again = len(store.calls)
    index(store, with_outputs(shards=False), now_ms=NOW_MS + 2 * DAY_MS)
    assert packages_read(store.calls[again:]) == []
    assert {record["indexed_timestamp"] for record in records(store).values()} == {NOW_MS}


def rewrite(store: MemoryStore, **more: object) -> None:
    """Another indexer writes the index anew."""
    with store.open(REPODATA) as reader:
        top = orjson.loads(reader.read())
    store.upload(REPODATA, orjson.dumps({**top, **more}))


@pytest.mark.parametrize("kept_in_the_maps", [False, True], ids=["as conda-index", "as rattler-index"])
def test_what_another_indexer_has_yanked_stays_out(*, kept_in_the_maps: bool) -> None:
    store = channel()
    index(store)
    result = records(store)
    maps = {name: value for name, value in result.items() if kept_in_the_maps or name != FIRST}
    rewrite(store, **{"packages.conda": maps, "removed": [FIRST]})
    report = only(index(store))
    assert FIRST not in records(store)
    assert [note.filename for note in report.warnings] == [FIRST]
    assert only(index(store)).outcome is Outcome.UNCHANGED


def test_an_index_that_was_put_back_is_not_believed_because_of_the_ledger() -> None:
    store = channel()
    bodies = [package(KEYS[0], timestamp=1), of_the_size_of(package(KEYS[0], timestamp=1), KEYS[0])]
    store.upload(KEYS[0], bodies[0])
    store.disguise(KEYS[0])
    index(store)
    with store.open(REPODATA) as reader:
        backup = reader.read()
    store.clock_ms = NOW_MS + DAY_MS
    store.upload(KEYS[0], bodies[1])
    store.disguise(KEYS[0])
    index(store, now_ms=NOW_MS + 2 * DAY_MS)
    store.upload(REPODATA, backup)
    index(store, now_ms=NOW_MS + 3 * DAY_MS)
    assert shown(store, KEYS[0]) == sha256_of(store, KEYS[0])


def test_our_rules_drop_no_indexed_package_of_the_same_bytes() -> None:
    store = channel()
    store.upload(OTHER, package(OTHER, name="strange"))
    index(store, replace(PLAIN, rules=Rules(lenient=True)))
    assert len(records(store)) == 4
    store.remove(LEDGER)
    store.clock_ms = NOW_MS + DAY_MS  # as after a copy of the channel: every object is new
    for key in (*KEYS, OTHER):
        with store.open(key) as reader:
            store.upload(key, reader.read())
        store.disguise(key)
    for _ in range(2):
        report = only(index(store, now_ms=NOW_MS + 2 * DAY_MS))
        assert [note.filename for note in report.rejected] == ["odd-1.0-0.conda"]
        assert report.removed == ()
        assert (len(records(store)), report.packages) == (4, 4)


def test_a_look_at_one_package_does_not_make_old_rejections_last() -> None:
    store = channel()
    store.upload(OTHER, package(OTHER, name="strange"))
    assert only(index(store)).exit_code == 3
    lenient = replace(PLAIN, rules=Rules(lenient=True))
    index(store, replace(lenient, packages=frozenset({KEYS[0]}), force=True))
    assert "odd-1.0-0.conda" in only(index(store, lenient)).added


def test_a_patched_channel_is_refused_and_one_that_only_could_be_is_not() -> None:
    store = channel()
    index(store)
    with store.open(REPODATA) as reader:
        unpatched = reader.read()
    store.remove(LEDGER)
    store.upload(f"linux-64/{names.FROM_PACKAGES}", unpatched)
    assert only(index(store)).exit_code == 0
    store.remove(LEDGER)
    patched = orjson.loads(unpatched)
    patched["packages.conda"][FIRST]["depends"] = ["a-fix"]
    store.upload(REPODATA, orjson.dumps(patched))
    assert only(index(store)).outcome is Outcome.REFUSED


@pytest.mark.parametrize("harm", ["gone", "swapped"])
def test_a_lost_shard_of_a_channel_of_shards_is_a_bad_index_at_once(harm: str) -> None:
    store = channel()
    index(store, with_outputs(monolithic=False))
    shards = [item.key for item in store.list("linux-64/shards/")]
    if harm == "gone":
        store.remove(shards[0])
    else:
        with store.open(shards[1]) as reader:
            store.upload(shards[0], reader.read())
    fill(store, *(key.replace("1.0", "1.1") for key in keys(3)))
    report = only(index(store, with_outputs(monolithic=False)))
    assert (report.outcome, report.exit_code) == (Outcome.FAILED, 1)
    assert shards[0] in str(report.error)


def test_a_report_tells_of_all_laps() -> None:
    store = channel()
    steps: list[Call] = []

    def conflict(call: Call) -> None:
        if (call.verb, call.key) == ("PUT", LEDGER) and not steps:
            steps.append(call)
            raise Conflict(LEDGER, "changed")

    store.hook = conflict
    report = only(index(store))
    assert (report.attempts, len(report.added), report.read["whole"].packages) == (2, 3, 3)
    assert REPODATA in report.written


def test_after_one_package_of_a_foreign_channel_the_rest_is_not_read() -> None:
    store = channel()
    index(store)
    store.remove(LEDGER)
    for key in KEYS:
        store.disguise(key)
    store.clock_ms = NOW_MS + DAY_MS
    new = keys(1, start=9)[0]
    fill(store, new)
    later = NOW_MS + 2 * DAY_MS
    index(store, replace(PLAIN, packages=frozenset({new})), now_ms=later)
    again = len(store.calls)
    index(store, now_ms=later)
    assert packages_read(store.calls[again:]) == []


def test_a_look_at_what_did_not_change_leaves_the_ledger_alone() -> None:
    store = channel()
    index(store)
    index(store, replace(PLAIN, packages=frozenset({KEYS[0]})))
    assert only(index(store)).outcome is Outcome.UNCHANGED
    puts = [call for call in store.calls if (call.verb, call.key) == ("PUT", LEDGER)]
    assert len(puts) == 1


def test_a_package_whose_record_no_shard_can_hold_is_read_again() -> None:
    store = channel()
    index(store)
    with store.open(REPODATA) as reader:
        body = reader.read()
    store.upload(REPODATA, body.replace(b'"build_number":0', b'"build_number":' + b"9" * 30, 1))
    report = only(index(store))
    assert (report.outcome, report.exit_code) == (Outcome.PUBLISHED, 0)
    assert records(store)["p00-1.0-0.conda"]["build_number"] == 0


def test_a_named_package_that_is_nowhere_is_said_to_be_so() -> None:
    named = replace(PLAIN, packages=frozenset({"linux-64/typo-1-0.conda"}))
    report = only(index(channel("noarch/a-1-0.conda"), named))
    assert report.missing == ("typo-1-0.conda",)
