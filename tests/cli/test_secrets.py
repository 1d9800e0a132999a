"""No secret is ever printed, with any error and any verbosity."""

from __future__ import annotations

import json
import multiprocessing
import traceback
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from indexer import IndexerError, Rules, S3Options, Target
from indexer.core.model import ETag, Stat
from indexer.extractor.extract import ExtractSpec
from indexer.extractor.workers import BatchJob, run_job
from tests.support.channels import FEW, lay_up
from tests.support.command import Ran, invoke
from tests.support.http_servers import Request, Response, answering, refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

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
def test_a_successful_run_prints_no_secret(bucket: Bucket, words: list[str]) -> None:
    env = {**bucket.environment(), **VARIABLES}
    done = invoke("s3", lay_up(bucket, "ch", FEW), *words, env=env)
    assert done.code == 0, done.err
    says_no_secret(done)


def tell_all(asked: Request) -> Response:
    """A store that repeats what it was sent, save what no store knows: the secret key itself."""
    result = f"{asked.headers.get('authorization')} {asked.headers.get('x-amz-security-token')} {asked.path}"
    return refusal(403, "SignatureDoesNotMatch", result)


FAILURES = {
    "refused": tell_all,
    "no such bucket": lambda _: refusal(404, "NoSuchBucket"),
    "not XML": lambda _: Response(400, b"what?"),
    "out of order": lambda _: Response(501, b""),
}


@pytest.mark.parametrize("kind", FAILURES)
def test_a_run_that_fails_prints_no_secret(kind: str) -> None:
    with answering(FAILURES[kind]) as server:
        done = invoke("s3", "s3://some-bucket/ch", *OPTIONS, "-vvvv", env={**VARIABLES, "S3_ENDPOINT_URL": server.url})
    assert done.code in {1, 2}
    assert "Traceback" in done.err
    assert server.requests[0].headers["x-amz-security-token"] == f"{CANARY}-7"  # it did have it
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
    done = invoke(*words, *(OPTIONS if "--help" not in words else []), env=VARIABLES)
    assert done.code == (0 if "--help" in words else 2)
    says_no_secret(done)


@dataclass(frozen=True)
class Way:
    """A way to give secrets: words, variables, files of the home folder.  A new one needs a row of WAYS, no more."""

    words: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    code: int = 1


# In turn, so that each is tried with several ways.
_VERBS = ("s3", "status", "check", "gc")
_KEYS = f"aws_access_key_id = some-key\naws_secret_access_key = {CANARY}-8\naws_session_token = {CANARY}-9\n"
_PROCESS = {"ETag": 1, "AccessKeyId": "k", "SecretAccessKey": f"{CANARY}-11", "SessionToken": f"{CANARY}-12"}
_STORED = {"access_key_id": "some-key", "secret_access_key": f"{CANARY}-25", "session_token": f"{CANARY}-26"}
WAYS = {
    "flags": Way(tuple(OPTIONS)),
    "S3 variables": Way(env={k: v for k, v in VARIABLES.items() if k.startswith("S3_")}),
    "AWS variables": Way(env={k: v for k, v in VARIABLES.items() if k.startswith("AWS_")}),
    "a profile": Way(("--profile", "mine"), files={"aws-credentials": f"[mine]\n{_KEYS}"}),
    "a profile of the configuration": Way(
        env={"AWS_PROFILE": "mine"}, files={"aws-config": f"[profile mine]\n{_KEYS}"}
    ),
    "a process": Way(
        files={
            "aws-config": "[default]\ncredential_process = cat {home}/answer.json\n",
            "answer.json": json.dumps(_PROCESS),
        }
    ),
    # As `--from-file` leaves it; http.client would quote what it cannot send.
    "a token that ends in a line break": Way((*OPTIONS, "--session-token", f"{CANARY}-13\n")),
    "a token with a line break": Way((*OPTIONS, "--session-token", f"{CANARY}-30\nx"), code=2),
    "a secret key with a blank": Way((*OPTIONS, "--secret-access-key", f" {CANARY}-31"), code=2),
    "a token of the environment with a line break": Way(
        env={"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": f"{CANARY}-14", "AWS_SESSION_TOKEN": f"{CANARY}-15\nx"},
        code=2,
    ),
    "a token that is not ASCII": Way((*OPTIONS, "--session-token", f"{CANARY}-\u00e9\u4e2d"), code=2),
    "an endpoint": Way(("--endpoint-url", f"http://user:{CANARY}-16@127.0.0.1:9"), code=2),
    "an endpoint without a scheme": Way(("--endpoint-url", f"user:{CANARY}-17@127.0.0.1:9"), code=2),
    "an endpoint with a slash in the password": Way(
        ("--endpoint-url", f"http://user:a/{CANARY}-18@127.0.0.1:9"), code=2
    ),
    "an endpoint of the environment": Way(
        env={"S3_ENDPOINT_URL": "", "AWS_ENDPOINT_URL_S3": f"http://user:{CANARY}-19@127.0.0.1:9"}, code=2
    ),
    "a proxy": Way(tuple(OPTIONS), env={"http_proxy": f"http://user:{CANARY}-20@{{host}}", "no_proxy": ""}),
    "rattler's store": Way(
        files={".rattler/credentials.json": json.dumps({"some-bucket": {"S3Credentials": _STORED}})}
    ),
    "rattler's store, broken": Way(files={".rattler/credentials.json": f'{{"some-bucket": "{CANARY}-27'}, code=2),
    "an entry of rattler's store, broken": Way(
        files={".rattler/credentials.json": f'{{"some-bucket": {{"S3Credentials": "{CANARY}-28"}}}}'}, code=2
    ),
    "an endpoint of a file": Way(
        env={"S3_ENDPOINT_URL": ""},
        files={".pixi/config.toml": f'[s3-options.some-bucket]\nendpoint-url = "http://u:{CANARY}-29@127.0.0.1:9"\n'},
        code=2,
    ),
}


@pytest.mark.parametrize("name", WAYS)
def test_no_source_of_a_secret_makes_it_visible(name: str, tmp_path: Path) -> None:
    way = WAYS[name]
    for file, text in way.files.items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(text.replace("{home}", str(tmp_path)))
    with answering(tell_all) as server:
        env = {
            "HOME": str(tmp_path),
            "AWS_CONFIG_FILE": str(tmp_path / "aws-config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "aws-credentials"),
            "S3_ENDPOINT_URL": server.url,
            **{key: value.replace("{host}", server.url.partition("//")[2]) for key, value in way.env.items()},
        }
        done = invoke(
            _VERBS[list(WAYS).index(name) % len(_VERBS)], "s3://some-bucket/ch", "-vv", "--json", *way.words, env=env
        )
    assert done.code == way.code, done.err
    assert "Traceback" in done.err
    assert "error" in done.out
    says_no_secret(done)


@pytest.mark.parametrize(
    "url", [f"s3://key:{CANARY}-21@some-bucket/ch", f"s3://some-bucket/ch?X-Amz-Signature={CANARY}-22"]
)
def test_a_secret_in_the_address_of_a_channel_is_not_printed(url: str) -> None:
    done = invoke("s3", url, "--json", "-vv")
    assert done.code == 2
    says_no_secret(done)


def test_a_process_that_reads_packages_shows_no_secret() -> None:
    target = Target(
        "s3://some-bucket/ch",
        S3Options("http://127.0.0.1:9", "us-east-1", "path", "some-key", f"{CANARY}-23", f"{CANARY}-24"),
    )
    job = BatchJob(target, ExtractSpec("noarch", Rules(), 0), 1)
    assert CANARY not in repr(job)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
        error = executor.submit(run_job, job, [Stat("noarch/a-1-0.conda", 1, ETag("v"), 0)]).exception()
        arguments = [Path(f"/proc/{pid}/cmdline") for pid in executor._processes]
        shown = [path.read_bytes().decode() for path in arguments if path.exists()]
    assert isinstance(error, IndexerError)
    assert CANARY not in "".join([*traceback.format_exception(error), repr(error), *shown])


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
    done = invoke("s3", "s3://some-bucket", "--endpoint-url", endpoint, "--no-sign-request", *loud)
    assert done.code in {1, 2}
    says_no_secret(done)
