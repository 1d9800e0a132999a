"""The commands of each indexer: this project, rattler-index (through py-rattler) and conda-index.

py-rattler is called in a process of its own that skips the interpreter's clean-up, in which py-rattler sometimes
crashes.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from benchmarks.corpus import SUBDIR
from benchmarks.measure import CannotRunError, Outcome, measure

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping

    from benchmarks.channel import Channel

RATTLER_VERSION = "0.28.0"
CONDA_INDEX_VERSION = "0.13.0"
OURS = "indexer"
SCOPED = "indexer --package"
SCOPED_ALL = "indexer --package, all files"
BY_NAME = (SCOPED, SCOPED_ALL)
RATTLER = "rattler-index"
CONDA = "conda-index"
CONDA_SAME = "conda-index, same files"

_ROOT = Path(__file__).resolve().parent.parent

_CONDA_SOURCE_HELP = """conda-index imports the package `conda`, which PyPI does not carry:
    git clone --depth 1 https://github.com/conda/conda DIR
then give --conda-source DIR (or set CONDA_SOURCE). benchmarks/README.md has all the steps."""


_SAME_FILES = ("--zst", "--write-shards", "--run-exports")


class PeerMissingError(Exception):
    """A peer cannot be run here; the text names the package to install."""


@dataclass(frozen=True)
class Tool:
    """An indexer with its defaults, or with the options in its name."""

    name: str
    command: Callable[[Channel, str], list[str]]
    """What indexes a channel; the file name is the newest package's."""
    before: Callable[[Channel], list[str]] | None = None
    """What leaves an index from which it goes on; None where only itself can."""
    environment: dict[str, str] = field(default_factory=dict)
    buckets: bool = True
    """Whether it can index a bucket."""
    missing: str = ""
    """Why it cannot be run here."""


@dataclass(frozen=True)
class CondaIndex:
    """The locations of conda-index and of the conda that it imports."""

    python: str
    conda_source: Path

    def run(self, folder: Path, *, comparable: bool, patch: Path | None = None, more: tuple[str, ...] = ()) -> Outcome:
        """Index a folder; `comparable` switches on the outputs that the others write by default, `more` are options."""
        extra = list(_SAME_FILES) if comparable else []
        extra += [] if patch is None else ["--patch-generator", str(patch)]
        extra += more
        with tempfile.TemporaryDirectory() as home:
            # A HOME of its own, so that no .condarc of a user is read.
            return measure([*self.command(), *extra, str(folder)], {**os.environ, **self.environment(home)})

    def command(self) -> list[str]:
        """The command line."""
        return [self.python, "-m", "conda_index"]

    def environment(self, home: str) -> dict[str, str]:
        """The environment variables."""
        return {"HOME": home, "PYTHONPATH": str(self.conda_source)}


def ours(folder: Path, *more: str) -> Outcome:
    """Index a folder with this project, by its defaults and `more` options."""
    return measure([sys.executable, "-m", "indexer", "fs", str(folder), *more])


def rattler_folder(folder: Path, patch: str | None = None, config: Path | None = None) -> Outcome:
    """Index a folder with rattler-index, by its defaults (zst and shards), `patch` names a patch package."""
    return measure(_rattler(str(folder), patch, config))


def rattler_bucket(url: str, environment: Mapping[str, str]) -> Outcome:
    """Index a bucket with rattler-index, by its defaults; `S3_...` variables describe the store."""
    return measure(_rattler(url), {**os.environ, **environment})


def ours_tools() -> list[Tool]:
    """This project: by its defaults, and with `--package` in a channel of shards alone and in one by the defaults."""

    def by_default(channel: Channel, filename: str = "") -> list[str]:
        del filename
        return _ours(channel)

    def scoped(channel: Channel, filename: str) -> list[str]:
        return _ours(channel, "--no-monolithic", "--package", f"{SUBDIR}/{filename}")

    def scoped_all(channel: Channel, filename: str) -> list[str]:
        return _ours(channel, "--monolithic", "--package", f"{SUBDIR}/{filename}")

    return [
        Tool(OURS, by_default, by_default),
        Tool(SCOPED, scoped, lambda channel: _ours(channel, "--no-monolithic")),
        Tool(SCOPED_ALL, scoped_all, lambda channel: _ours(channel, "--monolithic")),
    ]


def rattler_tool() -> Tool:
    """rattler-index by its defaults (zst and shards); another indexer's index does not change its costs."""

    def command(channel: Channel, filename: str) -> list[str]:
        del filename
        return _rattler(channel.target)

    return Tool(RATTLER, command, _ours, missing=_reason(demand_rattler))


def conda_tools(options: argparse.Namespace, home: Path) -> list[Tool]:
    """conda-index by its defaults, and with the files of the others; it continues from its own cache only."""
    reason = _reason(lambda: conda_index_of(options))
    peer = None if reason else conda_index_of(options)
    home.mkdir(parents=True, exist_ok=True)

    def tool(name: str, *extra: str) -> Tool:
        def command(channel: Channel, filename: str) -> list[str]:
            del filename
            return [*peer.command(), *extra, channel.target] if peer else []

        environment = peer.environment(str(home)) if peer else {}
        return Tool(name, command, None, environment, buckets=False, missing=reason)

    return [tool(CONDA), tool(CONDA_SAME, *_SAME_FILES)]


def _reason(demand: Callable[[], object]) -> str:
    """Why a peer is missing, in one line; empty if it is there."""
    try:
        demand()
    except PeerMissingError as error:
        return str(error).partition("\n")[0]
    return ""


def _rattler(target: str, patch: str | None = None, config: Path | None = None) -> list[str]:
    verb = "rattler-s3" if target.startswith("s3:") else "rattler-fs"
    result = json.dumps({"repodata_patch": patch, "config": None if config is None else str(config)})
    return [sys.executable, "-m", "benchmarks.peers", verb, target, result]


def _ours(channel: Channel, *options: str) -> list[str]:
    where = "s3" if channel.target.startswith("s3:") else "fs"
    return [sys.executable, "-m", "indexer", where, channel.target, *options]


def canonical_specs(specs: set[str]) -> dict[str, str]:
    """Each dependency spec as rattler parses and writes it; unchanged if it cannot be parsed."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.peers", "canonical"],
        cwd=_ROOT,
        input=json.dumps(sorted(specs)).encode(),
        stdout=subprocess.PIPE,
        check=True,
    )
    return {str(spec): str(canonical) for spec, canonical in json.loads(done.stdout).items()}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options with the locations of the peers."""
    parser.add_argument("--peer-python", default=sys.executable, help="interpreter that has conda-index")
    parser.add_argument(
        "--conda-source",
        type=Path,
        default=os.environ.get("CONDA_SOURCE") or None,
        metavar="DIR",
        help="checkout of conda/conda (default: the environment variable CONDA_SOURCE)",
    )


def conda_index_of(options: argparse.Namespace) -> CondaIndex:
    """The conda-index of the options.  Raises an error with the missing package."""
    source: Path | None = options.conda_source
    if source is None:
        message = f"no conda source given. {_CONDA_SOURCE_HELP}"
        raise PeerMissingError(message)
    if not (source / "conda" / "__init__.py").is_file():
        message = f"no conda/__init__.py in the folder given as conda source. {_CONDA_SOURCE_HELP}"
        raise PeerMissingError(message)
    # Absolute, because children run elsewhere; not resolved, because a venv is recognized by the symbolic link.
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
    try:
        if measure([python, "-c", statement]).ok:
            return
    except CannotRunError as error:
        raise PeerMissingError(str(error)) from error
    raise PeerMissingError(f"{complaint} (pip install it, see benchmarks/README.md)")


def _child(verb: str, target: str, *options: str) -> None:
    """The part of a child process: py-rattler is imported here and nowhere else."""
    if verb == "rattler-fs":
        from rattler.config import Config
        from rattler.index import index_fs

        result = json.loads(options[0])
        config = Config.load_from_files([Path(result["config"])]) if result["config"] else None
        asyncio.run(index_fs(Path(target), repodata_patch=result["repodata_patch"], config=config))
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
    """End without the interpreter's clean-up, in which py-rattler sometimes crashes after its work is done."""
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
