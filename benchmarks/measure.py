"""Runs a command as a child process and measures its time, its memory and its result.

Each run is a process of its own: peak memory is only known of a process that has ended, and a crash of a peer ends no
other process. A run never exceeds its time limit.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.results import OK, TIMED_OUT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


_ROOT = Path(__file__).resolve().parent.parent
_PROC = Path("/proc")
_TAIL_CHARACTERS = 2000
_LONGEST_SECONDS = 3600.0
_SAMPLE_SECONDS = 0.05
# Linux counts ru_maxrss in KiB, macOS in bytes.
_RSS_PER_MIB = 1024 * 1024 if sys.platform == "darwin" else 1024

# On Linux a process begins with the memory peak of its parent, so the size of a benchmark would
# hide a smaller peer's. This program between the two is smaller than any of them. wait4 gives one child's usage.
# rattler-index opens hundreds of thousands of files at a time, so all tools get as many as the system allows.
_LAUNCHER = """
import os, resource, sys, time
for limit in (1 << 20, resource.getrlimit(resource.RLIMIT_NOFILE)[1]):
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
        break
    except (OSError, ValueError):
        pass
started = time.perf_counter()
child = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, 2, 1)])
_, status, usage = os.wait4(child, 0)
print(status, usage.ru_maxrss, time.perf_counter() - started, usage.ru_utime + usage.ru_stime)
"""


class CannotRunError(Exception):
    """A command could not be started; the text has the reason."""


@dataclass(frozen=True)
class Outcome:
    """The cost and the result of one run."""

    seconds: float
    """Wall time, interpreter start included: that is what a user waits for."""
    peak_mib: float
    """Peak resident memory of the largest process of the run."""
    state: str
    """`ok`, `timed out`, `exit N` or `killed by SIGNAL`."""
    output: str
    """The end of what the run wrote to stdout and stderr."""
    cpu_seconds: float
    """What all processes of the run took of the cores."""
    together_mib: float = 0.0
    """Peak of the resident memory of all its processes at one time, sampled; pages that they share count in each."""

    @property
    def ok(self) -> bool:
        """Whether the run ended with exit code 0."""
        return self.state == OK


def measure(
    command: list[str], environment: Mapping[str, str] | None = None, seconds: float = _LONGEST_SECONDS
) -> Outcome:
    """Run a command to its end, or for this many seconds, and measure it.  Raises CannotRunError."""
    with tempfile.TemporaryFile() as log:
        with (
            subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _LAUNCHER, *command],
                cwd=_ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # so that all its processes can be ended at once
            ) as launcher,
            _watching(launcher.pid) as family,
        ):
            try:
                printed, _ = launcher.communicate(timeout=seconds)
            except BaseException as failure:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(launcher.pid, signal.SIGKILL)
                if not isinstance(failure, subprocess.TimeoutExpired):
                    raise
                launcher.wait()
                return Outcome(seconds, family.peak_mib, TIMED_OUT, "", 0.0, family.peak_mib)
        log.seek(0)
        output = log.read().decode(errors="replace")[-_TAIL_CHARACTERS:]
    if launcher.returncode != 0:
        raise CannotRunError(f"cannot run {Path(command[0]).name}: {output.strip().splitlines()[-1]}")
    status, peak, took, cpu = printed.split()
    code = os.waitstatus_to_exitcode(int(status))
    state = OK if code == 0 else f"exit {code}" if code > 0 else f"killed by {signal.Signals(-code).name}"
    largest = int(peak) / _RSS_PER_MIB
    # Sampling can miss a short peak; the value of wait4 is at most that of another process.
    return Outcome(float(took), largest, state, output, float(cpu), max(largest, family.peak_mib))


def cpu_seconds(pid: int) -> float:
    """The CPU seconds of a running process until now."""
    try:
        # The fields after the program's name, which may have blanks in it.
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class _Family:
    """The peak memory of all descendants of a launcher together."""

    def __init__(self, launcher: int) -> None:
        self._launcher = launcher
        self._pages = 0
        self.stop = threading.Event()

    @property
    def peak_mib(self) -> float:
        """The highest sum of all samples."""
        return self._pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def run(self) -> None:
        """Take samples until stopped."""
        while not self.stop.wait(_SAMPLE_SECONDS):
            pids, pages = _children(self._launcher), 0
            while pids:
                pid = pids.pop()
                pids += _children(pid)
                pages += _pages(pid)
            self._pages = max(self._pages, pages)


@contextlib.contextmanager
def _watching(launcher: int) -> Iterator[_Family]:
    family = _Family(launcher)
    thread = threading.Thread(target=family.run, daemon=True)
    thread.start()
    try:
        yield family
    finally:
        family.stop.set()
        thread.join()


def _children(pid: int) -> list[int]:
    """The children of all threads of a process, if Linux lists them."""
    results: list[int] = []
    for file in (_PROC / str(pid) / "task").glob("*/children"):
        with contextlib.suppress(OSError):
            results += map(int, file.read_text().split())
    return results


def _pages(pid: int) -> int:
    try:
        return int((_PROC / str(pid) / "statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
