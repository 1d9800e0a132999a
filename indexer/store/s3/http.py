"""Sends one HTTP request over a kept connection, by urllib3, and returns the answer.

Whatever the store answers is an answer here; only a missing answer is an error.
"""

from __future__ import annotations

import functools
import ssl
from base64 import b64encode
from http.client import HTTPException, RemoteDisconnected
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import unquote_to_bytes, urlsplit

from botocore.httpsession import get_cert_path
from urllib3 import PoolManager, Timeout, disable_warnings, proxy_from_url
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    InsecureRequestWarning,
    NewConnectionError,
    ProtocolError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)
from urllib3.util.ssl_ import create_urllib3_context

from indexer.core.stream import chunks_of
from indexer.store.redact import masked
from indexer.store.s3.expect import POOLS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from indexer.core.stream import Content
    from indexer.store.s3.network import Trust

_CONNECT_SECONDS = 10
_READ_SECONDS = 60
# http.client raises the last two for the size of a chunk that is negative or very large.
_BREAKS = (HTTPError, OSError, ValueError, OverflowError)


class NoAnswer(Exception):
    """The store did not answer; the text is the reason."""


class NoKeys(Exception):
    """Credentials expired during a run, and cannot be renewed; the text is the reason."""


class Distrusted(NoAnswer):
    """The certificate of the server at `origin` is not trusted, or TLS failed in another way."""

    def __init__(self, origin: str, reason: str) -> None:
        super().__init__(reason)
        self.origin = origin


def read(body: Any, size: int | None = None) -> bytes:
    """At most `size` bytes of an answer's body, all of it by default.  Raises NoAnswer if the connection breaks."""
    try:
        data: bytes = body.read(size)
    except _BREAKS as error:
        detail = error.args[0] if isinstance(error, ProtocolError) and error.args else error
        raise NoAnswer(f"the connection broke ({masked(detail)})") from error
    return data


class Message(NamedTuple):
    """A request as it goes over the wire.

    `origin` is the scheme, host and port, `target` the path and the query, percent-encoded.
    """

    method: str
    origin: str
    target: str
    headers: Mapping[str, str | bytes]
    body: Content = b""


class Answer(NamedTuple):
    """An answer of a store: the HTTP status, the headers by their names in lower case, and urllib3's response.

    `body` must be read to its end or closed.
    """

    status: int
    headers: Mapping[str, str]
    body: Any


def tls_of(trust: Trust) -> ssl.SSLContext:
    """TLS that trusts these certificates, for all connections: reading the certificates takes 50 ms of CPU.

    Raises OSError for a bundle that cannot be read.
    """
    if trust.verify is False:
        disable_warnings(InsecureRequestWarning)  # one for each request; ours is printed once
        return create_urllib3_context(cert_reqs=ssl.CERT_NONE)
    context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
    context.load_verify_locations(get_cert_path(trust.verify or True))
    return context


class Connections:
    """The connections to a store: at most `size` are kept.  `proxy` is a URL, empty for none.  http needs no `tls`."""

    def __init__(self, tls: ssl.SSLContext | None, proxy: str = "", size: int = 10) -> None:
        options: dict[str, Any] = {"maxsize": size, "timeout": Timeout(connect=_CONNECT_SECONDS, read=_READ_SECONDS)}
        if tls is not None:
            options["ssl_context"] = tls
        self._proxy = f"http://{proxy}" if proxy and "://" not in proxy else proxy
        self._manager = _through(self._proxy, options) if proxy else PoolManager(**options)
        self._manager.pool_classes_by_scheme = POOLS
        # To parse the URL of each request again takes 5 % of its time.
        self._pool_of = functools.lru_cache(self._manager.connection_from_url)

    def send(self, message: Message) -> Answer:
        """The answer to a request, sent once.  Raises NoAnswer."""
        # A proxy for http gets the whole URL (RFC 9112, section 3.2.2).
        absolute = self._proxy and message.origin.startswith("http:")
        try:
            response = self._pool_of(message.origin).urlopen(
                message.method,
                message.origin + message.target if absolute else message.target,
                chunks_of(message.body) if message.body else None,  # of b"" urllib3 would send the length with a GET
                cast("Mapping[str, str]", message.headers),  # http.client sends bytes, too
                retries=False,
                redirect=False,
                assert_same_host=False,
                preload_content=False,
                decode_content=False,
            )
        except HTTPError as error:
            raise self._no_answer(message.origin, error) from error
        return Answer(response.status, {name.lower(): value for name, value in response.headers.items()}, response)

    def close(self) -> None:
        """Close all connections that are not in use."""
        self._manager.clear()
        self._pool_of.cache_clear()

    def _no_answer(self, origin: str, error: HTTPError) -> NoAnswer:
        if isinstance(error, ProxyError):
            cause = error.original_error
            if isinstance(cause, SSLError):
                return Distrusted(self._proxy, masked(cause))
            return NoAnswer(f"the proxy {masked(self._proxy)} does not answer: {masked(cause)}")
        return Distrusted(origin, masked(error)) if isinstance(error, SSLError) else NoAnswer(_reason(origin, error))


def _reason(origin: str, error: HTTPError) -> str:
    """The reason why there is no answer; urllib3's own texts have the addresses of objects in memory."""
    if isinstance(error, NewConnectionError):
        return f"no connection to {origin}: {masked(error).rpartition(': ')[2]}"
    if isinstance(error, ConnectTimeoutError):  # the base class of the one above
        return f"no connection to {origin} within {_CONNECT_SECONDS} s"
    if isinstance(error, ReadTimeoutError):
        return f"no answer from {origin} within {_READ_SECONDS} s"
    if isinstance(error, ProtocolError):
        cause = error.args[-1]
        if isinstance(cause, HTTPException) and not isinstance(cause, RemoteDisconnected):
            return f"the answer of {origin} is not valid HTTP"
        return f"{origin} closed the connection without an answer"
    return f"{origin}: {masked(error)}"


def _through(proxy: str, options: Mapping[str, Any]) -> PoolManager:
    """Connections through a proxy, with the name and the password in its URL."""
    parts = urlsplit(proxy)
    headers = None
    if parts.username and parts.password:
        pair = b":".join(map(unquote_to_bytes, (parts.username, parts.password)))
        headers = {"Proxy-Authorization": f"Basic {b64encode(pair).decode()}"}
    return proxy_from_url(proxy, proxy_headers=headers, proxy_ssl_context=options.get("ssl_context"), **options)
