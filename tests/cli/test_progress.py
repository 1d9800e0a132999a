"""A progress bar is shown on a terminal only, and never on standard output."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from indexer.cli.progress import lines
from tests.support.channels import write
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


def test_a_bar_of_bytes_is_shown_for_an_upload(channel: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "built", "noarch/new-1.0-0.conda")
    code, out, shown = on_a_terminal("publish", str(channel), str(file))
    assert code == 0
    assert "upload: " in shown
    assert "B/s" in shown
    assert "noarch: " in shown
    assert "upload: " not in out
    _, _, shown = on_a_terminal("publish", str(channel), str(file), "--no-progress", "--replace")
    assert "upload: " not in shown


def test_without_a_terminal_there_is_one_line_per_minute(caplog: pytest.LogCaptureFixture) -> None:
    seconds = iter((0.0, 59.0, 60.0, 60.0, 121.0, 121.0))
    with lines(lambda: next(seconds)) as show:
        show("upload", 500_000, 2_000_000)
        show("upload", 1_500_000, 2_000_000)
        show("noarch", 1, 3)
    assert [record.getMessage() for record in caplog.records] == [
        "upload: 1.5 MB of 2.0 MB sent",
        "noarch: 1 of 3 packages read",
    ]


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
