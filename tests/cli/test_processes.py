"""Processes that read packages: asked for by the command, ended with their parent, replaced if one dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from tests.cli.test_many_packages import MANY, write_many
from tests.support.command import LIMIT, ROOT, run

if TYPE_CHECKING:
    from pathlib import Path

WITHOUT_GUARD = """
from indexer import WorkerOptions, index
print(index({folder!r}, workers={workers}).subdirs["noarch"].packages)
"""
# Prints the number of each of its processes, which then never end by themselves.
BUSY = """
import os, threading
from indexer.extractor.processes import pool

def busy(number):
    os.write(1, b"%d\\n" % os.getpid())  # in one piece: two processes write into one pipe
    threading.Event().wait()

if __name__ == "__main__":
    with pool(2) as some:
        for job in [some.executor.submit(busy, number) for number in range(2)]:
            job.result()
"""


@pytest.mark.parametrize("workers", ["WorkerOptions()", "WorkerOptions(processes=True)"])
def test_a_script_without_main_guard_indexes_many_packages(tmp_path: Path, workers: str) -> None:
    write_many(tmp_path / "channel" / "noarch")
    script = tmp_path / "script.py"
    script.write_text(WITHOUT_GUARD.format(folder=str(tmp_path / "channel"), workers=workers))
    done = run([sys.executable, str(script)])
    assert (done.code, done.out.splitlines()[-1]) == (0, str(MANY)), done.err
    assert ("ended early" in done.err) == ("True" in workers)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGKILL"])
def test_processes_end_with_their_parent(tmp_path: Path, name: str) -> None:
    script = tmp_path / "script.py"
    script.write_text(BUSY)
    with subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    ) as parent:
        assert parent.stdout is not None
        watch = threading.Timer(LIMIT, os.killpg, (parent.pid, signal.SIGKILL))
        watch.start()
        busy = {int(parent.stdout.readline()) for _ in range(2)}
        parent.send_signal(getattr(signal, name))
        rest = parent.stdout.read()  # ends when no process holds it open
        late = watch.finished.is_set()
        watch.cancel()
    assert (len(busy), rest, late) == (2, b"", False)
