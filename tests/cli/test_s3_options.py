"""Each option of a bucket has its effect on the requests, and so has the variable that rattler-index knows it by."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from tests.support.channels import FEW, lay_up, objects
from tests.support.command import invoke
from tests.support.http_servers import Request, Response, Server, an_empty_bucket, answering, refusal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fixtures.bucket import Bucket

KEYS = ["--access-key-id", "some-key", "--secret-access-key", "some-secret"]


@pytest.fixture
def server() -> Iterator[Server]:
    """An empty bucket of any name."""
    with answering(an_empty_bucket) as served:
        yield served


def first(server: Server, *words: str, env: dict[str, str] | None = None) -> Request:
    """The first request of a run that only looks."""
    done = invoke("status", "s3://some-bucket/ch", *words, env=env)
    assert done.code == 0, done.err
    return server.requests[0]


def signed_by(asked: Request) -> tuple[str, str]:
    """The key that a request is signed with, and the region it is signed for."""
    match = re.search(r"Credential=([^/]+)/\d+/([^/]+)/s3/", asked.headers["authorization"])
    assert match
    return match[1], match[2]


def test_an_endpoint_alone_is_enough_beside_the_keys(server: Server) -> None:
    request = first(server, "--endpoint-url", server.url, *KEYS)
    assert request.path.startswith("/some-bucket?list-type=2&prefix=ch%2F")
    assert signed_by(request) == ("some-key", "us-east-1")


def test_the_region_is_signed_for(server: Server) -> None:
    assert signed_by(first(server, "--endpoint-url", server.url, "--region", "eu-north-7", *KEYS))[1] == "eu-north-7"


def test_the_session_token_is_sent_along(server: Server) -> None:
    request = first(server, "--endpoint-url", server.url, *KEYS, "--session-token", "some-token")
    assert request.headers["x-amz-security-token"] == "some-token"


def test_without_a_session_token_none_is_sent(server: Server) -> None:
    assert "x-amz-security-token" not in first(server, "--endpoint-url", server.url, *KEYS).headers


def test_unsigned_requests_have_no_signature(server: Server) -> None:
    request = first(server, "--endpoint-url", server.url, "--no-sign-request", env={"AWS_ACCESS_KEY_ID": "some-key"})
    assert "authorization" not in request.headers


def test_a_profile_brings_its_keys_and_region(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config").write_text("[profile mine]\nregion = eu-west-9\n")
    (tmp_path / "keys").write_text("[mine]\naws_access_key_id = mine\naws_secret_access_key = hush\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "keys"))
    for words, env in ((["--profile", "mine"], {}), ([], {"AWS_PROFILE": "mine"})):
        assert signed_by(first(server, "--endpoint-url", server.url, *words, env=env)) == ("mine", "eu-west-9")
        server.requests.clear()


VARIABLES = {
    "S3_REGION": "eu-north-7",
    "S3_ACCESS_KEY_ID": "some-key",
    "S3_SECRET_ACCESS_KEY": "some-secret",
    "S3_SESSION_TOKEN": "some-token",
}


def test_the_variables_of_rattler_index_say_the_same(server: Server) -> None:
    request = first(server, env={**VARIABLES, "S3_ENDPOINT_URL": server.url})
    assert signed_by(request) == ("some-key", "eu-north-7")
    assert request.headers["x-amz-security-token"] == "some-token"


def test_options_win_over_variables(server: Server) -> None:
    words = ["--endpoint-url", server.url, "--region", "ap-1", "--access-key-id", "other", "--session-token", "other"]
    request = first(server, *words, env={**VARIABLES, "S3_ENDPOINT_URL": "http://nowhere.invalid"})
    assert signed_by(request) == ("other", "ap-1")
    assert request.headers["x-amz-security-token"] == "other"


@pytest.mark.parametrize(
    "empty",
    [
        "S3_REGION",
        "S3_SESSION_TOKEN",
        "S3_ADDRESSING_STYLE",
        "S3_PROVIDER",
        "AWS_PROFILE",
        "AWS_SESSION_TOKEN",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_ENDPOINT_URL",
        "AWS_CA_BUNDLE",
    ],
)
def test_an_empty_variable_counts_as_unset(server: Server, empty: str) -> None:
    done = invoke("status", "s3://some-bucket", "--endpoint-url", server.url, *KEYS, env={empty: ""})
    assert done.code == 0, done.err
    assert signed_by(server.requests[0]) == ("some-key", "us-east-1")
    assert "x-amz-security-token" not in server.requests[0].headers


def test_empty_keys_count_as_unset_and_the_chain_of_aws_goes_on(server: Server) -> None:
    env = {
        "S3_ENDPOINT_URL": "",
        "S3_ACCESS_KEY_ID": "",
        "S3_SECRET_ACCESS_KEY": "",
        "AWS_ENDPOINT_URL": server.url,
        "AWS_ACCESS_KEY_ID": "from-aws",
        "AWS_SECRET_ACCESS_KEY": "hush",
    }
    assert signed_by(first(server, env=env))[0] == "from-aws"


def through_a_proxy(server: Server, *words: str, env: dict[str, str] | None = None) -> str:
    """The address of the first request: a proxy gets the whole address, so no name is resolved."""
    proxied = {"HTTP_PROXY": server.url, "http_proxy": server.url, "NO_PROXY": "", "no_proxy": ""}
    first(server, *words, "--endpoint-url", "http://s3.example", *KEYS, env={**proxied, **(env or {})})
    return server.requests[0].path.partition("?")[0]


@pytest.mark.parametrize(
    ("words", "env", "address"),
    [
        (["--addressing-style", "path"], {}, "http://s3.example/some-bucket"),
        (["--force-path-style"], {}, "http://s3.example/some-bucket"),
        (["--addressing-style", "virtual-host"], {}, "http://some-bucket.s3.example/"),
        ([], {}, "http://s3.example/some-bucket"),
        (["--provider", "aws"], {}, "http://some-bucket.s3.example/"),
        ([], {"S3_ADDRESSING_STYLE": "virtual-host"}, "http://some-bucket.s3.example/"),
        ([], {"S3_ADDRESSING_STYLE": "path"}, "http://s3.example/some-bucket"),
        (["--force-path-style"], {"S3_ADDRESSING_STYLE": "virtual-host"}, "http://s3.example/some-bucket"),
        (["--addressing-style", "path"], {"S3_ADDRESSING_STYLE": "virtual-host"}, "http://s3.example/some-bucket"),
    ],
)
def test_the_addressing_style_is_that_of_the_option_or_variable(
    server: Server, words: list[str], env: dict[str, str], address: str
) -> None:
    assert through_a_proxy(server, *words, env=env) == address


@pytest.mark.parametrize(
    ("words", "env", "region"),
    [
        (["--provider", "r2"], {}, "auto"),
        ([], {"S3_PROVIDER": "r2"}, "auto"),
        ([], {"S3_PROVIDER": ""}, "us-east-1"),
        (["--provider", "r2"], {"AWS_DEFAULT_REGION": "eu-central-1"}, "auto"),
        (["--provider", "r2", "--region", "weur"], {}, "weur"),
        (["--provider", "minio"], {"AWS_DEFAULT_REGION": "eu-central-1"}, "eu-central-1"),
    ],
)
def test_a_provider_brings_its_region_and_the_option_wins(
    server: Server, words: list[str], env: dict[str, str], region: str
) -> None:
    assert signed_by(first(server, "--endpoint-url", server.url, *KEYS, *words, env=env))[1] == region


def test_a_provider_is_known_by_the_endpoint_wherever_that_was_found(server: Server) -> None:
    proxied = {"HTTP_PROXY": server.url, "http_proxy": server.url, "NO_PROXY": "", "no_proxy": ""}
    env = {**proxied, "AWS_ENDPOINT_URL_S3": "http://some-account.r2.cloudflarestorage.com"}
    request = first(server, *KEYS, env=env)
    assert request.path.startswith("http://some-account.r2.cloudflarestorage.com/some-bucket?")
    assert signed_by(request)[1] == "auto"


def test_an_unknown_provider_is_refused_with_the_known_ones(server: Server) -> None:
    done = invoke("status", "s3://some-bucket", "--endpoint-url", server.url, *KEYS, "--provider", "azure")
    assert done.code == 2
    assert "azure" in done.error
    assert "seaweedfs" in done.error


def conditions(server: Server) -> list[set[str]]:
    return [{"if-match", "if-none-match"} & set(put.headers) for put in server.of("PUT")]


def test_writes_are_conditional(server: Server) -> None:
    assert invoke("s3", "s3://some-bucket", env=server.environment()).code == 0
    assert conditions(server)
    assert all(conditions(server))


def test_writes_without_precondition_checks_have_no_condition(server: Server) -> None:
    done = invoke("s3", "s3://some-bucket", "--disable-precondition-checks", env=server.environment())
    assert done.code == 0
    assert conditions(server)
    assert not any(conditions(server))
    assert not any("if-match" in request.headers for request in server.requests)
    assert done.error.startswith("warning: without conditional writes")


def test_a_store_that_refuses_conditions_can_be_written_to_without_them() -> None:
    def knows_none(asked: Request) -> Response:
        return refusal(501, "NotImplemented") if "if-none-match" in asked.headers else an_empty_bucket(asked)

    with answering(knows_none) as server:
        done = invoke("s3", "s3://some-bucket", "-q", "--disable-precondition-checks", env=server.environment())
    assert done.code == 0


def test_a_channel_may_lie_at_the_root_of_a_bucket_or_deep_in_it(bucket: Bucket) -> None:
    for prefix in ("ch", "a/b/c"):
        url = lay_up(bucket, prefix, FEW)
        for written in (url, f"{url}/"):
            done = invoke("s3", written, "--json", env=bucket.environment())
            assert (done.code, done.json["channel"]) == (0, url)
        assert "noarch/repodata.json" in objects(bucket, prefix)
    bucket.client.put_object(Bucket=bucket.bucket, Key="noarch/x-1-0.txt", Body=b"")
    done = invoke("s3", f"s3://{bucket.bucket}", "--json", env=bucket.environment())
    assert done.code == 0
    assert bucket.client.head_object(Bucket=bucket.bucket, Key="noarch/repodata.json")


def test_a_folder_takes_no_options_of_a_bucket(channel: Path) -> None:
    for words in (["--endpoint-url", "x"], ["--region", "x"], ["--no-sign-request"], ["--profile", "x"]):
        assert invoke("fs", channel, *words).code == 2
    assert invoke("fs", channel, env={"S3_ADDRESSING_STYLE": "round", "AWS_PROFILE": "nobodys"}).code == 0


def test_a_run_changes_only_empty_variables_of_its_environment(server: Server) -> None:
    before = dict(os.environ)
    first(server, "--endpoint-url", server.url, *KEYS)
    assert dict(os.environ) == before
