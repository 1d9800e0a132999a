"""A bad package is named and the rest is published; a strict run writes nothing; a broken index is left alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from indexer.core.model import Rules
from indexer.core.report import Outcome
from tests.support.memory_channel import (
    FIXTURES,
    PLAIN,
    changes,
    channel,
    fill,
    fixture,
    index,
    keys,
    only,
    package,
    packages_read,
    published,
    records,
    with_outputs,
)

if TYPE_CHECKING:
    from indexer.core.options import Options
    from tests.support.memory import MemoryStore

STRICT = replace(PLAIN, rules=Rules(strict=True))
LENIENT = replace(PLAIN, rules=Rules(lenient=True))
REASONS: dict[str, str] = json.loads((FIXTURES / "broken" / "reasons.json").read_text())
BAD = "linux-64/half-1.0-0.conda"


def test_every_committed_broken_package_is_named_and_none_is_indexed() -> None:
    store = channel(*keys(2), *keys(2, "noarch"))
    for key in REASONS:
        store.upload(key, fixture(key, "broken"))
    report = index(store)
    assert report.exit_code == 3
    assert report.outcome is Outcome.PARTIAL
    named = {f"{subdir}/{note.filename}" for subdir, sub in report.subdirs.items() for note in sub.rejected}
    assert named == REASONS.keys()
    assert all(note.reason for sub in report.subdirs.values() for note in sub.rejected)
    assert len(records(store)) == len(records(store, "noarch")) == 2


def test_a_rejected_package_is_not_read_again_and_still_named() -> None:
    store = channel(*keys(2))
    store.upload(BAD, fixture(BAD, "broken"))
    first_report = index(store)
    first = len(store.calls)
    report = index(store)
    assert packages_read(store.calls, first) == []
    assert changes(store.calls, first) == []
    assert report.exit_code == 3
    assert only(report).rejected == only(first_report).rejected != ()
    assert only(report).packages == 2
    fill(store, "linux-64/new-1.0-0.conda")
    first = len(store.calls)
    report = index(store)
    assert packages_read(store.calls, first) == ["linux-64/new-1.0-0.conda"]
    assert [note.filename for note in only(report).rejected] == ["half-1.0-0.conda"]


def test_a_rejected_package_is_read_again_where_a_run_is_forced() -> None:
    store = channel(*keys(1))
    store.upload(BAD, fixture(BAD, "broken"))
    index(store)
    first = len(store.calls)
    report = index(store, replace(PLAIN, force=True))
    assert BAD in packages_read(store.calls, first)
    assert report.exit_code == 3


def test_a_rejected_package_that_is_deleted_is_forgotten() -> None:
    store = channel(*keys(1))
    store.upload(BAD, fixture(BAD, "broken"))
    index(store)
    store.remove(BAD)
    report = index(store)
    assert report.exit_code == 0
    assert only(report).rejected == ()


@pytest.mark.parametrize("subdir", ["linux-64", "noarch", "osx-arm64"])
def test_a_strict_run_writes_nothing_anywhere_if_anything_is_rejected(subdir: str) -> None:
    store = channel(*keys(2), *keys(2, "noarch"), *keys(2, "osx-arm64"))
    store.upload(f"{subdir}/half-1.0-0.conda", fixture(BAD, "broken"))
    report = index(store, STRICT)
    assert changes(store.calls) == []
    assert report.exit_code == 1
    assert only(report, subdir).outcome is Outcome.FAILED
    assert [note.filename for note in only(report, subdir).rejected] == ["half-1.0-0.conda"]


def test_a_strict_run_rejects_what_others_warn_of() -> None:
    key = "linux-64/Mallard-1.0-0.conda"
    store = channel(*keys(1))
    store.upload(key, fixture(key))
    report = index(store, STRICT)
    assert changes(store.calls) == []
    assert report.exit_code == 1
    plain = index(store)
    assert plain.exit_code == 0
    assert [note.filename for note in only(plain).warnings] == ["Mallard-1.0-0.conda"]


def test_a_strict_run_without_faults_reads_each_package_once() -> None:
    store = channel(*keys(3), *keys(1, "noarch"))
    report = index(store, STRICT)
    assert report.exit_code == 0
    assert report.outcome is Outcome.PUBLISHED
    assert sorted(packages_read(store.calls)) == sorted([*keys(3), *keys(1, "noarch")])
    assert len(records(store)) == 3


def test_a_strict_run_stops_at_a_misnamed_file_that_came_after_a_good_run() -> None:
    store = channel(*keys(2))
    index(store, STRICT)
    store.upload("linux-64/short-1.conda", fixture("linux-64/short-1.conda", "broken"))
    before, first = published(store), len(store.calls)
    report = index(store, STRICT)
    assert changes(store.calls, first) == []
    assert published(store) == before
    assert report.exit_code == 1


def test_what_was_published_before_stays_where_a_strict_run_stops() -> None:
    store = channel(*keys(2))
    index(store)
    before = published(store)
    fill(store, "linux-64/new-1.0-0.conda")
    store.upload(BAD, fixture(BAD, "broken"))
    index(store, STRICT)
    assert published(store) == before


def test_a_lenient_run_indexes_a_wrong_name_and_subdir_with_a_warning() -> None:
    wrong = ["linux-64/cuckoo-1.0-0.conda", "linux-64/cuckoo-4.0-0.conda"]
    store = channel(*keys(1))
    for key in (*wrong, BAD):
        store.upload(key, fixture(key, "broken"))
    assert len(records_after(store, LENIENT)) == 3
    report = index(store, LENIENT)
    assert [note.filename for note in only(report).rejected] == ["half-1.0-0.conda"]


def records_after(store: MemoryStore, options: Options) -> dict[str, object]:
    index(store, options)
    return records(store)


def test_what_was_rejected_under_other_rules_is_read_again() -> None:
    key = "linux-64/cuckoo-1.0-0.conda"
    store = channel(*keys(1))
    store.upload(key, fixture(key, "broken"))
    assert index(store).exit_code == 3
    first = len(store.calls)
    report = index(store, LENIENT)
    assert packages_read(store.calls, first) == [key]
    assert only(report).added == ("cuckoo-1.0-0.conda",)


@pytest.mark.parametrize(
    "body",
    [
        b"<html>504 Gateway Time-out</html>",
        b'{"packages": {',
        b"[]",
        b'{"packages": []}',
        b'{"repodata_version": 3}',
        b'{"packages.conda": {"a-1-0.conda": []}, "removed": 7}',
    ],
)
def test_an_unreadable_repodata_stays_and_other_subdirs_are_indexed(body: bytes) -> None:
    store = channel(*keys(2), *keys(2, "noarch"))
    store.upload("linux-64/repodata.json", body)
    report = index(store)
    assert report.exit_code == 1
    assert only(report).outcome is Outcome.FAILED
    assert "linux-64/repodata.json" in (only(report).error or "")
    assert not [key for _, key in changes(store.calls) if key.startswith("linux-64/")]
    assert store.bodies()["linux-64/repodata.json"] == body
    assert len(records(store, "noarch")) == 2


def test_run_exports_that_cannot_be_read_are_left_alone_without_a_copy() -> None:
    store = channel(*keys(2))
    index(store, with_outputs(zst=False))
    store.upload("linux-64/run_exports.json", b"<html>")
    before = store.bodies()
    report = index(store, with_outputs(zst=False))
    assert report.exit_code == 1
    assert "repeat with --force" in str(only(report).error)
    assert store.bodies() == before


def test_shards_that_cannot_be_read_are_made_anew_from_the_source() -> None:
    store = channel(*keys(2))
    index(store)
    before = published(store)
    store.upload("linux-64/repodata_shards.msgpack.zst", b"no shards")
    report = index(store)
    assert report.exit_code == 0
    assert published(store) == before


def test_a_package_that_was_good_stays_where_only_its_rules_changed() -> None:
    key = "linux-64/Mallard-1.0-0.conda"
    store = channel(*keys(1))
    store.upload(key, fixture(key))
    index(store)
    report = index(store, STRICT)
    assert report.exit_code == 0
    assert "Mallard-1.0-0.conda" in records(store)


def test_two_files_of_one_package_are_two_records() -> None:
    store = channel("linux-64/twin-1.0-0.conda", "linux-64/twin-1.0-0.tar.bz2")
    index(store)
    assert sorted(records(store)) == ["twin-1.0-0.conda", "twin-1.0-0.tar.bz2"]
    assert package("linux-64/twin-1.0-0.conda") != package("linux-64/twin-1.0-0.tar.bz2")
