"""Size against time of a repodata.json, compressed as `indexer` does and in other ways: the tables of ADR 6.

    python -m benchmarks.compression FILE... [--join] [--levels 3 16] [--jobs ours 0.5 2 own] [--threads 1 2] [--runs 2]

A file is measured as it is; one that somebody else wrote becomes like ours by `jq -cjS .` (compact, keys in order).
Exit code 1 if our bytes depend on the number of threads, 2 if a file cannot be read.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import os
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import zstandard

from indexer.core import names
from indexer.core.artifact import Artifact, Codec, Rank
from indexer.writer.compress import MOST_THREADS, OVERLAP_LOG, compressed, frame

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from indexer.core.stream import Content

_OURS, _OWN = "ours", "own"
_LEVELS = (3, 9, 12, 15, 16, 19)
_JOBS = (_OURS, "1", _OWN)


class _Measured(NamedTuple):
    """The seconds and the result of one call; rounds are in the order of the clock."""

    wall: float
    cpu: float
    size: int
    digest: bytes


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table for each file, each row as soon as it is measured."""
    options = _options(arguments)
    try:
        contents = [(path.name, path.read_bytes()) for path in options.files]
    except OSError as error:
        print(f"benchmarks.compression: {error.filename}: {error.strerror}; name files that are there", file=sys.stderr)
        return 2
    if options.join:
        contents = [(" + ".join(name for name, _ in contents), b"".join(content for _, content in contents))]
    stable = [_table(name, content, options) for name, content in contents]
    return int(not all(stable))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    all_cores = min(os.cpu_count() or 1, MOST_THREADS)
    jobs = "`ours`; jobs of so many MiB with zstd's tables and matches; `own`: all by zstd"
    add = parser.add_argument
    add("files", nargs="+", type=Path, metavar="FILE", help="a repodata.json")
    add("--join", action="store_true", help="measure all files as one, in their order")
    add("--levels", nargs="+", type=int, choices=range(1, 23), default=_LEVELS, metavar="LEVEL", help="1 to 22")
    add("--jobs", nargs="+", default=_JOBS, choices=(_OURS, "0.5", "1", "2", "4", "8", _OWN), help=jobs)
    add("--threads", nargs="+", type=int, default=sorted({1, all_cores}), metavar="N", help="two columns for each")
    add("--runs", type=int, default=2, metavar="N", help="the fastest one counts")
    return parser.parse_args(arguments)


def _table(name: str, content: bytes, options: argparse.Namespace) -> bool:
    """Print the table of a file.  Returns False if our bytes differ with the number of threads."""
    times = [f"s, {count} thread{'s'[: count > 1]} | CPU s" for count in options.threads]
    version = ".".join(map(str, zstandard.ZSTD_VERSION))
    print(f"\n{name}, {len(content):,} bytes (zstd {version}, {os.cpu_count()} cores):\n")
    print(_row("level", "jobs", "bytes", "ratio", *times, "same bytes"))
    print(_row("---", "---", "--:", "--:", *("--: | --:" for _ in times), "---"))
    stable = True
    for level, jobs in itertools.product(options.levels, options.jobs):
        runs = [_best(options.runs, partial(_zstd, content, level, jobs, count)) for count in options.threads]
        same = len({run.digest for run in runs}) == 1
        stable = stable and (same or jobs != _OURS)
        label = f"{jobs} MiB" if jobs[0].isdigit() else jobs
        print(_row(str(level), label, *_figures(content, runs), "yes" if same else "NO"), flush=True)
    artifact = Artifact(names.REPODATA, Rank.DERIVED, content, Codec.BZIP2)
    print(_row("bzip2", "", *_figures(content, [_best(options.runs, lambda: compressed(artifact).content)])))
    return stable


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _figures(content: bytes, runs: Sequence[_Measured]) -> list[str]:
    size = runs[0].size
    return [f"{size:,}", f"{len(content) / size:.2f}", *(f"{run.wall:.2f} | {run.cpu:.2f}" for run in runs)]


def _best(runs: int, pack: Callable[[], Content]) -> _Measured:
    return min(_measured(pack) for _ in range(runs))


def _measured(pack: Callable[[], Content]) -> _Measured:
    began, cpu_began = time.perf_counter(), time.process_time()
    packed = bytes(pack())
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu_began
    return _Measured(wall, cpu, len(packed), hashlib.sha256(packed).digest())


def _zstd(content: bytes, level: int, jobs: str, threads: int) -> Content:
    if jobs == _OURS:
        return frame(content, level, threads)
    cut = {}
    if jobs != _OWN:
        cut = {"job_size": int(float(jobs) * 2**20), "overlap_log": OVERLAP_LOG}
    parameters = zstandard.ZstdCompressionParameters.from_level(level, source_size=len(content), threads=threads, **cut)
    return zstandard.ZstdCompressor(compression_params=parameters).compress(content)


if __name__ == "__main__":
    sys.exit(main())
