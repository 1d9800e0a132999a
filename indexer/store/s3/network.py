"""Which certificates are trusted, and which proxy is used: one order for the settings of AWS, requests and pixi.

The table of all settings, and which tool reads which, stands in docs/configuration.md.
"""

from __future__ import annotations

import functools
import ipaddress
import logging
import os
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit
from urllib.request import getproxies

from botocore.exceptions import SSLError
from botocore.utils import should_bypass_proxies

from indexer.core.errors import BadConfig
from indexer.store.header_values import refuse_unsendable
from indexer.store.redact import masked
from indexer.store.s3.certificates import bundle, system

if TYPE_CHECKING:
    from collections.abc import Sequence

    from indexer.store.target import Network

_log = logging.getLogger(__name__)

_DISTRUST = ("certificate verify failed", "doesn't match", "ostname mismatch", "address mismatch")
# What urllib3 can speak to a proxy; SOCKS needs one more library.
_PROXY_SCHEMES = {"", "http", "https"}
_ALL = "all"


class Trust(NamedTuple):
    """What botocore takes as `verify` (None: its own default), and the setting that says so."""

    verify: bool | str | None = None
    setting: str = ""


CERTIFI = Trust()
"""Where no setting says anything."""


def trusting(network: Network, core: Any) -> Trust:
    """Let all requests of a session of botocore's, those for keys too, trust whom the settings name.

    An unchecked certificate is for the store alone.
    """
    trust = trust_of(network, core)
    if isinstance(trust.verify, str):
        core.set_config_variable("ca_bundle", trust.verify)
    return trust


def trust_of(network: Network, core: Any) -> Trust:
    """Whose certificates are trusted.  `core` is botocore's session.  Raises BadConfig, which names the setting.

    The strongest setting wins: tls-no-verify, AWS_CA_BUNDLE, ca_bundle of the profile, REQUESTS_CA_BUNDLE,
    SSL_CERT_FILE and SSL_CERT_DIR together, tls-root-certs.
    """
    if network.no_verify:
        return Trust(verify=False, setting="tls-no-verify")
    profile = core.get_config_variable("ca_bundle")
    for name, value in (
        ("AWS_CA_BUNDLE", os.environ.get("AWS_CA_BUNDLE")),
        ("ca_bundle of the AWS profile", profile),
        ("REQUESTS_CA_BUNDLE", os.environ.get("REQUESTS_CA_BUNDLE")),
    ):
        if value:
            return Trust(_must_have(name, value), name)
    return _of_openssl() or (Trust(system(), "tls-root-certs") if network.root_certs == "system" else CERTIFI)


def _must_have(name: str, value: str) -> str:
    found = bundle((value,))
    if found is None:
        raise BadConfig(f"{name} {value}", "has no certificate in it that can be read", "name a file in PEM form")
    return found


def _of_openssl() -> Trust | None:
    """What SSL_CERT_FILE and SSL_CERT_DIR name together; None where no certificate is there, as pixi has it."""
    names = [name for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if os.environ.get(name)]
    paths = [path for name in names for path in os.environ[name].split(os.pathsep if name == "SSL_CERT_DIR" else "\0")]
    if not paths:
        return None
    found = bundle(tuple(paths))
    if found is None:
        _warn_of_nothing(" and ".join(names))
        return None
    return Trust(found, " and ".join(names))


@functools.cache
def _warn_of_nothing(named: str) -> None:
    """Once a process: each reader of packages opens a store of its own."""
    _log.warning("%s: no certificate can be read there, so it is not used", named)


def refuse_distrust(error: object, trust: Trust) -> None:
    """Raise BadConfig for a certificate that is not trusted: it names the setting that decides, and the one to use."""
    said = str(error)
    if not isinstance(error, SSLError) or not any(it in said for it in _DISTRUST):
        return
    host = urlsplit(str(error.kwargs.get("endpoint_url", ""))).netloc
    trusted = trust.setting or "the certifi package"
    raise BadConfig(
        host,
        f"its certificate is not trusted ({masked(error.kwargs.get('error', said))}); trusted are those of {trusted}",
        "name the file with the certificate of its authority in SSL_CERT_FILE, which pixi reads too",
    ) from error


def proxies_of(network: Network, endpoint: str) -> dict[str, str]:
    """The proxy for an endpoint by its scheme, as botocore takes it; empty for none.  Raises BadConfig.

    Variables win over pixi's `[proxy-config]`: if any of them names a proxy, that table counts for nothing.
    """
    parts = urlsplit(endpoint)
    if should_bypass_proxies(endpoint):
        return {}
    named = {scheme: url for scheme, url in getproxies().items() if scheme in {"http", "https", _ALL}}
    scheme = parts.scheme if parts.scheme in named else _ALL
    url, setting = named.get(scheme), f"{scheme}_proxy"
    if not named and not _is_spared(parts.hostname or "", network.non_proxy_hosts):
        url = network.https_proxy if parts.scheme == "https" else network.http_proxy
        setting = f"[proxy-config] {parts.scheme}"
    if not url:
        return {}
    refuse_unsendable(setting, url)
    kind = urlsplit(url).scheme if "://" in url else ""
    if kind not in _PROXY_SCHEMES:
        raise BadConfig(
            setting, f"is a proxy of the kind {kind}", "name an http or https proxy, or the store in NO_PROXY"
        )
    return {parts.scheme: url}


def _is_spared(host: str, entries: Sequence[str]) -> bool:
    """Whether `non-proxy-hosts` has a host: by its name, a domain above it, its address, or `*`."""
    names = [entry.strip().lstrip(".") for entry in entries]
    if any(name == "*" or (name and f".{host}".endswith(f".{name}")) for name in names):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return any(address in net for net in map(_net, names) if net is not None)


def _net(name: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(name, strict=False)
    except ValueError:
        return None
