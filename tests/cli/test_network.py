"""A store behind a company's authority and proxy is reached by the settings that pixi and the AWS tools read."""

from __future__ import annotations

from base64 import b64decode
from typing import TYPE_CHECKING

import pytest

from tests.support.certificates import for_loopback
from tests.support.command import clear_settings, invoke
from tests.support.http_servers import an_empty_bucket, answering

if TYPE_CHECKING:
    from pathlib import Path

KEYS = ["--access-key-id", "some-key", "--secret-access-key", "some-secret"]
CONFIG = ".pixi/config.toml"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user with the file of an authority, in a folder of its own, and with one of another."""
    clear_settings(monkeypatch, tmp_path)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("other", "mine", "folder", ".pixi"):
        (tmp_path / name).mkdir()
    for_loopback(tmp_path / "other")
    return tmp_path


@pytest.mark.parametrize(
    ("env", "config"),
    [
        ({"AWS_CA_BUNDLE": "mine/authority.pem"}, ""),
        ({"REQUESTS_CA_BUNDLE": "mine/authority.pem"}, ""),
        ({"REQUESTS_CA_BUNDLE": "folder"}, ""),
        ({"SSL_CERT_FILE": "mine/authority.pem"}, ""),
        ({"SSL_CERT_DIR": "folder"}, ""),
        ({"SSL_CERT_FILE": "other/authority.pem", "SSL_CERT_DIR": "folder"}, ""),
        ({"SSL_CERT_FILE": "other/authority.pem"}, "tls-no-verify = true\n"),
    ],
    ids=str,
)
def test_a_store_with_a_certificate_of_the_companys_own_is_reached(
    home: Path, env: dict[str, str], config: str
) -> None:
    context, authority = for_loopback(home / "mine")
    (home / "folder" / "company.crt").write_bytes(authority.read_bytes())
    (home / CONFIG).write_text(config)
    with answering(an_empty_bucket, context) as server:
        variables = {name: str(home / path) for name, path in env.items()}
        done = invoke("status", "s3://some-bucket/ch", "--endpoint-url", server.url, *KEYS, env=variables)
    assert done.code == 0, done.err
    assert server.requests
    assert ("tls-no-verify is on" in done.err) is bool(config)


@pytest.mark.parametrize(
    ("env", "trusted"),
    [
        ({}, "the certifi package"),
        ({"SSL_CERT_FILE": "other/authority.pem"}, "SSL_CERT_FILE"),
        ({"AWS_CA_BUNDLE": "other/authority.pem"}, "AWS_CA_BUNDLE"),
        ({"REQUESTS_CA_BUNDLE": "other/authority.pem"}, "REQUESTS_CA_BUNDLE"),
    ],
    ids=str,
)
def test_a_certificate_error_names_the_setting(home: Path, env: dict[str, str], trusted: str) -> None:
    with answering(an_empty_bucket, for_loopback(home / "mine")[0]) as server:
        variables = {name: str(home / path) for name, path in env.items()}
        done = invoke("status", "s3://some-bucket/ch", "--endpoint-url", server.url, *KEYS, env=variables)
    assert done.code == 2, done.err
    assert f"not trusted by {trusted} (" in done.err
    assert "SSL_CERT_FILE" in done.err


def test_a_certificate_that_cannot_be_read_names_the_setting(home: Path) -> None:
    (home / "bad.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    words = ["status", "s3://some-bucket/ch", "--endpoint-url", "https://store.invalid", *KEYS]
    done = invoke(*words, env={"AWS_CA_BUNDLE": str(home / "bad.pem")})
    assert done.code == 2, done.err
    assert "AWS_CA_BUNDLE: has a certificate that cannot be read" in done.err


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_untrusted_proxy_with_tls_is_named_without_its_password(home: Path, scheme: str) -> None:
    words = ["status", "s3://some-bucket/ch", "--endpoint-url", f"{scheme}://store.invalid", *KEYS]
    with answering(an_empty_bucket, for_loopback(home / "mine")[0]) as proxy:
        done = invoke(*words, env={f"{scheme}_proxy": proxy.url.replace("//", "//me:hush-hush@")})
    assert done.code == 2, done.err
    assert "not trusted by the certifi package" in done.err
    assert "hush-hush" not in done.err


def test_a_proxy_with_a_certificate_of_the_companys_own_is_reached(home: Path) -> None:
    context, authority = for_loopback(home / "mine")
    words = ["status", "s3://some-bucket/ch", "--endpoint-url", "http://store.invalid", *KEYS]
    with answering(an_empty_bucket, context) as proxy:
        done = invoke(*words, env={"http_proxy": proxy.url, "SSL_CERT_FILE": str(authority)})
    assert done.code == 0, done.err
    assert proxy.requests[0].path.startswith("http://store.invalid/")


@pytest.mark.parametrize("by", ["file", "ALL_PROXY", "http_proxy"])
def test_a_store_behind_a_proxy_is_reached(home: Path, by: str) -> None:
    with answering(an_empty_bucket) as proxy:
        (home / CONFIG).write_text(f'[proxy-config]\nhttp = "{proxy.url}"\n' if by == "file" else "")
        env = {} if by == "file" else {by: proxy.url}
        done = invoke("status", "s3://some-bucket/ch", "--endpoint-url", "http://store.invalid", *KEYS, env=env)
    assert done.code == 0, done.err
    assert proxy.requests[0].path.startswith("http://store.invalid/")


def test_a_proxy_gets_any_password_in_utf_8(home: Path) -> None:
    with answering(an_empty_bucket) as proxy:
        env = {"http_proxy": proxy.url.replace("//", "//me:%E2%82%AC@")}
        done = invoke("status", "s3://some-bucket/ch", "--endpoint-url", "http://store.invalid", *KEYS, env=env)
    assert done.code == 0, done.err
    assert b64decode(proxy.requests[0].headers["proxy-authorization"].split()[1]).decode() == "me:\N{EURO SIGN}"


def test_settings_of_the_network_are_shown_with_their_origin(home: Path) -> None:
    authority = for_loopback(home / "mine")[1]
    (home / CONFIG).write_text('[proxy-config]\nhttps = "http://user:hush@proxy:3128"\n')
    words = ["doctor", "s3://some-bucket/ch", "--show-config", "--endpoint-url", "https://store.invalid", *KEYS]
    done = invoke(*words, env={"SSL_CERT_FILE": str(authority)})
    assert done.code == 0, done.err
    shown = {line.split()[0]: line.split()[1:] for line in done.out.splitlines()}
    assert shown["certificates"] == [str(authority), "SSL_CERT_FILE"]
    assert shown["proxy-https"][0] == "http://***@proxy:3128"
    assert "hush" not in done.out + done.err
