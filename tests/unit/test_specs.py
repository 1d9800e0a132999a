"""Which dependencies readers cannot parse, with pixi's engine as the judge, and which v3 forbids."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from rattler import MatchSpec

from indexer.core.specs.dependency import bad_extra, parse_fault, v3_fault

if TYPE_CHECKING:
    from collections.abc import Iterator

PARSED = [
    *(
        "foo",
        "Foo.Bar_baz-x",
        "_foo",
        "__glibc >=2.17",
        "foo # why",
        "  foo  ",
        "conda-forge::python",
        "::foo",
        "foo:bar:baz",
    ),
    *("c/linux-64::foo 1", "http://x/y::foo", "https://x/foo-1-0.conda"),
    *(
        "foo 1",
        "foo 1.*",
        "foo 1*",
        "foo 1.*.*",
        "foo =1",
        "foo=1",
        "foo ==1",
        "foo 1.0 h_0",
        "foo=1=h",
        "foo 1.* *_0",
        "foo bar",
    ),
    *(
        "foo >=1,<2",
        "foo >= 1 , < 2",
        "foo >=1.0.*,<2.0a0",
        "foo >=2.7,!=3.0.*",
        "foo ~=1.0",
        "foo 3|4|5*",
        "foo (>=1,<2)|3",
    ),
    *(
        "foo >=*",
        "foo *",
        "foo * *",
        "foo 1.0_",
        "foo 1!2",
        "foo 1.0+cu*",
        "foo 1.0-1",
        "foo >=1.0a0 *_cuda",
        "foo ((1))",
    ),
    *(
        "foo[]",
        "foo[version='>=1',build=x]",
        "foo[version=>=1]",
        "foo[build='*_x', build_number='>=1']",
        "foo[subdir=noarch]",
    ),
    *(
        "foo[md5=d41d8cd98f00b204e9800998ecf8427e]",
        "foo[license=MIT]",
        "foo[channel=c]",
        "foo[url='http://x/a-1-0.conda']",
    ),
    *(
        "foo[extras=x]",
        "foo[extras=[x, 'y.z']]",
        "foo[flags=['x:*', y]]",
        "foo[when=__unix]",
        "foo[when='(a or b>=1) and c']",
    ),
    "foo[when=\"a[version='>=1']\"]",
]
FAULTY = [
    ("python>= '2.7'", "instead of a version"),
    ("numpy =>1.2.3", "unknown operator '=>'"),
    ("foo >=1.0,<", "has no version at its end"),
    *((spec, "has no version at its end") for spec in ("foo >=1.0,", "foo ==", "foo 1|", "foo >")),
    *((spec, "unknown operator") for spec in ("foo <>1", "foo ===1", "foo !1", "foo ~1")),
    *(
        (spec, "no name")
        for spec in ("", "*", "foo*", "^foo.*$", "foo|bar", "foo; if x", "foo@", "foo::", "[", "foo(1)", "é")
    ),
    *((spec, "no name") for spec in ("foo[version=1][build=2] 1", "foo[", "ray[data] >=2.9")),
    *(
        (spec, "which readers cannot parse")
        for spec in ("foo 1..0", "foo 1.0.*a", "foo 1.*.2", "foo !=*", "foo >*", "foo 1!")
    ),
    *((spec, "instead of a version") for spec in ("foo ^1$", "foo >=1 , , <2", "foo ()", "foo 'x'")),
    ("foo (>=1", "without a"),
    ("foo 1.0 [x", "brackets"),
    *(
        (f"foo[{inner}]", "brackets")
        for inner in ("version", "version=1,,build=2", "version=1,", "version=1 build=2", "when=")
    ),
    *((f"foo[{key}=1]", f"sets '{key}'") for key in ("nonsense", "size", "name", "features", "arch", "optional")),
    ("foo[md5=zz]", "md5"),
    ("foo[build_number=x]", "build_number"),
    ("foo[version='']", "its end"),
    *((f"a[extras={value}]", "of CEP 44") for value in ("[Foo!]", "Foo", "[x, Y]", "['a b']", "[]", "[x,]")),
    *((f"a[flags={value}]", "of CEP 45") for value in ("[X!]", "X", "[x:y:z]", "[~x]", "[]")),
    *(
        (f"a[when='{value}']", "condition|no name|operator|without|'when'")
        for value in ("a and", "", "and", "*", "a =>1", "(a")
    ),
    ("a[when='b[when=c]']", "'when'"),
]
REAL = Path(__file__).parents[3] / "shared/real-repodata"


def parses(spec: str) -> bool:
    """Whether pixi's engine parses a dependency."""
    try:
        MatchSpec(spec)
    except Exception:  # noqa: BLE001  it has a class for each fault
        return False
    return True


@pytest.mark.parametrize("spec", PARSED)
def test_what_pixis_engine_parses_is_no_fault(spec: str) -> None:
    assert parses(spec)
    assert parse_fault(spec) is None


@pytest.mark.parametrize(("spec", "reason"), FAULTY)
def test_what_pixis_engine_cannot_parse_is_a_fault(spec: str, reason: str) -> None:
    assert not parses(spec)
    assert re.search(reason, parse_fault(spec) or "")


_PIECES = st.sampled_from(["1.0", "2a0", " ", ">=", "<", "=", "==", "!=", "~=", ",", "|", ".*", "*", " h_0"])


@given(st.lists(_PIECES, max_size=7).map("".join))
def test_constraints_are_parsed_as_pixis_engine_does(constraint: str) -> None:
    assert parses(f"foo {constraint}") == (parse_fault(f"foo {constraint}") is None)


def dependencies(value: Any) -> Iterator[str]:
    """All dependencies in a document of repodata."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        if key in {"depends", "constrains"} and isinstance(part, list):
            yield from part
        else:
            yield from dependencies(part)


@pytest.mark.skipif(not REAL.is_dir(), reason="no real repodata beside the project")
def test_real_dependencies_are_parsed_as_pixis_engine_does() -> None:
    results = set()
    for path in REAL.rglob("*.json"):
        results |= set(dependencies(json.loads(path.read_bytes())))
    for path in REAL.rglob("*.msgpack.zst"):
        shard = zstandard.ZstdDecompressor().decompressobj().decompress(path.read_bytes())
        results |= set(dependencies(msgspec.msgpack.decode(shard)))
    assert len(results) > 400
    assert [spec for spec in results if parses(spec) != (parse_fault(spec) is None)] == []


@pytest.mark.parametrize("spec", ["a" * 5000, "a[when='" + "(" * 2000 + "']", "a " + "(" * 2000, "a[" * 1000])
def test_a_hostile_dependency_is_a_fault_at_once(spec: str) -> None:
    assert parse_fault(spec)


@pytest.mark.parametrize(
    "spec", ["pip", 'a[version=">=1",build="x",build_number=0]', "a[when='b and c',extras=[x],flags=y]"]
)
def test_v3_allows_exact_names_and_six_fields(spec: str) -> None:
    assert v3_fault(spec) is None


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        *((spec, "exact name") for spec in ("conda-forge::python", "*", "a*[version=1]", "a[]", "a >=1")),
        *(
            (f"python[{key}=x]", f"sets {key}")
            for key in ("md5", "sha256", "channel", "subdir", "fn", "url", "license")
        ),
    ],
)
def test_v3_forbids_channels_globs_and_other_fields(spec: str, reason: str) -> None:
    assert reason in (v3_fault(spec) or "")


@pytest.mark.parametrize(
    ("spec", "extra"),
    [
        *(("a[extras=[Foo!]]", "Foo!"), ("a[extras=Foo]", "Foo"), ("a[version=1, extras=['b', 'C']]", "C")),
        *(("a[extras=[b, c.d]]", None), ("extras >=1", None), ("a", None), ("a[extras=[b", None), ("a[extras]", None)),
    ],
)
def test_the_names_of_extras_are_those_of_cep_44(spec: str, extra: str | None) -> None:
    assert bad_extra(spec) == extra
