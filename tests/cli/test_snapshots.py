"""Snapshots and rollbacks as a user types them, in a folder and in a bucket."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.channels import FEW, PACKAGES, copy, files, lay_up, objects, records_of, write
from tests.support.command import invoke

if TYPE_CHECKING:
    from pathlib import Path

    from fixtures.bucket import Bucket

NEW = PACKAGES / "noarch" / "reedbed-1.1.0-0.conda"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["snapshot"], "needs one of NAME, --list and --delete NAME"),
        (["snapshot", "v1", "--list"], "needs one of NAME, --list and --delete NAME"),
        (["snapshot", "v1", "--yes"], "--yes: is for --delete"),
        (["snapshot", "--list", "--monolithic"], "--monolithic: is for a new snapshot"),
        (["snapshot", "a/b"], "a/b: is no name for a snapshot"),
        (["snapshot", "--delete", "v9", "--yes"], "v9: is not a snapshot of this channel"),
        (["rollback", "v9"], "v9: is not a snapshot of this channel"),
    ],
)
def test_wrong_usage_is_one_line_and_changes_nothing(channel: Path, words: list[str], text: str) -> None:
    invoke("fs", channel)
    before = files(channel)
    done = invoke(words[0], channel, *words[1:])
    assert done.code == 2
    assert text in done.err
    assert len(done.err.splitlines()) == 1
    assert files(channel) == before


def test_a_name_that_is_taken_ends_with_6(channel: Path) -> None:
    invoke("fs", channel)
    assert invoke("snapshot", channel, "v1").code == 0
    assert invoke("snapshot", channel, "v1").out.startswith(f"{channel}: unchanged")
    (channel / "noarch" / "mire-1.0-0.conda").unlink()
    invoke("fs", channel)
    done = invoke("snapshot", channel, "v1")
    assert done.code == 6
    assert done.err.startswith("error: v1: is a snapshot with other content; use another name, or delete it with")


def test_a_snapshot_and_a_rollback_in_a_bucket(bucket: Bucket) -> None:
    env = bucket.environment()
    url = lay_up(bucket, "ch", [path for path in FEW if path != NEW])
    invoke("s3", url, env=env)
    assert invoke("snapshot", url, "v1", env=env).code == 0
    assert invoke("publish", url, NEW, env=env).code == 0
    planned = invoke("rollback", url, "v1", env=env)
    assert f"noarch would withdraw 1 package: {NEW.name}" in planned.out
    report = invoke("rollback", url, "v1", "--yes", "--reason", " bad ", "--json", env=env).json
    assert report["rollback"]["noarch"]["withdrawn"] == [NEW.name]
    assert report["subdirs"]["noarch"]["yanked"] == [{"filename": NEW.name, "reason": "rolled back to v1: bad"}]
    assert NEW.name not in records_of(json.loads(objects(bucket, "ch")["noarch/repodata.json"]))
    assert invoke("snapshot", url, "--delete", "v1", "--yes", env=env).code == 0
    assert not any(key.startswith("snapshots/") for key in objects(bucket, "ch"))


def test_a_package_that_is_gone_is_a_warning(channel: Path) -> None:
    invoke("fs", channel)
    invoke("snapshot", channel, "v1")
    (channel / "noarch" / "mire-1.0-0.conda").unlink()
    copy(NEW, channel)
    invoke("fs", channel)
    done = invoke("rollback", channel, "v1")
    assert "warning: noarch/mire-1.0-0.conda: is in v1, and does not exist any more with these bytes" in done.err
    assert done.code == 0


def test_a_replacement_of_a_frozen_package_is_a_warning(channel: Path, tmp_path: Path) -> None:
    invoke("fs", channel)
    invoke("snapshot", channel, "v1")
    other = write(tmp_path / "built", "noarch/mire-1.0-0.conda", noarch="generic")
    done = invoke("publish", channel, other, "--replace")
    assert "warning: noarch/mire-1.0-0.conda: is replaced, so installs of it from a snapshot fail" in done.err
    assert done.code == 0
