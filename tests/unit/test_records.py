"""What of an `index.json` reaches the record, what is refused, and what is warned of."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from indexer.core.errors import BadPackage
from indexer.core.json_form import dump
from indexer.core.model import Rules
from indexer.core.records.index_json import PackageFile, Validated, parse_json, validate

NOW_MS = 1_800_000_000_000
PLAIN = {"name": "a", "version": "1.0", "build": "h_0", "build_number": 0}
PACKAGE = PackageFile("linux-64", "a-1.0-h_0.conda", 123, "5" * 64, "d" * 32)
DERIVED = {"depends": [], "subdir": "linux-64", "size": 123, "sha256": "5" * 64, "md5": "d" * 32}
DEFAULT = Rules()


def judged(fields: dict[str, Any], package: PackageFile = PACKAGE, rules: Rules = DEFAULT) -> Validated:
    index = {key: value for key, value in {**PLAIN, **fields}.items() if value is not ...}
    return validate(json.dumps(index).encode(), package, rules, NOW_MS)


def named(name: str = "a", version: str = "1.0", build: str = "h_0") -> PackageFile:
    return PackageFile("linux-64", f"{name}-{version}-{build}.conda", 123, "5" * 64, "d" * 32)


def test_a_plain_package_has_its_own_fields_and_what_was_computed() -> None:
    assert judged({}) == Validated({**PLAIN, **DERIVED}, v3=False, warnings=())


ABSENT = object()


@pytest.mark.parametrize(
    ("key", "said", "kept"),
    [
        ("build_number", 7, 7),
        ("subdir", "linux-64", "linux-64"),
        ("subdir", None, "linux-64"),
        ("subdir", "", "linux-64"),
        # D1: dependencies stay as they are written.
        ("depends", ["a 1", "numpy 1.11*", "a  >=1 , <2", 'bar[version=">=1"]', "F"], ...),
        ("depends", None, []),
        ("depends", [], []),
        ("constrains", ["heron  <2"], ...),
        ("constrains", [], ABSENT),
        ("constrains", None, ABSENT),
        ("noarch", "generic", ...),
        ("noarch", "python", ...),
        ("noarch", True, "generic"),
        ("noarch", False, ABSENT),
        ("noarch", "", ABSENT),
        ("noarch", None, ABSENT),
        ("timestamp", 1_700_000_000_000, ...),
        ("timestamp", 1_700_000_000, ...),
        ("timestamp", 1_700_000_000.25, 1_700_000_000),
        ("timestamp", None, ABSENT),
        ("track_features", ["x", "y"], "x y"),
        ("track_features", "x y", ...),
        ("track_features", "", ABSENT),
        ("track_features", [], ABSENT),
        ("features", "x", ...),
        ("features", "", ABSENT),
        ("features", None, ABSENT),
        ("license", "MIT", ...),
        ("license", "Étalab-2.0 © 葦 🌾", ...),
        ("license", "", ""),
        ("license", None, ABSENT),
        ("license_family", "OTHER", ...),
        ("license_family", None, ABSENT),
        ("purls", ["pkg:pypi/b@1", "pkg:npm/%40a/b", "pkg:pypi/b@1"], ["pkg:npm/%40a/b", "pkg:pypi/b@1"]),
        ("purls", ["pkg:deb/debian/reed?arch=i386"], ...),
        ("license", "3-Clause\r\n\tand <more>", ...),
        ("purls", None, ABSENT),
        ("python_site_packages_path", "lib/python3.13t/site-packages", ...),
        ("python_site_packages_path", None, ABSENT),
        ("extra_depends", {"song": ["reed  >=2"]}, ...),
        ("extra_depends", {}, ABSENT),
        ("flags", ["dawn", "gpu:cuda"], ...),
        ("flags", [], ABSENT),
        *((key, "anything", ABSENT) for key in ("arch", "platform", "summary", "icon", "plumage", "preferred_env")),
        *((key, "anything", ABSENT) for key in ("requires_features", "provides_features", "has_prefix", "mtime")),
        *((key, "anything", ABSENT) for key in ("ucs", "binstar", "target-triplet", "machine", "operatingsystem")),
        ("schema_version", 1, ABSENT),
        ("app_entry", "x", ABSENT),
    ],
)
def test_each_field_reaches_the_record_as_the_formats_say(key: str, said: object, kept: object) -> None:
    result = judged({key: said})
    assert result.record.get(key, ABSENT) == (said if kept is ... else kept)
    assert type(result.record.get(key)) is not float
    assert not result.v3
    assert not result.warnings


@pytest.mark.parametrize(
    "key",
    [
        *("md5", "sha256", "size", "fn", "url", "channel", "schannel", "indexed_timestamp", "attestations_sha256"),
        *("revoked", "signatures", "legacy_bz2_md5", "legacy_bz2_size", "run_exports"),
    ],
)
def test_a_key_that_the_indexer_owns_is_never_taken_from_the_package(key: str) -> None:
    assert judged({key: "forged"}).record == {**PLAIN, **DERIVED}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        *(({key: ...}, f"no {key}") for key in ("name", "version", "build")),
        *(({key: None}, f"no {key}") for key in ("name", "version", "build")),
        *(({key: 1}, f"{key} that is not a text") for key in ("name", "version", "build")),
        *(({key: ""}, f"{key} that is not a text") for key in ("name", "version", "build")),
        *(({"build_number": value}, "build_number") for value in (..., None, "0", -1, 1.0, True, "")),
        *(({"depends": value}, "depends") for value in ("python", ["python", 3], {"python": ">=3"}, 0)),
        *(({"constrains": value}, "constrains") for value in ("python", ["python", None], {"python": ">=3"})),
        *(({"depends": [value]}, "not a dependency") for value in ("", "  ", "a\nb", "a\x00")),
        *(({"name": value}, "characters") for value in ("a/b", "a\\b", "a b", "a\n", "a\x00", "a\u2028")),
        *(({"version": value}, "characters") for value in ("1/0", "1 0", "1\t0")),
        *(({"build": value}, "characters") for value in ("../h", "h 0")),
        *(({"name": value}, "readers cannot parse") for value in ("a~b", "a<b>", "a=b", "a%2e")),
        *(({"name": value}, "characters") for value in ("Reed\u00e9", "a\u202eb", "a\x9bb", "a\u200b")),
        *(({"version": value}, "readers cannot parse") for value in ("1..0", "..", "1!", "1!2!3", "1.0+", "_", "*")),
        *(({"version": value}, "readers cannot parse") for value in ("1" * 19, "1+2+3", "=1", "x!1")),
        *(({"depends": [value]}, "not a dependency") for value in ("a\x9b", "a \u202e1")),
        ({"name": "b"}, "name 'b'"),
        ({"version": "1.1"}, "version '1.1'"),
        ({"build": "h_1"}, "build 'h_1'"),
        ({"subdir": "osx-arm64"}, "subdir 'osx-arm64'"),
        *(({"python_site_packages_path": path}, "leaves the prefix") for path in ("/x", "a/../x", "..", "C:\\x")),
        ({"noarch": "rust"}, "noarch 'rust'"),
        ({"flags": ["Not A Flag"]}, "flag"),
        ({"extra_depends": {"not an extra": []}}, "extra"),
        ({"extra_depends": {"song": "reed"}}, "not a list"),
        ({"license": "\ud800"}, "cannot be written"),
        *(({"repodata_revision": revision}, "repodata_revision") for revision in (4, -1, "3", True)),
        *(({"schema_version": version}, "schema_version") for version in (4, 3.5)),
        *(({key: ["a[extras=[Foo!]]"]}, "'Foo!', which CEP 44 forbids") for key in ("depends", "constrains")),
        ({"extra_depends": {"song": ["a[extras=Foo]"]}}, "'Foo', which CEP 44 forbids"),
    ],
)
def test_what_would_break_a_reader_or_lie_to_it_is_rejected(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadPackage, match=reason):
        judged(fields)


@pytest.mark.parametrize("name", ["__glibc", "__cuda", "__x"])
def test_a_package_with_the_name_of_a_virtual_one_is_rejected(name: str) -> None:
    with pytest.raises(BadPackage, match="only a virtual package"):
        judged({"name": name}, named(name), Rules(lenient=True))


@pytest.mark.parametrize("filename", ["a\n-1.0-h_0.conda", "\u00e9-1.0-h_0.conda", "a\\-1.0-h_0.conda"])
def test_a_file_name_that_readers_refuse_is_rejected_by_lenient_rules_too(filename: str) -> None:
    with pytest.raises(BadPackage, match="the file name"):
        judged({}, PackageFile("linux-64", filename, 1, "", ""), Rules(lenient=True))


@pytest.mark.parametrize("filename", ["a.conda", "a-1.0.conda", "a-1.0-h_0.zip"])
def test_a_file_name_that_is_not_name_version_build_is_rejected(filename: str) -> None:
    with pytest.raises(BadPackage, match="name-version-build"):
        judged({}, PackageFile("linux-64", filename, 1, "", ""))


@pytest.mark.parametrize(
    ("fields", "warning"), [({"name": "b"}, "name 'b'"), ({"subdir": "osx-64"}, "subdir 'osx-64'")]
)
def test_lenient_rules_only_warn_of_a_wrong_name_or_subdir(fields: dict[str, Any], warning: str) -> None:
    result = judged(fields, rules=Rules(lenient=True))
    assert len(result.warnings) == 1
    assert warning in result.warnings[0]
    assert result.record == {**PLAIN, **DERIVED, **fields}


@pytest.mark.parametrize(
    ("fields", "package", "warning"),
    [
        ({"name": "Mallard"}, named("Mallard"), "name 'Mallard' is not of the form"),
        ({"name": "a__x"}, named("a__x"), "name 'a__x' is not of the form"),
        ({"name": "a" * 65}, named("a" * 65), "65 characters"),
        # The expression for names has nested repetition: only what is short may meet it.
        ({"name": "a" * 200 + "-"}, named("a" * 200 + "-"), "201 characters"),
        ({"version": "1.0A"}, named(version="1.0A"), "version '1.0A'"),
        ({"version": "1." * 32 + "1"}, named(version="1." * 32 + "1"), "65 characters"),
        *(
            ({"version": value}, named(version=value), "above 2147483647")
            for value in ("2147483648", "1.20240101123456")
        ),
        *(
            ({"depends": [it]}, PACKAGE, f"{it}.* in depends")
            for it in ("python>= '2.7'", "numpy =>1.2.3", "foo >=1.0,<")
        ),
        ({"constrains": ["numpy =>1"]}, PACKAGE, "in constrains has the unknown operator '=>'; readers"),
        ({"extra_depends": {"song": ["numpy =>1"]}}, PACKAGE, "in song has the unknown operator"),
        ({"depends": ["z[when='a']", "conda-forge::python"]}, PACKAGE, "conda-forge::python.*CEP 48"),
        ({"depends": ["python[md5=" + "d" * 32 + "]"], "schema_version": 3}, PACKAGE, "sets md5, which CEP 48"),
        ({"extra_depends": {"song": ["c::g"]}, "schema_version": 3}, PACKAGE, "c::g.* in song is not an exact name"),
        *(
            ({"depends": [it], "schema_version": 3}, PACKAGE, "in depends")
            for it in ("*", "foo[nonsense=1]", "a[flags=[X!]]")
        ),
        ({"build": "h~0"}, named(build="h~0"), "build 'h~0'"),
        ({"build": "h" * 65}, named(build="h" * 65), "65 characters"),
        ({"timestamp": NOW_MS + 1}, PACKAGE, "future"),
        ({"timestamp": NOW_MS // 1000 + 1}, PACKAGE, "future"),
        ({"license": 5}, PACKAGE, "license .* left out"),
        ({"timestamp": "yesterday"}, PACKAGE, "timestamp .* left out"),
        ({"timestamp": -1}, PACKAGE, "timestamp .* left out"),
        ({"timestamp": 253402207201}, PACKAGE, "timestamp .* left out: .* after the year 9999"),
        ({"timestamp": 10**30}, PACKAGE, "timestamp .* left out: .* after the year 9999"),
        ({"purls": "pkg:a"}, PACKAGE, "purls .* left out"),
        *(({"purls": [purl]}, PACKAGE, "purls .* left out") for purl in ("a", "pkg:a", "pkg:a/%ff", "pkg:a/b?c&d", "")),
        ({"python_site_packages_path": "lib\x00"}, PACKAGE, "path .* left out: .*control"),
        ({"license": "MIT\x1b[2J"}, PACKAGE, "license .* left out: .*control"),
        ({"features": "\u202eTIM"}, PACKAGE, "features .* left out: .*control"),
        ({"track_features": [1]}, PACKAGE, "track_features .* left out"),
    ],
)
def test_what_harms_no_reader_is_warned_of_and_indexed(
    fields: dict[str, Any], package: PackageFile, warning: str
) -> None:
    result = judged(fields, package)
    assert any(re.search(warning, item) for item in result.warnings)
    assert result.record["sha256"] == package.sha256


def test_the_largest_number_of_a_version_is_no_fault() -> None:
    assert judged({"version": "2147483647"}, named(version="2147483647")).warnings == ()


def test_a_long_file_name_is_warned_of() -> None:
    result = judged({"name": "a" * 250}, named("a" * 250))
    assert any("file name has" in warning for warning in result.warnings)


@pytest.mark.parametrize("timestamp", [NOW_MS, NOW_MS // 1000])
def test_a_timestamp_of_now_is_not_in_the_future(timestamp: int) -> None:
    assert judged({"timestamp": timestamp}).warnings == ()


@pytest.mark.parametrize(
    "fields",
    [
        {"repodata_revision": 3},
        {"schema_version": 3},
        {"depends": ['reed[when="__linux"]']},
        {"depends": ['reed[version=">=2", extras=[song]]']},
        {"constrains": ["reed[flags=[dawn]]"]},
    ],
)
def test_what_old_clients_cannot_read_goes_to_v3(fields: dict[str, Any]) -> None:
    assert judged(fields).v3


@pytest.mark.parametrize(
    "fields",
    [
        {"repodata_revision": 0},
        {"schema_version": 2},
        {"schema_version": "3"},
        {"depends": ['reed[version=">=2"]', "when >=1"]},
        {"flags": ["dawn"]},
        {"extra_depends": {"song": ["reed"]}},
    ],
)
def test_what_old_clients_can_read_stays_where_they_look(fields: dict[str, Any]) -> None:
    assert not judged(fields).v3


def test_dependencies_are_spelled_canonically_in_v3_only() -> None:
    fields = {"depends": ["d 1.2.* h_0", "E >=1"], "constrains": ["f"], "extra_depends": {"song": ["g 1"]}}
    v3 = judged({**fields, "repodata_revision": 3}).record
    assert v3["depends"] == ['d[version="1.2.*",build="h_0"]', 'e[version=">=1"]']
    assert (v3["constrains"], v3["extra_depends"]) == (["f"], {"song": ['g[version="==1"]']})
    legacy = judged(fields).record
    assert {key: legacy[key] for key in fields} == fields


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "not JSON"),
        (b"name: a", "not JSON"),
        (b'{"name": "a"', "not JSON"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": -Infinity}', "-Infinity"),
        (b'{"a": 1, "a": 1}', "'a' more than once"),
        (b'{"a": {"b": 1, "c": 2, "b": 3}}', "'b' more than once"),
        ('{"a": "ß"}'.encode("latin-1"), "UTF-8"),
        (b"[" * 100_000, "too deep"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not JSON"),
    ],
)
def test_json_is_read_strictly(text: bytes, reason: str) -> None:
    with pytest.raises(BadPackage, match=reason):
        parse_json(text, "info/index.json")


@pytest.mark.parametrize("text", [b"[]", b'"a"', b"null", b"1"])
def test_an_index_json_that_is_no_object_is_rejected(text: bytes) -> None:
    with pytest.raises(BadPackage, match="object"):
        validate(text, PACKAGE, DEFAULT, NOW_MS)


def test_json_is_written_in_one_form() -> None:
    assert bytes(dump({"b": 1, "a": "é", "c": [1, 2]})) == '{"a":"é","b":1,"c":[1,2]}'.encode()


def test_a_timestamp_beyond_all_numbers_does_not_end_the_run() -> None:
    text = json.dumps(PLAIN).encode()[:-1] + b', "timestamp": 1e999}'
    try:
        result = validate(text, PACKAGE, DEFAULT, NOW_MS)
    except BadPackage:
        return
    assert result.warnings


@pytest.mark.parametrize("subdir", [5, ["linux-64"], {"a": 1}, "linux\n64"])
def test_a_subdir_of_a_wrong_type_is_rejected_whatever_the_rules(subdir: object) -> None:
    with pytest.raises(BadPackage, match="subdir"):
        judged({"subdir": subdir}, rules=Rules(lenient=True))


@pytest.mark.parametrize(("key", "value"), [("version", "2.1"), ("build", "other_0")])
def test_lenient_rules_accept_no_other_version_or_build(key: str, value: str) -> None:
    with pytest.raises(BadPackage, match=f"has the {key}"):
        judged({key: value}, rules=Rules(lenient=True))
