"""What a program can import and give: one name for each command, texts and paths as targets, clear refusals."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

import indexer
from indexer import GcRequest, Options, S3Options, Target, WorkerOptions, check, gc, index, status, yank
from indexer.commands.api import target_of
from indexer.core.errors import BadConfig
from tests.support.command import clear_settings
from tests.support.memory_channel import package

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = "noarch/a-1.0-0.conda"
ONE: Any = KEY  # what a type checker would not let pass


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    clear_settings(monkeypatch, tmp_path)
    channel = tmp_path / "channel"
    (channel / "noarch").mkdir(parents=True)
    (channel / KEY).write_bytes(package(KEY))
    return channel


# Each name in a fork of its own, so that no import of another name has gone before.
IMPORTS = """
import json, os, sys
import indexer.cli.app, indexer.commands.gc, indexer.commands.api
for name in sys.argv[1:]:
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        exec(f"from indexer import {name}; print(name, type({name}).__name__)")
        sys.stdout.flush()
        os._exit(0)
    os.waitpid(child, 0)
"""


@pytest.fixture(scope="module")
def kinds() -> dict[str, str]:
    """The type of each public name, imported after modules of the same names."""
    command = [sys.executable, "-c", IMPORTS, *indexer.__all__]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return dict(line.split() for line in lines)


@pytest.mark.parametrize("name", indexer.__all__)
def test_each_public_name_can_be_imported_after_the_modules(kinds: dict[str, str], name: str) -> None:
    assert kinds[name] != "module"


def test_a_path_is_a_target_of_each_function(folder: Path) -> None:
    assert status(folder).subdirs["noarch"].added == ("a-1.0-0.conda",)
    assert not (folder / "noarch" / "repodata.json").exists()
    assert index(folder, workers=WorkerOptions(max_parallel=1)).subdirs["noarch"].packages == 1
    assert check(folder).exit_code == 0
    assert gc(folder, GcRequest(older_than_ms=0)).exit_code == 0
    assert yank(folder, [KEY], "why").exit_code == 0


def test_a_path_cannot_hold_the_url_of_a_bucket() -> None:
    with pytest.raises(BadConfig, match="pass the URL as str"):
        index(Path("s3://bucket/channel"))


@pytest.mark.parametrize(
    "call",
    [
        lambda folder: index(folder, Options(packages=ONE)),
        lambda folder: index(folder, Options(subdirs=ONE)),
        lambda folder: index(folder, replace(Options(), unyanked=ONE)),
        lambda folder: check(folder, subdirs="noarch"),
        lambda folder: yank(folder, KEY, "why"),
        lambda folder: indexer.unyank(folder, KEY),
        lambda folder: gc(folder, GcRequest(subdirs=ONE)),
    ],
)
def test_one_text_in_the_place_of_several_is_refused(folder: Path, call: Callable[[Path], object]) -> None:
    with pytest.raises(BadConfig, match=r"is one text, and a collection of texts is wanted; give \['noarch"):
        call(folder)
    assert not (folder / "noarch" / "repodata.json").exists()


def test_the_url_of_a_bucket_is_reached_as_s3_variables_say(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert target_of("s3://b/c").s3 == S3Options()
    results = {"ENDPOINT_URL": "https://s3.example.com", "REGION": "r", "ACCESS_KEY_ID": "k", "SECRET_ACCESS_KEY": "s"}
    for name, value in {**results, "ADDRESSING_STYLE": "path", "PROVIDER": "minio"}.items():
        monkeypatch.setenv(f"S3_{name}", value)
    assert target_of("s3://b/c").s3 == S3Options("https://s3.example.com", "r", "path", "k", "s", provider="minio")
    assert target_of(str(folder)).s3 == S3Options()
    whole = Target("s3://b/c", S3Options(region="other"))
    assert target_of(whole) is whole
    monkeypatch.delenv("S3_SECRET_ACCESS_KEY")
    with pytest.raises(BadConfig, match="S3_ACCESS_KEY_ID"):
        index("s3://b/c")
