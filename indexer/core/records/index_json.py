"""Makes the record of a package from its `index.json`: selects the fields, rejects the package, or warns."""

from __future__ import annotations

import functools
import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any, NoReturn

from indexer.core.errors import BadPackage
from indexer.core.json_form import dump
from indexer.core.names import parse_filename
from indexer.core.printable import one_line
from indexer.core.records.dates import built_ms, in_milliseconds
from indexer.core.records.v3 import in_v3, needs_v3
from indexer.core.specs import syntax
from indexer.core.specs.dependency import EXTRA, bad_extra, parse_fault, v3_fault
from indexer.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from indexer.core.model import Rules

_INDEX_JSON = "info/index.json"
_RUN_EXPORTS_JSON = "info/run_exports.json"
# The fields that a repodata patch may change: rattler-index's list.  Other fields identify or date a package (CEP 47).
PATCHABLE = frozenset(
    {
        *("depends", "constrains", "extra_depends", "flags", "track_features", "features"),
        *("license", "license_family", "purls"),
    }
)
RUN_EXPORTS_KINDS = ("noarch", "strong", "strong_constrains", "weak", "weak_constrains")

_MAX_PART = 64
_MAX_FILENAME = 211
_MAX_WORD = 1024  # no store has longer names
# CEP 26 calls the expression case-insensitive, but its text requires lower case, and so do we.
_NAME = re.compile(r"(([a-z0-9])|([a-z0-9_](?!_)))[._-]?([a-z0-9]+(\.|-|_|$))*")
_VERSION = re.compile(r"[0-9a-z._+!]+")
_BUILD = re.compile(r"[a-zA-Z0-9_.+]+")
_FLAG = re.compile(r"[a-z0-9_]+(:[a-z0-9_]+)?")
_DIGITS = re.compile(r"[0-9]{10,}")
_MAX_DIGITS = 2**31 - 1
# The start of the name of a virtual package, which is a part of the client's system and never a file (CEP 26).
VIRTUAL = "__"


class PackageFile(Value, frozen=True):
    """A package file without its content: its subdir, its name, its size in bytes, its digests (hex).

    The subdir is empty if the file is not in a channel yet: then any subdir in the package is accepted.
    """

    subdir: str
    filename: str
    size: int
    sha256: str
    md5: str


class Validated(Value, frozen=True):
    """A record without `indexed_timestamp`, whether it belongs under `v3`, and the warnings about it."""

    record: Mapping[str, object]
    v3: bool
    warnings: tuple[str, ...]


class _NotStrictError(Exception):
    """A part of a JSON file that some readers accept, and the reason why it is refused."""


def _refuse_constant(text: str) -> NoReturn:
    raise _NotStrictError(f"has {text}, which is not JSON")


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise _NotStrictError(f"has the key {twice!r} more than once")
    return fields


_strict = json.JSONDecoder(object_pairs_hook=_refuse_duplicates, parse_constant=_refuse_constant)


def parse_json(data: bytes, thing: str) -> Any:
    """The value of a JSON file of a package, parsed strictly: no duplicate keys, no NaN, no very deep nesting.

    `thing` names the file in errors.  Raises BadPackage.
    """
    try:
        return _strict.decode(data.decode())
    except _NotStrictError as error:
        raise BadPackage(thing, str(error)) from error
    except UnicodeDecodeError as error:
        raise BadPackage(thing, "is not UTF-8") from error
    except RecursionError as error:
        raise BadPackage(thing, "is nested too deeply") from error
    except ValueError as error:  # a JSONDecodeError, or an integer of thousands of digits
        raise BadPackage(thing, f"is not JSON ({error})") from error


def validate(index_json: bytes, package: PackageFile, rules: Rules, now_ms: int) -> Validated:
    """The record of a package, from its `info/index.json` (the rules of docs/design/packages.md, section Records).

    A package that would break or mislead readers is rejected; other faults are warnings.  Keys that only an indexer may
    set are never taken from the package.  Raises BadPackage.
    """
    fields = parse_json(index_json, _INDEX_JSON)
    if not isinstance(fields, dict):
        raise BadPackage(_INDEX_JSON, "is not a JSON object")
    warnings: list[str] = []
    record: dict[str, object] = {
        "name": _word(fields, "name"),
        "version": _word(fields, "version"),
        "build": _word(fields, "build"),
        "build_number": _build_number(fields),
        "depends": _specs(fields, "depends"),
        "subdir": _word(fields, "subdir") if fields.get("subdir") else package.subdir,
        "size": package.size,
        "sha256": package.sha256,
        "md5": package.md5,
    }
    if constrains := _specs(fields, "constrains"):
        record["constrains"] = constrains
    for key, read in _OPTIONAL.items():
        if fields.get(key) is None:
            continue
        try:
            value = read(fields[key])
        except (ValueError, TypeError, OverflowError) as error:
            warnings.append(one_line(f"{key} in {_INDEX_JSON} is left out: {error}"))
        else:
            if value is not None:
                record[key] = value
    _check_readable(record, package.filename)
    _check_place(record, package, rules, warnings)
    warnings += _spec_warnings(record, package.filename, now_ms)
    _check_writable(record, _INDEX_JSON)
    v3 = needs_v3(fields, record)
    record = in_v3(record) if v3 else record
    warnings += _spec_faults(record, v3=v3)
    return Validated(record, v3, tuple(warnings))


def _check_readable(record: Mapping[str, object], filename: str) -> None:
    if syntax.UNSAFE.search(filename):
        raise BadPackage("the file name", "has characters that readers refuse")
    for key, form in (("name", syntax.NAME), ("version", syntax.VERSION)):
        if not form.fullmatch(str(record[key])):
            raise BadPackage(_INDEX_JSON, f"has the {key} {record[key]!r}, which readers cannot parse")
    if str(record["name"]).startswith(VIRTUAL):
        raise BadPackage(
            _INDEX_JSON, f"has the name {record['name']!r}, which only a virtual package may have (CEP 26)"
        )


def _check_writable(value: object, thing: str) -> None:
    try:
        dump(value)
    except (TypeError, ValueError) as error:  # lone surrogates, integers over 64 bits
        raise BadPackage(thing, f"cannot be written as JSON ({error})") from error


def _word(fields: Mapping[str, Any], key: str) -> str:
    value = fields.get(key)
    if not isinstance(value, str) or not value:
        raise BadPackage(_INDEX_JSON, f"has no {key}" if value is None else f"has a {key} that is not a text")
    if len(value) > _MAX_WORD:
        raise BadPackage(_INDEX_JSON, f"has a {key} of {len(value)} characters")
    if syntax.UNSAFE.search(value):
        raise BadPackage(_INDEX_JSON, f"has the {key} {value!r}, with characters that readers refuse")
    return value


def _build_number(fields: Mapping[str, Any]) -> int:
    value = fields.get("build_number")
    if value is None:
        raise BadPackage(_INDEX_JSON, "has no build_number")
    if type(value) is not int or value < 0:  # a bool is an int too
        raise BadPackage(_INDEX_JSON, f"has the build_number {value!r} instead of a whole number")
    return value


def _specs(fields: Mapping[str, Any], key: str) -> list[str]:
    value = fields.get(key)
    if value is None:
        return []
    if not _is_texts(value):
        raise BadPackage(_INDEX_JSON, f"has a {key} that is not a list of texts")
    for spec in value:
        if not _is_printable(spec):
            raise BadPackage(_INDEX_JSON, f"has {spec!r} in {key}, which is not a dependency")
        _check_extras(spec, key, _INDEX_JSON)
    return list(value)


# Many packages have the same dependencies.
@functools.lru_cache(maxsize=2**14)
def _is_printable(spec: str) -> bool:
    return bool(spec.strip()) and syntax.CONTROL.search(spec) is None


def _check_extras(spec: str, key: str, thing: str) -> None:
    """Raise BadPackage for the only fault of a dependency that CEP 44 requires to reject."""
    if (extra := bad_extra(spec)) is not None:
        raise BadPackage(thing, f"has {spec!r} in {key} with the extra {extra!r}, which CEP 44 forbids")


def _spec_faults(record: Mapping[str, Any], *, v3: bool) -> list[str]:
    """A warning for each faulty dependency of a record: readers such as pixi do not install the package."""
    extras = record.get("extra_depends", {})
    lists = {"depends": record["depends"], "constrains": record.get("constrains", []), **extras}
    warnings = []
    for key, specs in lists.items():
        for spec in specs:
            fault = parse_fault(spec) or (v3_fault(spec) if v3 else None)
            if fault is not None:
                warnings.append(one_line(f"{spec!r} in {key} {fault}; readers such as pixi exclude the package"))
    return warnings


def run_exports_faults(run_exports: Mapping[str, list[str]]) -> list[str]:
    """A warning for each faulty dependency in run exports: a package that is built with it cannot be installed."""
    return [
        one_line(f"{spec!r} in the run exports ({kind}) {fault}")
        for kind, specs in run_exports.items()
        for spec in specs
        if (fault := parse_fault(spec)) is not None
    ]


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a text")
    if syntax.CONTROL_IN_TEXT.search(value):
        raise ValueError(f"{value!r} has control characters")
    return value


def _filled_text(value: object) -> str | None:
    return _text(value) or None


def _texts(value: object) -> list[str] | None:
    if not isinstance(value, list) or not _is_texts(value):
        raise TypeError(f"{value!r} is not a list of texts")
    return value or None


def _purls(value: object) -> list[str] | None:
    purls = sorted(set(_texts(value) or ()))
    for purl in purls:
        if not syntax.PURL.fullmatch(purl):
            raise ValueError(f"{purl!r} is not a package URL that readers can parse")
    return purls or None


def _words(value: object) -> str | None:
    return _filled_text(" ".join(_texts(value) or ()) if isinstance(value, list) else value)


def _noarch(value: object) -> str | None:
    if value is True:
        return "generic"  # the form of the oldest packages
    if value is False or not value:
        return None
    if value not in {"generic", "python"}:
        raise BadPackage(_INDEX_JSON, f"has the noarch {value!r}, which readers refuse")
    return _text(value)


def _timestamp(value: object) -> int:
    if not isinstance(value, int | float) or isinstance(value, bool) or value < 0:
        raise TypeError(f"{value!r} is not a time")
    if in_milliseconds(value) > syntax.LAST_MS:
        raise ValueError(f"{value!r} is after the year 9999")
    return int(value)


def _site_packages(value: object) -> str | None:
    path = _filled_text(value)
    if path and (path.startswith(("/", "\\")) or ":" in path or ".." in re.split(r"[/\\]", path)):
        raise BadPackage(_INDEX_JSON, f"has the python_site_packages_path {path!r}, which leaves the prefix")
    return path


def _flags(value: object) -> list[str] | None:
    flags = _texts(value)
    for flag in flags or ():
        if not _FLAG.fullmatch(flag):
            raise BadPackage(_INDEX_JSON, f"has the flag {flag!r}, which is not of the form of CEP 45")
    return flags


def _extra_depends(value: object) -> dict[str, list[str]] | None:
    if not isinstance(value, dict):
        raise TypeError(f"{value!r} is not a map of lists")
    for group in value:
        if not EXTRA.fullmatch(group):
            raise BadPackage(_INDEX_JSON, f"has the extra {group!r}, which is not of the form of CEP 44")
    return {group: _specs(value, group) for group in value} or None


_OPTIONAL: Mapping[str, Callable[[object], object]] = {
    "noarch": _noarch,
    "timestamp": _timestamp,
    "track_features": _words,
    "features": _filled_text,
    "license": _text,
    "license_family": _text,
    "purls": _purls,
    "python_site_packages_path": _site_packages,
    "extra_depends": _extra_depends,
    "flags": _flags,
}


def parse_patched_value(key: str, value: object) -> object:
    """The value of a field in PATCHABLE that a repodata patch sets, by the rules for packages.

    None if the patched record does not have the field.  Raises BadPackage, TypeError or ValueError.
    """
    if key in {"depends", "constrains"}:
        specs = _specs({key: value}, key)
        return specs if specs or key == "depends" else None
    return None if value is None else _OPTIONAL[key](value)


def _check_place(record: Mapping[str, object], package: PackageFile, rules: Rules, warnings: list[str]) -> None:
    """Clients find a record by its file name and its subdir, so both must agree with the fields of the record."""
    parsed = parse_filename(package.filename)
    if parsed is None:
        raise BadPackage("the file name", "is not of the form name-version-build")
    expected = {"name": parsed.name, "version": parsed.version, "build": parsed.build}
    if package.subdir:
        expected["subdir"] = package.subdir
    for key, value in expected.items():
        if record[key] != value:
            place = "the folder is" if key == "subdir" else "the file name has"
            reason = f"has the {key} {record[key]!r}, but {place} {value!r}"
            if not rules.lenient or key in {"version", "build"}:
                raise BadPackage(_INDEX_JSON, reason)
            warnings.append(f"{_INDEX_JSON} {reason}")


def _spec_warnings(record: Mapping[str, object], filename: str, now_ms: int) -> list[str]:
    """A warning for each MUST of CEP 26, 33 and 47 that a record violates without harm to readers."""
    warnings = []
    for key, form in (("name", _NAME), ("version", _VERSION), ("build", _BUILD)):
        value = str(record[key])
        if len(value) > _MAX_PART:  # checked first: the expression has nested repetition
            warnings.append(f"{key} has {len(value)} characters, more than {_MAX_PART} (CEP 26)")
        elif not form.fullmatch(value):
            warnings.append(f"{key} {value!r} is not of the form of CEP 26; readers may not find it")
    if any(int(digits) > _MAX_DIGITS for digits in _DIGITS.findall(str(record["version"]))):
        warnings.append(f"version {record['version']!r} has a number above {_MAX_DIGITS} (CEP 33)")
    if len(filename) > _MAX_FILENAME:
        warnings.append(f"the file name has {len(filename)} characters, more than {_MAX_FILENAME} (CEP 26)")
    if built_ms(record.get("timestamp")) > now_ms:
        warnings.append("timestamp is in the future (CEP 47)")
    return warnings


def parse_run_exports(data: bytes | None) -> dict[str, list[str]]:
    """The run exports of a package, from its `info/run_exports.json`, or from None if it has no such file.

    A list has weak run exports (CEP 34); unknown kinds and empty lists are left out.  Raises BadPackage.
    """
    value = None if data is None else parse_json(data, _RUN_EXPORTS_JSON)
    if isinstance(value, list):
        value = {"weak": value}
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadPackage(_RUN_EXPORTS_JSON, "is neither a map nor a list")
    for kind in RUN_EXPORTS_KINDS:
        if value.get(kind) is not None and not _is_texts(value[kind]):
            raise BadPackage(_RUN_EXPORTS_JSON, f"has {kind!r} that is not a list of texts")
        for spec in value.get(kind) or ():
            _check_extras(spec, kind, _RUN_EXPORTS_JSON)
    known = {kind: value[kind] for kind in RUN_EXPORTS_KINDS if value.get(kind)}
    _check_writable(known, _RUN_EXPORTS_JSON)
    return known
