"""A progress bar is shown on a terminal only, and never on standard output."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from indexer.cli.progress import bars, lines
from indexer.core.progress import Phase, Step
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


def test_without_a_terminal_there_is_a_line_every_30_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    steps = {
        0.0: Step(Phase.UPLOADING, "", 0, 2_000_000),
        29.0: Step(Phase.UPLOADING, "", 500_000, 2_000_000),
        30.0: Step(Phase.UPLOADING, "", 1_500_000, 2_000_000),
        31.0: Step(Phase.UPLOADING, "", 2_000_000, 2_000_000),
        40.0: Step(Phase.LISTING, "noarch", 1000),
        60.0: Step(Phase.LISTING, "noarch", 5000),
        61.0: Step(Phase.READING, "noarch", 0, 60_000),
        161.0: Step(Phase.READING, "noarch", 1000, 60_000),
        200.0: Step(Phase.WRITING, "", 3, 12),
        300.0: Step(Phase.WRITING, "", 12, 12),  # the report says that it has ended
        400.0: Step(Phase.WRITING, "", 0, 50),  # another stage
        440.0: Step(Phase.WRITING, "", 20, 50),
    }
    seconds = iter((0.0, *steps))
    with lines(lambda: next(seconds)) as show:
        for step in steps.values():
            show(step)
    assert capsys.readouterr().err.splitlines() == [
        "upload: 1.5 MB of 2.0 MB sent, 50.0 kB/s, about 10 s left",
        "noarch: listing: 5,000 objects listed, 200/s",
        "noarch: reading: 1,000 of 60,000 packages read, 10/s, about 1.6 h left",
        "channel: writing: 3 of 12 files written",
        "channel: writing: 0 of 50 files written",
        "channel: writing: 20 of 50 files written, 0/s, about 1 min left",
    ]


def test_a_bar_is_shown_for_each_phase(capsys: pytest.CaptureFixture[str]) -> None:
    with bars() as show:
        show(Step(Phase.LISTING, "noarch", 1000))
        show(Step(Phase.LISTING, "noarch", 1500, 1500))
        show(Step(Phase.WRITING, "noarch", 1, 3))
    shown = capsys.readouterr().err
    assert "noarch: listing: " in shown
    assert "obj/s" in shown
    assert "noarch: writing: " in shown
    assert "file/s" in shown


def test_a_terminal_without_a_name_shows_bars(channel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TERM", raising=False)
    _, _, shown = on_a_terminal("fs", str(channel))
    assert BAR in shown
    assert "noarch: writing: " in shown


@pytest.mark.parametrize(
    ("env", "coloured"), [({}, True), ({"TERM": "dumb"}, False), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True)]
)
def test_an_error_and_a_warning_have_a_colour_on_a_terminal(
    channel: Path,
    monkeypatch: pytest.MonkeyPatch,
    env: dict[str, str],
    coloured: bool,  # noqa: FBT001
) -> None:
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    _, out, shown = on_a_terminal("fs", str(channel), "--no-progress")
    assert ("\x1b[33mwarning:\x1b[0m linux-64/" in shown) is coloured
    assert "\x1b" not in out
    _, _, shown = on_a_terminal("fs", str(channel / "nowhere"))
    assert ("\x1b[31merror:\x1b[0m " in shown) is coloured
    assert "error:" in shown


def test_an_error_has_no_colour_without_a_terminal(channel: Path) -> None:
    assert "\x1b" not in invoke("fs", channel / "nowhere").err


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
