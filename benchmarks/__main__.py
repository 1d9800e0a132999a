"""Measures this project beside rattler-index and conda-index; the indexers take turns, so all see the same machine.

    python -m benchmarks [--only 200 2000] [--tools indexer rattler-index] [--minutes 30] [--cache DIR]

Each result is written at once, and a measured result is not measured again: repeat a call that was ended or ran out of
time. `python -m benchmarks.tables` makes the tables and the plots.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import channel as channels
from benchmarks import corpus as corpora
from benchmarks import peers, results, scenario
from benchmarks.scenario import OutOfTimeError, Plan, Session, Turn, say
from fixtures import seaweed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.channel import Channel
    from benchmarks.corpus import Corpus
    from benchmarks.peers import Tool

_SIZES = ("200", "2000", "10000", "500000", corpora.SIX)
_OTHERS = (*(str(size) for size in scenario.GROWTH if str(size) not in _SIZES), "large", "large-unvouched")
_STORES = (channels.FOLDER, channels.BUCKET)
_TOOLS = (peers.OURS, *peers.BY_NAME, peers.RATTLER, peers.CONDA, peers.CONDA_SAME)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add(
        "--only",
        nargs="+",
        default=_SIZES,
        choices=_SIZES + _OTHERS,
        metavar="CORPUS",
        help="packages, `large` or `6-subdirs`",
    )
    add("--stores", nargs="+", default=_STORES, choices=_STORES)
    add("--latency", nargs="+", type=float, default=(0.0, 20.0), metavar="MS", help="before each request of a bucket")
    add("--cases", nargs="+", default=scenario.CASES, choices=scenario.CASES)
    add("--tools", nargs="+", default=_TOOLS, choices=_TOOLS)
    add("--runs", type=int, default=1, help="runs of every tool")
    add("--minutes", type=float, default=600.0, help="what all of it may take")
    add("--cache", type=Path, default=Path("bench-cache"), metavar="DIR", help="where channels stay for the next time")
    add("--results", type=Path, default=results.FILE, metavar="FILE", help="where lines are added")
    peers.add_arguments(parser)
    return parser.parse_args()


def _tools(options: argparse.Namespace) -> list[Tool]:
    """The requested tools; a tool that cannot be run here prints the reason."""
    tools = [tool for tool in peers.ours_tools() if tool.name in options.tools]
    if peers.RATTLER in options.tools:
        tools.append(peers.rattler_tool())
    if {peers.CONDA, peers.CONDA_SAME} & {*options.tools}:
        tools += [tool for tool in peers.conda_tools(options, options.cache / "home") if tool.name in options.tools]
    return tools


def _measure(options: argparse.Namespace, session: Session, tools: list[Tool], corpus: Corpus, store: str) -> None:
    """All rounds of one corpus in one store."""
    latencies = options.latency if store == channels.BUCKET else (0.0,)
    turns = [
        Turn(session, Plan(corpus, store, latency_ms), tool, lap, options.cases)
        for lap in range(options.runs)
        for latency_ms in latencies
        # Each round begins with another tool, so that no tool always follows the same tool.
        for tool in tools[lap % len(tools) :] + tools[: lap % len(tools)]
    ]
    turns = [turn for turn in turns if turn.todo()]
    if turns:
        with _open(options.cache / corpus.title, corpus, store) as channel:
            for turn in turns:
                turn.run(channel)


@contextlib.contextmanager
def _open(place: Path, corpus: Corpus, store: str) -> Iterator[Channel]:
    folder = place / "channel"
    if not folder.exists():
        say(f"{corpus.title}: making packages")
    place.mkdir(parents=True, exist_ok=True)
    corpus.make(folder)
    if store == channels.FOLDER:
        yield channels.FolderChannel(corpus, folder)
    else:
        with channels.serving(corpus, place / "bucket", folder) as channel:
            yield channel


def main() -> int:
    """Measure all requested results that are not there yet."""
    options = _options()
    options.cache = options.cache.absolute()
    # So that a signal to this process leaves no server behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    done = results.keys(results.load(options.results))
    session = Session(options.results, time.monotonic() + 60 * options.minutes, done)
    try:
        tools = _tools(options)
        for title in options.only:
            for store in options.stores:
                _measure(options, session, tools, corpora.of(title), store)
    except OutOfTimeError:
        say(f"benchmarks: {options.minutes:g} minutes are over; the same command goes on where this one ended")
        return 3
    except (seaweed.NoServerError, scenario.CannotBeginError) as error:
        say(f"benchmarks: {error}")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
