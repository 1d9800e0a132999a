"""The order of conda's versions (CEP 33), and whether a version satisfies a constraint (CEP 29)."""

from __future__ import annotations

import functools
import itertools
import re
from itertools import zip_longest
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_CHARACTERS = re.compile(r"[*.+!_0-9a-z]+")
_RUNS = re.compile(r"[0-9]+|[*]+|[^0-9*]+")
_MAX_LENGTH = 1024
_MAX_DEPTH = 50
_TERMS = re.compile(r"\s*([|,()]|[^|,()\s]+)\s*")
_RELATION = re.compile(r"(==|!=|<=|>=|~=|<|>|=)(?![=<>!~])(\S+)")


class _Piece(NamedTuple):
    """A run of digits or of other characters: `dev` before texts before numbers before `post`."""

    rank: int
    number: int = 0
    text: str = ""


_ZERO = _Piece(2)
_Segments = tuple[tuple[_Piece, ...], ...]


@functools.total_ordering
class Version:
    """A version that can be compared.  Raises ValueError for a text that is not a version."""

    __slots__ = ("_local", "_main", "text")

    def __init__(self, text: str) -> None:
        self.text = text.strip().lower()
        epoch, _, rest = self.text.rpartition("!")
        main, plus, local = rest.partition("+")
        well_formed = len(text) <= _MAX_LENGTH and _CHARACTERS.fullmatch(self.text) is not None
        if not well_formed or not main or (plus and not local) or "+" in local or not (epoch or "0").isdigit():
            raise ValueError(f"{text!r} is not a version")
        # An underscore at the end belongs to the last segment: 1.0.1_ is before 1.0.1a.
        dotted = main[:-1].replace("_", ".") + "_" if main.endswith("_") else main.replace("_", ".")
        self._main = _segments(f"{epoch or 0}.{dotted}", text)
        self._local = _segments(local.replace("_", "."), text) if local else ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and not self < other and not other < self

    def __lt__(self, other: Version) -> bool:
        return (_compare(self._main, other._main) or _compare(self._local, other._local)) < 0

    __hash__ = None  # type: ignore[assignment]  # 1.0 equals 1.0.0, and no code needs a hash

    def startswith(self, other: Version) -> bool:
        """Whether this is a version of the series `other`, as 1.2.3 and 1.2 are of 1.2."""
        mine, start = self._main, other._main
        if other._local:
            if _compare(mine, start):
                return False
            mine, start = self._local, other._local
        last = len(start) - 1
        if _compare(mine[:last], start[:last]):
            return False
        segment, wanted = (mine[last] if len(mine) > last else ()), start[last]
        end = len(wanted) - 1
        if _compare((segment[:end],), (wanted[:end],)):
            return False
        piece = segment[end] if len(segment) > end else _ZERO
        if wanted[end].text:
            return piece.text.startswith(wanted[end].text)
        return piece == wanted[end]


def _segments(dotted: str, text: str) -> _Segments:
    segments = []
    for part in dotted.split("."):
        if not part:
            raise ValueError(f"{text!r} has an empty part")
        pieces = tuple(_piece(run) for run in _RUNS.findall(part))
        segments.append(pieces if part[0].isdigit() else (_ZERO, *pieces))
    return tuple(segments)


def _piece(run: str) -> _Piece:
    if run.isdigit():
        return _Piece(2, int(run))
    return _Piece({"dev": 0, "post": 3}.get(run, 1), text=run if run != "post" else "")


def _compare(one: _Segments, other: _Segments) -> int:
    """A number below, equal to or above zero, as `one` is before, equal to or after `other`; a missing piece is 0."""
    for mine, yours in zip_longest(one, other, fillvalue=()):
        for a, b in zip_longest(mine, yours, fillvalue=_ZERO):
            if a != b:
                return -1 if a < b else 1
    return 0


# Many packages have the same version.
@functools.lru_cache(maxsize=2**14)
def order_of(text: str) -> tuple[bool, Version | str]:
    """The sort key of a record's version; a text that is not a version comes first."""
    try:
        return True, Version(text)
    except ValueError:
        return False, text


def constraint_of(text: str) -> Callable[[Version], bool]:
    """A function that returns whether a version satisfies a constraint such as `>=1.2,<2|3.*`.

    A comma binds closer than a bar.  Raises ValueError for a text that is not a constraint, and for a regular
    expression (`^...$`): no package uses one, and its cost has no bound.
    """
    if len(text) > _MAX_LENGTH or text.count("(") > _MAX_DEPTH:
        raise ValueError(f"a constraint of {len(text)} characters")
    tokens = _TERMS.findall(text)
    if "".join(tokens) != re.sub(r"\s+", "", text):
        raise ValueError(f"{text!r} is not a constraint")
    constraint, rest = _alternatives(tokens)
    if rest:
        raise ValueError(f"{text!r} has text after its end")
    return constraint


def _alternatives(tokens: Sequence[str]) -> tuple[Callable[[Version], bool], Sequence[str]]:
    """The constraint of alternatives that are joined by bars, and the tokens after them."""
    options = []
    tokens = ["|", *tokens]
    while tokens and tokens[0] == "|":
        terms = []
        tokens = [",", *tokens[1:]]
        while tokens and tokens[0] == ",":
            term, tokens = _factor(tokens[1:])
            terms.append(term)
        options.append(terms)
    return (lambda version: any(all(term(version) for term in terms) for terms in options)), tokens


def _factor(tokens: Sequence[str]) -> tuple[Callable[[Version], bool], Sequence[str]]:
    """The constraint of one term or of a text in parentheses, and the tokens after it."""
    if not tokens or tokens[0] in "|,)":
        raise ValueError("a term is missing")
    if tokens[0] != "(":
        return _term(tokens[0]), tokens[1:]
    constraint, rest = _alternatives(tokens[1:])
    if not rest or rest[0] != ")":
        raise ValueError("a parenthesis is not closed")
    return constraint, rest[1:]


def _term(term: str) -> Callable[[Version], bool]:
    """The constraint of one term: a relation, a version, or a pattern."""
    if term[0] == "^" or term[-1] == "$":
        raise ValueError(f"{term!r} is a regular expression")
    if term[0] in "=<>!~":
        return _relation(term)
    if term.strip("*") == "":
        return lambda _: True
    if "*" in term.rstrip("*"):
        return lambda version: matches_glob(term.lower(), version.text)
    series = Version(term.rstrip("*").rstrip("."))
    return (lambda version: version.startswith(series)) if term.endswith("*") else (lambda version: version == series)


def _relation(term: str) -> Callable[[Version], bool]:
    match = _RELATION.fullmatch(term)
    if match is None:
        raise ValueError(f"{term!r} has no known operator")
    operator, text = match.groups()
    series = text.endswith(".*")
    if series and operator == "~=":
        raise ValueError(f"{term!r} combines ~= with .*")
    bound = Version(text.removesuffix(".*"))
    if operator == "=":
        return lambda version: version.startswith(bound)
    if operator == "!=":
        return (lambda version: not version.startswith(bound)) if series else (lambda version: version != bound)
    if operator == "~=":
        release = Version(bound.text.rpartition(".")[0])
        return lambda version: version >= bound and version.startswith(release)
    return {
        "==": lambda version: version == bound,
        "<": lambda version: version < bound,
        "<=": lambda version: version <= bound,
        ">": lambda version: version > bound,
        ">=": lambda version: version >= bound,
    }[operator]


def matches_glob(pattern: str, text: str) -> bool:
    """Whether a text matches a pattern in which each `*` matches any text.  One pass, for any number of `*`."""
    first, *parts = pattern.split("*")
    if not parts:
        return text == pattern
    last = parts.pop()
    if not text.startswith(first) or not text.endswith(last) or len(text) < len(first) + len(last):
        return False
    at, stop = len(first), len(text) - len(last)
    for part in parts:
        start = text.find(part, at, stop)
        if start < 0:
            return False
        at = start + len(part)
    return True


def ranks_of(versions: Iterable[str]) -> dict[str, int]:
    """The position of each version in the order of all of them; 1.0 and 1.0.0 share one."""
    unique = sorted(set(versions))
    if len(unique) == 1:
        return {unique[0]: 0}
    groups = itertools.groupby(sorted(unique, key=order_of), key=order_of)
    return {version: rank for rank, (_, group) in enumerate(groups) for version in group}
