"""The address of a bucket is that of botocore's rules, and a kind of bucket that cannot be used is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from indexer.core.errors import BadConfig
from indexer.store.s3.connect import connect
from indexer.store.s3.retry import Retries
from indexer.store.target import S3Options, Target
from tests.support.command import clear_settings

if TYPE_CHECKING:
    from pathlib import Path

    from indexer.store.s3.endpoint import Address

ARN = "arn:aws:{}:us-west-2:123456789012:{}"
POINT = ARN.format("s3", "accesspoint:ap")


def address_of(bucket: str, endpoint: str | None = None, region: str | None = None) -> Address:
    """The address of a bucket."""
    options = S3Options(endpoint, region, access_key_id="key", secret_access_key="secret-key")
    return connect(bucket, Target(f"s3://{bucket}/ch", options), Retries()).address


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clear_settings(monkeypatch, tmp_path)


@pytest.mark.parametrize(
    ("bucket", "endpoint", "region", "address"),
    [
        ("b-1", None, None, "https://b-1.s3.us-east-1.amazonaws.com us-east-1"),
        ("b-1", None, "cn-north-1", "https://b-1.s3.cn-north-1.amazonaws.com.cn cn-north-1"),
        ("b.1", None, "eu-west-1", "https://s3.eu-west-1.amazonaws.com/b.1 eu-west-1"),
        ("b-1", "https://host/base/", None, "https://host/base/b-1 us-east-1"),
        ("b-1", "http://[::1]:9000", None, "http://[::1]:9000/b-1 us-east-1"),
        (POINT, None, None, "https://ap-123456789012.s3-accesspoint.us-west-2.amazonaws.com us-west-2"),
    ],
)
def test_a_bucket_has_the_address_of_the_rules(
    bucket: str, endpoint: str | None, region: str | None, address: str
) -> None:
    origin, path, signed_for = address_of(bucket, endpoint, region)
    assert f"{origin}{path} {signed_for}" == address


@pytest.mark.parametrize(
    "bucket",
    [
        "b-1--use1-az4--x-s3",
        "arn:aws:s3::123456789012:accesspoint:abc.mrap",
        ARN.format("s3-object-lambda", "accesspoint:ap"),
        ARN.format("s3-outposts", "outpost:op-01234567890123456:accesspoint:ap"),
    ],
)
def test_a_kind_of_bucket_that_cannot_be_used_is_named(bucket: str) -> None:
    with pytest.raises(BadConfig, match="is a kind of bucket that is not supported"):
        address_of(bucket)


@pytest.mark.parametrize("endpoint", ["https://host:99999", "https://host:port", "https://[::1", "https://host?a=b"])
def test_an_endpoint_that_is_no_address_is_refused(endpoint: str) -> None:
    with pytest.raises(BadConfig):
        address_of("b-1", endpoint)
