"""Every exit code of the contract, each with the outcome that the report gives it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.channels import BROKEN, copy, records, snapshot, write
from tests.support.command import invoke, run
from tests.support.http_servers import Request, Response, an_empty_bucket, answering, refusal

if TYPE_CHECKING:
    from pathlib import Path

# The command line in a world whose clock runs ahead by whatever anybody sleeps.
IN_NO_TIME = """
import time
slept, real = [0.0], time.monotonic
time.sleep = lambda seconds: slept.append(seconds)
time.monotonic = lambda: real() + sum(slept)
from indexer.__main__ import main
main()
"""


def test_a_run_ends_with_0_with_or_without_changes(channel: Path) -> None:
    first, second = (invoke("fs", channel, "--json") for _ in range(2))
    assert (first.code, first.json["outcome"]) == (0, "published")
    assert (second.code, second.json["outcome"]) == (0, "unchanged")


def test_a_failed_run_ends_with_1_and_the_other_subdirs_are_published(channel: Path) -> None:
    (channel / "noarch" / "repodata.json").write_bytes(b"{broken")
    done = invoke("fs", channel, "--json")
    assert (done.code, done.json["outcome"], done.json["exit_code"]) == (1, "failed", 1)
    assert done.json["subdirs"]["noarch"]["outcome"] == "failed"
    assert done.json["subdirs"]["osx-arm64"]["outcome"] == "published"
    assert (channel / "noarch" / "repodata.json").read_bytes() == b"{broken"
    assert len(records(channel, "osx-arm64")) == 2


@pytest.mark.parametrize(
    "words", [["fs"], ["fs", "{}", "--no-such-option"], ["s3", "{}"], ["no-such-command"], ["fs", "{}", "{}"]]
)
def test_wrong_usage_ends_with_2_and_nothing_is_written(channel: Path, words: list[str]) -> None:
    before = snapshot(channel)
    done = invoke(*(word.format(channel) for word in words))
    assert done.code == 2
    assert done.out == ""
    assert snapshot(channel) == before


def test_rejected_packages_end_with_3_and_each_is_named_with_its_reason(channel: Path) -> None:
    for name in ("half-1.0-0.conda", "cuckoo-1.0-0.conda"):
        copy(BROKEN / "linux-64" / name, channel)
    done = invoke("fs", channel, "--json")
    assert (done.code, done.json["outcome"], done.json["exit_code"]) == (3, "partial", 3)
    reasons = {note["filename"]: note["reason"] for note in done.json["subdirs"]["linux-64"]["rejected"]}
    assert set(reasons) == {"half-1.0-0.conda", "cuckoo-1.0-0.conda"}
    for name, reason in reasons.items():
        assert f"rejected: linux-64/{name}: {reason}" in done.err
    assert len(records(channel, "linux-64")) == 12


def test_rejected_packages_end_with_3_again_when_nothing_changed(channel: Path) -> None:
    copy(BROKEN / "linux-64" / "half-1.0-0.conda", channel)
    first, second = (invoke("fs", channel, "--json") for _ in range(2))
    assert (first.code, second.code) == (3, 3)
    rejected = [done.json["subdirs"]["linux-64"]["rejected"] for done in (first, second)]
    assert rejected[0] == rejected[1]


def test_endless_conflicts_end_with_4_and_advise_to_repeat() -> None:
    def always_too_late(asked: Request) -> Response:
        if asked.method == "PUT" and "if-none-match" in asked.headers:
            return refusal(412, "PreconditionFailed")
        return an_empty_bucket(asked)

    with answering(always_too_late) as server:
        done = run([sys.executable, "-c", IN_NO_TIME, "s3", "s3://busy", "--json"], env=server.environment())
    assert (done.code, done.json["outcome"], done.json["exit_code"]) == (4, "conflict", 4)
    error = done.err.splitlines()[-1]  # before it are lines of progress, since time passes quickly here
    assert "noarch: gave up after" in error
    assert "repeat" in error
    assert server.of("PUT"), "it tried"


def test_a_refused_run_ends_with_6(tmp_path: Path) -> None:
    paths = [write(tmp_path, f"noarch/many-{number}.0-0.conda") for number in range(12)]
    assert invoke("fs", tmp_path).code == 0
    for path in paths[:11]:
        path.unlink()
    done = invoke("fs", tmp_path, "--json")
    assert (done.code, done.json["outcome"]) == (6, "refused")


def test_the_worst_of_the_subdirs_decides(channel: Path) -> None:
    copy(BROKEN / "linux-64" / "half-1.0-0.conda", channel)
    (channel / "noarch" / "repodata.json").write_bytes(b"{broken")
    done = invoke("fs", channel, "--json")
    assert {name: sub["outcome"] for name, sub in done.json["subdirs"].items()} == {
        "linux-64": "partial",
        "noarch": "failed",
        "osx-arm64": "published",
    }
    assert done.code == 1


def test_a_plan_with_rejected_packages_ends_with_0(channel: Path) -> None:
    copy(BROKEN / "linux-64" / "half-1.0-0.conda", channel)
    done = invoke("status", channel, "--json")
    assert (done.code, done.json["outcome"]) == (0, "planned")
    assert [note["filename"] for note in done.json["subdirs"]["linux-64"]["rejected"]] == ["half-1.0-0.conda"]


def test_status_ends_with_7_if_asked_and_a_run_would_write(channel: Path) -> None:
    words = ("status", channel, "--exit-code")
    assert invoke("status", channel).code == 0
    assert invoke(*words).code == 7
    assert invoke(*words, "--json").json["exit_code"] == 7
    assert invoke("fs", channel).code == 0
    assert invoke(*words).code == 0
    assert invoke(*words, "--bz2").code == 7
    assert invoke(*words, "--no-zst").code == 7


def test_status_exit_code_does_not_hide_a_failure(channel: Path) -> None:
    (channel / "noarch" / "repodata.json").write_bytes(b"{broken")
    assert invoke("status", channel, "--exit-code").code == 1


def test_a_bucket_without_keys_is_a_wrong_setting(tmp_path: Path) -> None:
    nowhere = {"AWS_CONFIG_FILE": f"{tmp_path}/c", "AWS_SHARED_CREDENTIALS_FILE": f"{tmp_path}/k"}
    env = {**nowhere, "AWS_EC2_METADATA_DISABLED": "true"}
    done = invoke("s3", "s3://some-bucket", "--endpoint-url", "http://127.0.0.1:9", env=env)
    assert done.code == 2
    assert "there are no credentials" in done.error
    assert "set S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY" in done.error
