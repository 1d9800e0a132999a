"""Measured runs as people read them: markdown tables of medians, and a plot.

    python -m benchmarks.tables [benchmarks/results/bucket.jsonl]

prints the tables and draws the plot anew from results that are there.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

RAW = "bucket.jsonl"
PLOT = "bucket.png"
OURS = "indexer"
THEIRS = "rattler-index"
SCENARIOS = ("small", "large vouched", "large unvouched")
CASES = ("full", "unchanged", "one package added")

_MIB = 2**20
_VERBS = ("GET", "HEAD", "LIST", "PUT", "DELETE")
_COLOURS = {OURS: "#0072b2", THEIRS: "#d55e00"}


@dataclass(frozen=True)
class Run:
    """One run of one tool, as it stands in a line of the results."""

    scenario: str
    latency_ms: float
    case: str
    tool: str
    lap: int
    packages: int
    packages_bytes: int
    seconds: float
    """Wall time, interpreter start included."""
    cpu_seconds: float
    """Of all processes of the tool."""
    server_cpu_seconds: float
    proxy_cpu_seconds: float
    peak_mib: float
    """Of the largest process."""
    together_mib: float
    """Of all processes of the tool at one time, sampled."""
    requests: dict[str, int]
    package_requests: dict[str, int]
    connections: int
    bytes_read: int
    """On the wire, heads included."""
    bytes_written: int

    @property
    def all_requests(self) -> int:
        """Requests of all verbs."""
        return sum(self.requests.values())

    @property
    def memory_mib(self) -> float:
        """What must be there for the tool: sampling can miss a short peak, and the largest process another's."""
        return max(self.peak_mib, self.together_mib)


def save(runs: Iterable[Run], file: Path) -> None:
    """Write a line for each run."""
    file.write_text("".join(f"{json.dumps(dataclasses.asdict(run))}\n" for run in runs))


def load(file: Path) -> list[Run]:
    """Read what `save` wrote."""
    return [Run(**json.loads(line)) for line in file.read_text().splitlines()]


class _Group:
    """All laps of one tool in one case."""

    def __init__(self, runs: list[Run]) -> None:
        self.runs = runs

    def median(self, of: Callable[[Run], float]) -> float:
        return statistics.median(of(run) for run in self.runs)


def _groups(runs: Iterable[Run]) -> dict[tuple[str, float, str, str], _Group]:
    groups: dict[tuple[str, float, str, str], _Group] = {}
    for run in runs:
        key = (run.scenario, run.latency_ms, run.case, run.tool)
        groups.setdefault(key, _Group([])).runs.append(run)
    return groups


def _processor() -> str:
    """The processor's name, where Linux tells it."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _title(run: Run, laps: int) -> str:
    """What is measured, in words: a full run's corpus and latency."""
    what = {
        "small": "small packages, vouched",
        "large vouched": "large packages, vouched",
        "large unvouched": "large packages, not vouched",
    }[run.scenario]
    turns = f"({laps} laps)" if laps > 1 else "(1 lap)"
    return f"{run.packages:,} {what}, {_size(run.packages_bytes)}; {run.latency_ms:g} ms latency {turns}"


def _size(size: float) -> str:
    if size >= 1000 * _MIB:
        return f"{size / _MIB / 1024:.1f} GiB"
    return f"{size / _MIB:.1f} MiB" if size < 100 * _MIB else f"{size / _MIB:,.0f} MiB"


def report(runs: list[Run]) -> str:
    """All tables."""
    groups = _groups(runs)
    machine = f"{os.cpu_count()} cores ({_processor()}), {platform.system()}, Python {platform.python_version()}"
    lines = [f"Medians of laps, in which the tools took turns. Server, proxy and tool shared {machine}."]
    for scenario, latency_ms in dict.fromkeys((run.scenario, run.latency_ms) for run in runs):
        full = groups[scenario, latency_ms, CASES[0], OURS].runs
        lines += ["", f"### {_title(full[0], len(full))}", "", *_table(groups, scenario, latency_ms)]
    return "\n".join(lines)


def _table(groups: dict[tuple[str, float, str, str], _Group], scenario: str, latency_ms: float) -> list[str]:
    columns = [
        *("wall s", "CPU s", "memory MiB, largest process", "all processes", "requests"),
        *(*_VERBS, "requests a new package", "read", "written"),
    ]
    lines = [f"| case | tool | {' | '.join(columns)} |", f"|---|---|{'---:|' * len(columns)}"]
    for case in CASES:
        ours, theirs = (groups[scenario, latency_ms, case, tool] for tool in (OURS, THEIRS))
        for tool, group in ((OURS, ours), (THEIRS, theirs)):
            lines.append(f"| {case} | {tool} | {' | '.join(_cells(group, case))} |")
        times = theirs.median(lambda run: run.seconds) / ours.median(lambda run: run.seconds)
        less = theirs.median(lambda run: run.bytes_read) / ours.median(lambda run: run.bytes_read)
        fewer = theirs.median(lambda run: run.all_requests) / ours.median(lambda run: run.all_requests)
        empty = " | ".join([""] * (len(_VERBS) + 1))
        lines.append(f"| | **ratio** | **{times:.1f}x** | | | | {fewer:.1f}x | {empty} | {less:,.1f}x | |")
    return lines


def _cells(group: _Group, case: str) -> list[str]:
    new = {"full": group.runs[0].packages, "unchanged": 0}.get(case, 1)
    touched = group.median(lambda run: sum(run.package_requests.values()))
    return [
        f"{group.median(lambda run: run.seconds):.2f}",
        f"{group.median(lambda run: run.cpu_seconds):.2f}",
        f"{group.median(lambda run: run.peak_mib):.0f}",
        f"{group.median(lambda run: run.memory_mib):.0f}",
        f"{group.median(lambda run: run.all_requests):,.0f}",
        *(f"{group.median(lambda run, verb=verb: run.requests.get(verb, 0)):,.0f}" for verb in _VERBS),  # type: ignore[misc]
        f"{touched / new:.2f}" if new else f"({touched:.0f})" if touched else "-",
        _size(group.median(lambda run: run.bytes_read)),
        _size(group.median(lambda run: run.bytes_written)),
    ]


_PANELS: tuple[tuple[str, Callable[[Run], float], Callable[[float], str]], ...] = (
    ("wall time, s", lambda run: run.seconds, lambda value: f"{value:.1f}"),
    ("requests", lambda run: run.all_requests, lambda value: f"{value:,.0f}"),
    ("read, MiB", lambda run: run.bytes_read / _MIB, lambda value: f"{value:,.2f}" if value < 10 else f"{value:,.0f}"),
    ("peak memory, MiB", lambda run: run.memory_mib, lambda value: f"{value:,.0f}"),
)


def draw(runs: list[Run], file: Path) -> None:
    """Draw full runs: a row for each corpus and latency, a panel for each measure, a dot for each tool."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    groups = _groups(runs)
    rows = list(dict.fromkeys((run.scenario, run.latency_ms) for run in runs))
    # A panel a measure, all with the same rows; pyplot's own types say little of arrays of axes.
    figure, axes = plt.subplots(1, len(_PANELS), sharey=True, figsize=(14, 1.6 + 0.62 * len(rows)), squeeze=False)
    for panel, (title, measure, shown) in zip(axes[0], _PANELS, strict=True):
        values = {
            tool: [groups[scenario, latency_ms, CASES[0], tool].median(measure) for scenario, latency_ms in rows]
            for tool in (OURS, THEIRS)
        }
        _draw_panel(panel, title, values, shown)
    axes[0][0].set_yticks(
        range(len(rows)),
        [_label(groups[scenario, latency_ms, CASES[0], OURS].runs[0]) for scenario, latency_ms in rows],
    )
    axes[0][0].invert_yaxis()
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper right", ncols=2, frameon=False, bbox_to_anchor=(0.99, 0.995))
    figure.suptitle("Full index of a bucket (less is better, logarithmic)", x=0.01, ha="left", fontsize=12)
    figure.tight_layout(w_pad=2.5)
    figure.savefig(file, dpi=110)
    plt.close(figure)


def _label(run: Run) -> str:
    what = {"small": "small", "large vouched": "large, vouched", "large unvouched": "large, not vouched"}
    return f"{run.packages:,} {what[run.scenario]}\n{_size(run.packages_bytes)}, {run.latency_ms:g} ms"


def _draw_panel(panel: Any, title: str, values: dict[str, list[float]], shown: Callable[[float], str]) -> None:
    from matplotlib import ticker

    panel.set_xscale("log")
    for tool, measured in values.items():
        panel.plot(measured, range(len(measured)), "o", markersize=8, color=_COLOURS[tool], label=tool, zorder=3)
    for place, pair in enumerate(zip(*values.values(), strict=True)):
        panel.plot(pair, [place, place], color="#bbbbbb", linewidth=2, zorder=2)
        for tool, value in zip(values, pair, strict=True):
            # Outside of the pair, so that no number lies on the line or on the other one.
            left = value < max(pair) or (pair[0] == pair[1] and tool == OURS)
            panel.annotate(
                shown(value),
                (value, place),
                xytext=(-8 if left else 8, 0),
                textcoords="offset points",
                ha="right" if left else "left",
                va="center",
                fontsize=9,
                color=_COLOURS[tool],
            )
    everything = [value for measured in values.values() for value in measured]
    # Room for the numbers, in decades.
    decades = max(everything) / min(everything)
    room = max(2.0, decades**0.35)
    panel.set_xlim(min(everything) / room, max(everything) * room)
    panel.set_ylim(-0.6, len(next(iter(values.values()))) - 0.4)
    panel.set_title(title, fontsize=10, loc="left")
    panel.grid(visible=True, axis="x", color="#e6e6e6")
    # Each dot has its number, so that some decades are enough.
    panel.xaxis.set_major_locator(ticker.LogLocator(numticks=4))
    panel.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}")
    panel.xaxis.set_minor_formatter("")
    panel.tick_params(which="both", length=0, labelsize=9)
    panel.spines[:].set_visible(False)


def main() -> int:
    """Print and draw what is in a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(__file__).resolve().parent / "results" / RAW
    parser.add_argument("file", type=Path, nargs="?", default=default)
    options = parser.parse_args()
    runs = load(options.file)
    draw(runs, options.file.with_name(PLOT))
    print(report(runs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
