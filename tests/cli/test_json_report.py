"""With --json standard output has one object with the keys of the contract, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.channels import BROKEN, FEW, copy, lay_up, write
from tests.support.command import invoke

if TYPE_CHECKING:
    from pathlib import Path

    from fixtures.bucket import Bucket

TOP = {"settings", "schema_version", "channel", "outcome", "exit_code", "seconds", "subdirs", "not_indexed", "store"}
SUBDIR = {
    "outcome",
    "packages",
    "attempts",
    "added",
    "updated",
    "removed",
    "rejected",
    "warnings",
    "written",
    "deleted",
}
SUBDIR |= {
    "would_add",
    "would_update",
    "would_remove",
    "would_write",
    "would_delete",
    "read",
    "metadata_read",
    "reread",
    "yanked",
    "run_exports_unknown",
}
VERBS = {"GET", "HEAD", "LIST", "PUT", "DELETE"}


def has_the_shape(report: Any) -> None:
    assert set(report) == TOP
    assert isinstance(report["seconds"], float)
    assert set(report["store"]) == {"requests", "bytes_read", "bytes_written"}
    assert set(report["store"]["requests"]) == VERBS
    for sub in report["subdirs"].values():
        assert set(sub) >= SUBDIR
        for note in (*sub["rejected"], *sub["warnings"]):
            assert set(note) == {"filename", "reason"}


@pytest.mark.parametrize("words", [["fs"], ["fs", "--dry-run"], ["status"], ["fs", "--strict"], ["fs", "-vv"]])
def test_the_report_has_the_keys_of_the_contract_and_is_alone(channel: Path, words: list[str]) -> None:
    copy(BROKEN / "linux-64" / "half-1.0-0.conda", channel)
    done = invoke(words[0], channel, *words[1:], "--json")
    has_the_shape(done.json)
    assert done.json["exit_code"] == done.code
    assert done.json["channel"] == str(channel)


def test_the_report_has_the_changes(channel: Path) -> None:
    copy(BROKEN / "linux-64" / "half-1.0-0.conda", channel)
    invoke("fs", channel)
    mire, dew = channel / "noarch" / "mire-1.0-0.conda", channel / "linux-64" / "dew-1.0-0.conda"
    mire.unlink()
    dew.write_bytes((channel / "linux-64" / "mist-1.0-0.conda").read_bytes())  # it now says that it is mist
    done = invoke("fs", channel, "--json")
    linux, noarch = (done.json["subdirs"][name] for name in ("linux-64", "noarch"))
    assert noarch["outcome"] == "published"
    assert noarch["removed"] == ["mire-1.0-0.conda"]
    assert (noarch["added"], noarch["updated"], noarch["packages"]) == ([], [], 4)
    assert "noarch/repodata.json" in noarch["written"]
    assert linux["removed"] == ["dew-1.0-0.conda"]
    assert [note["filename"] for note in linux["rejected"]] == ["dew-1.0-0.conda", "half-1.0-0.conda"]
    assert done.json["subdirs"]["osx-arm64"]["outcome"] == "unchanged"


def test_a_replaced_package_is_reported_as_updated(channel: Path) -> None:
    invoke("fs", channel)
    write(channel, "noarch/mire-1.0-0.conda", license="BSD-3-Clause")
    noarch = invoke("fs", channel, "--json").json["subdirs"]["noarch"]
    assert (noarch["added"], noarch["updated"], noarch["removed"]) == ([], ["mire-1.0-0.conda"], [])


def test_the_requests_of_the_report_are_those_that_the_server_saw(bucket: Bucket) -> None:
    url = lay_up(bucket, "ch", FEW)
    before = len(bucket.requests)
    report = invoke("s3", url, "--json", env=bucket.environment()).json
    has_the_shape(report)
    seen = dict.fromkeys(VERBS, 0)
    for request in bucket.requests[before:]:
        seen["LIST" if "list-type=2" in request.path else request.method] += 1
    assert report["store"]["requests"] == seen
    assert report["channel"] == url


def test_warnings_do_not_stand_on_standard_output(channel: Path) -> None:
    done = invoke("fs", channel, "--json")
    assert "warning: linux-64/Mallard-1.0-0.conda: " in done.err
    assert done.json["subdirs"]["linux-64"]["warnings"]


@pytest.mark.parametrize("words", [["fs", "{}/nowhere"], ["s3", "{}"], ["fs", "{}", "--package", "x"]], ids=" ".join)
def test_a_failure_is_one_object_too(channel: Path, words: list[str]) -> None:
    done = invoke(*(word.format(channel) for word in words), "--json")
    assert {"channel", "outcome", "exit_code"} <= set(done.json)
    assert (done.json["outcome"], done.json["exit_code"]) == ("failed", done.code)


@pytest.mark.parametrize(
    "words", [["fs"], ["check"], ["gc"], ["fs", "--no-such-option"], ["yank", "noarch/x", "--reason", "r"]]
)
def test_the_first_key_of_each_object_is_the_version_of_its_form(channel: Path, words: list[str]) -> None:
    done = invoke(words[0], channel, *words[1:], "--json")
    assert next(iter(done.json.items())) == ("schema_version", 1)


def test_a_failure_has_all_the_keys_of_the_contract(tmp_path: Path) -> None:
    assert set(invoke("fs", tmp_path / "nowhere", "--json").json) >= TOP


def test_quiet_prints_only_errors(channel: Path) -> None:
    assert invoke("fs", channel, "-q").out == ""
    copy(BROKEN / "linux-64" / "half-1.0-0.conda", channel)
    done = invoke("fs", channel, "-q")
    assert (done.code, done.out) == (3, "")
    assert done.error.startswith("rejected: linux-64/half-1.0-0.conda: ")


def test_quiet_does_not_silence_the_object_that_was_asked_for(channel: Path) -> None:
    done = invoke("fs", channel, "-qq", "--json")
    has_the_shape(done.json)
    assert done.err == ""


def test_a_person_reads_outcome_counts_and_requests(channel: Path) -> None:
    lines = invoke("fs", channel).out.splitlines()
    assert lines[0].startswith(f"{channel}: published in ")
    assert [line.split()[0] for line in lines[1:4]] == ["linux-64", "noarch", "osx-arm64"]
    assert "+12 ~0 -0" in lines[1]
    assert lines[-1].startswith("  store: ")


@pytest.mark.parametrize(
    ("loud", "shown"), [([], False), (["-v"], False), (["-vv"], True), (["--verbose", "-v"], True)]
)
def test_verbose_shows_more(tmp_path: Path, loud: list[str], shown: bool) -> None:  # noqa: FBT001
    assert ("debug: " in invoke("fs", tmp_path / "nowhere", *loud).err) is shown


def test_a_plan_reports_no_deletion(channel: Path) -> None:
    invoke("fs", channel)
    planned, done = (invoke(command, channel, "--no-zst").out for command in ("status", "fs"))
    assert "would delete 2" in planned
    assert "deleted" not in planned
    assert "deleted 2" in done
