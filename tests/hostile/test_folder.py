"""Hostile things in a folder channel: none is read, followed or waited for, and each package among them is named."""

from __future__ import annotations

import os
import socket
import sys
from typing import TYPE_CHECKING

import pytest

from indexer import Options, Outputs, Report, index
from tests.support.channels import PACKAGES, files, lay_out, records

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TERABYTE = 2**40

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has none of these")


def run(channel: Path) -> Report:
    return index(str(channel), Options(outputs=Outputs(zst_level=1)))


@pytest.fixture
def channel(tmp_path: Path) -> Path:
    return lay_out(tmp_path / "channel", sorted((PACKAGES / "noarch").iterdir())[:2])


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        here = path.parent / "s"  # the name of a socket has a hundred characters at most
        os.chdir(path.parent)
        listening.bind(here.name)
        here.rename(path)


def _device(path: Path) -> None:
    try:
        os.mknod(path, 0o020666, os.makedev(1, 5))  # /dev/zero
    except PermissionError:
        pytest.skip("only root makes devices")


THINGS: dict[str, Callable[[Path], None]] = {
    "a pipe": os.mkfifo,
    "a socket": _socket,
    "a device": _device,
    "a folder": lambda path: (path / "info").mkdir(parents=True),
    "a link to a device": lambda path: path.symlink_to("/dev/zero"),
    "a link to a secret": lambda path: path.symlink_to("/etc/passwd"),
    "a link to itself": lambda path: path.symlink_to(path),
    "a link to nothing": lambda path: path.symlink_to("nothing"),
    "a link upwards": lambda path: path.symlink_to("../../.."),
}


@pytest.mark.parametrize(
    "name", ["evil-1.0-0.conda", "evil-1.0-0.tar.bz2", "repodata.json", "shards", ".indexer.json.zst"]
)
@pytest.mark.parametrize("kind", THINGS)
def test_what_is_no_file_is_neither_read_nor_followed(
    channel: Path, monkeypatch: pytest.MonkeyPatch, kind: str, name: str
) -> None:
    monkeypatch.chdir(channel)
    THINGS[kind](channel / "noarch" / name)
    report = run(channel)
    assert len(report.subdirs["noarch"].rejected) == 0
    if name.startswith("evil"):
        assert report.exit_code == 0
        assert len(records(channel, "noarch")) == 2
    else:
        error = report.subdirs["noarch"].error
        assert report.exit_code in {0, 1, 4}
        assert error is None or ("noarch/" in error and error.isprintable())
    assert not any(b"root:" in content for key, content in files(channel).items() if not key.endswith(name))


@pytest.mark.parametrize("extension", [".conda", ".tar.bz2"])
def test_a_terabyte_of_nothing_is_refused_unread(channel: Path, extension: str) -> None:
    path = channel / "noarch" / f"evil-1.0-0{extension}"
    with path.open("wb") as file:
        file.write(b"PK")
        file.truncate(TERABYTE)
    report = run(channel)
    (note,) = report.subdirs["noarch"].rejected
    assert "sparse" in note.reason
    assert report.usage.bytes_read < TERABYTE // 1000
    assert len(records(channel, "noarch")) == 2


def test_an_index_of_a_terabyte_of_nothing_is_left_alone(channel: Path) -> None:
    path = channel / "noarch" / "repodata.json"
    with path.open("wb") as file:
        file.truncate(TERABYTE)
    report = run(channel)
    assert report.exit_code == 1
    assert "noarch/repodata.json" in (report.subdirs["noarch"].error or "")
    assert path.stat().st_size == TERABYTE
