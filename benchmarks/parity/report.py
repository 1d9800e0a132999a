"""The page docs/parity.md; the same packages and tools make the same page."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

from benchmarks import peers
from benchmarks.parity.indexes import ABSENT
from benchmarks.parity.rules import RULES, reason_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from benchmarks.parity.compare import Comparison, Difference
    from benchmarks.parity.rules import Rule

_EXAMPLE_CHARACTERS = 90
_INTRODUCTION = (
    "Made by `python -m benchmarks.parity` from a channel of {packages} packages of other people, indexed by this "
    f"project, by rattler-index 0.33.5 (py-rattler {peers.RATTLER_VERSION}) and by conda-index "
    f"{peers.CONDA_INDEX_VERSION} (with zst, shards and run exports switched on). Each record of ours is compared "
    "with the peer's, field by field. Dependency specs are parsed and compared by what they mean; where only their "
    "spelling differs, that is counted as a difference too, and explained. `indexed_timestamp` and other times of "
    "the run are left out."
)

SAID = {
    "Features": (
        "Tested on channels of the fixtures with all features of a tool switched on, and on small channels with",
        "unusual content. Rows marked as stated were not tested. Clients are in [clients.md](clients.md).",
    ),
    "Fields of a record": (
        "The number of records of `repodata.json` with the field, and the number in which the peer has the same value",
        "as ours, on the packages of other people. Dependency specs with the same meaning count as the same.",
    ),
    "Files for older clients and for people": (
        "Our files and conda-index's, on the channels of the features: the chosen records, and all fields",
        "of each package name. Feeds and pages are not compared, because those of conda-index change with every run.",
    ),
}
"""The text above each table."""


def _cell(value: object) -> str:
    text = repr(value) if value is ABSENT else json.dumps(value, ensure_ascii=False, sort_keys=True)
    if len(text) > _EXAMPLE_CHARACTERS:
        text = f"{text[:_EXAMPLE_CHARACTERS]} ..."
    return f"`{text}`".replace("|", "\\|")


def _example(difference: Difference) -> str:
    return f"{difference.where}: ours {_cell(difference.ours)}, theirs {_cell(difference.theirs)}"


def _reasons_table(comparisons: list[Comparison]) -> Iterator[str]:
    groups: dict[tuple[Rule, str], list[Difference]] = {}
    for comparison in comparisons:
        for difference in comparison.differences:
            rule = reason_for(difference)
            if rule is not None:
                groups.setdefault((rule, difference.key), []).append(difference)
    yield "| peer | where | key | count | why | example |"
    yield "|---|---|---|---:|---|---|"
    place_of = {id(rule): place for place, rule in enumerate(RULES)}
    for rule, key in sorted(groups, key=lambda group: (place_of[id(group[0])], group[1])):
        result = groups[rule, key]
        example = _example(result[0])
        yield f"| {rule.peer} | {rule.place} | `{key}` | {len(result)} | {rule.reason} | {example} |"


def _totals_table(comparisons: list[Comparison]) -> Iterator[str]:
    yield "| peer | records compared | equal | equal except for explained differences | not explained |"
    yield "|---|---:|---:|---:|---:|"
    for comparison in comparisons:
        bad = {item.where for item in comparison.differences if reason_for(item) is None and item.place == "record"}
        equal = comparison.records - len(comparison.differing)
        explained = len(comparison.differing - bad)
        yield f"| {comparison.peer} | {comparison.records} | {equal} | {explained} | {len(bad)} |"


def unexplained(comparisons: list[Comparison]) -> list[Difference]:
    """The differences that no rule explains."""
    return [item for comparison in comparisons for item in comparison.differences if reason_for(item) is None]


def report(comparisons: list[Comparison], packages: int, sections: Mapping[str, list[str]]) -> str:
    """The page: the `sections` by title, then the result of the comparison of `packages` packages."""
    result = unexplained(comparisons)
    kinds = Counter((item.peer, item.place, item.key) for item in result)
    lines = [
        "# Parity with rattler-index and conda-index",
        "",
        _INTRODUCTION.format(packages=packages),
        "",
        *(line for title, lines in sections.items() for line in (f"## {title}", "", *SAID[title], "", *lines, "")),
        "## Totals",
        "",
        *_totals_table(comparisons),
        "",
        "## Differences and reasons",
        "",
        "The first value of an example is ours, the second is the peer's.",
        "",
        *_reasons_table(comparisons),
        "",
        "## Unexplained",
        "",
        *(f"- {peer}, {place}, `{key}`: {count}" for (peer, place, key), count in sorted(kinds.items())),
        *(f"  - {item.peer}, {item.place}, `{item.key}`, {_example(item)}" for item in result),
    ]
    return "\n".join([*lines, *([] if result else ["None."])]) + "\n"
