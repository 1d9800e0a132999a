"""`status` and --dry-run write nothing, and say what a run then does."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.channels import BROKEN, PACKAGES, copy, lay_up, objects, snapshot, write
from tests.support.command import invoke

if TYPE_CHECKING:
    from pathlib import Path

    from fixtures.bucket import Bucket

WAYS = [["status", "{}"], ["fs", "{}", "--dry-run"]]
OPTIONS = [[], ["--force"], ["--no-zst"], ["--no-monolithic"], ["--strict"], ["--subdir", "noarch"], ["--bz2"]]
SHARD = re.compile(r"[0-9a-f]{64}")  # a new record has the date of its run, so its shard has another name
PLAN = ("rejected", "reread", "packages")
WOULD = {
    "added": "would_add",
    "updated": "would_update",
    "removed": "would_remove",
    "written": "would_write",
    "deleted": "would_delete",
}


def without_digests(subdirs: Any) -> Any:
    published = {
        name: {
            **{key: sub[key] for key in PLAN},
            **{would: sub[done] or sub[would] for done, would in WOULD.items()},
        }
        for name, sub in subdirs.items()
    }
    return json.loads(SHARD.sub("*", json.dumps(published)))


def change(folder: Path) -> None:
    """Something to add, to remove and to reject."""
    write(folder, "linux-64/late-1.0-0.conda")
    (folder / "noarch" / "mire-1.0-0.conda").unlink()
    copy(BROKEN / "linux-64" / "half-1.0-0.conda", folder)


@pytest.mark.parametrize("words", WAYS, ids=" ".join)
@pytest.mark.parametrize("options", OPTIONS, ids=" ".join)
def test_a_folder_that_was_never_indexed_stays_as_it_is(channel: Path, words: list[str], options: list[str]) -> None:
    before = snapshot(channel)
    done = invoke(*(word.format(channel) for word in words), *options, "--json")
    if "--strict" in options:  # the fixtures hold something to warn of
        assert (done.code, done.json["outcome"]) == (1, "failed")
    else:
        assert (done.code, done.json["outcome"]) == (0, "planned")
    assert done.json["store"]["requests"]["PUT"] == done.json["store"]["requests"]["DELETE"] == 0
    assert snapshot(channel) == before


@pytest.mark.parametrize("words", WAYS, ids=" ".join)
@pytest.mark.parametrize("options", OPTIONS, ids=" ".join)
def test_an_indexed_folder_that_changed_stays_as_it_is(channel: Path, words: list[str], options: list[str]) -> None:
    invoke("fs", channel)
    change(channel)
    before = snapshot(channel)
    done = invoke(*(word.format(channel) for word in words), *options, "--json")
    assert any(sub["would_write"] or sub["rejected"] for sub in done.json["subdirs"].values())
    assert not any(sub["written"] or sub["deleted"] for sub in done.json["subdirs"].values())
    assert snapshot(channel) == before


@pytest.mark.parametrize("words", WAYS, ids=" ".join)
@pytest.mark.parametrize("options", [[], ["--no-zst"], ["--bz2", "--no-shards"], ["--force"]], ids=" ".join)
def test_a_run_makes_the_changes_of_its_plan(channel: Path, words: list[str], options: list[str]) -> None:
    invoke("fs", channel)
    change(channel)
    plan = invoke(*(word.format(channel) for word in words), *options, "--json").json["subdirs"]
    done = invoke("fs", channel, *options, "--json").json["subdirs"]
    assert without_digests(plan) == without_digests(done)


@pytest.mark.parametrize("words", [["status", "{}"], ["s3", "{}", "--dry-run"]], ids=" ".join)
def test_a_bucket_sees_neither_put_nor_delete(bucket: Bucket, words: list[str]) -> None:
    url = lay_up(bucket, "ch", [PACKAGES / "noarch" / "mire-1.0-0.conda"])
    for options in ([], ["--no-zst", "--force"]):
        before, start = objects(bucket, "ch"), len(bucket.requests)
        done = invoke(*(word.format(url) for word in words), *options, "--json", env=bucket.environment())
        methods = {request.method for request in bucket.requests[start:]}
        assert (done.code, done.json["outcome"]) == (0, "planned")
        noarch = done.json["subdirs"]["noarch"]
        assert noarch["would_write"] or noarch["would_delete"], "there was something to do"
        assert "GET" in methods
        assert methods <= {"GET", "HEAD"}
        assert objects(bucket, "ch") == before
        assert invoke("s3", url, env=bucket.environment()).code == 0


def test_a_folder_that_is_no_channel_yet_is_planned_as_one(tmp_path: Path) -> None:
    done = invoke("status", tmp_path, "--json", "--create")
    assert "noarch/repodata.json" in done.json["subdirs"]["noarch"]["would_write"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", WAYS, ids=" ".join)
def test_a_plan_names_what_it_would_change_and_caps_each_list(channel: Path, words: list[str]) -> None:
    invoke("fs", channel)
    change(channel)
    write(channel, "noarch/reedbed-1.0.0-0.conda", license="BSD-3-Clause")
    for number in range(12):
        write(channel, f"osx-arm64/late-{number:02d}.0-0.conda")
    lines = invoke(*(word.format(channel) for word in words), "--no-zst").out.splitlines()
    assert "  linux-64 would add: late-1.0-0.conda" in lines
    assert "  noarch would update: reedbed-1.0.0-0.conda" in lines
    assert "  noarch would remove: mire-1.0-0.conda" in lines
    assert "  noarch would delete: noarch/repodata.json.zst, noarch/run_exports.json.zst" in lines
    (added,) = [line for line in lines if line.startswith("  osx-arm64 would add: late-00.0-0.conda, ")]
    assert added.endswith("late-09.0-0.conda and 2 more (--json lists all)")
    assert any(line.startswith("  noarch would write: noarch/repodata.json, ") for line in lines)
    assert f"  nothing was changed; `indexer fs {channel}` with the same options does this" in lines
    planned = invoke(*(word.format(channel) for word in words), "--json").json["subdirs"]["osx-arm64"]
    assert len(planned["would_add"]) == 12


def test_a_plan_that_only_deletes_names_no_written_file(channel: Path) -> None:
    invoke("fs", channel, "--html")
    out = invoke("fs", channel, "--no-html", "--dry-run").out
    assert "would delete 2 files" in out
    assert "would write" not in out


def test_packages_that_are_read_again_and_say_the_same_are_not_updated(channel: Path) -> None:
    invoke("fs", channel)
    write(channel, "linux-64/dew-1.0-0.conda", license="BSD-3-Clause")
    (channel / "linux-64" / ".indexer.json.zst").unlink()
    for path in (channel / "linux-64").iterdir():
        path.touch()
    done = invoke("status", channel, "--json").json["subdirs"]["linux-64"]
    assert (done["would_update"], done["would_add"]) == (["dew-1.0-0.conda"], [])
    assert (done["reread"], done["packages"]) == (11, 12)
    lines = invoke("status", channel).out.splitlines()
    assert any("~1 -0" in line and "11 re-read" in line for line in lines)
