"""`indexer check` reports if a channel is sound, in a folder and in a bucket, and changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from indexer import check
from tests.support.channels import PACKAGES, copy, lay_up, objects, snapshot, write
from tests.support.command import invoke

if TYPE_CHECKING:
    from pathlib import Path

    from fixtures.bucket import Bucket


@pytest.fixture
def indexed(channel: Path) -> Path:
    """The fixtures' packages, indexed."""
    assert invoke("fs", channel).code == 0
    return channel


def test_a_channel_that_was_just_indexed_is_sound(indexed: Path) -> None:
    done = invoke("check", indexed)
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0].startswith(f"{indexed}: sound in ")
    assert "12 packages" in lines[1]
    assert "0 faults" in lines[1]


def test_a_deep_check_reads_each_package_and_names_a_different_one(indexed: Path) -> None:
    assert check(str(indexed), deep=True).exit_code == 0
    package = indexed / "noarch" / "mire-1.0-0.conda"
    (indexed / "noarch" / ".indexer.json.zst").unlink()
    body = bytearray(package.read_bytes())
    body[-3] ^= 1
    package.write_bytes(bytes(body))
    assert invoke("check", indexed).code == 0
    done = invoke("check", indexed, "--deep", "--json")
    assert (done.code, done.json["outcome"]) == (5, "faulty")
    assert {fault["key"] for fault in done.json["faults"]} == {"noarch/mire-1.0-0.conda"}
    assert done.json["subdirs"]["noarch"]["packages_read"] == 5


def test_a_fault_is_one_line_with_key_reason_and_next_step(indexed: Path) -> None:
    write(indexed, "noarch/late-1.0-0.conda")
    done = invoke("check", indexed)
    assert done.code == 5
    assert done.error == (
        "fault: noarch/late-1.0-0.conda: is in the channel, but not in the index; "
        f"run `indexer fs {indexed}`; if a run is in progress, check again afterwards"
    )
    assert invoke("check", indexed, "--subdir", "linux-64", "-q").code == 0


def test_the_object_of_a_check_has_the_keys_of_the_contract(indexed: Path) -> None:
    (indexed / "linux-64" / "repodata.json.zst").write_bytes(b"")
    done = invoke("check", indexed, "--json")
    assert {
        "schema_version",
        "channel",
        "outcome",
        "exit_code",
        "seconds",
        "faults",
        "hints",
        "subdirs",
        "store",
    } == set(done.json)
    (fault,) = done.json["faults"]
    assert fault == {
        "key": "linux-64/repodata.json.zst",
        "reason": "is damaged or incomplete (it ends too early)",
        "next_step": f"run `indexer fs {indexed}`; if a run is in progress, check again afterwards",
    }


@pytest.mark.parametrize("options", [[], ["--deep"]], ids=["quick", "deep"])
def test_a_check_does_not_change_a_folder(indexed: Path, options: list[str]) -> None:
    write(indexed, "noarch/late-1.0-0.conda")
    before = snapshot(indexed)
    assert invoke("check", indexed, *options).code == 5
    assert snapshot(indexed) == before


@pytest.mark.parametrize("options", [[], ["--deep"]], ids=["quick", "deep"])
def test_a_bucket_sees_neither_put_nor_delete(bucket: Bucket, options: list[str]) -> None:
    url = lay_up(bucket, "ch", [PACKAGES / "noarch" / "mire-1.0-0.conda"])
    assert invoke("s3", url, env=bucket.environment()).code == 0
    before, start = objects(bucket, "ch"), len(bucket.requests)
    done = invoke("check", url, *options, "--json", env=bucket.environment())
    assert (done.code, done.json["outcome"]) == (0, "sound")
    assert {request.method for request in bucket.requests[start:]} <= {"GET", "HEAD"}
    assert objects(bucket, "ch") == before


def test_a_rejected_package_is_a_hint(indexed: Path) -> None:
    copy(PACKAGES.parent / "broken" / "linux-64" / "half-1.0-0.conda", indexed)
    assert invoke("fs", indexed).code == 3
    done = invoke("check", indexed)
    assert done.code == 0
    assert done.error.startswith("hint: linux-64/half-1.0-0.conda: is not indexed: ")


def test_a_missing_channel_is_an_error_and_no_fault(tmp_path: Path) -> None:
    done = invoke("check", tmp_path / "nowhere")
    assert done.code == 2
    assert "is not a folder" in done.error


def test_many_faults_of_one_kind_are_one_line_with_a_count(indexed: Path) -> None:
    for number in range(7):
        write(indexed, f"noarch/late-{number}.0-0.conda")
    done = invoke("check", indexed)
    assert done.err.count("fault:") == 1
    assert "noarch/late-0.0-0.conda: is in the channel, but not in the index (and 6 more like this; " in done.err
    assert len(invoke("check", indexed, "--json").json["faults"]) == 7
