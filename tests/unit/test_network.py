"""Which certificates and which proxy count: one order, and an error that names the setting."""

from __future__ import annotations

from pathlib import Path

import pytest
from botocore.exceptions import SSLError

from indexer.core.errors import BadConfig
from indexer.settings.files import load
from indexer.settings.locations import Environment
from indexer.settings.network import network_of, network_settings
from indexer.store.s3.certificates import bundle, system
from indexer.store.s3.chain import chain_of
from indexer.store.s3.http import Distrusted
from indexer.store.s3.network import CERTIFI, Trust, proxy_of, refuse_distrust, trust_of
from indexer.store.target import Network, S3Options
from tests.support.certificates import for_loopback
from tests.support.command import clear_settings

# The strongest first.
ORDER = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    clear_settings(monkeypatch, tmp_path)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def pem(folder: Path, name: str = "one") -> Path:
    """A folder with one authority in it."""
    (folder / name).mkdir()
    return for_loopback(folder / name)[1]


def trusted(network: Network = Network()) -> Trust:  # noqa: B008  a frozen value
    return trust_of(network, chain_of(S3Options()))


def test_without_a_setting_botocore_decides() -> None:
    assert trusted() == CERTIFI
    assert trusted(Network(root_certs="webpki")) == CERTIFI


@pytest.mark.parametrize("first", range(len(ORDER)))
def test_the_strongest_setting_of_certificates_wins(home: Path, monkeypatch: pytest.MonkeyPatch, first: int) -> None:
    for name in ORDER[first:]:
        monkeypatch.setenv(name, str(pem(home, name)))
    assert trusted(Network(root_certs="system")) == (str(home / ORDER[first] / "authority.pem"), ORDER[first])
    assert trusted(Network(no_verify=True)) == (False, "tls-no-verify")


def test_a_bundle_of_the_profile_counts(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = pem(home)
    (home / "aws-config").write_text(f"[default]\nca_bundle = {path}\n")
    monkeypatch.setenv("SSL_CERT_FILE", str(pem(home, "other")))
    assert trusted() == (str(path), "ca_bundle of the AWS profile")


def test_file_and_folders_of_openssl_are_trusted_together(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [pem(home, name) for name in ("a", "b", "c")]
    monkeypatch.setenv("SSL_CERT_FILE", str(paths[0]))
    monkeypatch.setenv("SSL_CERT_DIR", f"{home / 'b'}:{home / 'gone'}:{home / 'c'}")
    found = trusted()
    assert found.setting == "SSL_CERT_FILE and SSL_CERT_DIR"
    text = Path(str(found.verify)).read_text()
    assert all(path.read_text().strip() in text for path in paths)


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_openssl_variables_without_a_certificate_are_not_used(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    monkeypatch.setenv(name, str(home / f"gone {name}"))
    assert trusted() == CERTIFI
    assert [name in line for line in caplog.messages] in ([True], [])  # it is said once a process


def test_openssl_variables_without_a_certificate_are_named_once(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # Both together: no other test names them so, and it is said once a process.
    monkeypatch.setenv("SSL_CERT_FILE", str(home / "gone"))
    monkeypatch.setenv("SSL_CERT_DIR", str(home / "gone"))
    assert (trusted(), trusted()) == (CERTIFI, CERTIFI)
    (said,) = caplog.messages
    assert said.startswith("SSL_CERT_FILE and SSL_CERT_DIR: ignored, no certificate can be read there")


@pytest.mark.parametrize("name", ORDER[:2])
@pytest.mark.parametrize("what", ["gone", "empty"])
def test_a_bundle_that_must_be_there_is_named(
    home: Path, monkeypatch: pytest.MonkeyPatch, name: str, what: str
) -> None:
    (home / "empty").write_text("no certificate")
    monkeypatch.setenv(name, str(home / what))
    with pytest.raises(BadConfig, match="no certificate in it") as refused:
        trusted()
    assert refused.value.thing.startswith(f"{name} ")


def test_a_folder_is_made_one_file_and_a_file_stays_itself(home: Path) -> None:
    path = pem(home)
    assert bundle((str(path),)) == str(path)
    made = bundle((str(path.parent),))
    assert made is not None
    assert Path(made).read_text().count("BEGIN CERTIFICATE") == 2  # the authority, and the server's own
    assert bundle((str(path.parent),)) == made


def test_what_the_system_trusts_is_a_file_with_certificates() -> None:
    assert bundle((system(),)) is not None or Path(system()).read_text().strip() == ""
    assert trusted(Network(root_certs="system")) == (system(), "tls-root-certs")


def error_of(text: str) -> SSLError:
    return SSLError(endpoint_url="https://s3.example/b?x=1", error=text)


@pytest.mark.parametrize(
    "text", ["[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get", "hostname 'a' doesn't match"]
)
def test_an_untrusted_certificate_names_the_setting(text: str) -> None:
    with pytest.raises(BadConfig) as refused:
        refuse_distrust(error_of(text), Trust("/x.pem", "REQUESTS_CA_BUNDLE"))
    assert refused.value.thing == "s3.example"
    assert "not trusted by REQUESTS_CA_BUNDLE" in refused.value.reason
    assert "SSL_CERT_FILE" in refused.value.next_step


@pytest.mark.parametrize("error", [error_of("[SSL: TLSV1_ALERT_PROTOCOL_VERSION] tlsv1 alert"), OSError("reset"), None])
def test_another_fault_of_the_network_is_none_of_certificates(error: object) -> None:
    refuse_distrust(error, CERTIFI)


HTTPS, HTTP = "https://s3.example", "http://10.1.2.3:9000"
PIXI = Network(https_proxy="http://pixi:1", http_proxy="http://pixi:2")


def test_an_untrusted_proxy_is_named_without_its_password() -> None:
    error = Distrusted("https://user:hush@proxy.example:3128", "certificate verify failed")
    with pytest.raises(BadConfig, match=r"^proxy\.example:3128: ") as caught:
        refuse_distrust(error, CERTIFI)
    assert "hush" not in str(caught.value)


def test_without_a_setting_there_is_no_proxy() -> None:
    assert proxy_of(Network(), HTTPS) == ""


def test_the_proxies_of_pixi_are_used_by_scheme() -> None:
    assert proxy_of(PIXI, HTTPS) == "http://pixi:1"
    assert proxy_of(PIXI, HTTP) == "http://pixi:2"


@pytest.mark.parametrize("name", ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])
def test_a_variable_wins_over_the_proxies_of_pixi(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "http://u:p@variable:3")
    assert proxy_of(PIXI, HTTPS) == "http://u:p@variable:3"
    assert proxy_of(PIXI, HTTP) == ("" if "https" in name.lower() else "http://u:p@variable:3")
    monkeypatch.setenv("no_proxy", "s3.example")
    assert proxy_of(PIXI, HTTPS) == ""


@pytest.mark.parametrize(
    ("entry", "endpoint", "direct"),
    [
        ("s3.example", HTTPS, True),
        ("example", HTTPS, True),
        (".example", HTTPS, True),
        ("*", HTTPS, True),
        ("3.example", HTTPS, False),
        ("", HTTPS, False),
        ("10.0.0.0/8", HTTP, True),
        ("10.1.2.3", HTTP, True),
        ("10.2.0.0/16", HTTP, False),
        ("fe80::/10", HTTP, False),
    ],
)
def test_hosts_without_a_proxy_are_reached_directly(entry: str, endpoint: str, direct: bool) -> None:  # noqa: FBT001
    network = Network(https_proxy="http://p", http_proxy="http://p", non_proxy_hosts=("other.test", entry))
    assert (proxy_of(network, endpoint) == "") is direct


@pytest.mark.parametrize(
    ("url", "reason"), [("socks5://h:1", "of the unsupported kind socks5"), ("http://h o", "cannot carry")]
)
def test_a_proxy_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch, url: str, reason: str) -> None:
    monkeypatch.setenv("ALL_PROXY", url)
    with pytest.raises(BadConfig, match=reason) as refused:
        proxy_of(Network(), HTTPS)
    assert refused.value.thing == "all_proxy"


def told(home: Path, text: str, environ: dict[str, str] | None = None) -> tuple[Network, dict[str, str]]:
    """What a file of pixi's says, and where each value came from."""
    (home / ".pixi").mkdir(exist_ok=True)
    (home / ".pixi" / "config.toml").write_text(text)
    env = Environment(environ or {}, home, home, system=home / "nowhere")
    found = network_settings(load(None, env), env)
    return network_of(found), {it.name: str(it.origin) for it in found.values()}


def test_files_of_pixi_say_whom_to_trust_and_which_proxy(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = (
        'tls-no-verify = true\ntls_root_certs = "native"\nother = 1\n'
        '[proxy-config]\nhttps = "http://a"\nhttp = "http://b"\nnon-proxy-hosts = ["c"]\n'
    )
    network, origins = told(home, text)
    assert network == Network("system", True, "http://a", "http://b", ("c",))  # noqa: FBT003
    file = str(home / ".pixi" / "config.toml")
    assert origins["tls-root-certs"] == file
    assert origins["proxy-https"] == f"{file} [proxy-config]"
    (warned,) = caplog.messages
    assert "tls-no-verify is on" in warned


def test_pixis_variable_wins_over_its_files(home: Path) -> None:
    found = told(home, 'tls-root-certs = "system"\n', {"PIXI_TLS_ROOT_CERTS": "webpki"})
    assert found == (Network("webpki"), {"tls-root-certs": "PIXI_TLS_ROOT_CERTS"})
    assert told(home, 'tls-root-certs = "system"\n', {"PIXI_TLS_ROOT_CERTS": ""})[0] == Network("system")
    with pytest.raises(BadConfig, match="PIXI_TLS_ROOT_CERTS mine: is not webpki or system"):
        told(home, "", {"PIXI_TLS_ROOT_CERTS": "mine"})


@pytest.mark.parametrize("text", ["tls-no-verify = 1", 'tls-root-certs = "mine"', "[proxy-config]\nhttp = 1"])
def test_a_wrong_value_in_a_file_of_pixi_is_named(home: Path, text: str) -> None:
    with pytest.raises(BadConfig, match=r"config\.toml"):
        told(home, text)
