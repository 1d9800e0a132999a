"""The formats that each client reads of a channel of ours, and how: the page docs/clients.md.

    python -m benchmarks.clients > docs/clients.md

The laws, the channel and the clients are those of tests/support/laws.py, as in `pytest tests/interop`. Exit code 1 if a
client behaves in another way than expected, 2 if a client cannot be run here.
"""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fixtures.bucket import serving
from tests.support import conda, laws
from tests.support.buckets import new_bucket

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.laws import Client, Seen

_INTRODUCTION: Final = """\
# Clients

Made by `python -m benchmarks.clients`: each client reads, solves and installs from one channel that was written by
`indexer`, served over http, over https with its own certificate authority, and from a bucket (`s3://`, moto), with an
empty cache and with one format switched on at a time. `pytest tests/interop` tests the clients against the same table.

The channel has a yanked package, a package that a patch removes, one that it revokes, one with patched dependencies,
a build as `.conda` and `.tar.bz2`, an epoch, and a package under `v3`.

| law | meaning |
|---|---|
| reads the format | the client fetched the file in both subdirs; a silent fallback to another format proves nothing |
| offers all | every package that is not withdrawn is shown (except `v3`) |
| nothing withdrawn | neither the yanked nor the removed package is shown |
| sees the patch | the new dependencies, and `package_has_been_revoked`, are shown |
| solves by it | the solution follows the new dependencies and is the same in all formats |
| installs | the solved packages are downloaded, their digests are right, their files exist |
| offers v3, solves v3 | the package under `v3` is shown, and solved for |
"""
_NOTES: Final = """\
- py-rattler is the engine of pixi and rattler-build. conda is run from its source, because it is not on PyPI.
- conda's classic solver reads no shards (`conda search` does, as the row shows; the solver falls back to
  zst) and no `v3`. `conda search` shows `v3` from shards only, with each solver.
- conda knows no bz2. py-rattler reads a folder (`file://`) from `repodata.json` only.
- py-rattler reads `indexed_timestamp` for `exclude-newer`, in every format: with 7 days it finds packages that were
  in the channel before its first index, but not a package that was replaced since
  (`tests/interop/test_client_changes.py`).
- No client finds a name with capital letters, because all search for the name in lower case (CEP 26 forbids capitals).

## Other clients

These clients were run by hand on channels with shards, zst, patches, yanks, a base URL and `v3` packages.

- mamba 2.8.1: correct with shards, zst and json, with patches, yanks and a base URL; 16 packages were installed
  correctly. If a build exists as `.conda` and `.tar.bz2`, it takes the `.tar.bz2` from shards. In a channel of shards
  only (`--no-monolithic`) it fails if a solve needs no shard of `noarch`.
- micromamba 1.5.9 (mamba 1.x): correct with `repodata.json`. It reads no shards, so it cannot read a channel of shards
  only, and no `base_url`. Its only reader of `repodata.json` is libsolv's, which ends `info` at the first object in
  it and then the document: it found 0 of 175 records of a channel with one `v3` package, without an error. With
  `info` after `packages` and `packages.conda`, as `indexer` writes it, it finds all 175.
- An array of texts in `info`, such as `virtual-package-detectors`, crashes libsolv's reader: micromamba 1.5.9,
  and mamba 2.8.1 if it is configured to use that reader. A run warns about it.
- conda-libmamba-solver, @conda-org/rattler 0.3.5, mambajs 0.21.6, conda-mirror 0.10.0, quetz 0.10.4 and conda-lock
  4.0.3: correct for the files that each of them reads.
- mamba 2.8.1, conda with both solvers, py-rattler 0.28 and @conda-org/rattler read `info` after the package maps
  as they read it before the maps.
"""


def main() -> int:
    """Run the clients, compare, print the page."""
    try:
        rows = list(_rows())
    except conda.MissingError as error:
        sys.stderr.write(f"benchmarks.clients: {error}\n")
        return 2
    sys.stdout.write(_page(rows))
    return int(any(laws.verdicts(seen) != laws.expected(client, seen.form) for client, _, seen in rows))


def _rows() -> Iterator[tuple[Client, str, Seen]]:
    with tempfile.TemporaryDirectory() as scratch, serving("first") as server:
        for way in laws.WAYS:
            folder = Path(scratch, way)
            folder.mkdir()
            with laws.served(way, new_bucket(server), folder) as place:
                for client in laws.CLIENTS:
                    for form in client.formats:
                        yield client, way, client.visit(place, form, folder / client.name / form)


def _page(rows: list[tuple[Client, str, Seen]]) -> str:
    """The page; ways with the same result share a row."""
    ways: dict[tuple[str, str, tuple[bool, ...]], list[str]] = {}
    for client, way, seen in rows:
        ways.setdefault((client.name, seen.form, tuple(laws.verdicts(seen).values())), []).append(way)
    table = [f"| client | format | over | {' | '.join(laws.LAWS)} |", f"|---|---|---|{'---|' * len(laws.LAWS)}"]
    for (name, form, held), over in ways.items():
        cells = " | ".join("yes" if item else "no" for item in held)
        table.append(f"| {name} | {form} | {', '.join(over)} | {cells} |")
    return "\n".join([_INTRODUCTION, *table, "", f"With {_versions()}.", "", _NOTES])


def _versions() -> str:
    python = os.environ.get("INDEXER_TEST_CONDA_PYTHON", sys.executable)
    ask = "import importlib.metadata as m; print(*map(m.version, ('conda-rattler-solver', 'py-rattler')))"
    solver, engine = _said(python, "-c", ask).split()
    source = _said("git", "-C", os.environ["CONDA_SOURCE"], "describe", "--tags", "--always")
    ours = importlib.metadata.version("py-rattler")
    return f"py-rattler {ours}, conda {source}, conda-rattler-solver {solver} (on py-rattler {engine})"


def _said(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
