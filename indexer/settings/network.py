"""What pixi's variable and files say of TLS and proxies, each with its origin."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from indexer.core.errors import BadConfig
from indexer.settings.provenance import Kind, Origin, Setting
from indexer.store.target import Network

if TYPE_CHECKING:
    from collections.abc import Mapping

    from indexer.settings.files import Config
    from indexer.settings.locations import Environment

_log = logging.getLogger(__name__)
_VARIABLE = "PIXI_TLS_ROOT_CERTS"
# pixi's words, and two older ones of it for `system`.
_ROOTS = {"webpki": "webpki", "system": "system", "native": "system", "all": "system"}
_PROXIES = ("https", "http", "non_proxy_hosts")


def network_settings(config: Config, around: Environment) -> dict[str, Setting]:
    """The settings by the key of their file; the variable wins over files, as with pixi.  Raises BadConfig."""
    found = {
        name: Setting(
            f"proxy-{name}".replace("_", "-") if name in _PROXIES else name.replace("_", "-"),
            it.value,
            Origin(Kind.FILE, str(it.place.file), it.place.table),
        )
        for name, it in config.network().items()
    }
    if variable := (around.variable(_VARIABLE) or "").strip():
        if variable not in _ROOTS:
            raise BadConfig(f"{_VARIABLE} {variable}", "is neither webpki nor system", "name one of them")
        found["tls_root_certs"] = Setting("tls-root-certs", variable, Origin(Kind.VARIABLE, _VARIABLE))
    if (no_verify := found.get("tls_no_verify")) and no_verify.value:
        _log.warning("%s: tls-no-verify is on, so the certificate of the store is not checked", no_verify.origin)
    return found


def network_of(settings: Mapping[str, Setting]) -> Network:
    """The same as a value that travels with the options of a bucket."""
    said = {name: setting.value for name, setting in settings.items()}
    return Network(
        root_certs=_ROOTS[said["tls_root_certs"]] if "tls_root_certs" in said else None,
        no_verify=said.get("tls_no_verify", False),
        https_proxy=said.get("https"),
        http_proxy=said.get("http"),
        non_proxy_hosts=said.get("non_proxy_hosts", ()),
    )
