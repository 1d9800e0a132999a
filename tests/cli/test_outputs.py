"""Which files each option of output publishes, and what is in them."""

from __future__ import annotations

import bz2
import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest
import zstandard

from tests.support.channels import FEW, lay_up, records_of, repodata, snapshot, unpacked
from tests.support.command import Ran, invoke

if TYPE_CHECKING:
    from pathlib import Path

    from fixtures.bucket import Bucket

ALL = {
    "repodata.json",
    "repodata.json.zst",
    "repodata.json.bz2",
    "repodata_shards.msgpack.zst",
    "run_exports.json",
    "run_exports.json.zst",
    "run_exports.json.bz2",
}
DEFAULT = {name for name in ALL if not name.endswith(".bz2")}


def published(channel: Path) -> set[str]:
    return {path.name for path in (channel / "noarch").glob("r*") if path.name.startswith(("repodata", "run_exports"))}


def index(channel: Path, *words: str) -> Ran:
    done = invoke("fs", channel, *words)
    assert done.code == 0, done.err
    return done


@pytest.mark.parametrize(
    ("words", "files"),
    [
        ([], DEFAULT),
        (["--bz2"], ALL),
        (["--no-bz2"], DEFAULT),
        (["--no-zst"], {name for name in DEFAULT if not name.endswith(".json.zst")}),
        (["--no-write-zst"], {name for name in DEFAULT if not name.endswith(".json.zst")}),
        (["--no-zst", "--write-zst"], DEFAULT),
        (["--no-shards"], DEFAULT - {"repodata_shards.msgpack.zst"}),
        (["--no-write-shards"], DEFAULT - {"repodata_shards.msgpack.zst"}),
        (["--no-shards", "--write-shards"], DEFAULT),
        (["--no-run-exports"], {name for name in DEFAULT if not name.startswith("run_exports")}),
        (["--no-run-exports", "--run-exports"], DEFAULT),
        (["--no-monolithic", "--monolithic"], DEFAULT),
        (["--write-zst", "true"], DEFAULT),
        (["--write-zst", "false"], {name for name in DEFAULT if not name.endswith(".json.zst")}),
        (["--write-zst=false"], {name for name in DEFAULT if not name.endswith(".json.zst")}),
        (["--write-shards", "false"], DEFAULT - {"repodata_shards.msgpack.zst"}),
        (["--write-shards=true", "--write-zst"], DEFAULT),
    ],
    ids=lambda value: " ".join(sorted(value)),  # the order of a set differs from worker to worker
)
def test_an_option_publishes_its_files_and_no_others(channel: Path, words: list[str], files: set[str]) -> None:
    index(channel, *words)
    assert published(channel) == files


def test_without_monolithic_the_shards_stand_alone(channel: Path) -> None:
    index(channel, "--no-monolithic")
    assert not {"repodata.json", "repodata.json.zst"} & published(channel)
    assert "repodata_shards.msgpack.zst" in published(channel)


def test_complete_without_run_exports_is_wrong_usage(channel: Path) -> None:
    done = invoke("fs", channel, "--complete", "--no-run-exports")
    assert done.code == 2
    assert "error: --complete --no-run-exports: contradict each other" in done.err


@pytest.mark.parametrize("option", ["--run-exports", "--current-repodata"])
def test_options_that_contradict_no_monolithic_are_wrong_usage(channel: Path, option: str) -> None:
    before = snapshot(channel)
    done = invoke("fs", channel, "--no-monolithic", option)
    assert done.code == 2
    assert f"error: --no-monolithic {option}: contradict each other" in done.err
    assert "remove one of the two options" in done.err
    assert snapshot(channel) == before


@pytest.mark.parametrize(
    ("first", "then"),
    [([], ["--no-zst"]), ([], ["--no-shards"]), (["--bz2"], ["--no-bz2"]), ([], ["--no-monolithic"])],
    ids=str,
)
def test_a_file_that_is_switched_off_is_deleted(channel: Path, first: list[str], then: list[str]) -> None:
    index(channel, *first)
    before = published(channel)
    done = index(channel, *then, "--json")
    after = published(channel)
    assert after < before
    deleted = {key.rpartition("/")[2] for key in done.json["subdirs"]["noarch"]["deleted"]}
    assert deleted == before - after


def test_compressed_files_have_the_content_of_the_plain_file(channel: Path) -> None:
    index(channel, "--bz2")
    for name in ("repodata.json", "run_exports.json"):
        plain = (channel / "noarch" / name).read_bytes()
        assert zstandard.decompress((channel / "noarch" / f"{name}.zst").read_bytes()) == plain
        assert bz2.decompress((channel / "noarch" / f"{name}.bz2").read_bytes()) == plain


def test_the_level_of_zstd_changes_the_bytes_but_not_the_content(channel: Path) -> None:
    path = channel / "linux-64" / "repodata.json.zst"
    index(channel, "--zst-level", "1")
    fast = path.read_bytes()
    index(channel, "--zst-level", "22")
    assert path.read_bytes() != fast
    assert zstandard.decompress(path.read_bytes()) == zstandard.decompress(fast)


def test_level_sixteen_is_the_default(channel: Path) -> None:
    index(channel)
    assert invoke("fs", channel, "--zst-level", "16", "--json").json["outcome"] == "unchanged"
    assert invoke("fs", channel, "--zst-level", "15", "--json").json["outcome"] == "published"


@pytest.mark.parametrize("level", ["0", "23", "high"])
def test_a_level_that_zstd_does_not_have_is_wrong_usage(channel: Path, level: str) -> None:
    done = invoke("fs", channel, "--zst-level", level)
    assert done.code == 2
    assert "--zst-level" in done.err
    assert published(channel) == set()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--base-url", "https://cdn.example/ch"], "https://cdn.example/ch/{}/"),
        (["--base-url", "https://cdn.example/ch/"], "https://cdn.example/ch/{}/"),
        (["--base-url", "https://cdn.example/ch", "--base-url-verbatim"], "https://cdn.example/ch"),
    ],
    ids=" ".join,
)
def test_the_base_url_is_in_every_index(channel: Path, words: list[str], expected: str) -> None:
    index(channel, *words)
    for subdir in ("linux-64", "noarch"):
        parsed = repodata(channel, subdir)
        assert parsed["info"]["base_url"] == expected.format(subdir)
        assert parsed["repodata_version"] == 2
        assert unpacked(channel / subdir / "repodata_shards.msgpack.zst")["info"]["base_url"] == expected.format(subdir)


def test_without_a_base_url_none_is_written(channel: Path) -> None:
    index(channel)
    parsed = repodata(channel, "noarch")
    assert "base_url" not in parsed["info"]
    assert parsed["repodata_version"] == 1


@pytest.mark.parametrize(
    "words", [["--public-url"], ["--base-url"], ["--base-url", "https://x.example", "--public-url"]]
)
def test_the_feed_links_to_the_address_of_the_channel(channel: Path, words: list[str]) -> None:
    index(channel, "--rss", *words, "https://reeds.example/ch")
    assert b"<link>https://reeds.example/ch/</link>" in (channel / "rss.xml").read_bytes()


@pytest.mark.parametrize("url", ["reeds", "s3://b/c", "https://me:word@reeds.example", "https://a b", '"https://a"'])
def test_a_public_url_that_no_browser_can_follow_is_wrong_usage(channel: Path, url: str) -> None:
    done = invoke("fs", channel, "--rss", "--public-url", url)
    assert (done.code, "--public-url" in done.err) == (2, True)
    assert not (channel / "rss.xml").exists()


def headers(bucket: Bucket, key: str) -> Any:
    return bucket.client.head_object(Bucket=bucket.bucket, Key=f"ch/{key}")


@pytest.mark.parametrize(
    ("words", "index_says", "shard_says"),
    [
        ([], "public, max-age=300", "public, max-age=31536000, immutable"),
        (["--cache-control", "no-cache"], "no-cache", "public, max-age=31536000, immutable"),
        (["--shard-cache-control", "max-age=1"], "public, max-age=300", "max-age=1"),
    ],
    ids=str,
)
def test_objects_carry_the_cache_control_of_the_options(
    bucket: Bucket, words: list[str], index_says: str, shard_says: str
) -> None:
    done = invoke("s3", lay_up(bucket, "ch", FEW), "--json", *words, env=bucket.environment())
    assert done.code == 0, done.err
    written = [key for sub in done.json["subdirs"].values() for key in sub["written"]]
    shards = [key for key in written if "/shards/" in key]
    assert {headers(bucket, key)["CacheControl"] for key in shards} == {shard_says}
    for name in DEFAULT:
        assert headers(bucket, f"noarch/{name}")["CacheControl"] == index_says, name


def test_objects_carry_their_media_type_and_no_encoding(bucket: Bucket) -> None:
    invoke("s3", lay_up(bucket, "ch", FEW), "--bz2", env=bucket.environment())
    for name in ALL:
        parsed = headers(bucket, f"noarch/{name}")
        expected = {"json": "application/json", "zst": "application/zstd", "bz2": "application/x-bzip2"}
        assert parsed["ContentType"] == expected[name.rpartition(".")[2]], name
        assert "ContentEncoding" not in parsed


def test_the_shard_index_names_shards_that_are_there_and_hold_raw_digests(channel: Path) -> None:
    index(channel, "--no-monolithic")
    parsed = unpacked(channel / "noarch" / "repodata_shards.msgpack.zst")
    assert set(parsed["shards"]) == {"mire", "reedbed", "reedbed-data"}
    for name, digest in parsed["shards"].items():
        shard = channel / "noarch" / "shards" / f"{digest.hex()}.msgpack.zst"
        assert hashlib.sha256(shard.read_bytes()).digest() == digest
        for record in records_of(unpacked(shard)).values():
            assert record["name"] == name
            assert [len(record["md5"]), len(record["sha256"])] == [16, 32]  # bytes: older clients read no hex


def test_run_exports_are_those_of_the_packages(channel: Path) -> None:
    index(channel)
    parsed = json.loads((channel / "linux-64" / "run_exports.json").read_bytes())
    assert parsed["packages"]["libreed-2.3.0-h0a1_0.tar.bz2"] == {"run_exports": {"weak": ["libreed >=2.3.0,<3.0a0"]}}
    assert parsed["packages.conda"]["rush-0.1-0.conda"] == {"run_exports": {"weak": ["rush >=0.1"]}}
    assert parsed["packages.conda"]["dew-1.0-0.conda"] == {"run_exports": {}}
