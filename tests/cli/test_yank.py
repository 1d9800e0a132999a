"""Yank, unyank and repodata patches as a user types them, in a folder and in a bucket."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from fixtures import pack
from tests.support.channels import FEW, lay_up, objects, records, records_of, snapshot
from tests.support.command import invoke

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from fixtures.bucket import Bucket

KEY = "linux-64/dew-1.0-0.conda"
NAME = KEY.partition("/")[2]
PATCH = "channel-patches-1-0"


def lay_patch(channel: Path, instructions: Mapping[str, object], extension: str = ".conda") -> str:
    index = {"name": "channel-patches", "version": "1", "build": "0", "build_number": 0, "subdir": "noarch"}
    files = {
        "info/index.json": json.dumps(index).encode(),
        "linux-64/patch_instructions.json": json.dumps(instructions).encode(),
        "README.md": b"for people\n",
    }
    pack.write(files, channel / "noarch" / f"{PATCH}{extension}")
    return f"{PATCH}{extension}"


def test_a_yank_and_its_end_in_a_folder(channel: Path) -> None:
    invoke("fs", channel)
    before = records(channel, "linux-64")
    done = invoke("yank", channel, KEY, "--reason", "it breaks the build")
    assert (done.code, done.err) == (0, "")
    assert "1 yanked" in done.out
    assert records(channel, "linux-64") == {name: value for name, value in before.items() if name != NAME}
    assert (channel / KEY).is_file()
    assert f"yanked: {KEY}: it breaks the build" in invoke("status", channel).out
    invoke("fs", channel)
    assert NAME not in records(channel, "linux-64")
    done = invoke("unyank", channel, KEY)
    assert (done.code, done.err) == (0, "")
    assert records(channel, "linux-64") == before
    assert "yanked" not in invoke("status", channel).out


def test_a_yank_in_a_bucket_with_a_report_for_scripts(bucket: Bucket) -> None:
    url = lay_up(bucket, "yanked", FEW)
    env = bucket.environment()
    invoke("s3", url, env=env)
    done = invoke("yank", url, KEY, "noarch/mire-1.0-0.conda", "--reason", "bad", "--json", env=env)
    assert done.code == 0
    assert done.json["subdirs"]["linux-64"]["yanked"] == [{"filename": NAME, "reason": "bad"}]
    assert set(done.json["subdirs"]) == {"linux-64", "noarch"}
    assert NAME not in records_of(json.loads(objects(bucket, "yanked")["linux-64/repodata.json"]))
    again = invoke("s3", url, "--json", env=env).json
    assert again["subdirs"]["noarch"]["yanked"] == [{"filename": "mire-1.0-0.conda", "reason": "bad"}]
    invoke("unyank", url, KEY, env=env)
    assert NAME in records_of(json.loads(objects(bucket, "yanked")["linux-64/repodata.json"]))


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        (
            (KEY.replace("dew", "gone"), "--reason", "x"),
            2,
            "linux-64/gone-1.0-0.conda: is not a package of the channel",
        ),
        (("dew-1.0-0.conda", "--reason", "x"), 2, "is not of the form SUBDIR/FILENAME"),
        ((KEY, "--reason", " "), 2, "--reason: is empty"),
    ],
)
def test_a_yank_that_fails_is_one_line_and_changes_nothing(
    channel: Path, words: tuple[str, ...], code: int, error: str
) -> None:
    invoke("fs", channel)
    before = snapshot(channel)
    done = invoke("yank", channel, *words)
    assert (done.code, done.out) == (code, "")
    assert error in done.error
    assert snapshot(channel) == before


def test_a_yank_needs_a_reason(channel: Path) -> None:
    done = invoke("yank", channel, KEY)
    assert done.code == 2
    assert "--reason" in done.err


@pytest.mark.parametrize("extension", [".conda", ".tar.bz2"])
def test_a_patch_comes_into_force_stays_and_ends(channel: Path, extension: str) -> None:
    patch = lay_patch(channel, {"packages.conda": {NAME: {"depends": ["libreed >=2"]}}}, extension)
    done = invoke("fs", channel, "--repodata-patch", patch)
    assert done.code == 0
    assert records(channel, "linux-64")[NAME]["depends"] == ["libreed >=2"]
    assert patch in records(channel, "noarch")
    for words in ((), ("--force",), ("--repodata-patch", f"noarch/{patch}")):
        assert invoke("fs", channel, *words).code == 0
        assert records(channel, "linux-64")[NAME]["depends"] == ["libreed >=2"]
    assert invoke("fs", channel, "--no-repodata-patch").code == 0
    assert records(channel, "linux-64")[NAME]["depends"] == []


def test_status_shows_the_changes_of_a_patch_and_changes_nothing(channel: Path) -> None:
    invoke("fs", channel)
    patch = lay_patch(channel, {"packages.conda": {NAME: {"license": "MIT-0", "sha256": "00"}}})
    invoke("fs", channel)
    before = snapshot(channel)
    done = invoke("status", channel, "--repodata-patch", patch, "--json")
    assert "linux-64/repodata.json" in done.json["subdirs"]["linux-64"]["would_write"]
    assert "linux-64/patch_instructions.json" in done.json["subdirs"]["linux-64"]["would_write"]
    assert done.json["subdirs"]["linux-64"]["warnings"] == [
        {"filename": "patch_instructions.json", "reason": f"sets sha256 of {NAME}, which no patch may change"}
    ]
    assert snapshot(channel) == before


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("--repodata-patch", "gone-1-0.conda"), "noarch/gone-1-0.conda: does not exist"),
        (("--repodata-patch", "dew"), "--repodata-patch dew: is not the file name of a package"),
        (("--repodata-patch", ""), "--repodata-patch: is empty"),
        (("--repodata-patch", "a-1-0.conda", "--no-repodata-patch"), "contradict each other"),
    ],
)
def test_a_wrong_patch_is_wrong_usage(channel: Path, words: tuple[str, ...], error: str) -> None:
    before = snapshot(channel)
    done = invoke("fs", channel, *words)
    assert (done.code, done.out) == (2, "")
    assert error in done.error
    assert snapshot(channel) == before


def test_a_patch_that_cannot_be_applied_names_file_and_package(channel: Path) -> None:
    patch = lay_patch(channel, {"packages.conda": {NAME: {"depends": "libreed"}}})
    done = invoke("fs", channel, "--repodata-patch", patch)
    assert done.code == 1
    assert done.error == (
        f"error: noarch/{patch}: linux-64/patch_instructions.json: has a depends that is not a list of texts, "
        f"for {NAME}; nothing was changed: correct the patch, or end it with --no-repodata-patch"
    )


def test_an_ignored_package_does_not_fail_runs(channel: Path) -> None:
    bad = channel / "linux-64" / "half-1.0-0.conda"
    bad.write_bytes(b"half")
    assert invoke("fs", channel).code == 3
    done = invoke("ignore", channel, "linux-64/half-1.0-0.conda", "--reason", "upload was cut")
    assert (done.code, done.err) == (0, "")
    assert "1 ignored" in done.out
    assert invoke("fs", channel).code == 0
    assert "ignored: linux-64/half-1.0-0.conda: upload was cut" in invoke("status", channel).out
    assert invoke("unignore", channel, "linux-64/half-1.0-0.conda").code == 3
    assert invoke("ignore", channel, "linux-64/half-1.0-0.conda", "--reason", " ").code == 2


def test_known_rejections_do_not_fail_runs_with_fail_on_new(channel: Path) -> None:
    bad = channel / "linux-64" / "half-1.0-0.conda"
    bad.write_bytes(b"half")
    assert [invoke("fs", channel, "--fail-on", "new").code for _ in range(2)] == [3, 0]
    assert "rejected: linux-64/half-1.0-0.conda" in invoke("fs", channel, "--fail-on", "new").err
    bad.write_bytes(b"another half")
    assert invoke("fs", channel, "--fail-on", "new").code == 3
    assert invoke("fs", channel, "--fail-on", "new", "--strict").code == 2
