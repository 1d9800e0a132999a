"""One run of an indexer is a child process, judged by its time, its peak memory and how it ended.

The peers are rattler-index (through py-rattler) and conda-index. Each runs in a process of its own: py-rattler
crashes now and then while the interpreter exits, and peak memory is only known of a process that has ended.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    import argparse

RATTLER_VERSION = "0.28.0"
CONDA_INDEX_VERSION = "0.13.0"

_ROOT = Path(__file__).resolve().parent.parent
_TAIL_CHARACTERS = 2000
# Linux counts ru_maxrss in KiB, macOS in bytes.
_RSS_PER_MIB = 1024 * 1024 if sys.platform == "darwin" else 1024

# Linux lets a process begin with the memory peak of the one that it was spawned from, so a benchmark's own size would
# hide a smaller peer's. This program between the two is smaller than any of them. wait4 gives one child's usage.
_LAUNCHER = """
import os, sys, time
started = time.perf_counter()
child = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, 2, 1)])
_, status, usage = os.wait4(child, 0)
print(status, usage.ru_maxrss, time.perf_counter() - started, usage.ru_utime + usage.ru_stime)
"""

_CONDA_SOURCE_HELP = """conda-index imports the package `conda`, which PyPI does not carry:
    git clone --depth 1 https://github.com/conda/conda DIR
then give --conda-source DIR (or set CONDA_SOURCE). benchmarks/README.md has all the steps."""


class PeerMissingError(Exception):
    """A peer cannot be run here; the text says what to install."""


@dataclass(frozen=True)
class Outcome:
    """What one run cost and how it ended."""

    seconds: float
    """Wall time, interpreter start included: that is what a user waits for."""
    peak_mib: float
    """Peak resident memory of the largest process of the run (worker processes are not added up)."""
    state: str
    """`ok`, `exit N` or `killed by SIGNAL`."""
    output: str
    """The end of what the run wrote to stdout and stderr."""
    cpu_seconds: float
    """What all processes of the run took of the cores."""

    @property
    def ok(self) -> bool:
        """Whether the run ended with exit code 0."""
        return self.state == "ok"


@dataclass(frozen=True)
class S3Target:
    """A channel in a bucket and the way to reach it."""

    url: str
    endpoint_url: str
    region: str
    access_key_id: str
    secret_access_key: str


@dataclass(frozen=True)
class CondaIndex:
    """Where conda-index and the conda that it imports are found."""

    python: str
    conda_source: Path

    def run(self, folder: Path, *, comparable: bool, patch: Path | None = None, more: tuple[str, ...] = ()) -> Outcome:
        """Index a folder; `comparable` switches on the outputs that the others write by default, `more` are options."""
        extra = ["--zst", "--write-shards", "--run-exports"] if comparable else []
        extra += [] if patch is None else ["--patch-generator", str(patch)]
        extra += more
        with tempfile.TemporaryDirectory() as home:
            # A HOME of its own, so that nobody's .condarc takes part.
            environment = {**os.environ, "HOME": home, "PYTHONPATH": str(self.conda_source)}
            return measure([self.python, "-m", "conda_index", *extra, str(folder)], environment)


def measure(command: list[str], environment: dict[str, str] | None = None) -> Outcome:
    """Run a command to its end and measure it."""
    with tempfile.TemporaryFile() as log:
        launched = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _LAUNCHER, *command],
            cwd=_ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            check=False,
        )
        log.seek(0)
        output = log.read().decode(errors="replace")[-_TAIL_CHARACTERS:]
    if launched.returncode != 0:
        message = f"cannot run {Path(command[0]).name}: {output.strip().splitlines()[-1]}"
        raise PeerMissingError(message)
    status, peak, seconds, cpu = launched.stdout.split()
    code = os.waitstatus_to_exitcode(int(status))
    state = "ok" if code == 0 else f"exit {code}" if code > 0 else f"killed by {signal.Signals(-code).name}"
    return Outcome(float(seconds), int(peak) / _RSS_PER_MIB, state, output, float(cpu))


def ours(folder: Path, *more: str) -> Outcome:
    """Index a folder with this project, by its defaults and `more` options."""
    return measure([sys.executable, "-m", "indexer", "fs", str(folder), *more])


def rattler_folder(folder: Path, patch: str | None = None, config: Path | None = None) -> Outcome:
    """Index a folder with rattler-index, by its defaults (zst and shards), `patch` names a patch package."""
    said = json.dumps({"repodata_patch": patch, "config": None if config is None else str(config)})
    return measure([sys.executable, "-m", "benchmarks.peers", "rattler-fs", str(folder), said])


def ours_bucket(target: S3Target) -> Outcome:
    """Index a bucket with this project, by its defaults."""
    return measure([sys.executable, "-m", "indexer", "s3", target.url], _environment(target))


def rattler_bucket(target: S3Target) -> Outcome:
    """Index a bucket with rattler-index, by its defaults (zst and shards)."""
    return measure([sys.executable, "-m", "benchmarks.peers", "rattler-s3", target.url], _environment(target))


def _environment(target: S3Target) -> dict[str, str]:
    # Keys go by environment: a command line can be read by everybody on the machine.
    return {
        **os.environ,
        "S3_ENDPOINT_URL": target.endpoint_url,
        "S3_REGION": target.region,
        "S3_ACCESS_KEY_ID": target.access_key_id,
        "S3_SECRET_ACCESS_KEY": target.secret_access_key,
        "S3_SESSION_TOKEN": "",  # a real one in the caller's environment would be sent along
        "NO_PROXY": "*",
        "no_proxy": "*",
    }


def canonical_specs(specs: set[str]) -> dict[str, str]:
    """Each dependency spec as rattler parses it and writes it anew; one that does not parse stays as it is."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.peers", "canonical"],
        cwd=_ROOT,
        input=json.dumps(sorted(specs)).encode(),
        stdout=subprocess.PIPE,
        check=True,
    )
    return {str(spec): str(canonical) for spec, canonical in json.loads(done.stdout).items()}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where the peers are."""
    parser.add_argument("--peer-python", default=sys.executable, help="interpreter that has conda-index")
    parser.add_argument(
        "--conda-source",
        type=Path,
        default=os.environ.get("CONDA_SOURCE") or None,
        metavar="DIR",
        help="checkout of conda/conda (default: the environment variable CONDA_SOURCE)",
    )


def conda_index_of(options: argparse.Namespace) -> CondaIndex:
    """The conda-index that the options name, or an error that says what is missing."""
    source: Path | None = options.conda_source
    if source is None:
        message = f"no conda source given. {_CONDA_SOURCE_HELP}"
        raise PeerMissingError(message)
    if not (source / "conda" / "__init__.py").is_file():
        message = f"no conda/__init__.py in the folder given as conda source. {_CONDA_SOURCE_HELP}"
        raise PeerMissingError(message)
    # Absolute, since children run elsewhere; not resolved, since a venv's interpreter is known by its symbolic link.
    python = str(Path(options.peer_python).absolute()) if os.sep in options.peer_python else options.peer_python
    peer = CondaIndex(python=python, conda_source=source.resolve())
    version = f"import importlib.metadata as m; assert m.version('conda-index') == {CONDA_INDEX_VERSION!r}"
    _demand(peer.python, version, f"conda-index=={CONDA_INDEX_VERSION} is not installed for --peer-python")
    environment = {**os.environ, "PYTHONPATH": str(peer.conda_source)}
    probe = measure([peer.python, "-m", "conda_index", "--help"], environment)
    if not probe.ok:
        message = f"conda-index does not start, see benchmarks/README.md for what conda needs:\n{probe.output}"
        raise PeerMissingError(message)
    return peer


def demand_rattler() -> None:
    """Raise an error unless the pinned py-rattler is installed."""
    version = f"import importlib.metadata as m; assert m.version('py-rattler') == {RATTLER_VERSION!r}"
    _demand(sys.executable, version, f"py-rattler=={RATTLER_VERSION} is not installed here")


def _demand(python: str, statement: str, complaint: str) -> None:
    if not measure([python, "-c", statement]).ok:
        message = f"{complaint} (pip install it, see benchmarks/README.md)"
        raise PeerMissingError(message)


def _child(verb: str, target: str, *options: str) -> None:
    """Do the part of a child process: py-rattler is imported here and nowhere else."""
    if verb == "rattler-fs":
        from rattler.config import Config
        from rattler.index import index_fs

        said = json.loads(options[0])
        config = Config.load_from_files([Path(said["config"])]) if said["config"] else None
        asyncio.run(index_fs(Path(target), repodata_patch=said["repodata_patch"], config=config))
    elif verb == "rattler-s3":
        from rattler.index import S3Credentials, index_s3

        credentials = S3Credentials(
            endpoint_url=os.environ["S3_ENDPOINT_URL"],
            region=os.environ["S3_REGION"],
            access_key_id=os.environ["S3_ACCESS_KEY_ID"],
            secret_access_key=os.environ["S3_SECRET_ACCESS_KEY"],
            addressing_style="path",
        )
        asyncio.run(index_s3(target, credentials))
    else:
        json.dump({spec: _canonical(spec) for spec in json.load(sys.stdin)}, sys.stdout)


def _canonical(spec: str) -> str:
    from rattler import MatchSpec

    try:
        return str(MatchSpec(spec))
    except Exception:
        return spec


def _end(code: int) -> NoReturn:
    """End without the interpreter's clean-up, in which py-rattler crashes at times after its work is done."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    try:
        _child(sys.argv[1], *(sys.argv[2:] or [""]))
    except BaseException as failure:
        sys.stderr.write(f"{failure}\n")
        _end(1)
    _end(0)
