"""Which packages and subdirs a run looks at."""

from __future__ import annotations

import bz2
import json
import os
from typing import TYPE_CHECKING

import pytest

from tests.support.channels import FEW, lay_up, objects, records, records_of, snapshot, write
from tests.support.command import invoke
from tests.support.notifications import in_sqs, s3

if TYPE_CHECKING:
    from pathlib import Path

    from fixtures.bucket import Bucket

PACKAGE = "noarch/mire-1.0-0.conda"
OTHER = "linux-64/dew-1.0-0.conda"


def test_force_reads_everything_again_and_keeps_the_dates(channel: Path) -> None:
    invoke("fs", channel)
    before = records(channel, "noarch")
    assert invoke("fs", channel, "--json").json["subdirs"]["noarch"]["read"].keys() == {"kept"}
    for flag in ("--force", "-f"):
        done = invoke("fs", channel, flag, "--json")
        assert done.json["subdirs"]["noarch"]["read"]["whole"]["packages"] == 5
    assert records(channel, "noarch") == before


@pytest.mark.parametrize("option", ["--target-platform", "--subdir"])
def test_only_a_named_subdir_is_indexed_and_noarch_made_sure_of(channel: Path, option: str) -> None:
    done = invoke("fs", channel, option, "linux-64", "--json")
    assert done.code == 0
    assert set(done.json["subdirs"]) == {"linux-64", "noarch"}
    assert (channel / "noarch" / "repodata.json").is_file()
    assert not (channel / "osx-arm64" / "repodata.json").exists()


@pytest.mark.parametrize("option", ["--target-platform", "--subdir"])
def test_subdirs_can_be_named_again_and_again(channel: Path, option: str) -> None:
    invoke("fs", channel)
    write(channel, "noarch/late-1.0-0.conda")
    done = invoke("fs", channel, option, "linux-64", option, "osx-arm64", "--json")
    # noarch is a channel's already, so it is left as it is.
    assert set(done.json["subdirs"]) == {"linux-64", "osx-arm64"}
    assert "late-1.0-0.conda" not in records(channel, "noarch")


def test_an_unknown_subdir_is_indexed_only_by_name(channel: Path) -> None:
    write(channel, "espidf-xtensa/tiny-1.0-0.conda")
    done = invoke("fs", channel)
    assert not (channel / "espidf-xtensa" / "repodata.json").exists()
    assert "espidf-xtensa" in done.err
    assert "--subdir" in done.err
    assert invoke("fs", channel, "--subdir", "espidf-xtensa").code == 0
    assert set(records(channel, "espidf-xtensa")) == {"tiny-1.0-0.conda"}


def test_only_named_packages_are_indexed(channel: Path) -> None:
    done = invoke("fs", channel, "--package", PACKAGE, "--package", OTHER, "--json")
    assert done.code == 0
    assert set(records(channel, "noarch")) == {"mire-1.0-0.conda"}
    assert set(records(channel, "linux-64")) == {"dew-1.0-0.conda"}
    assert set(done.json["subdirs"]) == {"linux-64", "noarch"}


def test_a_bucket_is_not_listed_for_named_packages(bucket: Bucket) -> None:
    url = lay_up(bucket, "ch", FEW)
    done = invoke("s3", url, "--package", PACKAGE, "--json", env=bucket.environment())
    assert done.json["store"]["requests"]["LIST"] == 0
    assert set(records_of(json.loads(objects(bucket, "ch")["noarch/repodata.json"]))) == {"mire-1.0-0.conda"}


def test_a_named_package_that_is_gone_leaves_and_no_other_does(channel: Path) -> None:
    invoke("fs", channel)
    (channel / PACKAGE).unlink()
    (channel / "noarch" / "reedbed-1.0.0-0.conda").unlink()
    done = invoke("fs", channel, "--package", PACKAGE, "--json")
    assert done.json["subdirs"]["noarch"]["removed"] == ["mire-1.0-0.conda"]
    left = records(channel, "noarch")
    assert "mire-1.0-0.conda" not in left
    assert "reedbed-1.0.0-0.conda" in left


def test_packages_are_named_in_a_file_one_a_line(channel: Path, tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text(f"\n  {PACKAGE}  \n\n{OTHER}\n")
    assert invoke("fs", channel, "--packages-from", names).code == 0
    assert {*records(channel, "noarch"), *records(channel, "linux-64")} == {"mire-1.0-0.conda", "dew-1.0-0.conda"}


def test_packages_are_named_on_standard_input(channel: Path) -> None:
    done = invoke("fs", channel, "--packages-from", "-", "--json", stdin=f"{PACKAGE}\n{OTHER}\n")
    assert done.code == 0
    assert {*records(channel, "noarch"), *records(channel, "linux-64")} == {"mire-1.0-0.conda", "dew-1.0-0.conda"}


def test_names_of_the_option_and_of_the_file_add_up(channel: Path) -> None:
    invoke("fs", channel, "--package", PACKAGE, "--packages-from", "-", stdin=OTHER)
    assert {*records(channel, "noarch"), *records(channel, "linux-64")} == {"mire-1.0-0.conda", "dew-1.0-0.conda"}


def test_an_empty_list_of_packages_means_none_and_not_all(channel: Path) -> None:
    invoke("fs", channel)
    write(channel, "linux-64/late-1.0-0.conda")
    (channel / OTHER).unlink()
    before = snapshot(channel)
    done = invoke("fs", channel, "--packages-from", "-", "--json", stdin="")
    assert done.code == 0
    assert done.json["outcome"] == "unchanged"
    assert snapshot(channel) == before


@pytest.mark.parametrize(
    "words",
    [
        ["--force", "fs", "{}", "--json"],
        ["--subdir", "noarch", "--no-zst", "fs", "{}", "--json"],
        ["fs", "--json", "--force", "{}"],
        ["-f", "--max-parallel", "2", "--json", "fs", "{}"],
    ],
    ids=" ".join,
)
def test_options_may_stand_before_the_command_as_with_rattler_index(channel: Path, words: list[str]) -> None:
    invoke("fs", channel, "--subdir", "noarch")
    done = invoke(*(word.format(channel) for word in words))
    assert done.code == 0, done.err
    noarch = done.json["subdirs"]["noarch"]
    if "--no-zst" in words:
        assert noarch["deleted"] == ["noarch/repodata.json.zst", "noarch/run_exports.json.zst"]
    else:
        assert noarch["read"]["whole"]["packages"] == 5


def test_a_folder_may_be_called_as_a_command_is(channel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    channel.rename(channel.with_name("status"))
    monkeypatch.chdir(channel.parent)
    done = invoke("fs", "status", "--subdir", "noarch", "--json")
    assert done.json["channel"] == "status"
    assert done.json["outcome"] == "published"


def test_the_packages_of_an_event_are_indexed_without_a_listing(bucket: Bucket) -> None:
    url = lay_up(bucket, "some/channel", FEW)
    invoke("s3", url, env=bucket.environment())
    prefix = f"some/channel/{PACKAGE.partition('/')[0]}"
    bucket.client.delete_object(Bucket=bucket.bucket, Key=f"some/channel/{PACKAGE}")
    bucket.client.delete_object(Bucket=bucket.bucket, Key=f"some/channel/{OTHER}")
    event = in_sqs(s3(f"some/channel/{PACKAGE}", f"{prefix}/repodata.json", bucket=bucket.bucket))
    before = len(bucket.requests)
    done = invoke("s3", url, "--event", "-", "--json", "-v", env=bucket.environment(), stdin=json.dumps(event))
    assert done.code == 0
    assert done.json["subdirs"]["noarch"]["removed"] == ["mire-1.0-0.conda"]
    assert "linux-64" not in done.json["subdirs"]
    assert done.json["store"]["requests"]["LIST"] == 0
    assert not [request for request in bucket.requests[before:] if "list-type=2" in request.path]
    assert "ignored 1 objects" in done.err


def test_a_run_over_an_event_follows_the_settings_and_deletes_no_format(bucket: Bucket) -> None:
    url = lay_up(bucket, "some/channel", FEW)
    invoke("s3", url, "--html", "--bz2", env=bucket.environment())
    before = objects(bucket, "some/channel")
    assert {"noarch/index.html", "noarch/repodata.json.bz2"} <= before.keys()
    bucket.client.delete_object(Bucket=bucket.bucket, Key=f"some/channel/{PACKAGE}")
    event = json.dumps(s3(f"some/channel/{PACKAGE}", bucket=bucket.bucket))
    done = invoke("s3", url, "--event", "-", "--json", env=bucket.environment(), stdin=event)
    assert (done.code, done.json["settings"]) == (0, [])
    after = objects(bucket, "some/channel")
    gone = {key for key in before.keys() - after.keys() if "/shards/" not in key}
    assert gone == {PACKAGE, "packages/mire.html"}
    assert after[".indexer-settings.json"] == before[".indexer-settings.json"]
    assert b"mire-1.0-0.conda" not in bz2.decompress(after["noarch/repodata.json.bz2"])
    assert b"mire-1.0-0.conda" not in after["noarch/index.html"]


def test_a_name_that_clients_refuse_stops_no_other_package_of_an_event(bucket: Bucket) -> None:
    url = lay_up(bucket, "some/channel", FEW)
    bad = ["some/channel/noarch/bad\0-1.0-0.conda", f"some/channel/noarch/{'b' * 1100}-1.0-0.conda"]
    event = in_sqs(s3(bad[0], bucket=bucket.bucket), s3(bad[1], f"some/channel/{PACKAGE}", bucket=bucket.bucket))
    done = invoke("s3", url, "--event", "-", "--json", env=bucket.environment(), stdin=json.dumps(event))
    assert done.code == 0
    subdir, _, filename = PACKAGE.partition("/")
    assert filename in done.json["subdirs"][subdir]["added"]
    assert "bad\\x00-1.0-0.conda: is not indexed: the file name has characters that readers refuse" in done.err
    assert "is not indexed: the file name has 1112 characters" in done.err


@pytest.mark.parametrize("name", ["bad\0-1.0-0.conda", f"{'b' * 300}-1.0-0.conda"])
def test_a_package_whose_name_readers_refuse_is_wrong_usage(channel: Path, tmp_path: Path, name: str) -> None:
    packages = tmp_path / "packages"
    packages.write_text(f"noarch/{name}\n")
    done = invoke("fs", channel, "--packages-from", packages)
    assert done.code == 2
    assert "the file name has" in done.error


def test_an_event_of_another_channel_changes_nothing(bucket: Bucket, tmp_path: Path) -> None:
    url = lay_up(bucket, "some/channel", FEW)
    invoke("s3", url, env=bucket.environment())
    event = tmp_path / "event.json"
    event.write_text(json.dumps(s3(f"other/channel/{PACKAGE}", bucket=bucket.bucket)))
    done = invoke("s3", url, "--event", event, "--json", env=bucket.environment())
    assert (done.code, done.json["outcome"], done.json["store"]["requests"]["PUT"]) == (0, "unchanged", 0)


def test_an_invalid_event_is_wrong_usage(bucket: Bucket, channel: Path, tmp_path: Path) -> None:
    event = tmp_path / "event.json"
    event.write_text("{}")
    done = invoke("s3", f"s3://{bucket.bucket}", "--event", event, env=bucket.environment())
    assert done.code == 2
    assert done.error.startswith(f"error: --event {event}: has none of the known forms")
    assert invoke("s3", f"s3://{bucket.bucket}", "--event", tmp_path / "none", env=bucket.environment()).code == 2
    done = invoke("fs", channel, "--event", event)
    assert done.code == 2
    assert "s3://" in done.error


@pytest.mark.parametrize("words", [["fs"], ["status"], ["fs", "--create"], ["fs", "--subdir", "noarch"]], ids=" ".join)
def test_a_subdir_named_as_the_channel_is_refused_and_keeps_its_files(channel: Path, words: list[str]) -> None:
    invoke("fs", channel, "--html")
    before = snapshot(channel)
    done = invoke(words[0], channel / "linux-64", *words[1:])
    assert done.code == 2
    assert (
        f"{channel}/linux-64: is a subdir, not a channel; nothing was changed: name its parent {channel}" in done.error
    )
    assert snapshot(channel) == before


def test_a_typo_in_the_prefix_publishes_nothing(bucket: Bucket) -> None:
    lay_up(bucket, "conda/prod", FEW)
    before = objects(bucket, "conda")
    for prefix in ("conda/prd", "conda", "conda/prod/noarch"):
        done = invoke("s3", f"s3://{bucket.bucket}/{prefix}", env=bucket.environment())
        assert done.code == 2
        assert "nothing was changed" in done.error
    assert objects(bucket, "conda") == before
    assert invoke("s3", f"s3://{bucket.bucket}/conda/new", "--create", env=bucket.environment()).code == 0


def test_a_prefix_with_an_empty_part_is_refused(bucket: Bucket) -> None:
    done = invoke("s3", f"s3://{bucket.bucket}/ch//", env=bucket.environment())
    assert done.code == 2
    assert f"has an empty part (//) in its path; use s3://{bucket.bucket}/ch/" in done.error


def test_an_unknown_subdir_is_refused_with_the_nearest_name(channel: Path) -> None:
    done = invoke("fs", channel, "--subdir", "linux-63")
    assert done.code == 2
    assert "linux-63: is not a known subdir and is not in the channel; did you mean linux-64?" in done.error
    assert not (channel / "linux-63").exists()


def test_a_missing_named_package_ends_with_3_and_is_reported(channel: Path) -> None:
    invoke("fs", channel)
    done = invoke("fs", channel, "--package", "linux-64/not-there-1.0-0.conda", "--json")
    assert (done.code, done.json["subdirs"]["linux-64"]["missing"]) == (3, ["not-there-1.0-0.conda"])
    assert "missing: linux-64/not-there-1.0-0.conda: is neither in the channel nor in its index" in done.err


def test_packages_beside_the_subdirs_are_named_in_a_note(channel: Path) -> None:
    copy_of = next((channel / "noarch").glob("*.conda"))
    (channel / "loose-1.0-0.conda").write_bytes(copy_of.read_bytes())
    (channel / "noarch" / "old").mkdir()
    (channel / "link-1.0-0.conda").symlink_to("/etc/hostname")
    done = invoke("fs", channel)
    assert done.code == 0
    assert "note: loose-1.0-0.conda: is a package beside the subdirs, so it is not indexed" in done.err
    assert "link-1.0-0.conda: is a link that leaves the channel, so it is not indexed" in done.err
    assert "warning: noarch/old/: is a folder in a subdir; packages in it are not indexed" in done.err


def test_a_link_to_a_subdir_and_a_dot_in_it_are_refused(
    channel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    invoke("fs", channel)
    (channel / "linux-64" / "noarch").mkdir()
    (tmp_path / "link").symlink_to(channel / "linux-64")
    before = snapshot(channel)
    assert "is a subdir, not a channel" in invoke("fs", tmp_path / "link").error
    monkeypatch.chdir(channel / "linux-64")
    assert "is a subdir, not a channel" in invoke("fs", ".").error
    assert snapshot(channel) == before


def test_the_time_of_a_file_counts_only_in_the_first_run(channel: Path) -> None:
    invoke("fs", channel, "--no-shards")
    path = channel / "noarch" / "repodata.json"
    content = json.loads(path.read_bytes())
    first = content["packages.conda"]["mire-1.0-0.conda"].pop("indexed_timestamp")
    path.write_text(json.dumps(content))
    os.utime(channel / PACKAGE, (1_780_272_000, 1_780_272_000))
    assert invoke("fs", channel, "--no-shards").code == 0
    assert records(channel, "noarch")["mire-1.0-0.conda"]["indexed_timestamp"] >= first
