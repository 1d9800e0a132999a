"""channeldata.json, rss.xml, the pages, and the catalogs they are made from: read once, written last, ours alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from indexer.core import names
from indexer.core.overlay import WithdrawnPackages, Yank, encode_withdrawn
from indexer.core.pages.catalog import decode_catalog
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
    is_package,
    keys,
    only,
    package,
    packages_read,
    published,
    records,
    with_outputs,
)

if TYPE_CHECKING:
    from tests.support.memory import Call, MemoryStore

ALL = with_outputs(channeldata=True, rss=True, html=True, current_repodata=True)
ROOT = {names.CHANNELDATA, names.RSS, names.INDEX_HTML}
PAGES = {f"packages/{name}.html" for name in ("p00", "p01", "p02", "singer")}
SINGER = "linux-64/singer-1.0-0.conda"
ABOUT = {"summary": "Sings", "home": "https://singer.example/"}


def singing() -> MemoryStore:
    store = channel(*keys(3), *keys(1, "noarch"))
    store.upload(SINGER, package(SINGER, about=ABOUT, paths={"paths": [{"_path": "etc/conda/activate.d/x.sh"}]}))
    return store


def channeldata(store: MemoryStore) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(store.bodies()[names.CHANNELDATA])
    return result


def root_writes(calls: list[Call], since: int = 0) -> list[tuple[str, str]]:
    return [change for change in changes(calls, since) if "/" not in change[1]]


def test_what_packages_say_is_read_in_the_same_request_and_published() -> None:
    store = singing()
    report = index(store, ALL)
    assert report.exit_code == 0
    assert report.channel_files is not None
    assert set(report.channel_files.written) == ROOT | PAGES
    assert len(packages_read(store.calls)) == 5
    singer = channeldata(store)["packages"]["singer"]
    assert (singer["summary"], singer["activate.d"], singer["subdirs"]) == ("Sings", True, ["linux-64"])
    bodies = store.bodies()
    assert b"Sings" in bodies[names.INDEX_HTML]
    assert b"Sings" in bodies[names.RSS]
    assert b"Sings" in bodies["packages/singer.html"]
    assert f"linux-64/{names.CURRENT}.zst" in bodies


def test_the_channels_files_come_after_all_subdirs() -> None:
    store = singing()
    index(store, ALL)
    written = [key for _, key in changes(store.calls)]
    first = min(written.index(key) for key in ROOT)
    assert all("/" not in key or key in PAGES for key in written[first:])
    assert written[-1] == names.STATE_FILE


def test_without_the_options_nobody_looks_at_the_root_again() -> None:
    store = singing()
    report = index(store)
    assert report.channel_files is None
    assert [call.key for call in store.calls if "/" not in call.key] == [""]


def test_a_second_run_is_quiet_and_asks_for_little() -> None:
    store = singing()
    index(store, ALL)
    first = len(store.calls)
    assert index(store, ALL).outcome is Outcome.UNCHANGED
    assert changes(store.calls, first) == []
    # Two for each subdir, one for the root; then the memory and the root again, and a look at each catalog.
    assert [call.verb for call in store.calls[first:]].count("GET") == 2 + 1
    assert len(store.calls) - first == 2 * 2 + 1 + 2 + 2


def test_one_new_package_reads_one_and_puts_only_what_changed() -> None:
    store = singing()
    index(store, ALL)
    before = store.bodies()
    new = "noarch/new-1.0-0.conda"
    fill(store, new)
    first = len(store.calls)
    index(store, ALL, now_ms=NOW_MS + DAY_MS)
    assert packages_read(store.calls, first) == [new]
    assert {key for _, key in root_writes(store.calls, first)} == {*ROOT, names.STATE_FILE, names.PAGES_STATE}
    assert store.bodies()["linux-64/index.html"] == before["linux-64/index.html"]
    assert channeldata(store)["packages"]["singer"]["summary"] == "Sings"


def test_a_new_output_reads_each_known_package_once_and_keeps_its_record() -> None:
    store = singing()
    index(store)
    before = records(store)
    first = len(store.calls)
    report = index(store, ALL, now_ms=NOW_MS + DAY_MS)
    assert sorted(packages_read(store.calls, first)) == sorted(key for key in store.bodies() if is_package(key))
    assert (only(report).metadata_read, only(report).added, only(report).updated) == (4, (), ())
    assert records(store) == before
    assert channeldata(store)["packages"]["singer"]["summary"] == "Sings"
    again = len(store.calls)
    assert only(index(store, ALL)).metadata_read == 0
    assert packages_read(store.calls, again) == []


def test_a_record_of_another_indexer_stays_even_if_we_reject_the_package() -> None:
    store = singing()
    odd = "linux-64/odd-1.0-0.conda"
    store.upload(odd, package(odd))
    index(store)
    # What rattler-index writes, and what no package says.
    body = store.bodies()["linux-64/repodata.json"].replace(b'"name":"singer"', b'"arch":"x86_64","name":"singer"')
    store.upload("linux-64/repodata.json", body)
    index(store, ALL, now_ms=NOW_MS + DAY_MS)
    assert records(store)["singer-1.0-0.conda"]["arch"] == "x86_64"
    assert channeldata(store)["packages"]["singer"]["summary"] == "Sings"


def test_a_lost_or_broken_catalog_costs_a_reading_and_nothing_else() -> None:
    store = singing()
    index(store, ALL)
    expected = published(store)
    for spoil in (None, b"broken"):
        key = f"linux-64/{names.CATALOG}"
        if spoil is None:
            store.remove(key)
        else:
            store.upload(key, spoil)
        first = len(store.calls)
        index(store, ALL)
        assert len(packages_read(store.calls, first)) == 4
        assert published(store) == expected


def test_a_run_over_one_subdir_keeps_what_the_others_say() -> None:
    store = singing()
    index(store, ALL)
    fill(store, "noarch/new-1.0-0.conda")
    index(store, replace(ALL, subdirs=("noarch",)), now_ms=NOW_MS + DAY_MS)
    assert channeldata(store)["subdirs"] == ["linux-64", "noarch"]
    assert channeldata(store)["packages"]["singer"]["summary"] == "Sings"
    assert "new" in channeldata(store)["packages"]


def test_a_subdir_without_a_catalog_has_its_say_by_its_index() -> None:
    store = singing()
    index(store)
    index(store, replace(ALL, subdirs=("noarch",)), now_ms=NOW_MS + DAY_MS)
    assert channeldata(store)["packages"]["singer"]["version"] == "1.0"
    assert "summary" not in channeldata(store)["packages"]["singer"]
    index(store, ALL, now_ms=NOW_MS + DAY_MS)
    assert channeldata(store)["packages"]["singer"]["summary"] == "Sings"


def test_a_run_over_one_package_says_all_of_it() -> None:
    store = singing()
    index(store, ALL)
    new = "linux-64/new-1.0-0.conda"
    fill(store, new)
    index(store, replace(ALL, packages=frozenset({new})), now_ms=NOW_MS + DAY_MS)
    assert channeldata(store)["packages"].keys() >= {"new", "singer", "p00"}


def test_what_is_switched_off_is_deleted_with_the_memory_of_it() -> None:
    store = singing()
    index(store)
    expected = published(store)
    index(store, ALL, now_ms=NOW_MS + DAY_MS)
    index(store, now_ms=NOW_MS + DAY_MS)
    assert published(store) == expected
    assert names.STATE_FILE not in store.bodies()


@pytest.mark.parametrize("key", [*sorted(ROOT), f"linux-64/{names.INDEX_HTML}"])
def test_a_file_of_somebody_else_is_left_alone_while_the_option_is_off(key: str) -> None:
    store = singing()
    store.upload(key, b"theirs")
    index(store)
    assert store.bodies()[key] == b"theirs"
    first = len(store.calls)
    assert index(store).outcome is Outcome.UNCHANGED
    assert changes(store.calls, first) == []
    # Ours, and then replaced by somebody: theirs again.
    index(store, ALL)
    store.upload(key, b"theirs too")
    index(store)
    assert store.bodies()[key] == b"theirs too"
    index(store)
    first = len(store.calls)
    assert index(store).outcome is Outcome.UNCHANGED
    assert changes(store.calls, first) == []


def test_what_another_indexer_puts_at_the_root_meanwhile_makes_a_lap() -> None:
    store = singing()
    fell_in: list[str] = []

    def other(_number: int, call: Call) -> None:
        if (call.verb, call.key) == ("PUT", names.CHANNELDATA) and not fell_in:
            fell_in.append(call.key)
            fill(store, "noarch/other-1.0-0.conda")
            index(store, ALL, now_ms=NOW_MS + DAY_MS)

    report = index(InterferingStore(store, before=other), ALL)
    assert fell_in
    assert report.channel_files is not None
    assert report.channel_files.attempts == 2
    assert "other" in channeldata(store)["packages"]


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("switching", ["on", "off"])
def test_one_run_after_a_crash_makes_what_an_undisturbed_one_makes(switching: str, moment: str) -> None:
    @made_once
    def prepare() -> MemoryStore:
        store = singing()
        index(store, PLAIN if switching == "on" else ALL)
        return fill(store, "linux-64/new-1.0-0.conda")

    options = ALL if switching == "on" else PLAIN
    undisturbed = prepare()
    interfering = InterferingStore(undisturbed)
    index(interfering, options, now_ms=NOW_MS + DAY_MS)
    expected, count = published(undisturbed), len(interfering.calls)
    for at in range(1, count + 1):
        store = prepare()
        interfering = (
            InterferingStore(store, before=crash_at(at))
            if moment == "before"
            else InterferingStore(store, after=crash_at(at))
        )
        with pytest.raises(Crash):
            index(interfering, options, now_ms=NOW_MS + DAY_MS)
        index(store, options, now_ms=NOW_MS + DAY_MS)
        assert published(store) == expected, f"after a crash at call {at}, {interfering.calls[at - 1]}"


def test_a_dry_run_says_what_would_be_written_and_writes_nothing() -> None:
    store = singing()
    report = index(store, replace(ALL, dry_run=True))
    assert changes(store.calls) == []
    assert report.outcome is Outcome.PLANNED
    assert report.channel_files is not None
    assert set(report.channel_files.written) == ROOT


def test_a_catalog_tells_of_each_package_that_is_indexed() -> None:
    store = singing()
    index(store, ALL)
    result = decode_catalog(store.bodies()[f"linux-64/{names.CATALOG}"])
    assert result is not None
    assert result.packages.keys() == records(store).keys()


def test_the_report_has_the_files_of_the_channel() -> None:
    report = index(singing(), ALL).as_json()
    wide = report["channel_files"]
    assert isinstance(wide, dict)
    assert (wide["outcome"], wide["written"]) == ("published", tuple(sorted(ROOT | PAGES)))


def test_a_yanked_package_is_shown_with_the_reason_and_asked_nothing_more() -> None:
    store = singing()
    index(store, ALL)
    store.upload(
        f"linux-64/{names.YANKS}",
        encode_withdrawn(WithdrawnPackages({"singer-1.0-0.conda": Yank("Sings off key", NOW_MS)})),
    )
    for _ in range(2):
        first = len(store.calls)
        fill(store, f"linux-64/new-{first}.0-0.conda")
        report = index(store, ALL, now_ms=NOW_MS + DAY_MS)
        assert only(report).metadata_read == 0
        assert SINGER not in packages_read(store.calls, first)
        assert b"singer-1.0-0.conda: Sings off key" in store.bodies()[f"linux-64/{names.INDEX_HTML}"]
        assert "singer" not in channeldata(store)["packages"]
    store.upload(f"linux-64/{names.YANKS}", encode_withdrawn(WithdrawnPackages({})))
    index(store, ALL, now_ms=NOW_MS + DAY_MS)
    assert channeldata(store)["packages"]["singer"]["summary"] == "Sings"


@pytest.mark.parametrize("silently", [False, True], ids=["with an error", "in silence"])
@pytest.mark.parametrize("broken", [names.STATE_FILE, f"linux-64/{names.CATALOG}"])
def test_what_the_root_reads_is_read_again_where_it_breaks_off(broken: str, silently: object) -> None:
    store = singing()
    index(store, ALL)
    fill(store, "linux-64/new-1.0-0.conda")
    put: list[str] = []

    def spoil(call: Call) -> None:
        put.extend([call.key] if call.verb == "PUT" else [])
        # The subdirs are done, so it is the channel as a whole that reads.
        due = call.verb == "GET" and call.key == broken and f"linux-64/{names.STATE_FILE}" in put
        store.behavior.breaks_after = 0 if due else None
        store.behavior.silently = bool(silently)

    store.hook = spoil
    report = index(store, ALL, now_ms=NOW_MS + DAY_MS)
    assert store.behavior.breaks == 0
    assert report.exit_code == 0
    assert channeldata(store)["packages"]["singer"]["summary"] == "Sings"
    assert "new" in channeldata(store)["packages"]
