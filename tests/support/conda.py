"""conda as a reader, run from its source with an empty cache for each errand: PyPI does not carry it.

CONDA_SOURCE names a checkout of conda/conda, INDEXER_TEST_CONDA_PYTHON an interpreter with what conda imports
(benchmarks/README.md lists it).  This file is the child process too, so it imports nothing else of ours there.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import sys
import tempfile
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMATS = {"json": ("false", "false"), "zst": ("true", "false"), "shards": ("true", "true")}
"""Whether conda may read zst and shards; it knows no bz2."""
# Seconds.  Over s3 it makes a session of boto3 for every request, so an errand takes 13 s of a core of its own.
_LIMIT = 300
SOLVERS = ("classic", "rattler")
_NOTHING_FOUND = {"PackagesNotFoundError", "PackagesNotFoundInChannelsError", "ResolvePackageNotFound"}


class MissingError(Exception):
    """conda, or the solver, cannot be run here; the text says what is missing."""


@dataclass(frozen=True)
class Errand:
    """What conda is to do: search for names, try to solve for specs, install a spec into a prefix."""

    channel: str
    form: str
    solver: str
    names: tuple[str, ...]
    solve: tuple[str, ...]
    install: str
    prefix: str


@dataclass(frozen=True)
class Found:
    """What it saw: records by `subdir/filename`, and by spec the `subdir/name-version-build` of a solution."""

    records: dict[str, dict[str, Any]]
    solutions: dict[str, list[str]]


def send(errand: Errand, env: Mapping[str, str] | None = None) -> Found:
    """Have an errand done in a child process.  Raises MissingError."""
    from tests.support.command import run

    python = os.environ.get("INDEXER_TEST_CONDA_PYTHON", sys.executable)
    zst, shards = FORMATS[errand.form]
    with tempfile.TemporaryDirectory() as home:
        settings = {
            **_found(python, errand.solver),
            "HOME": home,
            "CONDA_PKGS_DIRS": f"{home}/pkgs",
            "CONDA_ENVS_DIRS": f"{home}/envs",
            "CONDA_SOLVER": errand.solver,
            "CONDA_REMOTE_MAX_RETRIES": "0",
            "CONDA_LOCAL_REPODATA_TTL": "3600",  # a file is fetched once an errand, not once a search
            "CONDA_REPODATA_USE_ZST": zst,
            "CONDA_REPODATA_USE_SHARDS": shards,
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }
        words = [python, "-m", "tests.support.conda", json.dumps(asdict(errand))]
        done = run(words, env={**settings, **(env or {})}, limit=_LIMIT)
    assert done.code == 0, done.out + done.err
    return Found(**done.json)


def _found(python: str, solver: str) -> dict[str, str]:
    """The path on which conda is imported."""
    from tests.support.command import ROOT, run

    source = os.environ.get("CONDA_SOURCE")
    if not source:
        raise MissingError("CONDA_SOURCE names no checkout of conda")
    path = {"PYTHONPATH": f"{source}{os.pathsep}{ROOT}"}
    probe = "import conda_rattler_solver" if solver == "rattler" else "import conda"
    if run([python, "-c", probe], env=path).code:
        raise MissingError(f"INDEXER_TEST_CONDA_PYTHON cannot {probe}")
    return path


def _do(errand: Errand) -> Found:
    records: dict[str, dict[str, Any]] = {}
    for name in errand.names:
        result = _said(errand, "search", "--skip-flexible-search", name)
        records |= {f"{item['subdir']}/{item['fn']}": item for value in result.values() for item in value}
    solutions = {spec: _solution(_said(errand, "create", "--dry-run", "-n", "x", spec)) for spec in errand.solve}
    made = _said(errand, "create", "--yes", "-p", errand.prefix, errand.install)
    return Found(records, {**solutions, errand.install: _solution(made)})


def _said(errand: Errand, *words: str) -> dict[str, Any]:
    main = importlib.import_module("conda.cli.main").main
    always = ("--json", "--subdir", "linux-64", "--override-channels", "-c", errand.channel)
    with contextlib.redirect_stdout(io.StringIO()) as out:
        main(words[0], *always, *words[1:])
    result: dict[str, Any] = json.loads(out.getvalue())
    if result.get("exception_name") in _NOTHING_FOUND:
        return {}
    assert "error" not in result, result
    return result


def _solution(told: Mapping[str, Any]) -> list[str]:
    """The distributions of a solution, without their extensions; none where there is no solution."""
    return sorted(f"{item['platform']}/{item['dist_name']}" for item in told.get("actions", {}).get("LINK", ()))


if __name__ == "__main__":
    json.dump(asdict(_do(Errand(**json.loads(sys.argv[1])))), sys.stdout)
