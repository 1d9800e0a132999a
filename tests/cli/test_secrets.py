"""No secret is ever printed, whatever goes wrong and however much is asked to be said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.answering import Answer, Asked, answering, refusal
from tests.support.channels import lay_up
from tests.support.command import Ran, spawn

if TYPE_CHECKING:
    from pathlib import Path

    from fixtures.bucket import Bucket

# The access key's id is no secret: AWS itself prints it.
CANARY = "canary"
VARIABLES = {
    "S3_SECRET_ACCESS_KEY": f"{CANARY}-1",
    "S3_SESSION_TOKEN": f"{CANARY}-2",
    "AWS_SECRET_ACCESS_KEY": f"{CANARY}-3",
    "AWS_SESSION_TOKEN": f"{CANARY}-4",
    "AWS_SECURITY_TOKEN": f"{CANARY}-5",
    "S3_ACCESS_KEY_ID": "some-key",
    "AWS_ACCESS_KEY_ID": "some-key",
}
OPTIONS = ["--access-key-id", "some-key", "--secret-access-key", f"{CANARY}-6", "--session-token", f"{CANARY}-7"]


def says_no_secret(done: Ran) -> None:
    assert CANARY not in done.out
    assert CANARY not in done.err


@pytest.mark.parametrize("words", [["-vvvv"], [*OPTIONS, "-vvvv"], [*OPTIONS, "--json"]], ids=str)
def test_a_run_that_works_prints_no_secret(bucket: Bucket, words: list[str]) -> None:
    env = {**bucket.environment(), **VARIABLES}
    done = spawn("s3", lay_up(bucket, "ch"), *words, env=env)
    assert done.code == 0, done.err
    says_no_secret(done)


def tell_all(asked: Asked) -> Answer:
    """A store that repeats what it was sent, save what no store knows: the secret key itself."""
    return refusal(403, "SignatureDoesNotMatch", f"{asked.headers.get('authorization')} {asked.path}")


FAILURES = {
    "refused": tell_all,
    "no such bucket": lambda _: refusal(404, "NoSuchBucket"),
    "not XML": lambda _: Answer(400, b"what?"),
    "out of order": lambda _: Answer(501, b""),
}


@pytest.mark.parametrize("kind", FAILURES)
def test_a_run_that_fails_prints_no_secret(kind: str) -> None:
    with answering(FAILURES[kind]) as server:
        done = spawn("s3", "s3://some-bucket/ch", *OPTIONS, "-vvvv", env={**VARIABLES, "S3_ENDPOINT_URL": server.url})
    assert done.code in {1, 2}
    assert "Traceback" in done.err
    assert server.asked[0].headers["x-amz-security-token"] == f"{CANARY}-7"  # it did have it
    says_no_secret(done)


@pytest.mark.parametrize(
    "words",
    [
        ["s3", "--help"],
        ["status", "--help"],
        ["s3", "s3://some-bucket", "--addressing-style", "round", "-vv"],
        ["s3", "s3://some-bucket", "--endpoint-url", "nonsense", "-vv"],
        ["s3", "s3://some-bucket", "--profile", "nobodys", "-vv"],
        ["s3", "s3://some-bucket", "--zst-level", "99", "-vv"],
        ["s3", "folder", "-vv"],
    ],
    ids=" ".join,
)
def test_a_mistake_prints_no_secret(words: list[str]) -> None:
    done = spawn(*words, *(OPTIONS if "--help" not in words else []), env=VARIABLES)
    assert done.code == (0 if "--help" in words else 2)
    says_no_secret(done)


@pytest.fixture
def _profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials in a file, as `aws configure` leaves them."""
    path = tmp_path / "credentials"
    path.write_text(
        f"[mine]\naws_access_key_id = some-key\naws_secret_access_key = {CANARY}-8\naws_session_token = {CANARY}-9\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path))


@pytest.mark.usefixtures("_profile")
def test_the_keys_of_a_profile_are_used_and_not_printed() -> None:
    with answering(tell_all) as server:
        done = spawn("s3", "s3://some-bucket", "--endpoint-url", server.url, "--profile", "mine", "-vv")
    assert server.asked[0].headers["x-amz-security-token"] == f"{CANARY}-9"
    assert "Traceback" in done.err
    says_no_secret(done)


@pytest.mark.parametrize(
    "loud",
    [
        [],
        ["-vv"],
    ],
    ids=["plain", "loud"],
)
def test_a_password_in_the_endpoint_is_not_printed(loud: list[str]) -> None:
    with answering(lambda _: refusal(404, "NoSuchBucket")) as server:
        endpoint = server.url.replace("http://", f"http://user:{CANARY}-10@")
    done = spawn("s3", "s3://some-bucket", "--endpoint-url", endpoint, "--no-sign-request", *loud)
    assert done.code in {1, 2}
    says_no_secret(done)
