"""The files for older clients and for people that conda-index has too, compared on the same packages."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from benchmarks.parity.trials import SUBDIRS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

CURRENT: Final = "current_repodata.json"
CHANNELDATA: Final = "channeldata.json"
REASONS: Final = {
    (CURRENT, "linux-64/warbler-3.0.0-h3_0.conda"): "under `v3` here, and so not in a file for old clients",
    (CHANNELDATA, "teal"): "its `index.json` forges run exports, which an indexer takes from `run_exports.json`",
}
"""Why what one has and the other has not, or has otherwise, is so."""


def people_table(ours: Path, theirs: Path) -> Iterator[str]:
    """A row for each file."""
    yield "| file | compared | the same | differences, with reasons |"
    yield "|---|---:|---:|---|"
    for name, one, other in (
        (CURRENT, _current(ours), _current(theirs)),
        (CHANNELDATA, _channeldata(ours), _channeldata(theirs)),
    ):
        odd = _odd(one, other)
        why = "; ".join(f"{key}: {REASONS[name, key]}" for key in odd if (name, key) in REASONS)
        unknown = "; ".join(f"**{key}: not explained**" for key in odd if (name, key) not in REASONS)
        compared = len(one.keys() | other.keys())
        yield f"| `{name}` | {compared} | {compared - len(odd)} | {'; '.join(filter(None, (why, unknown)))} |"


def unexplained(ours: Path, theirs: Path) -> list[str]:
    """The differences without a reason."""
    results = [(CURRENT, key) for key in _odd(_current(ours), _current(theirs))]
    results += [(CHANNELDATA, key) for key in _odd(_channeldata(ours), _channeldata(theirs))]
    return [f"{name}: {key}" for name, key in results if (name, key) not in REASONS]


def _odd(one: Mapping[str, object], other: Mapping[str, object]) -> list[str]:
    return sorted(key for key in one.keys() | other.keys() if key not in one or one.get(key) != other.get(key))


def _current(folder: Path) -> dict[str, object]:
    """The records that were chosen; their fields are compared above."""
    results: dict[str, object] = {}
    for subdir in SUBDIRS:
        content = json.loads((folder / subdir / CURRENT).read_bytes())
        results |= {f"{subdir}/{name}": True for part in ("packages", "packages.conda") for name in content[part]}
    return results


def _channeldata(folder: Path) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((folder / CHANNELDATA).read_bytes())["packages"]
    return result
