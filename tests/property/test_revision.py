"""Records move to the latest revision, or get attestations, once and without loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from indexer.core.attestations import FIELD, with_attestations
from indexer.core.known_packages import Attested
from indexer.core.records.v3 import latest
from indexer.core.specs.matchspec import canonical
from tests.support.strategies import filenames, indexes, values

if TYPE_CHECKING:
    from collections.abc import Mapping

    from indexer.core.model import Index

SPELLED = {"depends", "constrains", "extra_depends"}
ATTESTED = st.one_of(
    st.builds(Attested, st.just("state"), sha256=st.sampled_from(["a" * 64, "b" * 64])),
    st.builds(Attested, st.just("state"), reason=st.just("unsound"), transient=st.booleans()),
)


@st.composite
def attested(draw: st.DrawFn, index: Index) -> dict[str, Attested]:
    """Draw what is known of the attestations of most packages, and of some that have no record."""
    others = draw(st.dictionaries(filenames(), ATTESTED, max_size=1))
    drawn = {name: draw(ATTESTED | st.none()) for name in sorted(index.records)}
    return {**others, **{name: value for name, value in drawn.items() if value is not None}}


def without(record: Mapping[str, object], keys: set[str]) -> dict[str, object]:
    return {key: value for key, value in record.items() if key not in keys}


@given(indexes())
def test_records_in_the_latest_revision_differ_in_specs_only(index: Index) -> None:
    moved = latest(index)
    assert moved.v3 == moved.records.keys() == index.records.keys()
    assert (moved.run_exports, moved.removed, moved.v3_rest) == (index.run_exports, index.removed, index.v3_rest)
    before, after = values(index.records), values(moved.records)
    for name, record in before.items():
        assert without(after[name], SPELLED) == without(record, SPELLED)
        for key in ("depends", "constrains"):
            if isinstance(record.get(key), list):
                # Spelled once, and for ever: what is canonical says of itself what the first spelling said.
                assert [canonical(spec) for spec in after[name][key]] == [canonical(spec) for spec in record[key]]
    for name in index.v3:
        assert bytes(moved.records[name]) == bytes(index.records[name])


@given(indexes())
def test_what_has_moved_to_the_latest_revision_moves_no_more(index: Index) -> None:
    moved = latest(index)
    assert latest(moved) == moved


@given(st.data(), indexes())
def test_a_record_has_the_attestations_that_are_known_and_no_others(data: st.DataObject, index: Index) -> None:
    index = with_attestations(index, data.draw(attested(index)))
    known = data.draw(attested(index))
    done = with_attestations(index, known)
    assert (done.records.keys(), done.v3, done.run_exports) == (index.records.keys(), index.v3, index.run_exports)
    before, after = values(index.records), values(done.records)
    for name, record in before.items():
        assert without(after[name], {FIELD}) == without(record, {FIELD})
        result = known.get(name)
        wanted = (
            record.get(FIELD) if result is not None and result.transient else (result.sha256 if result else "") or None
        )
        assert after[name].get(FIELD) == wanted
        if record.get(FIELD) == wanted:
            assert bytes(done.records[name]) == bytes(index.records[name])


@given(st.data(), indexes())
def test_attestations_are_given_once_and_are_taken_away_again(data: st.DataObject, index: Index) -> None:
    known = data.draw(attested(index))
    done = with_attestations(index, known)
    assert with_attestations(done, known) == done
    bare = with_attestations(index, {})
    assert values(with_attestations(done, {}).records) == values(bare.records)
