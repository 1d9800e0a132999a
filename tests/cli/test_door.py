"""What strangers wrote leaves the commands as printable text, on every terminal and through every pipe."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from indexer.cli import output
from indexer.cli.text.run import errors, lines, warnings
from indexer.core.report import Note, Outcome, Report, SubdirReport
from tests.support.memory_channel import package

if TYPE_CHECKING:
    from pathlib import Path

BAD = "\x1b[2J\n::add-mask::x\u202e"


def run(*arguments: str, encoding: str = "utf-8", **more: Any) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    command = [sys.executable, "-m", "indexer", *arguments]
    return subprocess.run(command, capture_output=True, env=environment, check=False, timeout=120, **more)


@pytest.fixture
def channel(tmp_path: Path) -> Path:
    folder = tmp_path / "söng"
    (folder / "noarch").mkdir(parents=True)
    (folder / "noarch/a-1.0-0.conda").write_bytes(package("noarch/a-1.0-0.conda"))
    return folder


def test_a_yank_reason_and_a_file_name_are_one_short_printable_line(channel: Path) -> None:
    (channel / f"noarch/{BAD}.conda").write_bytes(b"x")
    run("fs", str(channel))
    assert run("yank", str(channel), "noarch/a-1.0-0.conda", "--reason", f"{BAD}{'x' * 90_000}").returncode in {0, 3}
    for command in ("status", "check", "fs"):
        done = run(command, str(channel))
        lines = (done.stdout + done.stderr).decode().split("\n")
        assert all(line.isprintable() and len(line) < 1500 for line in lines), command
        assert not [line for line in lines if line.lstrip().startswith("::")]
        assert any(r"\x1b[2J\n::add-mask::x\u202e" in line for line in lines), command


@pytest.mark.parametrize("encoding", ["ascii", "ascii:strict", "cp1252:strict"])
@pytest.mark.parametrize("more", [[], ["--json"]])
def test_a_pipe_that_cannot_encode_a_character_gets_an_escape(channel: Path, encoding: str, more: list[str]) -> None:
    folder = channel.rename(channel.parent / "葦")
    done = run("fs", str(folder), *more, encoding=encoding)
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False)
    assert rb"\u8466" in done.stdout
    if more:
        assert json.loads(done.stdout)["channel"].endswith("葦")


def test_a_file_name_outside_utf8_is_valid_json(channel: Path) -> None:
    (channel / "noarch" / os.fsdecode(b"\xff.conda")).write_bytes(b"x")
    done = run("fs", str(channel), "--json")
    assert b"Traceback" not in done.stderr
    assert json.loads(done.stdout)["outcome"] in {"published", "partial"}


def test_a_closed_pipe_is_no_error(channel: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "indexer", "fs", str(channel)], stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def hostile() -> Report:
    note = Note(f"{BAD}##[error]", BAD + "x" * 100_000)
    sub = SubdirReport(
        Outcome.PLANNED, rejected=(note,), warnings=(note,), yanked=(note,), ignored=(note,), added=(note.filename,)
    )
    return Report({"noarch": sub}, channel="ch", not_indexed=(Note(BAD, BAD),))


def printed(value: object, stream: io.StringIO) -> str:
    before, sys.stdout = sys.stdout, stream
    try:
        output.out_json(value)
    finally:
        sys.stdout = before
    return stream.getvalue()


def test_json_on_a_terminal_has_short_printable_texts() -> None:
    text = printed(hostile().as_json(), Terminal())
    assert all(line.isprintable() and len(line) < 500 for line in text.split("\n"))
    assert json.loads(text)["subdirs"]["noarch"]["rejected"][0]["reason"].startswith(r"\x1b[2J\n")


def test_json_through_a_pipe_has_every_text_whole_and_no_old_command() -> None:
    text = printed(hostile().as_json(), io.StringIO())
    (result,) = json.loads(text)["subdirs"]["noarch"]["rejected"]
    assert result == {"filename": f"{BAD}##[error]", "reason": BAD + "x" * 100_000}
    assert "##[" not in text


def test_every_line_of_a_report_is_fit() -> None:
    report = hostile()
    for line in (*errors(report), *warnings(report), *lines(report)):
        assert output.fit(line).isprintable()
        assert len(output.fit(line)) < 1500
        assert "##[" not in output.fit(line)
