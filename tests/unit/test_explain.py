"""What boto3's chain adds is explained too, with the provider that has it; another process settles the same."""

from __future__ import annotations

import json
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING

import pytest

from indexer.core.errors import BadConfig
from indexer.settings.locations import Environment
from indexer.settings.provenance import lines
from indexer.settings.resolve import explain, resolve
from indexer.store.s3.chain import chain_of, endpoint_of, keys_of, region_of
from indexer.store.s3.connect import connect
from indexer.store.s3.providers import OTHER
from indexer.store.s3.retry import Retries
from indexer.store.target import S3Options, Target
from tests.support.command import clear_settings

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
ID = "AKIAIOSFODNN7EXAMPLE"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    clear_settings(monkeypatch, tmp_path)
    return tmp_path


def explained(home: Path, given: S3Options | None = None, channel: str = "s3://reeds/ch") -> list[str]:
    """The lines of `--show-config`, with single spaces."""
    env = Environment({}, home, home, system=home)
    told = lines(explain(resolve(channel, given or S3Options(), None, env)))
    assert SECRET not in "".join(told)
    return [" ".join(line.split()) for line in told]


def test_keys_and_region_of_variables(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("AWS_ACCESS_KEY_ID", ID), ("AWS_SECRET_ACCESS_KEY", SECRET), ("AWS_REGION", "eu")):
        monkeypatch.setenv(name, value)
    assert explained(home) == [
        "endpoint-url that of AWS default",
        "provider aws by the endpoint",
        "region eu AWS_REGION",
        "addressing-style virtual-host provider aws",
        "access-key-id AKIA…MPLE boto3 (env)",
        "secret-access-key …EKEY boto3 (env)",
    ]


def test_keys_region_and_endpoint_of_a_profile(home: Path) -> None:
    (home / "aws-config").write_text("[profile mine]\nregion = eu-9\nendpoint_url = https://s3.example\n")
    (home / "aws-credentials").write_text(f"[mine]\naws_access_key_id = {ID}\naws_secret_access_key = {SECRET}\n")
    assert explained(home, S3Options(profile="mine")) == [
        "endpoint-url https://s3.example boto3 (profile mine)",
        "provider other by the endpoint",
        "region eu-9 boto3 (profile mine)",
        "addressing-style path provider other",
        "access-key-id AKIA…MPLE boto3 (shared-credentials-file)",
        "secret-access-key …EKEY boto3 (shared-credentials-file)",
        "profile mine --profile",
    ]


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("AWS_ENDPOINT_URL", "https://a.example", "endpoint-url https://a.example AWS_ENDPOINT_URL"),
        ("AWS_ENDPOINT_URL_S3", "https://b.example", "endpoint-url https://b.example AWS_ENDPOINT_URL_S3"),
        ("AWS_DEFAULT_REGION", "eu", "region eu AWS_DEFAULT_REGION"),
        ("AWS_CONFIG_FILE", "", "region us-east-1 default"),
    ],
)
def test_what_a_variable_of_aws_says(
    home: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    monkeypatch.setenv(name, value)
    assert told in explained(home)


def test_endpoints_that_boto3_shall_ignore_are_ignored(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://a.example")
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    assert "endpoint-url that of AWS default" in explained(home)


def test_a_provider_may_have_its_own_region(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu")
    told = explained(home, S3Options("https://abc.r2.cloudflarestorage.com"))
    assert {"provider r2 by the endpoint", "region auto provider r2"} <= set(told)
    assert "provider minio --provider" in explained(home, S3Options("https://s3.example", provider="minio"))


def test_where_there_are_no_keys_that_is_told(home: Path) -> None:
    (told,) = (it for it in explained(home, S3Options("https://s3.example")) if it.startswith("access-key-id"))
    assert told.startswith(
        "access-key-id none: there are no credentials for https://s3.example in any of: the options, S3_*"
    )
    assert told.endswith("boto3")


def test_nobody_and_who_gave_keys_need_no_chain(home: Path) -> None:
    assert not any("boto3" in line for line in explained(home, S3Options(anonymous=True)))
    assert "access-key-id AKIA…MPLE --access-key-id" in explained(
        home, S3Options(access_key_id=ID, secret_access_key=SECRET)
    )


def test_of_a_folder_only_files_are_told(home: Path) -> None:
    assert explained(home, channel=str(home)) == []


def keys_here(target: Target) -> tuple[str, str]:
    """What the chain gives in this process: the provider, and the key's id."""
    provider, keys = keys_of(chain_of(target.s3), target)
    return provider, keys().access_key


def test_another_process_has_the_same_keys_from_the_same_provider(home: Path) -> None:
    fresh = {"Version": 1, "AccessKeyId": ID, "SecretAccessKey": SECRET, "Expiration": "2199-01-01T00:00:00Z"}
    (home / "keys.json").write_text(json.dumps(fresh))
    (home / "keys.py").write_text(f"print(open({str(home / 'keys.json')!r}).read())")
    (home / "aws-config").write_text(f"[default]\ncredential_process = {sys.executable} {home}/keys.py\n")
    target = Target("s3://reeds/ch", S3Options(endpoint_url="https://s3.example"))
    assert keys_here(target) == ("custom-process", ID)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(keys_here, target).result(60) == ("custom-process", ID)


AWS = {"AWS_ACCESS_KEY_ID": ID, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_SESSION_TOKEN": "some-token"}


def test_white_space_at_the_end_of_a_variable_of_aws_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**AWS, "AWS_REGION": "eu", "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}.items():
        monkeypatch.setenv(name, f"{value}\n")
    target = Target("s3://reeds/ch")
    chain = chain_of(target.s3)
    place, keys_now = keys_of(chain, target)
    keys = keys_now()
    assert (place, keys.access_key, keys.secret_key, keys.token) == ("env", ID, SECRET, "some-token")
    assert region_of(chain, target.s3, OTHER) == ("eu", "AWS_REGION")
    assert endpoint_of(chain, target.s3) == ("http://127.0.0.1:9", "AWS_ENDPOINT_URL")
    endpoint = connect("reeds", target, Retries()).endpoint
    assert (endpoint.region, endpoint.url, endpoint.provider) == ("eu", "http://127.0.0.1:9", OTHER)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("AWS_ACCESS_KEY_ID", "an id", "the access key that boto3 found (env)"),
        ("AWS_SECRET_ACCESS_KEY", f" {SECRET}", "the secret key that boto3 found (env)"),
        ("AWS_SESSION_TOKEN", "some\ntoken", "the session token that boto3 found (env)"),
        ("AWS_REGION", "eu\n-1", "AWS_REGION"),
        ("AWS_DEFAULT_REGION", "eu 1", "AWS_DEFAULT_REGION"),
        ("AWS_ENDPOINT_URL", "http://a b", "AWS_ENDPOINT_URL"),
        ("AWS_ENDPOINT_URL_S3", " http://a", "AWS_ENDPOINT_URL_S3"),
        ("AWS_ENDPOINT_URL_S3", "s3.example.com", "the endpoint of AWS_ENDPOINT_URL_S3"),
    ],
)
def test_a_variable_of_aws_no_request_can_carry_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    for it in {**AWS, name: value}.items():
        monkeypatch.setenv(*it)
    with pytest.raises(BadConfig) as refused:
        connect("reeds", Target("s3://reeds/ch"), Retries())
    assert refused.value.thing == told
    assert SECRET not in str(refused.value)
