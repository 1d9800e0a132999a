"""conda as a reader, run from its source with an empty cache: PyPI does not carry it."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from typing import Any

import pytest

from tests.support.command import run

FORMATS = {"json": ("false", "false"), "zst": ("true", "false"), "shards": ("true", "true")}
"""Whether conda may read zst and shards; it knows no bz2."""
SOLVERS = ("classic", "rattler")


def search(url: str, form: str, name: str) -> dict[str, Any]:
    """The records of a name that `conda search` shows of linux-64 and noarch, by `subdir/filename`."""
    told = _conda(form, "classic", "search", "--json", "--subdir", "linux-64", "--override-channels", "-c", url, name)
    return {f"{it['subdir']}/{it['fn']}": it for records in told.values() for it in records}


def solve(url: str, form: str, solver: str, spec: str) -> list[str]:
    """The distributions that `conda create --dry-run` would install, without their extensions."""
    words = ("create", "--dry-run", "--json", "--subdir", "linux-64", "--override-channels", "-c", url, "-n", "x", spec)
    told = _conda(form, solver, *words)
    return sorted(f"{it['platform']}/{it['dist_name']}" for it in told["actions"]["LINK"])


def _conda(form: str, solver: str, *words: str) -> Any:
    source = os.environ.get("CONDA_SOURCE")
    if not source:
        pytest.skip("CONDA_SOURCE names no checkout of conda")
    python = os.environ.get("INDEXER_TEST_CONDA_PYTHON", sys.executable)
    probe = "import conda_rattler_solver" if solver == "rattler" else "import conda"
    zst, shards = FORMATS[form]
    with tempfile.TemporaryDirectory() as home:
        env = {
            "HOME": home,
            "PYTHONPATH": source,
            "CONDA_PKGS_DIRS": f"{home}/pkgs",
            "CONDA_ENVS_DIRS": f"{home}/envs",
            "CONDA_SOLVER": solver,
            "CONDA_REPODATA_USE_ZST": zst,
            "CONDA_REPODATA_USE_SHARDS": shards,
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }
        if run([python, "-c", probe], env=env).code:
            pytest.skip(f"INDEXER_TEST_CONDA_PYTHON cannot {probe}")
        done = run([python, "-m", "conda", *words], env=env)
    assert done.code == 0, done.out + done.err
    return json.loads(done.out)
