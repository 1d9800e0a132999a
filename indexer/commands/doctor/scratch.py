"""The temporary prefix of the doctor: requests under the prefix, and the deletion of its objects."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from msgspec import field

from indexer.core.errors import BadConfig, Conflict, Denied, IndexerError, Unavailable
from indexer.core.value import Mutable
from indexer.store import Expect
from indexer.store.redact import masked
from indexer.store.s3.answers import Response, StoreError
from indexer.store.s3.body_digests import content_md5, md5_of
from indexer.store.s3.client import Request
from indexer.store.s3.entries import page_of
from indexer.store.s3.http import NoAnswer, NoKeys, read
from indexer.store.s3.listing import decoded
from indexer.store.s3.strict import BadAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Executor

    from indexer.core.model import ETag
    from indexer.store import Store
    from indexer.store.s3.client import Client

# Cloudflare R2 and Google accept one write per second and key.
_THROTTLED = {429, 503}
_PAUSE = 1.1
_ATTEMPTS = 4
_REFUSED = range(400, 500)


class NotTested(Exception):
    """A probe has no result, because a request that the probe needs and does not test was refused."""


class Scratch(Mutable):
    """A temporary prefix: the bucket through its client, and the prefix as a store like that of a run.

    `anonymous` is a client without keys.  `created` has the names of objects that may exist and must be deleted.
    """

    client: Client
    store: Store
    prefix: str
    executor: Executor
    anonymous: Client
    sleep: Callable[[float], None]
    created: set[str] = field(default_factory=set)

    def request(self, request: Request, *, anonymous: bool = False) -> Response:
        """The response to a request whose key is a name under the prefix; retries if throttled.

        A missing answer is a response with the status 0, and the reason as its code.
        """
        name = request.key
        if name:
            request = request._replace(key=self.prefix + name)
        if request.method == "PUT":
            md5 = content_md5(md5_of(request.body))
            request = request._replace(headers={"Content-MD5": md5, **request.headers})
        client = self.anonymous if anonymous else self.client
        for _ in range(_ATTEMPTS):
            response = _send(client, request)
            if response.status not in _THROTTLED:
                break
            self.sleep(_PAUSE)
        if request.method == "PUT" and response.status not in _REFUSED:
            self.created.add(name)
        return response

    def require(self, request: Request) -> Response:
        """The response to a request that a probe needs and does not test.  Raises NotTested if it is refused."""
        response = self.request(request)
        if response.code:
            raise NotTested(f"{request.method.lower()} is refused ({response.refusal})")
        return response

    def put(self, name: str, body: bytes, expect: Expect | ETag = Expect.ANYTHING) -> ETag | None:
        """The ETag of an object that is written as a run writes; None on a conflict.

        Raises NotTested if the store refuses every write, and NoConditions.
        """
        try:
            etag = self.store.put(name, body, expect=expect)
        except Conflict:
            return None
        except (Denied, BadConfig) as error:
            raise NotTested(f"put is refused: {error.reason}") from error
        except Unavailable as error:
            self.created.add(name)  # the object may exist nevertheless
            raise NotTested(f"put failed: {error.reason}") from error
        self.created.add(name)
        return etag

    def overwrite(self, name: str, body: bytes) -> ETag:
        """The ETag of an object that is written without a condition.  Raises NotTested."""
        etag = self.put(name, body)
        if etag is None:
            raise NotTested("put without a condition is refused")
        return etag

    def read(self, name: str, **headers: str) -> bytes | None:
        """The content of an object, None if it does not exist.  Raises NotTested if reading is refused."""
        response = self.request(Request("GET", name, headers))
        if response.denied:
            raise NotTested(f"get is refused ({response.refusal})")
        return None if response.code else body_of(response)

    def list_names(self, **query: str) -> list[str] | None:
        """The names that ListObjectsV2 lists under the prefix, page by page; None if the store does not have it.

        Raises NotTested if the store refuses it.
        """
        listed: list[str] = []
        query = {"list-type": "2", "encoding-type": "url", "prefix": self.prefix, **query}
        while True:
            response = self.request(Request("GET", query=query))
            if response.denied:
                raise NotTested(f"list is refused ({response.refusal})")
            page = _page(response)
            if page is None or (page.get("IsTruncated") and "NextContinuationToken" not in page):
                return None
            listed += [entry["Key"][len(self.prefix) :] for entry in page.get("Contents", ())]
            if not page.get("IsTruncated"):
                return listed
            query.pop("start-after", None)
            query["continuation-token"] = page["NextContinuationToken"]

    def clear(self) -> list[str]:
        """Delete all objects under the prefix, and return the keys that could not be deleted."""
        remaining = []
        with contextlib.suppress(IndexerError):
            self.created.update(stat.key for stat in self.store.list(""))
        for name in sorted(self.created):
            answer = self.request(Request("DELETE", name))
            if answer.status not in {200, 204, 404}:
                remaining.append(self.prefix + name)
        self.created.clear()
        return remaining


def body_of(response: Response) -> bytes:
    """The body of an object, which is read and closed.  Raises NotTested if the connection breaks."""
    with contextlib.closing(response.body) as body:
        try:
            return read(body)
        except NoAnswer as error:
            raise NotTested(str(error)) from error


def _send(client: Client, request: Request) -> Response:
    try:
        return client.send(request)
    except (NoAnswer, NoKeys) as error:
        return Response(0, {}, error=StoreError(masked(error)))


def _page(response: Response) -> Mapping[str, Any] | None:
    """The page of a listing, None if the response is an error or no listing."""
    if response.code:
        return None
    try:
        page = page_of(response.content)
    except BadAnswer:
        return None
    return decoded(page) if page is not None else None
