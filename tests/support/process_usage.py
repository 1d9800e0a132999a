"""CPU and memory that reading a package takes: run as `python -m tests.support.process_usage`, keys on standard input.

Each package is read in a fork, so that one start of Python does for all and none sees what another took.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.core.model import Extracted, Rejected, Rules
from indexer.extractor.extract import ExtractSpec, read
from indexer.store.fs import FolderStore
from tests.support.command import run

if TYPE_CHECKING:
    from collections.abc import Iterable

_NOW_MS = 1_800_000_000_000


@dataclass(frozen=True)
class Usage:
    """What came of one package: why it was rejected, its warnings, or a crash; CPU seconds, peak RSS in bytes."""

    reason: str | None
    warnings: tuple[str, ...]
    crash: str | None
    cpu: float
    peak: int


def measure(folder: Path, keys: Iterable[str]) -> dict[str, Usage]:
    """Read packages of a folder in a child process each."""
    done = run([sys.executable, "-m", "tests.support.process_usage", str(folder)], stdin="\n".join(keys))
    assert done.code == 0, done.err
    return {key: Usage(**{**value, "warnings": tuple(value["warnings"])}) for key, value in done.json.items()}


def _read(store: FolderStore, key: str) -> Usage:
    reason = crash = None
    warnings: tuple[str, ...] = ()
    try:
        stat = store.stat(key)
        assert stat is not None
        result = read(
            store, stat, ExtractSpec(key.split("/")[-2], Rules(), _NOW_MS, verify_digests=True, unpack=True)
        ).result
        if isinstance(result, Rejected):
            reason = result.reason
        elif isinstance(result, Extracted):
            warnings = result.warnings
    except BaseException:  # noqa: BLE001  a crash is what the caller wants to know of
        crash = traceback.format_exc()
    used = resource.getrusage(resource.RUSAGE_SELF)
    return Usage(reason, warnings, crash, used.ru_utime + used.ru_stime, _peak())


def _peak() -> int:
    # Linux' ru_maxrss is inherited from whoever started the process; this is the process's own.
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _in_fork(store: FolderStore, key: str) -> dict[str, object]:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        with os.fdopen(writing, "w") as answer:
            json.dump(asdict(_read(store, key)), answer)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        result = answer.read()
    os.waitpid(child, 0)
    value: dict[str, object] = json.loads(result)
    return value


if __name__ == "__main__":
    here = FolderStore(Path(sys.argv[1]))
    json.dump({key: _in_fork(here, key) for key in sys.stdin.read().split("\n")}, sys.stdout)
