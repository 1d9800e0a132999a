"""`indexer promote` as a user types it: folders and buckets in all pairs, two stores, the report for scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.channels import PACKAGES, lay_out, lay_up, objects, records
from tests.support.command import invoke

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from fixtures.bucket import Bucket

MIST = PACKAGES / "linux-64" / "mist-1.0-0.conda"
MIRE = PACKAGES / "noarch" / "mire-1.0-0.conda"
KEY = "linux-64/mist-1.0-0.conda"
# Settings of another store, which nothing may ask.
ELSEWHERE = {
    "S3_ENDPOINT_URL": "http://127.0.0.1:9",
    "S3_ACCESS_KEY_ID": "other",
    "S3_SECRET_ACCESS_KEY": "other",
    "S3_REGION": "eu-central-1",
}


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """An indexed channel in a folder."""
    folder = lay_out(tmp_path / "prod", [MIRE])
    assert invoke("fs", folder).code == 0
    return folder


def staged(bucket: Bucket, prefix: str = "staging") -> str:
    """An indexed channel in a bucket."""
    url = lay_up(bucket, prefix, [MIST, MIRE])
    assert invoke("s3", url, env=bucket.environment()).code == 0
    return url


def test_a_bucket_is_promoted_to_a_folder_and_back(bucket: Bucket, target: Path) -> None:
    env, url = bucket.environment(), staged(bucket)
    done = invoke("promote", url, target, "mist", "--json", env=env)
    assert (done.code, done.json["from"], done.json["notes"]) == (0, url, [])
    (package,) = done.json["packages"]
    assert (package["key"], package["result"], package["size"]) == (KEY, "promoted", MIST.stat().st_size)
    assert (target / KEY).read_bytes() == MIST.read_bytes()
    assert "mist-1.0-0.conda" in records(target, "linux-64")
    other = f"s3://{bucket.bucket}/back"
    done = invoke("promote", target, other, "mist", "--create", env=env)
    assert (done.code, done.err) == (0, "")
    assert objects(bucket, "back")[KEY] == MIST.read_bytes()
    head = bucket.client.head_object(Bucket=bucket.bucket, Key=f"back/{KEY}")
    assert head["Metadata"].keys() == {"package-md5", "package-sha256"}


def test_within_a_store_without_conditions_on_copies_the_bytes_pass_through(bucket: Bucket) -> None:
    done = invoke("promote", staged(bucket), f"s3://{bucket.bucket}/prod", "mist", "--create", env=bucket.environment())
    assert (done.code, done.err) == (0, "")
    assert objects(bucket, "prod")[KEY] == MIST.read_bytes()
    assert "COPY" in done.out  # of the test of the store


def reached(url: str, target: Path, *options: str, env: Mapping[str, str] | None = None) -> None:
    """A promotion from the bucket, although the variables lead to another store."""
    done = invoke("promote", url, target, "mist", *options, env={**ELSEWHERE, **(env or {})})
    assert (done.code, done.err) == (0, "")
    assert (target / KEY).exists()


def test_the_source_may_be_a_public_bucket_of_another_store(bucket: Bucket, target: Path) -> None:
    url = staged(bucket)
    for key in objects(bucket, "staging"):
        bucket.client.put_object_acl(Bucket=bucket.bucket, Key=f"staging/{key}", ACL="public-read")
    reached(url, target, "--from-endpoint-url", bucket.endpoint, "--from-no-sign-request")


def test_the_source_may_have_a_profile(bucket: Bucket, target: Path, tmp_path: Path) -> None:
    config = tmp_path / "aws"
    config.write_text(
        f"[profile staging]\nendpoint_url = {bucket.endpoint}\nregion = us-east-1\n"
        f"aws_access_key_id = {bucket.access_key}\naws_secret_access_key = {bucket.secret_key}\n"
    )
    reached(staged(bucket), target, "--from-profile", "staging", env={"AWS_CONFIG_FILE": str(config)})


def test_the_options_of_the_source_are_not_those_of_the_target(bucket: Bucket, target: Path) -> None:
    words = (
        "promote",
        target,
        f"s3://{bucket.bucket}/prod",
        "mire",
        "--create",
        "--from-endpoint-url",
        "http://[::1]:9",
    )
    done = invoke(*words, env=bucket.environment())
    assert (done.code, done.err) == (0, "")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nothing",), "matches no package of"),
        (("mist-1.0-0.conda",), "has no subdir; name it like noarch/mist-1.0-0.conda"),
        (("mist=[1",), "does not name packages"),
    ],
)
def test_a_wrong_name_is_wrong_usage(bucket: Bucket, target: Path, words: tuple[str, ...], message: str) -> None:
    done = invoke("promote", staged(bucket), target, *words, env=bucket.environment())
    assert done.code == 2
    assert message in done.err
    assert not (target / "linux-64").exists()


def test_one_channel_is_not_promoted_to_itself(target: Path) -> None:
    done = invoke("promote", target, target, "mire")
    assert done.code == 2
    assert "is both FROM and TO" in done.err
