"""`indexer gc` lists unused shards, and deletes them only with --yes."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.channels import PACKAGES, lay_up, objects, snapshot, write
from tests.support.command import invoke

if TYPE_CHECKING:
    from pathlib import Path

    from fixtures.bucket import Bucket


@pytest.fixture
def orphaned(channel: Path) -> Path:
    """A channel with a shard that nothing names since a package was replaced, a month ago."""
    invoke("fs", channel)
    write(channel, "noarch/mire-1.0-0.conda", license="BSD-3-Clause")
    invoke("fs", channel)
    age(channel)
    return channel


def age(channel: Path, days: int = 30) -> None:
    then = time.time() - days * 86_400
    for path in channel.glob("*/shards/*"):
        os.utime(path, (then, then))


def shards(channel: Path) -> set[str]:
    return {path.relative_to(channel).as_posix() for path in channel.glob("*/shards/*")}


def test_without_yes_the_unused_files_are_listed_and_stay(orphaned: Path) -> None:
    before = snapshot(orphaned)
    done = invoke("gc", orphaned)
    assert done.code == 0
    assert done.err == ""
    lines = done.out.splitlines()
    assert lines[0].startswith(f"{orphaned}: planned in ")
    assert "noarch     would delete 1 file, " in lines[2]
    assert lines[4].startswith("  would delete: noarch/shards/")
    assert "repeat with --yes" in lines[5]
    assert snapshot(orphaned) == before


def test_a_plan_with_many_files_names_the_first_ones(orphaned: Path) -> None:
    for number in range(11):
        (orphaned / f"noarch/shards/{number:064x}.msgpack.zst").write_bytes(b"")
    age(orphaned)
    lines = invoke("gc", orphaned).out.splitlines()
    assert sum(line.startswith("  would delete: noarch/shards/") for line in lines) == 10
    assert "  would delete: 2 more (--json lists all)" in lines


def test_with_yes_the_orphan_goes_and_the_channel_stays_sound(orphaned: Path) -> None:
    before = shards(orphaned)
    done = invoke("gc", orphaned, "--yes", "--json")
    assert (done.code, done.json["outcome"]) == (0, "collected")
    assert done.json["subdirs"]["noarch"]["deleted"] == sorted(before - shards(orphaned))
    assert len(before - shards(orphaned)) == 1
    assert not list(orphaned.glob("*/.indexer-gc.json"))
    assert invoke("check", orphaned, "--deep").code == 0
    assert invoke("fs", orphaned, "--json").json["outcome"] == "unchanged"
    assert invoke("gc", orphaned, "--yes", "--json").json["outcome"] == "unchanged"


@pytest.mark.parametrize(
    ("words", "goes"), [([], True), (["--older-than", "31d"], False), (["--older-than", "12h"], True)]
)
def test_younger_files_stay(orphaned: Path, words: list[str], goes: bool) -> None:  # noqa: FBT001
    done = invoke("gc", orphaned, *words, "--json").json
    assert bool(done["subdirs"]["noarch"]["would_delete"]) is goes


def test_only_the_named_subdir_is_cleaned(orphaned: Path) -> None:
    assert invoke("gc", orphaned, "--yes", "--subdir", "linux-64", "--json").json["outcome"] == "unchanged"


@pytest.mark.parametrize("age", ["7", "d", "1w", "-1d", "1.5d", ""])
def test_an_invalid_age_is_wrong_usage(orphaned: Path, age: str) -> None:
    done = invoke("gc", orphaned, f"--older-than={age}")
    assert done.code == 2
    assert "give one such as 30m, 12h or 7d" in done.error


def test_temporary_files_of_a_killed_run_are_deleted(orphaned: Path) -> None:
    scratch = orphaned / "noarch" / f".repodata.json.{'0' * 32}.tmp"
    scratch.write_bytes(b"{")
    os.utime(scratch, (0, 0))
    assert invoke("gc", orphaned, "--yes").code == 0
    assert not scratch.exists()


def test_a_bucket_is_tidied_by_single_deletes(bucket: Bucket) -> None:
    package = PACKAGES / "noarch" / "mire-1.0-0.conda"
    url, env = lay_up(bucket, "ch", [package]), bucket.environment()
    invoke("s3", url, env=env)
    bucket.client.delete_object(Bucket=bucket.bucket, Key="ch/noarch/mire-1.0-0.conda")
    invoke("s3", url, env=env)
    before, start = objects(bucket, "ch"), len(bucket.requests)
    assert invoke("gc", url, "--older-than", "0s", env=env).code == 0
    assert {request.method for request in bucket.requests[start:]} <= {"GET", "HEAD"}
    done = invoke("gc", url, "--older-than", "0s", "--yes", "--json", env=env)
    assert (done.code, done.json["outcome"]) == (0, "collected")
    gone = [f"{key}" for key in before if key not in objects(bucket, "ch")]
    assert gone == done.json["subdirs"]["noarch"]["deleted"]
    assert "POST" not in {request.method for request in bucket.requests[start:]}
    assert invoke("check", url, env=env).code == 0
