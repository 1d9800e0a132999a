"""What indexing a bucket costs, side by side: both indexers take turns on one S3 server behind a counting proxy.

    python -m benchmarks.bucket [--only small|large] [--quick]

It starts SeaweedFS and benchmarks.proxy, uploads a corpus as rattler-build does (object metadata vouches for the
digests) and, for one scenario, without metadata. Each tool then has a full index, a run with nothing new and one after
a package was added, in a channel whose index files are deleted before. Prints markdown tables; raw results and the
plot go to benchmarks/results/. `--quick` is a look of a minute at smaller sizes, and writes nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import corpus, peers, processes, proxy, tables
from benchmarks.tables import CASES, OURS, THEIRS, Run
from fixtures import bucket as uploads
from fixtures import seaweed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.peers import Outcome, S3Target
    from benchmarks.proxy import Proxy
    from fixtures.seaweed import Server

_RESULTS = Path(__file__).resolve().parent / "results"
_EXTENSIONS = (".conda", ".tar.bz2")
_CHANNEL = "channel"
_SEED = 1
_MIB = 2**20
_TOOLS: dict[str, Callable[[S3Target], Outcome]] = {OURS: peers.ours_bucket, THEIRS: peers.rattler_bucket}


class RunFailedError(Exception):
    """An indexer ended badly or left a wrong index, so its numbers would mean nothing."""


@dataclass(frozen=True)
class Sizes:
    """How large the corpora are."""

    small: int
    large: tuple[tuple[int, int], ...]
    """How many packages of how many MiB."""

    def make(self, scenario: str, folder: Path) -> list[Path]:
        """Make the packages of a scenario."""
        if scenario == "small":
            return corpus.make(folder, _SEED, range(self.small))
        return [path for count, mib in self.large for path in corpus.make_large(folder, _SEED, count, mib)]

    def make_extra(self, scenario: str, folder: Path) -> Path:
        """Make the package that is added."""
        if scenario == "small":
            return corpus.make(folder, _SEED, [self.small])[0]
        return corpus.make_large(folder, _SEED + 1, 1, self.large[0][1])[0]


@dataclass
class _Bench:
    """The servers, and how they are reached: by the measured through the proxy, by this process past it."""

    server: Server
    proxy: Proxy
    bucket: str
    direct: uploads.Bucket = field(init=False)

    def __post_init__(self) -> None:
        endpoint = self.server.endpoint
        self.direct = uploads.Bucket(endpoint, self.bucket, uploads.connect(endpoint))
        self.direct.client.create_bucket(Bucket=self.bucket)

    @property
    def target(self) -> S3Target:
        """What the indexers are told."""
        return peers.S3Target(
            f"s3://{self.bucket}/{_CHANNEL}",
            f"http://{proxy.LOOPBACK}:{self.proxy.port}",
            uploads.REGION,
            uploads.ACCESS_KEY,
            uploads.SECRET_KEY,
        )

    def upload(self, path: Path, *, vouched: bool) -> None:
        """Put a package into the channel."""
        if vouched:
            uploads.upload(self.direct, _CHANNEL, path, path.parent.name)
        else:
            self.direct.client.upload_file(str(path), self.bucket, f"{_CHANNEL}/{path.parent.name}/{path.name}")

    def keys(self) -> Iterator[str]:
        """All keys of the bucket."""
        pages: Any = self.direct.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        return (entry["Key"] for page in pages for entry in page.get("Contents", ()))

    def delete(self, keys: list[str]) -> None:
        """Delete objects."""
        for start in range(0, len(keys), 1000):
            objects = [{"Key": key} for key in keys[start : start + 1000]]
            answer = self.direct.client.delete_objects(Bucket=self.bucket, Delete={"Objects": objects})
            if answer.get("Errors"):
                raise RunFailedError(f"cannot delete: {answer['Errors'][0]}")

    def delete_index(self) -> None:
        """Delete all that is no package."""
        self.delete([key for key in self.keys() if not key.endswith(_EXTENSIONS)])

    def records(self) -> int:
        """How many packages the index files have."""
        count = 0
        for key in [key for key in self.keys() if key.endswith("/repodata.json")]:
            repodata = json.load(self.direct.client.get_object(Bucket=self.bucket, Key=key)["Body"])
            count += len(repodata["packages"]) + len(repodata["packages.conda"])
        return count


@dataclass(frozen=True)
class _Turn:
    """One tool's turn in one lap of a scenario."""

    bench: _Bench
    scenario: str
    latency_ms: float
    tool: str
    lap: int

    def run(self, packages: list[Path], extra: Path) -> list[Run]:
        """All cases, each on what the one before left."""
        self.bench.delete_index()
        size = sum(path.stat().st_size for path in packages)
        runs = [self._measure(case, len(packages), size) for case in CASES[:-1]]
        self.bench.upload(extra, vouched="unvouched" not in self.scenario)
        runs.append(self._measure(CASES[-1], len(packages) + 1, size + extra.stat().st_size))
        self.bench.delete([f"{_CHANNEL}/{extra.parent.name}/{extra.name}"])
        return runs

    def _measure(self, case: str, packages: int, size: int) -> Run:
        bench = self.bench
        bench.proxy.take(self.latency_ms)
        before = processes.cpu_seconds(bench.server.pid)
        with processes.watching(frozenset({bench.server.keeper, bench.proxy.pid})) as watch:
            outcome = _TOOLS[self.tool](bench.target)
        counted = bench.proxy.take(self.latency_ms)
        if not outcome.ok:
            raise RunFailedError(f"{self.tool}, {case}: {outcome.state}\n{outcome.output}")
        if bench.records() != packages:
            raise RunFailedError(f"{self.tool}, {case}: {bench.records()} records for {packages} packages")
        return Run(
            scenario=self.scenario,
            latency_ms=self.latency_ms,
            case=case,
            tool=self.tool,
            lap=self.lap,
            packages=packages,
            packages_bytes=size,
            seconds=round(outcome.seconds, 3),
            cpu_seconds=round(outcome.cpu_seconds, 3),
            server_cpu_seconds=round(processes.cpu_seconds(bench.server.pid) - before, 3),
            proxy_cpu_seconds=round(counted.cpu_seconds, 3),
            peak_mib=round(outcome.peak_mib, 1),
            together_mib=round(watch.peak_mib, 1),
            requests=dict(counted.requests),
            package_requests=dict(counted.package_requests),
            connections=counted.connections,
            bytes_read=counted.to_client,
            bytes_written=counted.from_client,
        )


def _measure_scenario(scenario: str, options: argparse.Namespace, sizes: Sizes, scratch: Path) -> list[Run]:
    """All laps of one scenario on a server of its own, so that its data goes with it."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(seaweed.running(uploads.ACCESS_KEY, uploads.SECRET_KEY, scratch))
        between = stack.enter_context(proxy.running(server.port))
        bench = _Bench(server, between, f"benchmark-{scenario.replace(' ', '-')}")
        packages = sizes.make(scenario, scratch / scenario.partition(" ")[0])
        extra = sizes.make_extra(scenario, scratch / "extra")
        _say(f"{scenario}: uploading {len(packages)} packages")
        with ThreadPoolExecutor(8 if scenario == "small" else 1) as threads:
            for _ in threads.map(lambda path: bench.upload(path, vouched="unvouched" not in scenario), packages):
                pass
        runs = []
        names = list(_TOOLS)
        for lap in range(options.laps):
            for latency_ms in options.latency:
                for tool in names:
                    _say(f"{scenario}: {latency_ms:g} ms, lap {lap + 1} of {options.laps}: {tool}")
                    runs += _Turn(bench, scenario, latency_ms, tool, lap).run(packages, extra)
            # The other one begins the next lap.
            names.reverse()
        return runs


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["small", "large"], help="only these scenarios; results of others stay")
    parser.add_argument("--quick", action="store_true", help="a look of a minute: small sizes, one lap")
    parser.add_argument("--laps", type=int, help="turns of every tool (default: 3)")
    parser.add_argument("--latency", type=float, nargs="+", default=[0.0, 20.0], metavar="MS")
    parser.add_argument("--small", type=int, metavar="COUNT", help="small packages (default: 2000)")
    parser.add_argument(
        "--large", type=_large, nargs="+", metavar="COUNT:MIB", help="large packages (default: 20:100 1:1024)"
    )
    parser.add_argument("--results", type=Path, default=_RESULTS, metavar="DIR", help="where results and plot go")
    parser.add_argument("--scratch", type=Path, metavar="DIR", help="where temporary data goes (10 GB)")
    options = parser.parse_args()
    options.laps = options.laps or (1 if options.quick else 3)
    options.small = options.small or (200 if options.quick else 2000)
    options.large = options.large or ([(4, 20), (1, 100)] if options.quick else [(20, 100), (1, 1024)])
    return options


def _large(text: str) -> tuple[int, int]:
    count, _, mib = text.partition(":")
    return int(count), int(mib)


def _measure_all(options: argparse.Namespace) -> list[Run]:
    """Measure the scenarios asked for, and keep the results of each as soon as it is done."""
    sizes = Sizes(options.small, tuple(options.large))
    runs: list[Run] = []
    with tempfile.TemporaryDirectory(dir=options.scratch, prefix="benchmark-", ignore_cleanup_errors=True) as scratch:
        for scenario in tables.SCENARIOS:
            if options.only is None or scenario.startswith(options.only):
                done = _measure_scenario(scenario, options, sizes, Path(scratch))
                runs = [*runs, *done] if options.quick else _keep(done, options.results)
    return runs


def _keep(runs: list[Run], folder: Path) -> list[Run]:
    """Write results and plot; what was not measured now stays as it was."""
    file = folder / tables.RAW
    folder.mkdir(parents=True, exist_ok=True)
    now = {run.scenario for run in runs}
    kept = [run for run in tables.load(file) if run.scenario not in now] if file.exists() else []
    together = sorted([*kept, *runs], key=lambda run: tables.SCENARIOS.index(run.scenario))
    tables.save(together, file)
    tables.draw(together, folder / tables.PLOT)
    return together


def main() -> int:
    """Measure, print, keep."""
    options = _options()
    # So that whoever ends this process leaves no server behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        peers.demand_rattler()
        runs = _measure_all(options)
    except (peers.PeerMissingError, seaweed.NoServerError, RunFailedError) as error:
        _say(f"benchmarks.bucket: {error}")
        return 2
    print(tables.report(runs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
