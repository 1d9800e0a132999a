"""The pages of packages: only what changed is put, nothing that is not ours is deleted, a killed run is completed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from indexer.core import names
from indexer.core.report import Outcome
from tests.support.interfering_store import Crash, InterferingStore, crash_at
from tests.support.memory import made_once
from tests.support.memory_channel import (
    DAY_MS,
    NOW_MS,
    PLAIN,
    changes,
    channel,
    fill,
    index,
    keys,
    package,
    published,
    with_outputs,
)
from tests.support.unconditional_store import UnconditionalStore

if TYPE_CHECKING:
    from tests.support.memory import Call, MemoryStore

PAGES = with_outputs(html=True)
LATER = NOW_MS + DAY_MS
KNOWN = "linux-64/p00-2.0-0.conda"
NEW = "noarch/new-1.0-0.conda"
THEIRS = b"<!doctype html><p>A page of somebody else"


def shown() -> MemoryStore:
    """A channel of four names with its pages."""
    store = channel(*keys(3), "noarch/tool-1.0-0.conda")
    index(store, PAGES)
    return store


def page(name: str) -> str:
    return f"packages/{name}.html"


def pages(store: MemoryStore) -> set[str]:
    return {key for key in store.bodies() if key.startswith("packages/")}


def of_pages(calls: list[Call], since: int) -> list[tuple[str, str]]:
    """The calls about pages, and about their state."""
    return [(c.verb, c.key) for c in calls[since:] if c.key.startswith("packages/") or c.key == names.PAGES_STATE]


def test_the_first_run_announces_the_pages_then_writes_all() -> None:
    store = shown()
    assert pages(store) == {page(name) for name in ("p00", "p01", "p02", "tool")}
    written = [key for verb, key in changes(store.calls) if key in {*pages(store), names.PAGES_STATE, names.INDEX_HTML}]
    assert written[0] == written[-1] == names.PAGES_STATE
    assert written[-2] == names.INDEX_HTML


def test_a_quiet_run_asks_for_no_page_and_not_for_their_state() -> None:
    store = shown()
    first = len(store.calls)
    assert index(store, PAGES, now_ms=LATER).outcome is Outcome.UNCHANGED
    assert of_pages(store.calls, first) == []


def test_a_new_version_puts_one_page_and_the_state() -> None:
    store = shown()
    fill(store, KNOWN)
    first = len(store.calls)
    report = index(store, PAGES, now_ms=LATER)
    assert of_pages(store.calls, first) == [
        ("GET", names.PAGES_STATE),
        ("PUT", page("p00")),
        ("PUT", names.PAGES_STATE),
    ]
    assert report.channel_files is not None
    assert report.channel_files.written == (names.INDEX_HTML, page("p00"))
    assert b"pixi add p00==2.0" in store.bodies()[page("p00")]


def test_a_new_name_is_announced_before_its_page_exists() -> None:
    store = shown()
    fill(store, NEW)
    first = len(store.calls)
    index(store, replace(PAGES, packages=frozenset({NEW})), now_ms=LATER)
    assert of_pages(store.calls, first) == [
        ("GET", names.PAGES_STATE),
        ("PUT", names.PAGES_STATE),
        ("PUT", page("new")),
        ("PUT", names.PAGES_STATE),
    ]


def test_the_page_of_a_name_that_is_gone_is_deleted_after_the_link_to_it() -> None:
    store = shown()
    store.remove("noarch/tool-1.0-0.conda")
    first = len(store.calls)
    report = index(store, PAGES, now_ms=LATER)
    assert page("tool") not in store.bodies()
    assert [change for change in changes(store.calls, first) if "/" not in change[1] or "packages" in change[1]] == [
        ("PUT", names.INDEX_HTML),
        ("DELETE", page("tool")),
        ("PUT", names.PAGES_STATE),
        ("PUT", names.STATE_FILE),
    ]
    assert report.channel_files is not None
    assert report.channel_files.deleted == (page("tool"),)


def test_dependencies_are_linked_when_the_channel_has_them() -> None:
    store = shown()
    user = "noarch/user-1.0-0.conda"
    store.upload(user, package(user, depends=["new >=1", "p00"]))
    index(store, PAGES, now_ms=LATER)
    assert b'<a href="new.html">' not in store.bodies()[page("user")]
    assert b'<a href="p00.html">' in store.bodies()[page("user")]
    fill(store, NEW)
    first = len(store.calls)
    index(store, PAGES, now_ms=LATER)
    assert b'<a href="new.html">' in store.bodies()[page("user")]
    assert {key for verb, key in of_pages(store.calls, first) if verb == "PUT"} == {
        *(page(name) for name in ("new", "user")),
        names.PAGES_STATE,
    }


def test_an_option_that_no_page_shows_puts_no_page() -> None:
    store = shown()
    first = len(store.calls)
    report = index(store, with_outputs(html=True, rss=True), now_ms=LATER)
    assert report.channel_files is not None
    assert report.channel_files.written == (names.INDEX_HTML, names.RSS)
    assert {key for verb, key in of_pages(store.calls, first) if verb == "PUT"} == {names.PAGES_STATE}


def test_a_store_without_conditional_writes_gets_the_same_pages() -> None:
    store = channel(*keys(3), "noarch/tool-1.0-0.conda")
    for _ in range(2):
        report = index(UnconditionalStore(store), PAGES)
        assert report.exit_code == 0
    assert report.outcome is Outcome.UNCHANGED
    assert published(store) == published(shown())


def test_what_is_switched_off_is_deleted_without_a_listing() -> None:
    store = shown()
    plain = channel(*keys(3), "noarch/tool-1.0-0.conda")
    index(plain)
    first = len(store.calls)
    index(store, now_ms=LATER)
    assert published(store) == published(plain)
    assert names.PAGES_STATE not in store.bodies()
    assert [call.key for call in store.calls[first:] if call.verb == "LIST" and "packages" in call.key] == []
    index(store, now_ms=LATER)
    first = len(store.calls)
    assert index(store, now_ms=LATER).outcome is Outcome.UNCHANGED
    assert of_pages(store.calls, first) == []


@pytest.mark.parametrize("options", [PLAIN, PAGES], ids=["off", "on"])
@pytest.mark.parametrize("with_state", [True, False])
def test_a_page_of_somebody_else_is_never_deleted(options: object, with_state: bool) -> None:  # noqa: FBT001  a parameter
    store = shown()
    copied = store.bodies()[page("p00")]
    theirs = {page("other"): THEIRS, page("copy"): copied, "packages/notes.txt": THEIRS, "packages/a/b.html": THEIRS}
    for key, body in theirs.items():
        store.upload(key, body)
    store.upload(page("tool"), THEIRS)  # in the place of one of ours
    store.remove("noarch/tool-1.0-0.conda")
    if not with_state:
        store.remove(names.PAGES_STATE)
    for _ in range(2):
        index(store, replace(PAGES, outputs=getattr(options, "outputs"), force=True), now_ms=LATER)  # noqa: B009
    bodies = store.bodies()
    assert {key: bodies[key] for key in theirs} == theirs
    assert bodies[page("tool")] == THEIRS


def test_pages_that_nobody_knows_any_more_are_deleted_by_their_mark() -> None:
    store = shown()
    store.remove("noarch/tool-1.0-0.conda")
    store.remove(names.PAGES_STATE)
    index(store, PAGES, now_ms=LATER)
    assert pages(store) == {page(name) for name in ("p00", "p01", "p02")}


@pytest.mark.parametrize("spoilt", [None, THEIRS])
def test_a_spoilt_page_is_made_anew_when_its_name_changes_and_with_force(spoilt: bytes | None) -> None:
    for repair in ("change", "force"):
        store = shown()
        expected = store.bodies()[page("p01")]
        if spoilt is None:
            store.remove(page("p01"))
        else:
            store.upload(page("p01"), spoilt)
        assert index(store, PAGES, now_ms=LATER).outcome is Outcome.UNCHANGED
        if repair == "change":
            fill(store, "linux-64/p01-2.0-0.conda")
            index(store, PAGES, now_ms=LATER)
            assert b"p01==2.0" in store.bodies()[page("p01")]
        else:
            index(store, replace(PAGES, force=True), now_ms=LATER)
            assert store.bodies()[page("p01")] == expected


@pytest.mark.parametrize("spoilt", [None, b"broken", b""])
def test_a_lost_or_broken_state_of_the_pages_is_made_anew(spoilt: bytes | None) -> None:
    store = shown()
    expected = published(store)
    if spoilt is None:
        store.remove(names.PAGES_STATE)
    else:
        store.upload(names.PAGES_STATE, spoilt)
    assert index(store, PAGES, now_ms=LATER).exit_code == 0
    assert published(store) == expected
    assert index(store, PAGES, now_ms=LATER).outcome is Outcome.UNCHANGED


def meet(at: int) -> tuple[MemoryStore, bool]:
    """A channel in which another run fell into call `at` of a run, and whether the run has so many calls."""
    store = shown()
    fill(store, KNOWN)
    fell_in: list[int] = []

    def other(number: int, _call: Call) -> None:
        if number == at and not fell_in:
            fell_in.append(number)
            store.remove("noarch/tool-1.0-0.conda")
            fill(store, NEW, "linux-64/p01-2.0-0.conda")
            index(store, PAGES, now_ms=LATER)

    assert index(InterferingStore(store, before=other), PAGES, now_ms=LATER).exit_code == 0
    return store, bool(fell_in)


def test_two_runs_at_once_end_with_the_pages_of_both() -> None:
    for at in range(1, 80):
        store, fell_in = meet(at)
        if not fell_in:
            assert at > 20
            return
        index(store, PAGES, now_ms=LATER)  # packages that came after the listing of the first run
        assert pages(store) == {page(name) for name in ("p00", "p01", "p02", "new")}, at
        bodies = store.bodies()
        assert all(b"==2.0" in bodies[page(name)] for name in ("p00", "p01")), at
    raise AssertionError("the run has more calls than were tried")


def test_a_slow_run_puts_no_older_page_over_a_newer_one() -> None:
    store = shown()
    fill(store, KNOWN)
    fell_in: list[int] = []

    def other(number: int, call: Call) -> None:
        if fell_in:
            raise Crash
        if (call.verb, call.key) == ("PUT", page("p00")):
            fell_in.append(number)
            fill(store, "linux-64/p00-3.0-0.conda")
            index(store, PAGES, now_ms=LATER)

    with pytest.raises(Crash):
        index(InterferingStore(store, before=other), PAGES, now_ms=LATER)
    assert b"p00==3.0" in store.bodies()[page("p00")]


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("then", ["the same", "a name less", "switched off"])
@pytest.mark.parametrize("first_run", [True, False])
def test_the_run_after_a_killed_one_leaves_the_pages_that_it_wants(
    first_run: bool,  # noqa: FBT001  a parameter
    then: str,
    moment: str,
) -> None:
    @made_once
    def prepare() -> MemoryStore:
        store = channel(*keys(3), "noarch/tool-1.0-0.conda") if first_run else shown()
        store.remove("linux-64/p02-1.0-0.conda")
        return fill(store, KNOWN, NEW)

    counted = InterferingStore(prepare())
    index(counted, PAGES, now_ms=LATER)
    wanted = {page(name) for name in ("p00", "p01", "tool", "new")}
    for at in range(1, len(counted.calls) + 1):
        store = prepare()
        crash = crash_at(at)
        killed = InterferingStore(store, before=crash) if moment == "before" else InterferingStore(store, after=crash)
        with pytest.raises(Crash):
            index(killed, PAGES, now_ms=LATER)
        if then == "a name less":
            store.remove(NEW)
        index(store, PLAIN if then == "switched off" else PAGES, now_ms=LATER)
        left = {"the same": wanted, "a name less": wanted - {page("new")}, "switched off": set()}[then]
        assert pages(store) == left, f"after a crash at call {at}, {counted.calls[at - 1]}"


def test_a_dry_run_has_the_pages_in_its_plan_and_writes_none() -> None:
    store = shown()
    fill(store, KNOWN)
    first = len(store.calls)
    report = index(store, replace(PAGES, dry_run=True), now_ms=LATER)
    assert changes(store.calls, first) == []
    assert report.channel_files is not None
    json.dumps(report.as_json())


def test_the_folder_of_pages_is_not_reported_as_a_folder_that_is_not_indexed() -> None:
    store = shown()
    assert index(store, PAGES, now_ms=LATER).not_indexed == ()
