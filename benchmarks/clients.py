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
`indexer`, served over http, over https with an authority of its own, and from a bucket (`s3://`, moto), with an empty
cache and with one format switched on at a time. `pytest tests/interop` holds the clients to the same table.

In the channel are a yanked package, one that a patch removes, one that it revokes, one whose dependencies it
changes, a build as `.conda` and `.tar.bz2`, an epoch, and a package under `v3`.

| law | what must be |
|---|---|
| reads the format | its file was fetched in both subdirs; a client that falls back in silence proves nothing |
| offers all | every package that is not withdrawn is shown (`v3` apart) |
| nothing withdrawn | neither the yanked nor the removed package is shown |
| sees the patch | the new dependencies, and `package_has_been_revoked`, are shown |
| solves by it | the solution follows the new dependencies, the same in all formats |
| installs | what was solved is downloaded, its digests are right, its files are there |
| offers v3, solves v3 | the package under `v3` is shown, and solved for |
"""
_NOTES: Final = """\
- py-rattler is the engine of pixi and rattler-build. conda is run from its source, as PyPI has none.
- conda's classic solver reads no shards (`conda search` does, which is what the row shows; the solver falls back to
  zst) and no `v3`. `conda search` shows `v3` from shards alone, whatever the solver.
- conda knows no bz2. A folder (`file://`) is read by py-rattler from `repodata.json` alone.
- py-rattler reads `indexed_timestamp` for `exclude-newer`, in every format: with 7 days it finds packages that were
  in the channel before its first index, but not a package that was replaced since
  (`tests/interop/test_client_changes.py`).
- A name with capital letters is found by none of them, as all look for the name in lower case (CEP 26 forbids it).

## Other clients

Each was run by hand on channels with shards, zst, patches, yanks, a base URL and `v3` packages.

- mamba 2.8.1: right with shards, zst and json, with patches, yanks and a base URL; 16 packages were installed and are
  right. Of a `.conda` and a `.tar.bz2` with one stem it takes the `.tar.bz2` from shards. In a channel of shards
  alone (`--no-monolithic`) it fails where a solve needs no shard of `noarch`.
- micromamba 1.5.9 (mamba 1.x): right with `repodata.json`. It reads no shards, so it cannot read a channel of shards
  alone, and no `base_url`. Its only reader of `repodata.json` is libsolv's, which ends `info` at the first object in
  it and then the document: it found 0 of 175 records of a channel with one `v3` package, without an error. With
  `info` after `packages` and `packages.conda`, as it stands now, it finds all 175.
- An array of texts in `info`, as `virtual-package-detectors` makes one, crashes libsolv's reader: micromamba 1.5.9,
  and mamba 2.8.1 if it is told to use that reader. A run warns of it.
- conda-libmamba-solver, @conda-org/rattler 0.3.5, mambajs 0.21.6, conda-mirror 0.10.0, quetz 0.10.4 and conda-lock
  4.0.3: right, as far as each of them reads what a channel has.
- mamba 2.8.1, conda with both solvers, py-rattler 0.28 and @conda-org/rattler read `info` after the package maps as
  they read it before.
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
        cells = " | ".join("yes" if it else "no" for it in held)
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
