"""A progress bar is shown on a terminal only, and never on standard output."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.command import COMMAND, ROOT, invoke, limited

if TYPE_CHECKING:
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("no pseudo terminals here", allow_module_level=True)

import fcntl
import pty
import struct
import termios

BAR = "pkg/s"


def on_a_terminal(*words: str) -> tuple[int, str, str]:
    """The exit code, standard output and what stood on the terminal that standard error was."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    shown = b""
    with subprocess.Popen(
        [*COMMAND, *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONFAULTHANDLER": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=theirs,
    ) as child:
        os.close(theirs)
        try:
            with limited(child):
                while step := os.read(ours, 4096):
                    shown += step
        except OSError:  # how Linux says that nobody is at the other end any more
            pass
        finally:
            os.close(ours)
        assert child.stdout is not None
        out = child.stdout.read()
    assert child.returncode != -signal.SIGABRT, shown.decode()
    return child.returncode, out.decode(), shown.decode()


def test_a_bar_a_subdir_is_shown_on_a_terminal(channel: Path) -> None:
    code, out, shown = on_a_terminal("fs", str(channel))
    assert code == 0
    assert BAR in shown
    for subdir in ("linux-64", "noarch", "osx-arm64"):
        assert f"{subdir}: " in shown
    assert BAR not in out
    assert out.startswith(f"{channel}: published")


def test_a_bar_does_not_spoil_the_json(channel: Path) -> None:
    _, out, shown = on_a_terminal("fs", str(channel), "--json")
    assert BAR in shown
    assert out.startswith("{")
    assert out.endswith("}\n")


@pytest.mark.parametrize("option", ["--no-progress", "--quiet", "-q"])
def test_no_bar_is_shown_when_none_is_wanted(channel: Path, option: str) -> None:
    code, _, shown = on_a_terminal("fs", str(channel), option)
    assert code == 0
    assert BAR not in shown


def test_no_bar_is_shown_if_standard_error_is_no_terminal(channel: Path) -> None:
    done = invoke("fs", channel)
    assert BAR not in done.err
    assert "\r" not in done.err
    assert all(line.startswith("warning: ") for line in done.err.splitlines())


def test_no_bar_is_shown_if_no_package_is_read(channel: Path) -> None:
    invoke("fs", channel)
    _, _, shown = on_a_terminal("fs", str(channel))
    assert BAR not in shown
