"""Sends the requests for one bucket: signs them, sends them again if that can help, and follows the bucket's region."""

from __future__ import annotations

import contextlib
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlencode

from msgspec import field

from indexer.core.errors import BadConfig
from indexer.core.release import __version__
from indexer.core.usage import Usage
from indexer.core.value import Mutable
from indexer.store.s3.answers import Refused, Response, checked, response_of
from indexer.store.s3.http import Message, NoAnswer
from indexer.store.s3.network import refuse_distrust
from indexer.store.s3.signing import host_of, sign
from indexer.store.s3.wrong_server import refuse_other_server

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from indexer.core.stream import Content
    from indexer.store.s3.endpoint import Address, Endpoint
    from indexer.store.s3.http import Connections
    from indexer.store.s3.network import Trust
    from indexer.store.s3.retry import Retries

_AGENT = f"conda-channel-indexer/{__version__}"
COPY_SOURCE = "x-amz-copy-source"
"""The header that names the object that a PUT copies."""
_NONE: Mapping[str, str] = MappingProxyType({})
_REDIRECTS = {301, 302, 307}
_OF_ANOTHER_REGION = {"PermanentRedirect", "IllegalLocationConstraintException"}


class Request(NamedTuple):
    """A request for an object, or for the bucket if `key` is empty.  `headers` are those that are not in each one."""

    method: str
    key: str = ""
    headers: Mapping[str, str] = _NONE
    query: Mapping[str, str] = _NONE
    body: Content = b""

    @property
    def verb(self) -> str:
        """The name of the request in counts."""
        if COPY_SOURCE in self.headers:
            return "COPY"
        return "LIST" if self.query and not self.key else self.method

    @property
    def reads_object(self) -> bool:
        """Whether the request reads an object, or its headers."""
        return bool(self.key) and self.method in {"GET", "HEAD"}


class Client(Mutable):
    """The way to one bucket, which has an `address` now: that of another region if the store names one.

    `keys` returns botocore's credentials as they are now, None to sign nothing; it may raise NoKeys.  `usage` counts
    each request on the wire.
    """

    endpoint: Endpoint
    address: Address
    connections: Connections
    keys: Callable[[], Any]
    retries: Retries
    trust: Trust
    usage: Usage = field(default_factory=Usage)

    def ask(self, request: Request) -> Response:
        """The response of the store.  Raises Refused for an error of the store, and NoAnswer."""
        response = self.send(request)
        if response.error is not None:
            raise Refused(response)
        return response

    def send(self, request: Request) -> Response:
        """The response of the store, errors included, after as many attempts as `retries` allow.  Raises NoAnswer."""
        attempt, moved = 0, False
        while True:
            attempt += 1
            address = self.address
            try:
                response = self._send_once(request, address)
            except NoAnswer as error:
                refuse_distrust(error, self.trust)
                pause = self.retries.pause(attempt, None)
                if pause is None:
                    raise
            else:
                if not moved and self._moved(request, response, address):
                    moved = True
                    continue
                pause = self.retries.pause(attempt, response)
                if pause is None:
                    return response
            self.retries.sleep(pause)

    def _send_once(self, request: Request, address: Address) -> Response:
        message = self._message(request, address)
        self.usage.count(request.verb, written=len(request.body) if request.method == "PUT" else 0)
        response = response_of(request, self.connections.send(message))
        if request.verb == "LIST":
            self.usage.count_read(len(response.content))
        try:
            refuse_other_server(request, response, self.endpoint)
        except BadConfig:
            if response.body is not None:
                response.body.close()
            raise
        return checked(request, response)

    def _message(self, request: Request, address: Address) -> Message:
        """The request with all its headers."""
        key = f"/{quote(request.key, safe='/~')}" if request.key else ""
        query = f"?{urlencode(request.query, quote_via=quote, safe='-_.~')}" if request.query else ""
        headers: dict[str, str | bytes] = {"Host": host_of(address.origin), "User-Agent": _AGENT, **request.headers}
        target = f"{address.path}{key}" or "/"
        message = Message(request.method, address.origin, target + query, headers, request.body)
        keys = self.keys()
        if keys is not None:
            message = message._replace(headers=sign(message, keys, address.region))
        if request.method in {"PUT", "POST"}:  # without Content-Length the body would be sent in chunks
            message = message._replace(headers={**message.headers, **_of_body(request.body)})
        return message

    def _moved(self, request: Request, response: Response, address: Address) -> bool:
        """Whether the bucket is in another region than that of `address`; from now on requests are for that one.

        The rules are those of botocore's S3RegionRedirectorv2: the answer to a HEAD has no reason.  Another thread may
        have learned the region in the meantime.
        """
        if not _may_have_moved(request, response):
            return False
        region = response.region or self._region_of_bucket()
        if region in {"", address.region}:
            return False
        self.address = self.endpoint.address(region)
        return True

    def _region_of_bucket(self) -> str:
        with contextlib.suppress(NoAnswer):
            return self._send_once(Request("HEAD"), self.address).region
        return ""


def _of_body(body: Content) -> dict[str, str | bytes]:
    """The headers of a body.  They are not signed, for a proxy may send a body in another form."""
    headers: dict[str, str | bytes] = {"Content-Length": str(len(body))}
    if not isinstance(body, bytes):
        # A store that refuses the request gets no body then.  botocore's connections compare with bytes.
        headers["Expect"] = b"100-continue"
    return headers


def _may_have_moved(request: Request, response: Response) -> bool:
    if response.error is None:
        return False
    if request.method == "HEAD" and request.key and response.status in {301, 400}:
        return True
    if response.status in _REDIRECTS or response.error.code in _OF_ANOTHER_REGION:
        return True
    return response.error.code == "AuthorizationHeaderMalformed" and bool(response.region)
