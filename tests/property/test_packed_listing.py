"""A packed listing has each file of the listing, and shows which package names changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from indexer.core.model import ETag, Stat
from indexer.core.name_digests import name_of
from indexer.core.packed_listing import pack

if TYPE_CHECKING:
    import random

NAMES = st.sampled_from(["reed", "Reed", "rush", "a-b", "a"])
PACKAGES = st.builds("{}-{}-0.conda".format, NAMES, st.integers(0, 2))
FILES = PACKAGES | PACKAGES.map("{}.sigs".format) | st.sampled_from(["repodata.json", "shards/", "bad.conda", "x.whl"])
STATS = st.builds(Stat, FILES, st.integers(0, 2), st.sampled_from("vw").map(ETag), st.integers(0, 3))
LISTINGS = st.lists(STATS, max_size=12, unique_by=lambda stat: stat.key)


@given(stats=LISTINGS, other_order=st.randoms(use_true_random=False))
def test_a_packed_listing_has_each_file_and_its_digests_do_not_depend_on_the_order(
    stats: list[Stat], other_order: random.Random
) -> None:
    listing = pack(stats)
    mixed = stats.copy()
    other_order.shuffle(mixed)
    again = pack(mixed)
    assert (listing.digest, listing.name_digests, listing.packages) == (
        again.digest,
        again.name_digests,
        again.packages,
    )
    every = {stat.key: stat for stat in stats}
    assert {**listing.others, **listing.files_of(None)} == every
    assert not any(map(name_of, listing.others))
    for name in listing.name_digests:
        files = {key: stat for key, stat in every.items() if name_of(key) == name}
        assert listing.files_of(frozenset({name})) == files
    assert listing.packages == sum(key.endswith(".conda") and bool(name_of(key)) for key in every)


@given(one=LISTINGS, two=LISTINGS)
def test_the_digests_of_those_names_differ_whose_files_differ(one: list[Stat], two: list[Stat]) -> None:
    def lines(stats: list[Stat], name: str) -> set[tuple[str, int, str]]:
        return {(stat.key, stat.size, stat.etag) for stat in stats if name_of(stat.key) == name}

    before, after = pack(one), pack(two)
    for name in {*before.name_digests, *after.name_digests}:
        is_same = before.name_digests.get(name) == after.name_digests.get(name)
        assert is_same == (lines(one, name) == lines(two, name))
    bad = [{(stat.key, stat.size, stat.etag) for stat in stats if stat.key == "bad.conda"} for stats in (one, two)]
    is_same = before.name_digests == after.name_digests and bad[0] == bad[1]
    assert (before.digest == after.digest) == is_same


def test_a_large_listing_is_in_pages() -> None:
    stats = [Stat(f"p{number % 700}-{number}-0.conda", number, ETag(f"v{number}"), 0) for number in range(40_000)]
    listing = pack(stats)
    assert len(listing.loose) < 64 * 250 < 40_000
    assert listing.files_of(None) == {stat.key: stat for stat in stats}
    assert listing.files_of(frozenset({"p7", "p8"})) == {
        stat.key: stat for stat in stats if name_of(stat.key) in {"p7", "p8"}
    }


@given(stats=LISTINGS, last_run_ms=st.none() | st.integers(0, 3))
def test_packages_that_came_after_the_last_run_are_known(stats: list[Stat], last_run_ms: int | None) -> None:
    later = pack(stats, last_run_ms).later
    packages = [stat for stat in stats if stat.key.endswith(".conda") and name_of(stat.key)]
    assert later == tuple(stat for stat in packages if last_run_ms is not None and stat.modified_ms > last_run_ms)


def test_many_later_packages_are_not_kept() -> None:
    stats = [Stat(f"p-{number}-0.conda", 1, ETag("v"), 9) for number in range(1_001)]
    assert len(pack(stats[:-1], 5).later) == 1_000
    assert pack(stats, 5).later == ()
