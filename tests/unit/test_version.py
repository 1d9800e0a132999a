"""Versions are ordered and matched as conda has it (CEP 33, CEP 29)."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rattler import Version as Rattlers

from indexer.core.specs.version import Version, constraint_of, matches_glob, order_of

# conda's own list, the least first; what stands in one group is equal.
GROUPS = [
    ["0.4", "0.4.0"],
    ["0.4.1.rc", "0.4.1.RC"],
    ["0.4.1"],
    ["0.5a1"],
    ["0.5b3"],
    ["0.5C1"],
    ["0.5"],
    ["0.9.6"],
    ["0.960923"],
    ["1.0"],
    ["1.1dev1"],
    ["1.1_"],
    ["1.1a1"],
    ["1.1.0dev1", "1.1.dev1"],
    ["1.1.a1"],
    ["1.1.0rc1"],
    ["1.1.0", "1.1"],
    ["1.1.0post1", "1.1.post1"],
    ["1.1post1"],
    ["1996.07.12"],
    ["1!0.4.1"],
    ["1!3.1.1.6"],
    ["2!0.4.1"],
]


@pytest.mark.parametrize(("below", "above"), list(itertools.combinations(range(len(GROUPS)), 2)))
def test_the_order_is_condas(below: int, above: int) -> None:
    for one, other in itertools.product(GROUPS[below], GROUPS[above]):
        assert Version(one) < Version(other)
        assert not Version(other) <= Version(one)


@pytest.mark.parametrize("group", [group for group in GROUPS if len(group) > 1], ids=str)
def test_versions_that_say_the_same_are_equal(group: list[str]) -> None:
    assert Version(group[0]) == Version(group[1])


VERSIONS = st.from_regex(r"\A([0-3]!)?[0-9]{1,2}(\.([0-9]{1,2}|[a-c][0-9]?|rc1|dev|post1)){0,3}(\+[0-9](\.[a-c])?)?\Z")


@given(VERSIONS, VERSIONS)
def test_the_order_is_rattlers(one: str, other: str) -> None:
    assert (Version(one) < Version(other)) == (Rattlers(one) < Rattlers(other))


@pytest.mark.parametrize("text", ["", "1..2", "1!2!3", "a!1", "1+", "1+2+3", "+1", "1 2", "1-2", "é", "1" * 2000])
def test_what_is_no_version_is_refused_and_sorts_before_all_versions(text: str) -> None:
    with pytest.raises(ValueError, match=r"version|part"):
        Version(text)
    assert order_of(text) < order_of("0.0.1dev")
    assert order_of("0.0.1dev") > order_of(text)


@pytest.mark.parametrize(
    ("constraint", "yes", "no"),
    [
        ("1.2", "1.2 1.2.0", "1.2.1 1.20"),
        ("==1.2", "1.2.0", "1.2.1"),
        ("=1.2", "1.2 1.2.0 1.2.5 1.2.post1 1.2a1", "1.20 1.3"),
        ("1.2*", "1.2 1.2.5", "1.20 1.3"),
        ("1.2.*", "1.2 1.2.5", "1.20 1.3"),
        (">=1.2,<2", "1.2 1.9.9", "1.1 2.0 2.0.1"),
        (">=1.2.*", "1.2 3", "1.1"),
        ("!=1.2", "1.2.1", "1.2 1.2.0"),
        ("!=1.2.*", "1.3", "1.2 1.2.7"),
        ("~=1.4.2", "1.4.2 1.4.9", "1.4.1 1.5"),
        ("1.1|1.3", "1.1 1.3", "1.2"),
        (">1,<2|>=3", "1.5 3", "1 2 2.5"),
        ("(1.1|1.2),!=1.2", "1.1", "1.2"),
        ("((>1))", "2", "1"),
        ("*", "0 9", ""),
        ("1.*.3", "1.2.3 1.0.0.3", "1.2 1.2.4"),
        ("=1.0+l", "1.0+l 1.0+l.1", "1.0 1.0+m"),
    ],
)
def test_a_constraint_holds_for_these_and_not_for_those(constraint: str, yes: str, no: str) -> None:
    fits = constraint_of(constraint)
    assert [version for version in yes.split() if not fits(Version(version))] == []
    assert [version for version in no.split() if fits(Version(version))] == []


@pytest.mark.parametrize(
    "constraint", ["", ",", "1,", "|1", "(1", "1)", "<>1", "~=1.2.*", "^1.*$", ">=", "=é", "(" * 60 + "1" + ")" * 60]
)
def test_what_is_no_constraint_is_refused(constraint: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  which of the many words does not matter
        constraint_of(constraint)


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("py*", "py39_0", True),
        ("*_0", "py39_0", True),
        ("py*_0", "py_0", True),
        ("py*0_0", "py0", False),
        ("*a*b*", "xaxb", True),
        ("*a*b*", "xbxa", False),
        ("aa*aa", "aaa", False),
        ("h_0", "h_0", True),
        ("h_0", "h_00", False),
    ],
)
def test_a_glob_matches(pattern: str, text: str, matches: bool) -> None:  # noqa: FBT001  a table
    assert matches_glob(pattern, text) is matches
