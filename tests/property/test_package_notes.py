"""The blocks of a state are those of all its notes, whatever the runs that wrote them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from indexer.core.model import ETag
from indexer.core.name_digests import name_of
from indexer.core.package_notes import Attested, Note, blocks_with, notes_of

NAMES = st.sampled_from(["reed", "Reed", "rush", "sedge", "a-b", "a", "é"])
FILES = st.builds("{}-{}-0.{}".format, NAMES, st.integers(0, 2), st.sampled_from(["conda", "tar.bz2"]))
NOTES = st.builds(
    Note,
    st.sampled_from(["v", "w"]).map(ETag),
    st.none() | st.builds(Attested, st.just("digest"), st.sampled_from("xy")),
)
# One, two, or eight blocks.
PACKAGES = st.sampled_from([0, 2_047, 2_048, 9_000])
RUNS = st.lists(st.tuples(st.sets(NAMES.map(str.lower)), st.dictionaries(FILES, NOTES), PACKAGES), max_size=5)


@given(first=st.dictionaries(FILES, NOTES), runs=RUNS)
def test_the_blocks_after_runs_over_some_names_are_those_of_a_run_over_all(
    first: dict[str, Note], runs: list[tuple[set[str], dict[str, Note], int]]
) -> None:
    expected = first
    blocks = blocks_with((), None, first, 100)
    for looked_at, notes, packages in runs:
        found = {filename: note for filename, note in notes.items() if name_of(filename) in looked_at}
        others = {filename: note for filename, note in expected.items() if name_of(filename) not in looked_at}
        expected = {**others, **found}
        blocks = blocks_with(blocks, frozenset(looked_at), found, packages)
        assert blocks == blocks_with((), None, expected, packages)
    assert notes_of(blocks, None) == expected
    for name in {name_of(filename) for filename in expected}:
        of_name = {filename: note for filename, note in expected.items() if name_of(filename) == name}
        assert notes_of(blocks, frozenset({name})) == of_name
