"""Whether readers can parse a dependency (CEP 29, 43 to 45), and whether v3 allows it (CEP 48).

The forms were compared with py-rattler 0.28, on which pixi is built: pixi excludes a package with a dependency that it
cannot parse.
"""

from __future__ import annotations

import contextlib
import functools
import re
from typing import TYPE_CHECKING

from indexer.core.specs import syntax

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

EXTRA = re.compile(r"[a-z0-9_.+-]{1,64}")
"""The form of the name of an extra, which is a group of optional dependencies (CEP 44)."""

_MAX_LENGTH = 4096
_MAX_DEPTH = 20
_OPERATORS = ("==", "!=", "<=", ">=", "<", ">", "=", "~=")
# The operators that readers accept before a glob for any version: `>=*` is any version; `!=*`, no version, is refused.
_WITH_ANY = {"*": ("", "==", "=", "<=", ">=", "~="), "*.*": ("", "==", "=")}
_NAME = re.compile(r"[^\s=<>!~]+")
_OPERATOR = re.compile(r"[=!<>~]*")
_ANY = re.compile(r"\*(\.\*)?")
_VERSION_TEXT = re.compile(r"(?:[0-9A-Za-z_.*+-]|!(?!=))+")
_VERSION_END = re.compile(r"\*|(\.\*)+\.?")
_PAIR = re.compile(r"""\s*([\w-]+)=\s*("[^"]*"|'[^']*'|\[[^\]]*\]|[^\s,'"\[\]]+)\s*""")
_FLAG = re.compile(r"[a-z0-9_*]+(:[a-z0-9_*]+)?")
_BUILD_NUMBER = re.compile(r"\s*([=!<>]=|[=<>])?\s*[0-9]{1,18}\s*")
_CONNECTIVES = ("and", "or", "(", ")")
_WORD = re.compile(r"[()]|(?:[^\s()\[\]]|\[[^\]]*\])+")
# The fields that a dependency of a v3 record may set besides its name (CEP 48).
_V3_FIELDS = ("version", "build", "build_number", "when", "extras", "flags")
_V3_SPEC = re.compile(r"[0-9A-Za-z._-]+(\[(?P<fields>.+)\])?", re.DOTALL)


class _Fault(ValueError):
    """The reason why a dependency cannot be parsed."""


# A channel of a hundred thousand packages has some ten thousand different dependencies.
@functools.lru_cache(maxsize=2**15)
def parse_fault(spec: str) -> str | None:
    """The reason why pixi's engine cannot parse a dependency, None if it can."""
    if len(spec) > _MAX_LENGTH:
        return f"has {len(spec)} characters"
    try:
        _check(spec, conditional=True)
    except _Fault as fault:
        return str(fault)
    return None


def v3_fault(spec: str) -> str | None:
    """The reason why CEP 48 forbids a dependency in a v3 record, None if it does not.

    The dependency has the spelling of `canonical`.
    """
    match = _V3_SPEC.fullmatch(spec)
    if match is None:
        return "is not an exact name, with brackets for everything else (CEP 48)"
    for key in fields_of(match["fields"] or ""):
        if key not in _V3_FIELDS:
            return f"sets {key}, which CEP 48 does not allow"
    return None


def bad_extra(spec: str) -> str | None:
    """The name of an extra that a dependency requests and that CEP 44 forbids, None if there is none."""
    if "extras" not in spec:
        return None
    _, fields = _without_brackets(spec.strip())
    with contextlib.suppress(_Fault):  # brackets that no client can parse request no extra
        names = _items(fields_of(fields or "").get("extras", "x"))
        return next((name for name in names if name and not EXTRA.fullmatch(name)), None)
    return None


def _check(spec: str, *, conditional: bool) -> None:
    """Raise _Fault for a dependency that cannot be parsed."""
    text, fields = _without_brackets(spec.partition("#")[0].strip())
    if text.endswith((".conda", ".tar.bz2")) and "/" in text:
        return  # a URL or a path
    channel, colon, text = text.rpartition(":")
    if colon and channel.count(":") > (3 if "://" in channel else 1):
        raise _Fault("has too many colons")
    text = text.strip()
    name = _NAME.match(text)
    if name is None or not syntax.NAME.fullmatch(name[0]):
        raise _Fault("has no name that readers can parse")
    constraint = text[name.end() :].strip()
    if "[" in constraint:
        raise _Fault("has brackets that readers cannot parse")
    if constraint:
        _check_pattern(_after_constraint(constraint).strip().removeprefix("=").strip())
    if fields:
        _check_fields(fields, conditional=conditional)


def _without_brackets(text: str) -> tuple[str, str | None]:
    """A dependency without its brackets, and the text inside the brackets, None if there are none."""
    head, bracket, fields = text.partition("[")
    return (head.rstrip(), fields[:-1]) if bracket and text.endswith("]") else (text, None)


def _check_pattern(text: str) -> None:
    if "**" in text and text != "**":
        raise _Fault(f"has the pattern {text!r}, which readers cannot parse")


def _after_constraint(text: str, depth: int = 0) -> str:
    """The rest of a text after a version constraint: terms that are joined by commas and bars.  Raises _Fault."""
    if depth > _MAX_DEPTH:
        raise _Fault("is nested too deeply")
    while True:
        text = text.lstrip()
        if text.startswith("("):
            text = _after_constraint(text[1:], depth + 1).lstrip()
            if not text.startswith(")"):
                raise _Fault("has a ( without a )")
            text = text[1:]
        else:
            text = _after_term(text)
        rest = text.lstrip()
        if not rest.startswith((",", "|")):
            return text
        text = rest[1:]


def _after_term(text: str) -> str:
    """The rest of a text after one version with its operator.  Raises _Fault."""
    match = _OPERATOR.match(text)
    operator = match[0] if match else ""
    if operator and operator not in _OPERATORS:
        raise _Fault(f"has the unknown operator {operator!r}")
    if not operator and (any_version := _ANY.match(text)):
        return text[any_version.end() :]
    text = text[len(operator) :].lstrip()
    version = _VERSION_TEXT.match(text)
    if version is None:
        raise _Fault(f"has {text!r} instead of a version" if text else "has no version at its end")
    operators = _WITH_ANY.get(version[0])
    if not (_is_version(version[0]) if operators is None else operator in operators):
        raise _Fault(f"has the version {operator + version[0]!r}, which readers cannot parse")
    return text[version.end() :]


def _is_version(text: str) -> bool:
    """Whether a text is a version, with or without globs at its end."""
    stripped = text.rstrip(".*")
    candidates = {text, stripped, text[:-1], text[:-2]}
    return any(
        syntax.parses_version(version) and (text == version or _VERSION_END.fullmatch(text, len(version)))
        for version in candidates
        if version and text.startswith(version)
    )


def fields_of(text: str) -> dict[str, str]:
    """The fields in brackets, without the quotes of values.  Raises _Fault if the text cannot be parsed."""
    fields: dict[str, str] = {}
    at = 0
    while text.strip():
        pair = _PAIR.match(text, at)
        if pair is None:
            raise _Fault("has brackets that readers cannot parse")
        fields[pair[1]] = pair[2][1:-1] if pair[2][0] in "\"'" else pair[2]
        at = pair.end()
        if at == len(text):
            return fields
        if text[at] != ",":
            raise _Fault("has brackets that readers cannot parse")
        at += 1
    return fields


def _check_fields(text: str, *, conditional: bool) -> None:
    for key, value in fields_of(text).items():
        check = _FIELDS.get(key)
        if check is None or (key == "when" and not conditional):
            raise _Fault(f"sets {key!r}, which readers do not know")
        check(value)


def _items(value: str) -> list[str]:
    """The names in the value of `extras` or `flags`, which is one name or a list."""
    inner = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    return [item.strip().strip("\"'") for item in inner.split(",")]


def _check_version(value: str) -> None:
    if _after_constraint(value).strip():
        raise _Fault(f"has the version {value!r}, which readers cannot parse")


def _of_form(form: re.Pattern[str], field: str) -> Callable[[str], None]:
    def check(value: str) -> None:
        if not form.fullmatch(value):
            raise _Fault(f"has the {field} {value!r}, which readers cannot parse")

    return check


def _each_of_form(form: re.Pattern[str], noun: str, cep: int) -> Callable[[str], None]:
    def check(value: str) -> None:
        for item in _items(value):
            if not form.fullmatch(item):
                raise _Fault(f"requests the {noun} {item!r}, which is not of the form of CEP {cep}")

    return check


def _check_condition(value: str) -> None:
    """Raise _Fault for a condition that is not dependencies joined by `and`, `or` and parentheses (CEP 43)."""
    if _after_condition(_WORD.findall(value), 0):
        raise _Fault(f"has the condition {value!r}, which readers cannot parse")


def _after_condition(words: list[str], depth: int) -> list[str]:
    """The rest of the words after a condition: operands that are joined by `and` and `or`.  Raises _Fault."""
    if depth > _MAX_DEPTH:
        raise _Fault("is nested too deeply")
    while True:
        if words[:1] == ["("]:
            words = _after_condition(words[1:], depth + 1)
            if words[:1] != [")"]:
                raise _Fault("has a ( without a )")
            words = words[1:]
        else:
            end = next((at for at, word in enumerate(words) if word in _CONNECTIVES), len(words))
            if not end:
                raise _Fault("has a condition with a missing dependency")
            _check(" ".join(words[:end]), conditional=False)
            words = words[end:]
        if words[:1] not in (["and"], ["or"]):
            return words
        words = words[1:]


_FIELDS: Mapping[str, Callable[[str], None]] = {
    "version": _check_version,
    "build": _check_pattern,
    "build_number": _of_form(_BUILD_NUMBER, "build_number"),
    "extras": _each_of_form(EXTRA, "extra", 44),
    "flags": _each_of_form(_FLAG, "flag", 45),
    "when": _check_condition,
    "md5": _of_form(re.compile(r"[0-9a-fA-F]{32}"), "md5"),
    "sha256": _of_form(re.compile(r"[0-9a-fA-F]{64}"), "sha256"),
    "url": _of_form(re.compile(r"\w+:.+"), "url"),
    **dict.fromkeys(
        ("subdir", "channel", "fn", "license", "license_family", "track_features", "namespace"), _check_pattern
    ),
}
