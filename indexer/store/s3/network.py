"""Decides which certificates are trusted and which proxy is used: one order for the settings of AWS, requests and pixi.

The table of all settings, and of the tools that read them, is in docs/configuration.md.
"""

from __future__ import annotations

import functools
import ipaddress
import logging
import os
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit
from urllib.request import getproxies

from botocore.exceptions import SSLError
from botocore.utils import should_bypass_proxies

from indexer.core.errors import BadConfig
from indexer.store.header_values import refuse_unsendable
from indexer.store.redact import masked
from indexer.store.s3.certificates import bundle, system
from indexer.store.s3.http import Distrusted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from indexer.store.s3.chain import Chain
    from indexer.store.target import Network

_log = logging.getLogger(__name__)

# Texts of errors of a certificate that is not trusted.
_DISTRUST = ("certificate verify failed", "doesn't match", "ostname mismatch", "address mismatch")
# The error of OpenSSL if a server answers in plain text.
_NO_TLS = "WRONG_VERSION_NUMBER"
# The schemes of proxies that urllib3 supports; SOCKS needs one more library.
_PROXY_SCHEMES = {"", "http", "https"}
_ALL = "all"


class Trust(NamedTuple):
    """botocore's `verify` (None: its default), and the name of the setting that decides."""

    verify: bool | str | None = None
    setting: str = ""


CERTIFI = Trust()
"""The default: the certificates of the package certifi."""


def trust_of(network: Network, chain: Chain) -> Trust:
    """The certificates that are trusted.  Raises BadConfig with the name of the setting.

    The strongest setting wins: tls-no-verify, AWS_CA_BUNDLE, ca_bundle of the profile, REQUESTS_CA_BUNDLE,
    SSL_CERT_FILE and SSL_CERT_DIR together, tls-root-certs.
    """
    if network.no_verify:
        return Trust(verify=False, setting="tls-no-verify")
    profile = chain.variable("ca_bundle")
    for name, value in (
        ("AWS_CA_BUNDLE", os.environ.get("AWS_CA_BUNDLE")),
        ("ca_bundle of the AWS profile", profile),
        ("REQUESTS_CA_BUNDLE", os.environ.get("REQUESTS_CA_BUNDLE")),
    ):
        if value:
            return Trust(_bundle(name, value), name)
    return _of_openssl() or (Trust(system(), "tls-root-certs") if network.root_certs == "system" else CERTIFI)


def _bundle(name: str, path: str) -> str:
    file = bundle((path,))
    if file is None:
        raise BadConfig(f"{name} {path}", "has no certificate in it that can be read", "name a file in PEM form")
    return file


def _of_openssl() -> Trust | None:
    """The certificates of SSL_CERT_FILE and SSL_CERT_DIR together; None if they have none, as in pixi."""
    names = [name for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if os.environ.get(name)]
    paths = [path for name in names for path in os.environ[name].split(os.pathsep if name == "SSL_CERT_DIR" else "\0")]
    if not paths:
        return None
    file = bundle(tuple(paths))
    if file is None:
        _warn_of_no_certificate(" and ".join(names))
        return None
    return Trust(file, " and ".join(names))


@functools.cache
def _warn_of_no_certificate(setting: str) -> None:
    """Warn once per process: each reader of packages opens a store of its own."""
    _log.warning("%s: ignored, no certificate can be read there", setting)


def refuse_distrust(error: object, trust: Trust) -> None:
    """Raise BadConfig if the error is a certificate that is not trusted, or a server without TLS."""
    if isinstance(error, Distrusted):  # by the store
        origin, reason = error.origin, str(error)
    elif isinstance(error, SSLError):  # by a service for credentials
        origin, reason = str(error.kwargs.get("endpoint_url", "")), str(error.kwargs.get("error", error))
    else:
        return
    host = urlsplit(origin).netloc.rpartition("@")[2]  # the URL of a proxy may have a password
    if _NO_TLS in reason:
        raise BadConfig(
            f"https://{host}", "the server there speaks http, not https", f"use http://{host}, or the port for https"
        ) from error
    if not any(part in reason for part in _DISTRUST):
        return
    trusted = trust.setting or "the certifi package"
    raise BadConfig(
        host,
        f"the certificate is not trusted by {trusted} ({masked(reason)})",
        "set SSL_CERT_FILE, which pixi reads too, to a file with the certificate of its authority",
    ) from error


def proxy_of(network: Network, endpoint: str) -> str:
    """The URL of the proxy for an endpoint, empty for none.  Raises BadConfig.

    Variables win over pixi's `[proxy-config]`: if any of them has a proxy, that table is ignored.
    """
    if should_bypass_proxies(endpoint):
        return ""
    url, setting = _proxy_for(endpoint, network)
    if not url:
        return ""
    refuse_unsendable(setting, url)
    kind = urlsplit(url).scheme if "://" in url else ""
    if kind not in _PROXY_SCHEMES:
        step = "use an http or https proxy, or add the store to NO_PROXY"
        raise BadConfig(setting, f"is a proxy of the unsupported kind {kind}", step)
    return url


def _proxy_for(endpoint: str, network: Network) -> tuple[str | None, str]:
    """The URL of the proxy for an endpoint, and the setting that has it."""
    parts = urlsplit(endpoint)
    variables = {scheme: url for scheme, url in getproxies().items() if scheme in {"http", "https", _ALL}}
    if variables:
        scheme = parts.scheme if parts.scheme in variables else _ALL
        return variables.get(scheme), f"{scheme}_proxy"
    if _is_excluded(parts.hostname or "", network.non_proxy_hosts):
        return None, ""
    return network.https_proxy if parts.scheme == "https" else network.http_proxy, f"[proxy-config] {parts.scheme}"


def _is_excluded(host: str, entries: Sequence[str]) -> bool:
    """Whether `non-proxy-hosts` has a host: by its name, a domain above it, its address, or `*`."""
    names = [entry.strip().lstrip(".") for entry in entries]
    if any(name == "*" or (name and f".{host}".endswith(f".{name}")) for name in names):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return any(address in network for network in map(_ip_network, names) if network is not None)


def _ip_network(name: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(name, strict=False)
    except ValueError:
        return None
