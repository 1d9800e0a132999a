"""The table of providers: who is known by which endpoint, and where the bucket's name goes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from indexer.core.errors import BadConfig
from indexer.store.s3.providers import NAMES, PROVIDERS, addressing_of, provider_of


@pytest.mark.parametrize(
    ("endpoint", "name", "region"),
    [
        (None, "aws", None),
        ("https://s3.amazonaws.com", "aws", None),
        ("https://s3.eu-central-1.amazonaws.com/", "aws", "eu-central-1"),
        ("https://s3-eu-west-1.amazonaws.com", "aws", "eu-west-1"),
        ("https://s3.dualstack.us-gov-west-1.amazonaws.com", "aws", "us-gov-west-1"),
        ("https://s3-fips.dualstack.us-east-2.amazonaws.com", "aws", "us-east-2"),
        ("https://s3.cn-north-1.amazonaws.com.cn", "aws", "cn-north-1"),
        ("https://bucket.vpce-1a2b.s3.us-east-1.vpce.amazonaws.com", "aws", "us-east-1"),
        ("https://0123abcd.r2.cloudflarestorage.com", "r2", "auto"),
        ("https://0123abcd.eu.r2.cloudflarestorage.com", "r2", "auto"),
        ("https://storage.googleapis.com", "gcs", "auto"),
        ("https://STORAGE.googleapis.com:443/", "gcs", "auto"),
        ("https://storage.europe-west3.rep.googleapis.com", "gcs", "auto"),
        ("https://s3.us-west-004.backblazeb2.com", "b2", "us-west-004"),
        ("https://s3.wasabisys.com", "wasabi", None),
        ("https://s3.eu-central-1.wasabisys.com", "wasabi", "eu-central-1"),
        ("https://fsn1.your-objectstorage.com", "hetzner", "fsn1"),
        ("http://127.0.0.1:9000", "other", None),
        ("http://minio.example.com", "other", None),
        ("https://example.com/s3.amazonaws.com", "other", None),
        ("https://s3.amazonaws.com.example.com", "other", None),
        ("https://nots3.amazonaws.com", "other", None),
        ("https://notstorage.googleapis.com", "other", None),
        ("https://mys3.us-west-004.backblazeb2.com.example", "other", None),
    ],
)
def test_a_store_is_known_by_its_whole_endpoint(endpoint: str | None, name: str, region: str | None) -> None:
    result = provider_of(endpoint)
    assert (result.name, result.region) == (name, region)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_wins_over_the_endpoint(name: str) -> None:
    assert provider_of("https://s3.us-west-004.backblazeb2.com", name).name == name
    assert provider_of(None, name).name == name


def test_a_region_is_read_only_from_an_endpoint_of_that_provider() -> None:
    assert provider_of("https://s3.us-west-004.backblazeb2.com", "b2").region == "us-west-004"
    assert provider_of("https://s3.us-west-004.backblazeb2.com", "minio").region is None
    assert provider_of("https://proxy.example.com", "r2").region == "auto"


def test_an_unknown_name_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(BadConfig, match=re.escape(", ".join(NAMES))) as caught:
        provider_of(None, "azure")
    assert "azure" in str(caught.value)


def test_each_name_stands_in_the_table_once() -> None:
    assert len({provider.name for provider in PROVIDERS}) == len(PROVIDERS)


def test_the_page_on_stores_has_the_same_table() -> None:
    page = (Path(__file__).parents[2] / "docs/providers.md").read_text()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("| `")]
    results = {row[0].strip("`"): (row[2], row[4]) for row in rows if len(row) == 5}
    styles = {"virtual": "virtual-host", "path": "path"}
    assert results == {item.name: (item.conditions.value, styles[item.addressing]) for item in PROVIDERS}


@pytest.mark.parametrize(
    ("endpoint", "bucket", "style"),
    [
        (None, "conda", "virtual"),
        ("https://s3.eu-central-1.amazonaws.com", "conda", "virtual"),
        (None, "conda.example.com", "path"),
        (None, "Conda_Old", "path"),
        ("https://s3.us-west-004.backblazeb2.com", "conda", "path"),
        ("http://localhost:9000", "conda", "path"),
        ("http://[::1]:9000", "conda", "path"),
    ],
)
def test_the_bucket_is_part_of_the_host_only_where_that_can_be(endpoint: str | None, bucket: str, style: str) -> None:
    assert addressing_of(provider_of(endpoint), endpoint, bucket) == style


@pytest.mark.parametrize("endpoint", ["http://localhost:9000", "http://127.0.0.1", "http://[::1]:9000"])
def test_a_machine_without_a_name_of_its_own_has_no_names_of_buckets(endpoint: str) -> None:
    assert addressing_of(provider_of(None, "aws"), endpoint, "conda") == "path"
