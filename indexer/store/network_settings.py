"""What pixi's configuration says of TLS and proxies, as a value that travels with the options of a bucket."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Network:
    """How requests reach a store.

    `root_certs` is `system` or `webpki` (the certificates of certifi).  A proxy may have a password in its URL.
    """

    root_certs: str | None = None
    no_verify: bool = False
    https_proxy: str | None = field(default=None, repr=False)
    http_proxy: str | None = field(default=None, repr=False)
    non_proxy_hosts: tuple[str, ...] = ()
