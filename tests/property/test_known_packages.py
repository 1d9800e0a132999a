"""The blocks of a state are those of all known packages, whatever the runs that wrote them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from indexer.core.known_packages import Attested, KnownPackage, blocks_with, known_packages_in
from indexer.core.model import ETag
from indexer.core.name_digests import name_of

NAMES = st.sampled_from(["reed", "Reed", "rush", "sedge", "a-b", "a", "é"])
FILES = st.builds("{}-{}-0.{}".format, NAMES, st.integers(0, 2), st.sampled_from(["conda", "tar.bz2"]))
KNOWN = st.builds(
    KnownPackage,
    st.sampled_from(["v", "w"]).map(ETag),
    st.none() | st.builds(Attested, st.just("digest"), st.sampled_from("xy")),
)
# One, two, or eight blocks.
PACKAGES = st.sampled_from([0, 2_047, 2_048, 9_000])
RUNS = st.lists(st.tuples(st.sets(NAMES.map(str.lower)), st.dictionaries(FILES, KNOWN), PACKAGES), max_size=5)


@given(first=st.dictionaries(FILES, KNOWN), runs=RUNS)
def test_the_blocks_after_runs_over_some_names_are_those_of_a_run_over_all(
    first: dict[str, KnownPackage], runs: list[tuple[set[str], dict[str, KnownPackage], int]]
) -> None:
    expected = first
    blocks = blocks_with((), None, first, 100)
    for looked_at, known, packages in runs:
        found = {filename: one for filename, one in known.items() if name_of(filename) in looked_at}
        others = {filename: one for filename, one in expected.items() if name_of(filename) not in looked_at}
        expected = {**others, **found}
        blocks = blocks_with(blocks, frozenset(looked_at), found, packages)
        assert blocks == blocks_with((), None, expected, packages)
    assert known_packages_in(blocks, None) == expected
    for name in {name_of(filename) for filename in expected}:
        of_name = {filename: one for filename, one in expected.items() if name_of(filename) == name}
        assert known_packages_in(blocks, frozenset({name})) == of_name
