"""Plots of costs by the size of the channel: a line for each tool, both axes logarithmic."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

from benchmarks import channel, peers
from benchmarks.scenario import ADDED, CASES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.results import Run

_COLORS = {
    peers.OURS: "#0072b2",
    peers.RATTLER: "#d55e00",
    peers.CONDA: "#009e73",
    peers.CONDA_SAME: "#8fbf6f",
}
_BY_NAME = {
    peers.SCOPED: (f"{peers.SCOPED}, shards alone", "#cc79a7"),
    peers.SCOPED_ALL: (peers.SCOPED_ALL, "#882255"),
    peers.OURS: (f"{peers.OURS}, all packages listed", _COLORS[peers.OURS]),
}
_MIB = 2**20
_Measure = tuple[str, str, float, "Callable[[Run], float]"]
_PANELS: tuple[_Measure, ...] = (
    ("folder: wall time, s", channel.FOLDER, 0.0, lambda run: run.seconds),
    ("folder: peak memory, MiB", channel.FOLDER, 0.0, lambda run: run.together_mib),
    ("bucket, 0 ms: wall time, s", channel.BUCKET, 0.0, lambda run: run.seconds),
    ("bucket, 20 ms: wall time, s", channel.BUCKET, 20.0, lambda run: run.seconds),
    ("bucket: requests", channel.BUCKET, 0.0, lambda run: run.all_requests),
    (
        "bucket: read and written, MiB",
        channel.BUCKET,
        0.0,
        lambda run: (run.bytes_read + run.bytes_written) / _MIB,
    ),
)


def draw_growth(runs: list[Run], file: Path) -> None:
    """A row for each case, a column for each measure and place."""
    plt = _pyplot()
    sized = [run for run in runs if run.measured and run.corpus.isdecimal() and run.tool in _COLORS]
    # A grid of axes that share the x axis; the types of pyplot do not describe it.
    figure, axes = plt.subplots(
        len(CASES),
        len(_PANELS),
        sharex=True,
        sharey="col",
        figsize=(3.1 * len(_PANELS), 2.6 * len(CASES)),
        squeeze=False,
    )
    for row, case in zip(axes, CASES, strict=True):
        for panel, (title, store, latency_ms, measure) in zip(row, _PANELS, strict=True):
            here = [run for run in sized if (run.store, run.latency_ms, run.case) == (store, latency_ms, case)]
            for tool, color in _COLORS.items():
                _line(panel, [run for run in here if run.tool == tool], measure, (tool, color))
            _dress(panel, title if case == CASES[0] else "", {int(run.corpus) for run in sized})
        row[0].set_ylabel(case, fontsize=11)
    for panel in axes[-1]:
        panel.set_xlabel("packages", fontsize=9)
    handles = {
        label: handle for panel in axes.flat for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="upper right", ncols=4, frameon=False)
    figure.suptitle(
        "How cost grows with the channel (less is better; hollow: the change was not noticed)", x=0.01, ha="left"
    )
    _save(plt, figure, file)


def draw_package(runs: list[Run], file: Path) -> None:
    """Costs of one package added with `--package`, and of a whole run."""
    plt = _pyplot()
    sized = [
        run
        for run in runs
        if run.measured and run.corpus.isdecimal() and run.store == channel.BUCKET and run.case == ADDED
    ]
    panels: tuple[tuple[str, Callable[[Run], float]], ...] = (
        ("requests", lambda run: run.all_requests),
        ("CPU time, s", lambda run: run.cpu_seconds),
        ("read, MiB", lambda run: run.bytes_read / _MIB),
        ("written, MiB", lambda run: run.bytes_written / _MIB),
    )
    figure, axes = plt.subplots(1, len(panels), figsize=(4 * len(panels), 3.4), squeeze=False)
    for panel, (title, measure) in zip(axes[0], panels, strict=True):
        for tool, (label, color) in _BY_NAME.items():
            _line(panel, [run for run in sized if run.tool == tool and not run.latency_ms], measure, (label, color))
        _dress(panel, title, {int(run.corpus) for run in sized if run.tool in peers.BY_NAME})
        panel.set_xlabel("packages", fontsize=9)
    if sized:
        axes[0][0].legend(frameon=False, fontsize=9)
    figure.suptitle("One package added, in a bucket (less is better)", x=0.01, ha="left")
    _save(plt, figure, file)


def _pyplot() -> Any:
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    return plt


def _line(panel: Any, runs: list[Run], measure: Callable[[Run], float], who: tuple[str, str]) -> None:
    """The medians of one tool; points of runs that did not notice the change are hollow."""
    by: dict[int, list[Run]] = {}
    for run in runs:
        by.setdefault(int(run.corpus), []).append(run)
    if not by:
        return
    label, color = who
    sizes = sorted(by)
    values = [statistics.median(measure(run) for run in by[size]) for size in sizes]
    panel.plot(sizes, values, "-", color=color, linewidth=1.5, label=label, zorder=2)
    filled = [color if all(run.state == "ok" for run in by[size]) else "white" for size in sizes]
    panel.scatter(sizes, values, s=28, c=filled, edgecolors=color, zorder=3)


def _dress(panel: Any, title: str, sizes: set[int]) -> None:
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.set_xticks(sorted(sizes))
    panel.set_title(title, fontsize=10, loc="left")
    panel.grid(visible=True, color="#e6e6e6")
    panel.xaxis.set_major_formatter(lambda value, _: f"{value / 1000:g}k" if value >= 1000 else f"{value:g}")
    panel.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}")
    panel.minorticks_off()
    panel.tick_params(which="both", length=0, labelsize=8)
    panel.spines[:].set_visible(False)


def _save(plt: Any, figure: Any, file: Path) -> None:
    figure.tight_layout()
    figure.savefig(file, dpi=100)
    plt.close(figure)
