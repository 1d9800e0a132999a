"""The settings of TLS and proxies from pixi's variable and files, each with its origin."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from indexer.core.errors import BadConfig
from indexer.settings.provenance import Kind, Origin, Setting, kebab, of_file
from indexer.store.target import Network

if TYPE_CHECKING:
    from collections.abc import Mapping

    from indexer.settings.files import Config
    from indexer.settings.locations import Environment

_log = logging.getLogger(__name__)
_VARIABLE = "PIXI_TLS_ROOT_CERTS"
# pixi's values, with two older names of `system`.
_ROOTS = {"webpki": "webpki", "system": "system", "native": "system", "all": "system"}
_PROXIES = ("https", "http", "non_proxy_hosts")


def network_settings(config: Config, env: Environment) -> dict[str, Setting]:
    """The settings by the key of their file; the variable wins over files, as in pixi.  Raises BadConfig."""
    settings = {
        name: Setting(kebab(f"proxy-{name}" if name in _PROXIES else name), each.value, of_file(each.source))
        for name, each in config.network().items()
    }
    if variable := (env.variable(_VARIABLE) or "").strip():
        if variable not in _ROOTS:
            raise BadConfig(f"{_VARIABLE} {variable}", "is not webpki or system", "use one of them")
        settings["tls_root_certs"] = Setting("tls-root-certs", variable, Origin(Kind.VARIABLE, _VARIABLE))
    if (no_verify := settings.get("tls_no_verify")) and no_verify.value:
        _log.warning("%s: tls-no-verify is on, so the certificate of the store is not checked", no_verify.origin)
    return settings


def network_of(settings: Mapping[str, Setting]) -> Network:
    """The settings as one value, for the options of a bucket."""
    values = {name: setting.value for name, setting in settings.items()}
    return Network(
        root_certs=_ROOTS[values["tls_root_certs"]] if "tls_root_certs" in values else None,
        no_verify=values.get("tls_no_verify", False),
        https_proxy=values.get("https"),
        http_proxy=values.get("http"),
        non_proxy_hosts=values.get("non_proxy_hosts", ()),
    )
