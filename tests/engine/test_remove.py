"""`remove` leaves the formats of the other indexer and none of our own files; killed at any call, it ends the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from indexer.commands.remove import remove
from indexer.commands.yank import YankRequest, withdraw
from indexer.core import names
from indexer.core.errors import GaveUp
from indexer.core.options import Options
from indexer.core.removal import RemovalReport, RemovalRequest, Successor
from indexer.core.report import Outcome
from tests.support.interfering_store import Crash, InterferingStore, crash_at
from tests.support.memory import MemoryStore, copy_of
from tests.support.memory_channel import NOW_MS, PLAIN, changes, fake_context, fill, follow, keys, with_outputs
from tests.support.unconditional_store import UnconditionalStore

if TYPE_CHECKING:
    from indexer.store import Store
    from tests.support.memory import Call

EVERYTHING = with_outputs(bz2=True, current_repodata=True, channeldata=True, html=True, rss=True)
RATTLER = RemovalRequest(Successor.RATTLER, delete=True)
OF_RATTLER = {names.REPODATA, names.REPODATA_ZST, names.SHARD_INDEX}
OF_CONDA = {names.REPODATA, names.CURRENT}


def channel() -> MemoryStore:
    """A channel with all formats and saved settings."""
    store = MemoryStore(NOW_MS)
    fill(store, *keys(3), *keys(1, "noarch"))
    follow(store, EVERYTHING)
    return store


def leave(store: Store, request: RemovalRequest = RATTLER) -> RemovalReport:
    return remove(store, request, fake_context())


def files(store: MemoryStore) -> set[str]:
    """The keys without packages and shards."""
    return {key for key in store.bodies() if not key.endswith(names.EXTENSIONS) and names.SHARDS_FOLDER not in key}


@pytest.mark.parametrize(("successor", "formats"), [(Successor.RATTLER, OF_RATTLER), (Successor.CONDA, OF_CONDA)])
def test_only_the_formats_of_the_other_indexer_stay(successor: Successor, formats: set[str]) -> None:
    store = channel()
    report = leave(store, RemovalRequest(successor, delete=True))
    assert (report.outcome, report.exit_code, report.deleted) == (Outcome.PUBLISHED, 0, True)
    assert files(store) == {f"{subdir}/{name}" for subdir in ("linux-64", "noarch") for name in formats}


def test_a_subdir_of_an_unknown_platform_keeps_its_index_and_none_of_our_files() -> None:
    store = channel()
    fill(store, *keys(2, "espidf-xtensa"))
    store.upload("of-others/readme.txt", b"x")
    follow(store, Options(subdirs=("espidf-xtensa",)))
    before = files(store)
    leave(store)
    gone = {key for key in before - files(store) if key.startswith(("espidf-xtensa/", "of-others/"))}
    assert gone == {"espidf-xtensa/.indexer.json.zst"}
    assert leave(store).outcome is Outcome.UNCHANGED


def test_without_delete_nothing_changes_and_the_report_names_the_files() -> None:
    store = channel()
    before, first = store.bodies(), len(store.calls)
    report = leave(store, RemovalRequest(Successor.RATTLER))
    assert report.outcome is Outcome.PLANNED
    assert not report.deleted
    assert {names.SETTINGS, names.STATE_FILE, f"noarch/{names.STATE_FILE}"} <= set(report.own_files)
    assert changes(store.calls, first) == []
    assert store.bodies() == before
    assert set(report.own_files) == set(leave(store).own_files)


def test_the_index_names_the_same_packages_as_before() -> None:
    store = channel()
    keys_of_index = [f"{subdir}/{names.REPODATA}" for subdir in ("linux-64", "noarch")]
    before = store.bodies()
    leave(store)
    assert [store.bodies()[key] for key in keys_of_index] == [before[key] for key in keys_of_index]


def test_a_second_time_changes_nothing() -> None:
    store = channel()
    leave(store)
    first = len(store.calls)
    report = leave(store)
    assert (report.own_files, report.deleted, report.exit_code) == ((), False, 0)
    assert changes(store.calls, first) == []


def test_a_page_of_another_program_stays() -> None:
    store = MemoryStore(NOW_MS)
    fill(store, *keys(1))
    follow(store)
    store.upload(names.INDEX_HTML, b"<p>ours</p>")
    leave(store)
    assert store.bodies()[names.INDEX_HTML] == b"<p>ours</p>"


def test_an_index_that_cannot_be_read_keeps_all_our_files() -> None:
    store = channel()
    store.upload(f"linux-64/{names.REPODATA}", b"{")
    report = leave(store)
    assert (report.exit_code, report.own_files, report.deleted) == (1, (), False)
    assert {names.SETTINGS, f"linux-64/{names.STATE_FILE}", f"noarch/{names.STATE_FILE}"} <= files(store)


def test_killed_at_any_call_and_repeated_it_ends_the_same() -> None:
    start = channel()
    withdraw(start, YankRequest(frozenset({keys(3)[0]}), "broken"), PLAIN, fake_context())
    whole = copy_of(start)
    leave(whole)
    count = InterferingStore(copy_of(start))
    leave(count)
    for number in range(1, len(count.calls) + 1):
        store = copy_of(start)
        with pytest.raises(Crash):
            leave(InterferingStore(store, crash_at(number)))
        leave(store)
        assert store.bodies() == whole.bodies(), number


def test_files_that_another_indexer_writes_too_stay_without_ours() -> None:
    store = MemoryStore(NOW_MS)
    fill(store, *keys(1))
    store.upload(f"linux-64/{names.RUN_EXPORTS}", b"{}")
    assert leave(store).own_files == ()
    assert f"linux-64/{names.RUN_EXPORTS}" in store.bodies()


def test_a_store_without_conditions_is_left_under_leases() -> None:
    store = channel()
    store.upload(f"noarch/{names.LEASE}", b"{}")  # of a run that was killed
    report = leave(UnconditionalStore(store))
    assert (report.exit_code, report.deleted) == (0, True)
    assert files(store) == {f"{subdir}/{name}" for subdir in ("linux-64", "noarch") for name in OF_RATTLER}


def test_a_file_that_another_run_writes_meanwhile_stays_and_is_named() -> None:
    store = channel()

    def write(call: Call) -> None:
        if (call.verb, call.key) == ("DELETE", f"noarch/{names.STATE_FILE}"):
            store.upload(call.key, b"newer")

    store.hook = write
    with pytest.raises(GaveUp, match=r"noarch/\.indexer\.json\.zst: was written by another program meanwhile; stop"):
        leave(store)
    assert store.bodies()[f"noarch/{names.STATE_FILE}"] == b"newer"
