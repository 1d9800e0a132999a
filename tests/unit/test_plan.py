"""When a record stands, what is dropped, and when a person must be asked."""

from __future__ import annotations

import json

import pytest

from indexer.core.errors import Refused
from indexer.core.json_form import dump
from indexer.core.model import ETag, Extracted, Index, Plan, Raw, Rejected, Stat
from indexer.core.plan import MASS_REMOVAL, DiffContext, check_mass_removal, dated, diff, dropped, merge
from indexer.core.state import Bad, State

NONE = dump({})
NAME = "a-1-0.conda"
MD5 = "0123456789abcdef" * 2
OTHER = "f" * 32
NOW = 10_000
# Times of clocks that may differ by two seconds.
OLD = NOW - 2000


def index(**fields: object) -> Index:
    return Index(records={NAME: dump({"name": "a", "size": 10, "md5": MD5, "indexed_timestamp": NOW, **fields})})


def stat(size: int = 10, version: str = "v1", modified_ms: int = OLD, md5: str | None = None) -> Stat:
    return Stat(f"noarch/{NAME}", size, ETag(version), modified_ms, md5)


def state(version: str | None = None) -> State:
    return State(package_etags={} if version is None else {NAME: ETag(version)})


@pytest.mark.parametrize(
    ("listed", "known", "stands"),
    [
        # By the ledger: the version that was read.
        (stat(modified_ms=NOW + 1), DiffContext(state("v1"), index_matches_state=True), True),
        # Out of step it may have seen another object than the record's.
        (stat(modified_ms=NOW + 1), DiffContext(state("v1")), False),
        (stat(version="v2"), DiffContext(state("v1")), True),
        # Met at another version in this run.
        (stat(), DiffContext(replaced_in_run=frozenset({NAME})), False),
        # One that saw not all of them proves nothing by what it lacks.
        (stat(), DiffContext(State(etags_complete=False), index_matches_state=True), True),
        (stat(version="v2", modified_ms=0), DiffContext(state("v1"), index_matches_state=True), False),
        (stat(size=11), DiffContext(state("v1"), index_matches_state=True), False),
        # By MD5: an ETag that is the record's.
        (stat(md5=MD5, modified_ms=NOW + 1), DiffContext(), True),
        (stat(md5=MD5, version="v2", modified_ms=NOW + 1), DiffContext(state("v1"), index_matches_state=True), True),
        (stat(md5=MD5, size=11), DiffContext(), False),
        # By age, where no ledger tells: another MD5 proves nothing.
        (stat(), DiffContext(), True),
        (stat(md5=OTHER), DiffContext(), True),
        (stat(modified_ms=OLD + 1), DiffContext(), False),
        (stat(md5=OTHER, modified_ms=NOW + 1), DiffContext(), False),
        (stat(), DiffContext(state()), True),
        # A ledger in step without an entry says that the version was the record's md5 then.
        (stat(), DiffContext(state(), index_matches_state=True), False),
        (stat(md5=OTHER), DiffContext(state(), index_matches_state=True), False),
        (stat(size=11, modified_ms=0), DiffContext(), False),
    ],
)
def test_a_record_stands_while_its_object_is_the_one_it_was_made_from(
    listed: Stat, known: DiffContext, *, stands: bool
) -> None:
    plan = diff(index(), {NAME: listed}, known)
    assert plan.to_read == (() if stands else (listed,))
    assert plan.drop == frozenset()
    assert plan.etags_to_remember == ({NAME: listed.etag} if stands and listed.md5 != MD5 else {})


@pytest.mark.parametrize(("source_ms", "stands"), [(NOW - 1, False), (NOW, True), (0, False)])
def test_a_record_without_a_date_is_as_old_as_its_index(source_ms: int, *, stands: bool) -> None:
    undated = Index(records={NAME: dump({"name": "a", "size": 10, "md5": MD5})})
    assert (diff(undated, {NAME: stat()}, DiffContext(index_written_ms=source_ms)).to_read == ()) == stands


@pytest.mark.parametrize("record", [b'{"size": "10"}', b"{}", b"[]", b"1", b'{"size": null}', b'{"size": 10.5}'])
def test_a_record_that_does_not_tell_what_it_was_made_from_is_read_again(record: bytes) -> None:
    listed = stat(md5=MD5)
    assert diff(Index(records={NAME: Raw(record)}), {NAME: listed}, DiffContext(index_written_ms=NOW)).to_read == (
        listed,
    )


def test_a_new_package_is_read_and_a_vanished_one_is_dropped() -> None:
    new = Stat("noarch/b-1-0.conda", 1, ETag("v"), 0)
    plan = diff(index(), {"b-1-0.conda": new}, DiffContext())
    assert plan.to_read == (new,)
    assert plan.drop == {NAME}


def test_packages_are_read_in_the_order_of_the_listing() -> None:
    listed = {f"{name}-1-0.conda": Stat(f"noarch/{name}-1-0.conda", 1, ETag("v"), 0) for name in "cab"}
    assert [item.key[7] for item in diff(Index(), listed, DiffContext()).to_read] == ["c", "a", "b"]


def test_what_lies_outside_the_scope_is_not_dropped() -> None:
    assert diff(index(), {}, DiffContext(scope=frozenset({"b-1-0.conda"}))).drop == frozenset()
    assert diff(index(), {}, DiffContext(scope=frozenset({NAME}))).drop == {NAME}
    assert diff(index(), {}, DiffContext(scope=frozenset({NAME, "never-1-0.conda"}))).drop == {NAME}


def test_a_forced_run_reads_what_stands_and_says_so() -> None:
    plan = diff(index(), {NAME: stat()}, DiffContext(force=True))
    assert plan.to_read == (stat(),)
    assert plan.keep_existing == {NAME}
    assert diff(index(), {NAME: stat(size=11)}, DiffContext(force=True)).keep_existing == frozenset()


def test_what_was_rejected_is_not_read_again_until_it_changes() -> None:
    known = State(rejected={NAME: Bad(ETag("v1"), "is broken")})
    assert diff(Index(), {NAME: stat()}, DiffContext(known)).rejected == (Rejected(NAME, ETag("v1"), "is broken"),)
    assert diff(Index(), {NAME: stat()}, DiffContext(known)).to_read == ()
    assert diff(Index(), {NAME: stat(version="v2")}, DiffContext(known)).to_read == (stat(version="v2"),)
    assert diff(Index(), {NAME: stat()}, DiffContext(known, force=True)).to_read == (stat(),)
    assert diff(Index(), {NAME: stat()}, DiffContext()).to_read == (stat(),)


def test_a_package_replaced_by_something_bad_leaves_the_index() -> None:
    plan = Plan(to_read=(stat(),))
    bad = Rejected(NAME, ETag("v1"), "is broken")
    assert dropped(index(), plan, [bad]) == {NAME}
    assert merge(index(), plan, [bad], NOW).records == {}
    assert dropped(index(), Plan(rejected=(bad,)), []) == {NAME}
    assert dropped(Index(), plan, [bad]) == frozenset()


def test_a_package_that_stands_is_never_dropped_by_the_rules() -> None:
    plan = Plan(to_read=(stat(),), keep_existing=frozenset({NAME}))
    bad = Rejected(NAME, ETag("v1"), "is broken")
    assert dropped(index(), plan, [bad]) == frozenset()
    assert merge(index(), plan, [bad], NOW) == index()


def test_a_package_keeps_its_first_date_and_a_new_one_gets_now() -> None:
    old = Extracted(NAME, ETag("v2"), dump({"name": "a"}), NONE)
    new = Extracted("b-1-0.conda", ETag("v"), dump({"name": "b"}), dump({"weak": ["b"]}), v3=True)
    merged = merge(index(), Plan(), [old, new], NOW + 5)
    assert {name: json.loads(bytes(value))["indexed_timestamp"] for name, value in merged.records.items()} == {
        NAME: NOW,
        "b-1-0.conda": NOW + 5,
    }
    assert merged.v3 == {"b-1-0.conda"}
    assert merged.run_exports == {NAME: Raw(b"{}"), "b-1-0.conda": Raw(b'{"weak":["b"]}')}


def test_a_package_that_is_no_longer_v3_leaves_v3() -> None:
    before = Index(index().records, frozenset({NAME}))
    assert merge(before, Plan(), [Extracted(NAME, ETag("v2"), dump({}), NONE)], NOW).v3 == frozenset()
    assert merge(before, Plan(drop=frozenset({NAME})), [], NOW).v3 == frozenset()


def test_run_exports_leave_with_their_record() -> None:
    before = Index(index().records, run_exports={NAME: Raw(b"{}")})
    assert merge(before, Plan(drop=frozenset({NAME})), [], NOW).run_exports == {}


def full(count: int) -> tuple[Index, list[str]]:
    names = [f"p{number}-1-0.conda" for number in range(count)]
    return Index(records=dict.fromkeys(names, Raw(b"{}"))), names


@pytest.mark.parametrize(("records", "leaving"), [(MASS_REMOVAL + 1, MASS_REMOVAL + 1), (21, 11), (100, 51)])
def test_more_than_half_of_a_subdir_does_not_leave_without_a_persons_word(records: int, leaving: int) -> None:
    before, names = full(records)
    with pytest.raises(Refused, match=f"{leaving} of {records} .*--allow-mass-removal"):
        check_mass_removal(before, frozenset(names[:leaving]), "noarch")


@pytest.mark.parametrize(("records", "leaving"), [(MASS_REMOVAL, MASS_REMOVAL), (22, 11), (100, 50), (0, 0)])
def test_few_packages_or_no_more_than_half_may_leave(records: int, leaving: int) -> None:
    before, names = full(records)
    check_mass_removal(before, frozenset(names[:leaving]), "noarch")


def test_a_date_is_kept_if_another_field_has_a_wrong_type() -> None:
    merged = merge(index(size="10"), Plan(), [Extracted(NAME, ETag("v2"), dump({"name": "a"}), NONE)], NOW + 5)
    assert json.loads(bytes(merged.records[NAME]))["indexed_timestamp"] == NOW


def test_a_record_that_has_its_date_stays_the_same_slice() -> None:
    once = dated(Index(), Extracted(NAME, ETag("v"), dump({"name": "a"}), NONE), NOW)
    assert json.loads(bytes(once)) == {"name": "a", "indexed_timestamp": NOW}
    again = Extracted(NAME, ETag("v"), once, NONE)
    assert dated(Index(), again, NOW) is once
    assert dated(Index(), again, NOW + 1) is once
