"""The laws of retention: what stays, for any channel and any rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from indexer.core.requirements import requirement_of
from indexer.core.retention import Candidate, Reason, Rules, Verdict, judge
from indexer.core.specs.version import Version, order_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from random import Random

NOW = 1_000
SUBDIRS = ("noarch", "linux-64", "osx-64")
NAMES = ("app", "lib", "tool")
VERSIONS = ("1.0", "1.1", "2.0", "2.0rc1", "10", "odd version")
BUILDS = ("0", "h1_0", "h2_1")
SPECS = st.builds(
    "{}{}".format,
    st.sampled_from([*NAMES, "absent", "conda-forge::lib"]),
    st.sampled_from(["", " >=1.1", " <2", " 1.0|2.0", " 2.0 h*", "=1.1", '[version=">=2",when="app"]', "[flags=x]"]),
)


def candidate(place: tuple[str, str, str, str], **more: object) -> Candidate:
    subdir, name, version, build = place
    return Candidate(subdir, f"{name}-{version}-{build}.conda", name, version, build, **more)  # type: ignore[arg-type]


CHANNELS = st.dictionaries(
    st.tuples(*map(st.sampled_from, (SUBDIRS, NAMES, VERSIONS, BUILDS))),
    st.fixed_dictionaries(
        {"indexed_ms": st.integers(0, NOW), "depends": st.lists(SPECS, max_size=2).map(tuple), "size": st.just(1)}
    ),
    max_size=25,
).map(lambda places: [candidate(place, **more) for place, more in places.items()])
RULES = st.builds(
    Rules,
    st.none() | st.integers(1, 3),
    st.none() | st.integers(0, NOW),
    st.lists(st.sampled_from(["app", "lib 1.0", "t*", "lib * h1_0"]), max_size=2).map(tuple),
)
SNAPSHOTS = st.dictionaries(
    st.sampled_from(SUBDIRS),
    st.frozensets(st.builds("{}-{}-0.conda".format, st.sampled_from(NAMES), st.sampled_from(VERSIONS))),
)


def staying(verdicts: Iterable[Verdict]) -> set[Candidate]:
    return {verdict.package for verdict in verdicts if not verdict.leaves_index}


def satisfying(channel: Iterable[Candidate], spec: str, platform: str) -> set[Candidate]:
    """The packages that a solver for a platform could choose."""
    requirement = requirement_of(spec)
    assert requirement is not None
    return {
        one
        for one in channel
        if one.subdir in {platform, "noarch"}
        and one.name == requirement.name
        and requirement.accepts(Version(one.version) if order_of(one.version)[0] else None, one.build)
    }


@given(channel=CHANNELS, rules=RULES)
def test_the_last_version_of_a_name_in_a_subdir_never_goes(channel: list[Candidate], rules: Rules) -> None:
    stays = staying(judge(channel, rules, NOW))
    for one in channel:
        same = [other for other in channel if (other.subdir, other.name) == (one.subdir, one.name)]
        newest = max(same, key=lambda other: (order_of(other.version), other.version)).version
        assert {other for other in same if other.version == newest} <= stays


def weaker(one: int | None, other: int | None) -> int | None:
    """The number that keeps more; None keeps nothing, and an age of 0 keeps what is indexed now."""
    return max((number for number in (one, other) if number is not None), default=None)


@given(channel=CHANNELS, one=RULES, other=RULES)
@example(
    channel=[candidate(("noarch", "app", version, "0"), indexed_ms=NOW) for version in ("1.0", "1.1")],
    one=Rules(),
    other=Rules(newer_than_ms=0),
)
def test_more_rules_keep_more(channel: list[Candidate], one: Rules, other: Rules) -> None:
    both = Rules(
        weaker(one.newest, other.newest), weaker(one.newer_than_ms, other.newer_than_ms), one.pins + other.pins
    )
    assert staying(judge(channel, one, NOW)) | staying(judge(channel, other, NOW)) <= staying(judge(channel, both, NOW))


@given(channel=CHANNELS, rules=RULES)
def test_dependencies_of_kept_packages_stay_satisfiable(channel: list[Candidate], rules: Rules) -> None:
    stays = staying(judge(channel, rules, NOW))
    for package in stays:
        for platform in SUBDIRS if package.subdir == "noarch" else (package.subdir,):
            for spec in package.depends:
                assert bool(satisfying(channel, spec, platform)) is bool(satisfying(stays, spec, platform))


@given(channel=CHANNELS, rules=RULES, named=SNAPSHOTS, random=st.randoms())
def test_the_order_of_packages_does_not_matter(
    channel: list[Candidate], rules: Rules, named: dict[str, frozenset[str]], random: Random
) -> None:
    shuffled = list(channel)
    random.shuffle(shuffled)
    assert judge(shuffled, rules, NOW, named) == judge(channel, rules, NOW, named)


@given(channel=CHANNELS, rules=RULES)
def test_a_version_that_stays_in_one_subdir_stays_in_all(channel: list[Candidate], rules: Rules) -> None:
    stays = staying(judge(channel, replace(rules, pins=()), NOW))
    versions = {(one.name, one.version) for one in stays}
    assert stays == {one for one in channel if (one.name, one.version) in versions}


@given(channel=CHANNELS, rules=RULES, named=SNAPSHOTS)
def test_a_snapshot_keeps_objects_and_no_records(
    channel: list[Candidate], rules: Rules, named: dict[str, frozenset[str]]
) -> None:
    verdicts = judge(channel, rules, NOW, named)
    assert staying(verdicts) == staying(judge(channel, rules, NOW))
    assert not any(one.goes for one in verdicts if one.package.filename in named.get(one.package.subdir, ()))


@given(channel=CHANNELS, rules=RULES)
def test_what_stays_is_judged_the_same_again(channel: list[Candidate], rules: Rules) -> None:
    stays = staying(judge(channel, rules, NOW))
    assert staying(judge(stays, rules, NOW)) == stays


@given(channel=CHANNELS)
@example(channel=[candidate(("linux-64", "app", version, "0"), is_replaced=True) for version in ("1.0", "2.0")])
def test_a_package_that_was_uploaded_again_stays(channel: list[Candidate]) -> None:
    again = [replace(one, is_replaced=number % 2 == 0) for number, one in enumerate(channel)]
    stays = staying(judge(again, Rules(newest=1), NOW))
    assert {one for one in again if one.is_replaced} <= stays


def test_the_reasons_are_named() -> None:
    channel = [
        candidate(("linux-64", "app", "3", "0"), depends=("lib >=1,<2",), indexed_ms=NOW),
        candidate(("linux-64", "app", "2", "0"), indexed_ms=NOW),
        candidate(("linux-64", "app", "1", "0")),
        candidate(("noarch", "app", "1", "0")),
        candidate(("linux-64", "app", "0", "0")),
        candidate(("noarch", "lib", "2", "0")),
        candidate(("noarch", "lib", "1", "0")),
        candidate(("noarch", "lib", "0", "0")),
    ]
    found = {one.package.key: one.reasons for one in judge(channel, Rules(1, 10, ("app 0",)), NOW)}
    assert found == {
        "linux-64/app-3-0.conda": {Reason.LAST, Reason.NEWEST, Reason.NEWER},
        "linux-64/app-2-0.conda": {Reason.NEWER},
        "linux-64/app-1-0.conda": {Reason.LAST, Reason.NEWEST},
        "noarch/app-1-0.conda": {Reason.LAST, Reason.NEWEST},
        "linux-64/app-0-0.conda": {Reason.PINNED},
        "noarch/lib-2-0.conda": {Reason.LAST, Reason.NEWEST},
        "noarch/lib-1-0.conda": {Reason.NEEDED},
        "noarch/lib-0-0.conda": set(),
    }


def test_a_package_of_noarch_keeps_what_it_needs_on_each_platform() -> None:
    channel = [
        candidate(("noarch", "app", "1.0", "0"), depends=("lib <2",)),
        *(candidate(("linux-64", "lib", version, "0")) for version in ("0.9", "1.0", "1.1", "2.0", "3.0")),
        *(candidate(("osx-64", "lib", version, "0")) for version in ("0.9", "1.0", "3.0")),
    ]
    stays = {one.key for one in staying(judge(channel, Rules(1), NOW)) if one.name == "lib"}
    assert stays == {
        f"{subdir}/lib-{version}-0.conda" for subdir in ("linux-64", "osx-64") for version in ("1.0", "3.0")
    } | {"linux-64/lib-1.1-0.conda"}
