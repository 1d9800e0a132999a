"""Credentials that expire while a run works are renewed; where they cannot be, the run says so and a repeat heals."""

from __future__ import annotations

import sys
import uuid
from typing import TYPE_CHECKING

import pytest

from indexer.core.errors import Denied, IndexerError
from indexer.store.s3.store import S3Store
from indexer.store.target import S3Options, Target
from tests.support.buckets import bucket, moto_server
from tests.support.channel_check import faults
from tests.support.channel_reader import unreadable
from tests.support.channels import objects
from tests.support.command import clear_settings
from tests.support.fault_proxy import FaultProxy, Request, fault_proxy
from tests.support.http_hooks import no_pause
from tests.support.memory_channel import index, keys, only, package

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fixtures.bucket import Bucket

__all__ = ["bucket", "moto_server"]

# Gives keys named after how often it was asked; each is said to expire in as many minutes as the file `minutes` has,
# which botocore takes for a reason to renew them at once where they are fewer than ten.
_ISSUER = """
import json, pathlib, sys
from datetime import datetime, timedelta, timezone
here = pathlib.Path(sys.argv[1])
count = int((here / "count").read_text()) + 1
(here / "count").write_text(str(count))
if (here / "broken").exists():
    sys.exit("the session has expired,\\nlog in again")
minutes = float((here / "minutes").read_text())
print(json.dumps({
    "Version": 1, "AccessKeyId": f"key-{count}", "SecretAccessKey": f"secret-{count}", "SessionToken": f"token-{count}",
    "Expiration": (datetime.now(timezone.utc) + timedelta(minutes=minutes)).isoformat(),
}))
"""


class Issuer:
    """A `credential_process` that hands out keys which live for a while."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "issuer.py").write_text(_ISSUER)
        (folder / "count").write_text("0")
        self.lives(5)

    @property
    def command(self) -> str:
        return f"{sys.executable} -I -S {self._folder / 'issuer.py'} {self._folder}"

    @property
    def count(self) -> int:
        """How often it was asked."""
        return int((self._folder / "count").read_text())

    def lives(self, minutes: float) -> None:
        """How long the next keys live."""
        (self._folder / "minutes").write_text(str(minutes))

    def breaks(self, *, broken: bool = True) -> None:
        """Whether it has no keys any more."""
        (self._folder / "broken").write_text("") if broken else (self._folder / "broken").unlink()


@pytest.fixture
def issuer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Issuer:
    clear_settings(monkeypatch, tmp_path)
    issuer = Issuer(tmp_path)
    (tmp_path / "aws-config").write_text(f"[default]\ncredential_process = {issuer.command}\n")
    return issuer


@pytest.fixture
def proxy(bucket: Bucket) -> Iterator[FaultProxy]:
    with fault_proxy(bucket.endpoint) as between:
        yield between


@pytest.fixture
def store(bucket: Bucket, proxy: FaultProxy, issuer: Issuer) -> Iterator[S3Store]:
    """A store in a channel with some packages, reached with the issuer's keys."""
    prefix = uuid.uuid4().hex
    for key in keys(3):
        bucket.client.put_object(Bucket=bucket.bucket, Key=f"{prefix}/{key}", Body=package(key))
    options = S3Options(proxy.url, "us-east-1", "path", provider="minio")
    store = S3Store(bucket.bucket, prefix, Target(f"s3://{bucket.bucket}/{prefix}", options), no_pause())
    yield store
    store.bucket.client.connections.close()


def token_of(request: Request) -> int:
    """Which of the issuer's keys a request was signed with."""
    named = {name.lower(): value for name, value in request.headers.items()}
    return int(named["x-amz-security-token"].rpartition("-")[2])


def test_keys_that_are_about_to_expire_are_renewed_while_the_run_works(
    store: S3Store, proxy: FaultProxy, issuer: Issuer
) -> None:
    assert index(store).exit_code == 0
    tokens = [token_of(request) for request in proxy.requests]
    assert tokens == sorted(tokens)
    assert tokens[-1] - tokens[0] == len(tokens) - 1  # those that live for five minutes are renewed every time
    issuer.lives(60)
    assert faults(store) == []


def test_a_run_whose_keys_live_long_enough_asks_for_them_once(
    store: S3Store, proxy: FaultProxy, issuer: Issuer
) -> None:
    issuer.lives(60)
    before = issuer.count
    assert index(store).exit_code == 0
    assert issuer.count - before <= 1  # those of the store's making lived for five minutes


def refuse_after(proxy: FaultProxy, requests: int) -> None:
    """Let the server take the keys for expired from a request on."""
    proxy.choose = lambda number, _question: "expired" if number > requests else ""


@pytest.mark.parametrize("after", [0, 1, 9, 21])
def test_expired_keys_end_the_run_and_the_next_run_repairs(
    bucket: Bucket, store: S3Store, proxy: FaultProxy, issuer: Issuer, after: int
) -> None:
    issuer.lives(60)
    refuse_after(proxy, after)
    said, code = outcome(store)
    assert code == 1 or not proxy.injected, said
    if proxy.injected:
        assert "ExpiredToken" in said
        assert "credentials" in said
        refused = [(it.verb, it.path) for it in proxy.requests[after:] if store.bucket.prefix.strip("/") in it.path]
        assert len(refused) == len(set(refused)), "what is refused is not asked again"
    assert unreadable(objects(bucket, store.bucket.prefix.rstrip("/"))) == []
    proxy.choose = lambda _number, _question: ""
    assert outcome(store) == ("", 0)
    assert faults(store) == []


@pytest.mark.parametrize("after", [0, 5, 21])
def test_keys_that_cannot_be_renewed_end_the_run_and_a_repeat_heals(
    bucket: Bucket, store: S3Store, proxy: FaultProxy, issuer: Issuer, after: int
) -> None:
    def choose(number: int, _question: Request) -> str:
        if number == after:
            issuer.breaks()
        return ""

    if after == 0:
        issuer.breaks()
    proxy.choose = choose
    said, code = outcome(store)
    if code:
        assert code == 1
        assert "log in again" in said
        assert "expired" in said
        assert len(said.splitlines()) == 1
        assert "secret" not in said
        issuer.breaks(broken=False)
    issuer.lives(60)
    assert unreadable(objects(bucket, store.bucket.prefix.rstrip("/"))) == []
    assert outcome(store) == ("", 0)
    assert faults(store) == []


def test_renewed_keys_that_are_expired_too_are_named(store: S3Store, issuer: Issuer) -> None:
    assert list(store.list("linux-64/"))
    issuer.lives(-5)
    with pytest.raises(Denied, match="expired"):
        [*store.list("linux-64/"), *store.list("noarch/")]


def outcome(store: S3Store) -> tuple[str, int]:
    """What a run says of its failure, if it fails, and its exit code."""
    try:
        report = index(store)
    except IndexerError as error:
        return str(error), error.exit_code
    return only(report).error or only(report, "noarch").error or "", report.exit_code
