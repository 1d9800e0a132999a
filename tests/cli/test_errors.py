"""Every error is one line on standard error that names the thing, the reason and the next step."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from tests.support.channels import FEW, lay_up
from tests.support.command import Ran, invoke
from tests.support.http_servers import EMPTY, Request, Response, an_empty_bucket, answering, refusal

if TYPE_CHECKING:
    from pathlib import Path

    from fixtures.bucket import Bucket


@dataclass(frozen=True)
class Mistake:
    """A wrong command line, and the error that it must print: the thing, the reason, the next step."""

    words: list[str]
    thing: str
    reason: str
    step: str
    code: int = 2
    env: dict[str, str] = field(default_factory=dict)


# {} is a folder with a channel.
MISTAKES = {
    "missing folder": Mistake(["fs", "{}/nowhere"], "{}/nowhere", "not a folder", "make the folder"),
    "file for a folder": Mistake(["fs", "{}/file"], "{}/file", "not a folder", "make the folder"),
    "missing folder of status": Mistake(["status", "{}/nowhere"], "{}/nowhere", "not a folder", "make the folder"),
    "folder to s3": Mistake(["s3", "{}"], "{}", "not an s3:// URL", "indexer fs"),
    "URL of another kind to s3": Mistake(["s3", "gs://b/c"], "gs://b/c", "not an s3:// URL", "indexer fs"),
    "URL of another kind to status": Mistake(["status", "gs://b/c"], "gs://b/c", "not of the form s3://", "name the"),
    "bucket to fs": Mistake(["fs", "s3://b/c"], "s3://b/c", "not a folder", "indexer s3"),
    "no bucket": Mistake(["s3", "s3:///c"], "s3:///c", "not of the form s3://", "name the bucket"),
    "query": Mistake(["s3", "s3://b/c?x=y"], "s3://b/c?x=y", "not of the form s3://", "name the bucket"),
    "bad subdir": Mistake(
        ["fs", "{}", "--subdir", "Linux_64"], "Linux_64", "is not a subdir", "did you mean linux-64?"
    ),
    "subdir of a package": Mistake(["fs", "{}", "--package", "x/a-1-0.conda"], "x", "subdir", "linux-64 or noarch"),
    "nothing to publish": Mistake(
        ["fs", "{}", "--no-shards", "--no-monolithic"], "--no-monolithic --no-shards", "no file to", "remove one"
    ),
    "package without subdir": Mistake(
        ["fs", "{}", "--package", "a-1-0.conda"], "a-1-0.conda", "not of the form SUBDIR/FILENAME", "name it like"
    ),
    "package too deep": Mistake(
        ["fs", "{}", "--package", "a/b/c-1-0.conda"], "a/b/c-1-0.conda", "not of the form SUBDIR", "name it like"
    ),
    "package without name": Mistake(["fs", "{}", "--package", "noarch/"], "noarch/", "not of the form", "name it like"),
    "no file of packages": Mistake(
        ["fs", "{}", "--packages-from", "{}/nowhere"], "{}/nowhere", "No such file", "name a text file"
    ),
    "a binary file of packages": Mistake(
        ["fs", "{}", "--packages-from", "{}/binary"], "{}/binary", "can't decode", "name a text file"
    ),
    "opposites": Mistake(["fs", "{}", "--strict", "--lenient"], "--strict --lenient", "contradict", "remove one"),
    "addressing style": Mistake(
        ["s3", "s3://b", "--addressing-style", "round"], "--addressing-style round", "is not virtual", "use one"
    ),
    "addressing style by variable": Mistake(
        ["s3", "s3://b"], "round", "is not virtual", "use one", env={"S3_ADDRESSING_STYLE": "round"}
    ),
    "profile": Mistake(["s3", "s3://b", "--profile", "nobodys"], "profile nobodys", "not be found", "~/.aws/config"),
    "profile by variable": Mistake(
        ["s3", "s3://b"], "profile nobodys", "not be found", "~/.aws/config", env={"AWS_PROFILE": "nobodys"}
    ),
    "endpoint": Mistake(["s3", "s3://b", "--endpoint-url", "nonsense"], "--endpoint-url", "is not a URL", "https://"),
    "address of a scheduler": Mistake(
        ["fs", "{}", "--scheduler", "host:8786"], "--scheduler host:8786", "is not the address", "tcp://HOST:8786"
    ),
    "no scheduler there": Mistake(
        ["fs", "{}", "--scheduler", "tls://127.0.0.1:1"], "--scheduler tls://127.0.0.1:1", "certificate", "DASK_"
    ),
    "subdir that nothing is like": Mistake(["fs", "{}", "--subdir", "%"], "%", "is not a subdir", "linux-64 or noarch"),
    "provider": Mistake(
        ["s3", "s3://b", "--provider", "minoi", "--no-sign-request"],
        "--provider minoi",
        "not a known",
        "did you mean minio?",
    ),
    "provider that nothing is like": Mistake(
        ["s3", "s3://b", "--provider", "%", "--no-sign-request"], "--provider %", "not a known", "use one of"
    ),
    "provider by variable": Mistake(
        ["s3", "s3://b"], "S3_PROVIDER minoi", "not a known", "did you mean minio?", env={"S3_PROVIDER": "minoi"}
    ),
    "no credentials": Mistake(["s3", "s3://b"], "s3://b", "credentials", "set S3_ACCESS_KEY_ID and"),
    "perhaps another store": Mistake(["s3", "s3://b"], "s3://b", "credentials", "than AWS, set S3_ENDPOINT_URL too"),
    "scheme in capitals": Mistake(["s3", "S3://b/c"], "S3://b/c", "not an s3:// URL", "write it like s3://my-bucket/"),
    "address of a web page": Mistake(["doctor", "https://b"], "https://b", "not an s3:// URL", "write it like s3://"),
    "unset variable for a folder": Mistake(["fs", ""], "''", "names no channel", "is a variable not set?"),
    "unset variable for a bucket": Mistake(["s3", ""], "''", "not an s3:// URL", "write it like s3://"),
    "several subdirs in one option": Mistake(
        ["fs", "{}", "--subdir", "linux-64,noarch"], "linux-64,noarch", "not one subdir", "repeat --subdir for each"
    ),
    "package before the channel": Mistake(
        ["publish", "{}/a-1-0.conda", "{}"], "{}/a-1-0.conda", "is a package, not a channel", "name the channel first"
    ),
    "folder to publish": Mistake(
        ["publish", "{}", "{}/noarch"], "{}/noarch", "is a folder", "nothing was changed: name"
    ),
    "another file to publish": Mistake(
        ["publish", "{}", "{}/file"], "{}/file", "does not end in .conda or .tar.bz2", "name package files"
    ),
    "check of a folder that is no channel": Mistake(
        ["check", "{}/no"], "{}/no", "has no subdir such as noarch", "check the name"
    ),
    "packages at once of a check that reads none": Mistake(
        ["check", "{}", "--max-parallel", "2"], "--max-parallel", "only a check with --deep", "add --deep"
    ),
    "age without a unit": Mistake(
        ["settings", "{}", "--set", "keep-newer-than=30"],
        "--set keep-newer-than",
        "expected a text, got a number",
        "set a text such as 30d",
    ),
    "number above the limit": Mistake(
        ["settings", "{}", "--set", "zst-level=30"], "--set zst-level", "<= 22", "set a number from 1 to 22"
    ),
    "prune without a rule": Mistake(
        ["prune", "{}"], "{}", "no rule of retention", "`indexer settings {} --set keep-newest=3`"
    ),
    "rollback to no snapshot": Mistake(
        ["rollback", "{}", "none"], "none", "is not a snapshot", "`indexer snapshot {} --list`"
    ),
    "delete of no snapshot": Mistake(
        ["snapshot", "{}", "--delete", "none"], "none", "is not a snapshot", "`indexer snapshot {} --list`"
    ),
}


def name_the_fault(done: Ran, mistake: Mistake, folder: Path) -> None:
    assert done.code == mistake.code, done.err
    assert done.error.startswith("error: ")
    problem, _, step = done.error.partition("; ")
    for expected, where in ((mistake.thing, problem), (mistake.reason, problem), (mistake.step, step)):
        assert expected.replace("{}", str(folder)) in where
    assert "Traceback" not in done.err


@pytest.fixture
def faulty(channel: Path) -> Path:
    (channel / "file").write_bytes(b"")
    (channel / "no").mkdir()
    (channel / "binary").write_bytes(b"\xff\xfe\x00")
    return channel


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_named_with_its_reason_and_a_next_step(faulty: Path, mistake: Mistake) -> None:
    done = invoke(*(word.replace("{}", str(faulty)) for word in mistake.words), env=mistake.env)
    name_the_fault(done, mistake, faulty)
    assert done.out == ""


@pytest.mark.parametrize("kind", ["missing folder", "profile"])
def test_a_traceback_is_shown_with_two_v_only(faulty: Path, kind: str) -> None:
    words = [word.replace("{}", str(faulty)) for word in MISTAKES[kind].words]
    plain, shown = invoke(*words, "-v"), invoke(*words, "-vv")
    assert plain.error.startswith("error: ")
    assert "Traceback (most recent call last)" in shown.err
    assert shown.err.splitlines()[-1] == plain.error
    assert shown.code == 2


def test_a_broken_index_is_named_left_alone_and_not_overwritten(channel: Path) -> None:
    (channel / "noarch" / "repodata.json").write_bytes(b"[]")
    done = invoke("fs", channel, "-q")
    broken = Mistake([], "noarch/repodata.json", "not a readable repodata.json", "delete it to index", code=1)
    assert "nothing was changed" in done.error
    problem, _, step = done.error.partition("; ")
    assert broken.thing in problem
    assert broken.reason in problem
    assert broken.step in step
    assert (channel / "noarch" / "repodata.json").read_bytes() == b"[]"
    assert "Traceback" in invoke("fs", channel, "-q", "-vvv").err


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_named(channel: Path) -> None:
    (channel / "noarch").chmod(0o500)
    done = invoke("fs", channel, "--subdir", "noarch", "-q")
    (channel / "noarch").chmod(0o700)
    name_the_fault(done, Mistake([], "noarch/", "Permission denied", "let this user", code=1), channel)


def test_a_missing_bucket_is_wrong_usage(bucket: Bucket) -> None:
    done = invoke("s3", "s3://no-such-bucket/ch", env=bucket.environment())
    assert done.code == 2
    assert done.error == (
        "error: s3://no-such-bucket/ch/: the bucket does not exist; "
        "check the name of the bucket, and the endpoint URL: it must not have the bucket in its path"
    )


def test_an_endpoint_with_the_bucket_in_it_is_wrong_usage() -> None:
    answer = Response(404, b"<Error><Code>NoSuchKey</Code><Message>no such key</Message></Error>")
    with answering(lambda _: answer) as server:
        done = invoke("s3", "s3://conda/ch", "--endpoint-url", f"{server.url}/conda", env=server.environment())
    assert done.code == 2
    assert "s3://conda/ch/: the bucket does not exist" in done.error
    assert "must not have the bucket in its path" in done.error


def test_https_for_a_server_that_speaks_http_is_wrong_usage() -> None:
    with answering(lambda _: Response(200)) as server:
        host = server.url.removeprefix("http://")
        done = invoke("s3", "s3://b/ch", "--endpoint-url", f"https://{host}", env=server.environment())
    assert done.code == 2
    assert done.error == (
        f"error: https://{host}: the server there speaks http, not https; use http://{host}, or the port for https"
    )


def test_keys_that_may_not_write_are_named_with_the_channel() -> None:
    def read_only(request: Request) -> Response:
        if request.method == "PUT":
            return refusal(403, "AccessDenied")
        return Response(200, EMPTY) if "list-type" in request.path else refusal(404, "NoSuchKey")

    with answering(read_only) as server:
        done = invoke("s3", "s3://b/ch", "--create", env={**server.environment(), "S3_PROVIDER": "other"})
    assert done.code == 1
    assert ".indexer-probe" not in done.err
    assert "s3://b/ch/: these credentials may not write: " in done.err
    assert "; give them the permissions that `indexer doctor --policy` prints" in done.err


def test_a_missing_bucket_has_a_traceback_with_vv(bucket: Bucket) -> None:
    done = invoke("s3", "s3://no-such-bucket/ch", "-vv", env=bucket.environment())
    assert "Traceback" in done.err
    assert "NoSuchBucket" in done.err


def test_a_broken_index_in_a_bucket_is_named(bucket: Bucket) -> None:
    url = lay_up(bucket, "ch", FEW)
    bucket.client.put_object(Bucket=bucket.bucket, Key="ch/noarch/repodata.json", Body=b"{")
    done = invoke("s3", url, "-q", env=bucket.environment())
    assert done.code == 1
    assert "noarch/repodata.json: is not a readable repodata.json" in done.error


REFUSALS = {
    "unknown key": refusal(403, "InvalidAccessKeyId"),
    "wrong secret": refusal(403, "SignatureDoesNotMatch"),
    "no rights": refusal(403, "AccessDenied"),
    "old token": refusal(400, "ExpiredToken"),
}


@pytest.mark.parametrize("answer", REFUSALS.values(), ids=REFUSALS.keys())
def test_wrong_credentials_are_named_as_such(answer: Response) -> None:
    with answering(lambda _: answer) as server:
        done = invoke("s3", "s3://some-bucket/ch", env=server.environment())
    refused = Mistake([], "s3://some-bucket/ch/", "the store refuses", "check the credentials", code=1)
    assert done.out == ""
    assert done.code == refused.code
    assert refused.thing in done.error
    assert refused.reason in done.error
    assert refused.step in done.error


def test_a_wrong_region_points_to_the_region() -> None:
    with answering(lambda _: refusal(400, "IllegalLocationConstraintException")) as server:
        done = invoke("s3", "s3://some-bucket", env=server.environment())
    assert done.code == 2
    assert "check the region and the endpoint URL" in done.error


def test_rights_that_end_during_a_run_give_one_error_line_for_a_subdir() -> None:
    def may_look_only(asked: Request) -> Response:
        if "list-type=2" in asked.path:
            return an_empty_bucket(asked)
        return refusal(403, "AccessDenied") if asked.method == "PUT" else Response(404)

    with answering(may_look_only) as server:
        done = invoke("s3", "s3://some-bucket/ch", "--json", env=server.environment())
    assert (done.code, done.json["subdirs"]["noarch"]["outcome"]) == (1, "failed")
    assert "AccessDenied" in done.error


def test_a_store_that_does_not_answer_is_named_with_the_endpoint() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))  # bound and not listening: nobody else can have it
        endpoint = f"http://127.0.0.1:{probe.getsockname()[1]}"
        done = invoke("s3", "s3://some-bucket", "--endpoint-url", endpoint, "--no-sign-request")
    assert done.code == 1
    assert done.error.startswith("error: s3://some-bucket/: the store does not answer")
    assert endpoint in done.error
    assert done.error.endswith("check the endpoint URL and the network, then run again")


def test_the_error_is_also_in_the_json(tmp_path: Path) -> None:
    done = invoke("fs", tmp_path / "nowhere", "--json")
    assert done.code == 2
    assert done.json["outcome"] == "failed"
    assert done.json["exit_code"] == 2
    assert f"error: {done.json['error']}" == done.error


@pytest.mark.parametrize(
    ("words", "thing"),
    [
        (["fs"], "DIR"),
        (["no-such"], "no-such"),
        (["fs", "{}", "{}"], "{}"),
        (["fs", "{}", "--no-such"], "--no-such"),
        (["fs", "{}", "--zst-level", "99"], "--zst-level"),
        (["fs", "{}", "--max-parallel", "0"], "--max-parallel"),
        (["s3", "s3://b", "--secret-access-key"], "--secret-access-key"),
    ],
)
def test_wrong_usage_is_one_line_too(channel: Path, words: list[str], thing: str) -> None:
    done = invoke(*(word.format(channel) for word in words))
    assert (done.code, done.out) == (2, "")
    assert done.error.startswith("error: ")
    assert thing.format(channel) in done.error
    assert done.error.endswith("see `indexer --help`" if words[0] == "no-such" else f"see `indexer {words[0]} --help`")


@pytest.mark.parametrize(
    ("words", "suggestion"),
    [
        (["fs", "{}", "--dryrun"], "No such option: --dryrun; did you mean --dry-run? see `indexer fs --help`"),
        (["stauts", "{}"], "No such command 'stauts'; did you mean 'status'? see `indexer --help`"),
        (
            ["remove", "{}"],
            "Missing option '--for'; choose from rattler-index, conda-index; see `indexer remove --help`",
        ),
    ],
)
def test_wrong_usage_is_one_line_with_a_suggestion(channel: Path, words: list[str], suggestion: str) -> None:
    assert invoke(*(word.format(channel) for word in words)).error == f"error: {suggestion}"


@pytest.mark.parametrize(
    "half",
    [["--secret-access-key", "x"], ["--session-token", "x"], ["--secret-access-key", "x", "--session-token", "y"]],
)
def test_a_key_without_its_other_half_is_wrong_usage_and_no_crash(half: list[str]) -> None:
    with answering(lambda _: refusal(403, "InvalidAccessKeyId")) as server:
        done = invoke("s3", "s3://some-bucket", "--endpoint-url", server.url, *half)
    assert done.code == 2
    assert "--access-key-id" in done.error
    assert server.requests == []


def test_an_access_key_without_its_secret_is_not_sent() -> None:
    with answering(lambda _: refusal(403, "InvalidAccessKeyId")) as server:
        done = invoke("s3", "s3://some-bucket", "--endpoint-url", server.url, "--access-key-id", "some-key")
    assert done.code == 2
    assert "--secret-access-key" in done.error
    assert server.requests == []


HTML = b"<!DOCTYPE html><html><head><title>MinIO  Console</title></head></html>"
REDIRECT = {"Location": "https://user:secret-word@other.example/path?token=secret-word"}
STRANGERS = {
    "301": (Response(301, b"", REDIRECT), "301 Moved Permanently and redirects to https://other.example/path"),
    "301 with a page": (Response(301, HTML, REDIRECT), "301 Moved Permanently and redirects to https://other.example/"),
    "302": (Response(302, b"", {"Location": "/login"}), "302 Found and redirects to /login"),
    "308": (Response(308, b"", REDIRECT), "308 Permanent Redirect and redirects to https://other.example/path"),
    "307 to nowhere": (Response(307), "307 Temporary Redirect and redirects to no address"),
    "a console": (Response(200, HTML), '200 OK with an HTML page ("MinIO Console")'),
    "a proxy": (Response(403, b"<html>go away</html>"), "403 Forbidden with an HTML page"),
    "http for https": (
        Response(400, b"Client sent an HTTP request to an HTTPS server.\n"),
        '400 Bad Request with the text "Client sent an HTTP request to an HTTPS server"',
    ),
    "http for https at nginx": (
        Response(400, b"<html><title>400 The plain HTTP request was sent to HTTPS port</title></html>"),
        '400 Bad Request with an HTML page ("400 The plain HTTP request was sent to HTTPS port")',
    ),
}


@pytest.mark.parametrize("words", [[], ["--package", "noarch/a-1-0.conda"]], ids=["listing", "one package"])
@pytest.mark.parametrize("name", STRANGERS)
def test_an_endpoint_without_s3_is_named(name: str, words: list[str]) -> None:
    answer, expected = STRANGERS[name]
    if name in {"a console", "a proxy"} or "nginx" in name:
        answer = answer._replace(headers={"Content-Type": "text/html", "ETag": ""})
    with answering(lambda _: answer) as server:
        done = invoke("s3", "s3://some-bucket/ch", *words, env=server.environment())
    assert done.code == 2
    assert done.error.startswith(f"error: {server.url} (S3_ENDPOINT_URL): is not an S3 endpoint: it answered ")
    assert expected in done.error or (words and "with an HTML page" in expected)
    assert done.error.endswith("; use the URL of the store's S3 API as the endpoint")
    assert "secret-word" not in done.error


def test_an_event_for_a_folder_is_an_error_with_a_next_step(channel: Path, tmp_path: Path) -> None:
    event = tmp_path / "event.json"
    event.write_text("{}")
    done = invoke("fs", channel, "--event", event)
    assert done.code == 2
    assert done.error.startswith(f"error: --event: names objects of a bucket, and {channel} is a folder; ")


def test_a_name_from_a_file_is_named_with_the_file(channel: Path, tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("noarch/nonsense\n")
    done = invoke("fs", channel, "--packages-from", names)
    assert done.error.startswith(f"error: {names}: noarch/nonsense: is not of the form SUBDIR/FILENAME")
