"""What a run accepts, as the options say."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from fixtures import pack, tree
from fixtures.tree import Written
from tests.support.channels import BROKEN, copy, lay_up, records, snapshot, write
from tests.support.command import invoke

if TYPE_CHECKING:
    from pathlib import Path

    from fixtures.bucket import Bucket

BAD = BROKEN / "linux-64" / "half-1.0-0.conda"
CUCKOO = BROKEN / "linux-64" / "cuckoo-1.0-0.conda"  # says that it is warbler
STRAY = BROKEN / "linux-64" / "cuckoo-4.0-0.conda"  # says that it is for osx-arm64


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A channel without anything to warn of."""
    write(tmp_path / "channel", "noarch/plain-1.0-0.conda")
    return tmp_path / "channel"


def test_strict_rejects_packages_with_warnings(plain: Path) -> None:
    write(plain, "noarch/Upper-1.0-0.conda")
    warned = invoke("status", plain, "--json").json["subdirs"]["noarch"]
    assert [note["filename"] for note in warned["warnings"]] == ["Upper-1.0-0.conda"]
    assert warned["rejected"] == []
    done = invoke("fs", plain, "--strict", "--json")
    assert done.code == 1
    assert [note["filename"] for note in done.json["subdirs"]["noarch"]["rejected"]] == ["Upper-1.0-0.conda"]


def test_strict_writes_nothing_if_one_package_is_rejected(channel: Path) -> None:
    copy(BROKEN / "noarch" / "void-2.0-0.tar.bz2", channel)
    before = snapshot(channel)
    done = invoke("fs", channel, "--strict")
    assert done.code == 1
    assert "noarch/void-2.0-0.tar.bz2" in done.err
    assert snapshot(channel) == before


def test_strict_publishes_packages_without_warnings(plain: Path) -> None:
    done = invoke("fs", plain, "--strict")
    assert (done.code, done.err) == (0, "")
    assert set(records(plain, "noarch")) == {"plain-1.0-0.conda"}


@pytest.mark.parametrize("package", [CUCKOO, STRAY], ids=["name", "subdir"])
def test_lenient_indexes_a_package_in_a_wrong_subdir_and_warns(plain: Path, package: Path) -> None:
    copy(package, plain)
    assert invoke("fs", plain).code == 3
    assert package.name not in records(plain, "linux-64")
    done = invoke("fs", plain, "--lenient")
    assert done.code == 0
    assert f"warning: linux-64/{package.name}: " in done.err
    assert package.name in records(plain, "linux-64")


def test_lenient_rejects_packages_that_no_client_can_read(plain: Path) -> None:
    copy(BAD, plain)
    assert invoke("fs", plain, "--lenient").code == 3


@pytest.fixture
def emptied(tmp_path: Path) -> Path:
    """A channel that has lost 11 of its 12 packages since it was indexed."""
    folder = tmp_path / "channel"
    paths = [write(folder, f"noarch/many-{number}.0-0.conda") for number in range(12)]
    assert invoke("fs", folder).code == 0
    for path in paths[1:]:
        path.unlink()
    return folder


def test_a_mass_removal_is_refused_and_nothing_is_written(emptied: Path) -> None:
    before = snapshot(emptied)
    done = invoke("fs", emptied, "--json")
    assert done.code == 6
    assert done.json["outcome"] == "refused"
    assert done.json["exit_code"] == 6
    assert "11 of 12" in done.error
    assert "--allow-mass-removal" in done.error
    assert snapshot(emptied) == before


def test_an_allowed_mass_removal_is_done(emptied: Path) -> None:
    done = invoke("fs", emptied, "--allow-mass-removal", "--json")
    assert done.code == 0
    assert len(done.json["subdirs"]["noarch"]["removed"]) == 11
    assert set(records(emptied, "noarch")) == {"many-0.0-0.conda"}


def test_stored_checksums_avoid_whole_reads_unless_digests_are_verified(bucket: Bucket, tmp_path: Path) -> None:
    noise = random.Random(0).randbytes(2**20)  # does not compress
    path = tmp_path / "noarch" / "large-1.0-0.conda"
    pack.write({**tree.files(Written("noarch/large-1.0-0.conda", "")), "share/noise": noise}, path)
    url = lay_up(bucket, "ch", [path])
    planned = {
        words: invoke("status", url, *words, "--json", env=bucket.environment()).json
        for words in ((), ("--verify-digests",))
    }
    ways = {words: list(report["subdirs"]["noarch"]["read"]) for words, report in planned.items()}
    assert ways == {(): ["tail"], ("--verify-digests",): ["whole"]}
    assert planned[()]["store"]["bytes_read"] < 2**19
    assert planned["--verify-digests",]["store"]["bytes_read"] > 2**20


def test_a_strict_and_lenient_run_is_wrong_usage(plain: Path) -> None:
    done = invoke("fs", plain, "--strict", "--lenient")
    assert done.code == 2
    assert done.error == "error: --strict --lenient: contradict each other; remove one of the two options"
