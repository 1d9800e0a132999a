"""A small S3 server that behaves as each provider does, and that checks every signature.

The signature is computed anew by the documented algorithm, so that what botocore or we sign wrongly is refused.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import hashlib
import hmac
import threading
import time
from base64 import b64encode
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from xml.sax.saxutils import escape

from indexer.store.s3.conditional import ConditionalWrites
from indexer.store.s3.retry import Retries
from indexer.store.s3.store import S3Store
from indexer.store.target import S3Options, Target
from tests.support.fake_uploads import Refusal, Uploads
from tests.support.http_servers import Listening

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

LOOPBACK = "127.0.0.1"
ACCESS_KEY, SECRET_KEY = "some-key", "some-secret"
BUCKET, PREFIX = "bucket", "ch"
# What an algorithm is keyed with, what its scope ends in, and how its headers begin.
_DIALECTS = {
    "AWS4-HMAC-SHA256": ("AWS4", "aws4_request", "x-amz-"),
    "GOOG4-HMAC-SHA256": ("GOOG4", "goog4_request", "x-goog-"),
}


@dataclass(frozen=True)
class Behavior:
    """How a store behaves.

    `conditions` on writes are `heeded`, `ignored`, `refused` (501), `unimplemented` (400), compared with the
    `quotes` as they were sent, or are those of a `generation`; `creations` are heeded and replacements not.
    `etag` is what it makes of an MD5, `listed` of that in a listing.  `missing` is the status of what is absent.
    Listings go by an `order`, and begin where they are asked to if it `starts_after`.  A bucket that is `locked` has
    object lock with a default retention: it refuses each put without Content-MD5 or a checksum, as AWS documents.
    The condition of a deletion is `heeded`, `ignored`, `refused` (501) or `never` held (412).
    `copies` is the header of a condition on the target of a copy that is heeded, if any, or copies are `refused`.
    """

    conditions: str = "heeded"
    deletions: str = "ignored"
    etag: Callable[[str], str] = '"{}"'.format
    listed: Callable[[str], str] = str
    missing: int = 404
    pause: float = 0.0
    page: int = 1000
    first_form_only: bool = False
    second_form_refused: bool = False
    told_marker: bool = True
    starts_after: bool = True
    order: Callable[[str], Any] = str
    ranges: bool = True
    encrypted: bool = False
    reads_refused: bool = False
    locked: bool = False
    copies: str = "if-none-match"


@dataclass(frozen=True)
class Object:
    """One object as it lies there."""

    body: bytes
    etag: str
    generation: int
    modified: float
    headers: Mapping[str, str]


class Request(NamedTuple):
    """One request: names of headers in lower case, `path` as it was sent, `key` decoded."""

    method: str
    path: str
    query: str
    key: str
    headers: Mapping[str, str]
    body: bytes


class Response(NamedTuple):
    """What is sent back."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass
class FakeS3:
    """One bucket.  `hook` is told of each request before it is looked at, and may raise Refusal."""

    behavior: Behavior
    clock: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    hook: Callable[[Request], None] = lambda _: None
    uploads: Uploads = field(default_factory=Uploads)
    objects: dict[str, Object] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    _count: int = 1_700_000_000_000_000
    _put_at: dict[str, float] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def upload(self, key: str, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Lay an object down as an uploader does, under the channel's prefix."""
        with self._lock:
            self._lay(f"{PREFIX}/{key}", body, headers or {})

    def _lay(self, key: str, body: bytes, headers: Mapping[str, str]) -> None:
        self._count += 1
        etag = self.behavior.etag(hashlib.md5(body).hexdigest())
        self.objects[key] = Object(body, etag, self._count, self.wall(), headers)

    def bodies(self) -> dict[str, bytes]:
        """What lies in the channel, by key."""
        with self._lock:
            return {key.removeprefix(f"{PREFIX}/"): it.body for key, it in sorted(self.objects.items())}

    def of(self, method: str, key: str = "") -> list[Request]:
        """The requests of one method, of one key if it is given."""
        return [it for it in self.requests if it.method == method and (not key or it.key == f"{PREFIX}/{key}")]

    def answer(self, request: Request) -> Response:
        """Answer a request."""
        self.requests.append(request)
        given = self._answered(request)
        self.statuses.append(given.status)
        return given

    def _answered(self, request: Request) -> Response:
        try:
            self.hook(request)
            verify(request)
            with self._lock:
                if request.query == "uploads=" and not request.key:
                    return Response(200, {"Content-Type": "application/xml"}, self.uploads.listing())
                if not request.key:
                    return self._list(dict(parse_qsl(request.query, keep_blank_values=True)))
                if "upload" in request.query:
                    return self._upload(request)
                return {"PUT": self._put, "GET": self._get, "HEAD": self._get, "DELETE": self._delete}[request.method](
                    request
                )
        except Refusal as refusal:
            body = f"<Error><Code>{refusal.code}</Code><Message>as this store has it</Message></Error>".encode()
            return Response(refusal.status, {"Content-Type": "application/xml"}, body)

    def _put(self, request: Request) -> Response:
        headers = request.headers
        if self.behavior.conditions == "read only":
            raise Refusal(403, "AccessDenied")
        odd = [it for it in headers if it.startswith(("x-amz-checksum", "x-amz-trailer", "x-amz-sdk-checksum"))]
        if odd or "aws-chunked" in headers.get("content-encoding", ""):
            raise Refusal(501, "NotImplemented")
        if self.behavior.locked and not any(it == "content-md5" or it.startswith("x-amz-checksum") for it in headers):
            raise Refusal(400, "InvalidRequest")
        sent_md5 = headers.get("content-md5")
        if sent_md5 is not None and sent_md5 != b64encode(hashlib.md5(request.body).digest()).decode():
            raise Refusal(400, "BadDigest")
        if "x-amz-copy-source" in headers or "x-goog-copy-source" in headers:
            return self._copy(request)
        now = self.clock()
        if self.behavior.pause and now - self._put_at.get(request.key, -1e9) < self.behavior.pause:
            raise Refusal(429, "TooManyRequests")
        self._put_at[request.key] = now
        self._check_conditions(headers, self.objects.get(request.key))
        self._lay(request.key, request.body, _kept(headers))
        return Response(200, self._described(self.objects[request.key]))

    def _upload(self, request: Request) -> Response:
        """A request for an upload in parts."""
        xml = {"Content-Type": "application/xml"}
        if request.method == "DELETE":
            self.uploads.delete(request)
            return Response(204, {})
        if request.method == "PUT":
            etag = self.uploads.part(request, self.objects)
            body = f"<R><ETag>{escape(etag, {chr(34): '&quot;'})}</ETag></R>".encode()
            is_copy = "x-amz-copy-source" in request.headers
            return Response(200, xml, body) if is_copy else Response(200, {"ETag": etag})
        if "uploadId" not in request.query:
            return Response(200, xml, self.uploads.begin(request.key, _kept(request.headers)))
        joined = self.uploads.join(request, self.objects.get(request.key))
        self._count += 1
        self.objects[request.key] = Object(joined.body, joined.etag, self._count, self.wall(), joined.headers)
        return Response(200, xml, f"<R><ETag>{escape(joined.etag)}</ETag></R>".encode())

    def _copy(self, request: Request) -> Response:
        """Copy an object of the bucket with all its headers."""
        headers = {name.replace("x-goog-", "x-amz-"): value for name, value in request.headers.items()}
        if self.behavior.copies == "refused":
            raise Refusal(501, "NotImplemented")
        source = unquote(headers["x-amz-copy-source"]).removeprefix(f"/{BUCKET}/")
        copied, there = self.objects.get(source), self.objects.get(request.key)
        if copied is None:
            raise Refusal(404, "NoSuchKey")
        if source == request.key and headers.get("x-amz-metadata-directive") != "REPLACE":
            raise Refusal(400, "InvalidRequest")
        if headers.get("x-amz-copy-source-if-match", copied.etag) != copied.etag:
            raise Refusal(412, "PreconditionFailed")
        if self.behavior.copies in request.headers and there is not None:
            raise Refusal(412, "PreconditionFailed")
        self._lay(request.key, copied.body, copied.headers)
        etag = escape(self.objects[request.key].etag, {'"': "&quot;"})
        body = f"<CopyObjectResult><ETag>{etag}</ETag></CopyObjectResult>"
        return Response(200, {"Content-Type": "application/xml"}, body.encode())

    def _check_conditions(self, headers: Mapping[str, str], there: Object | None) -> None:
        given = {it for it in headers if it in {"if-match", "if-none-match"}}
        how = self.behavior.conditions
        if given and how == "refused":
            raise Refusal(501, "NotImplemented")
        if given and how == "unimplemented":
            raise Refusal(400, "NotImplemented")
        if how == "generation":
            wanted = headers.get("x-goog-if-generation-match")
            if wanted is not None and int(wanted) != (there.generation if there else 0):
                raise Refusal(412, "PreconditionFailed")
            return
        if how == "ignored":
            return
        if "if-none-match" in given and there is not None:
            raise Refusal(412, "PreconditionFailed")
        if "if-match" in given and how != "creations":
            etag = there.etag if there else ""
            if headers["if-match"] != (etag.strip('"') if how == "quotes" else etag):
                raise Refusal(412, "PreconditionFailed")

    def _get(self, request: Request) -> Response:
        there = self.objects.get(request.key)
        if there is None:
            raise Refusal(self.behavior.missing, "NoSuchKey" if self.behavior.missing == 404 else "AccessDenied")
        if "if-match" in request.headers and (self.behavior.reads_refused or request.headers["if-match"] != there.etag):
            raise Refusal(412, "PreconditionFailed")
        headers = self._described(there)
        wanted = request.headers.get("range")
        if wanted is None or not self.behavior.ranges:
            return Response(200, headers, there.body)
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        if not first:
            raise Refusal(501, "NotImplemented")  # a suffix: not served
        stop = min(int(last) + 1 if last else len(there.body), len(there.body))
        headers["Content-Range"] = f"bytes {first}-{stop - 1}/{len(there.body)}"
        return Response(206, headers, there.body[int(first) : stop])

    def _delete(self, request: Request) -> Response:
        there, wanted = self.objects.get(request.key), request.headers.get("if-match")
        how = self.behavior.deletions
        if wanted is not None and how == "refused":
            raise Refusal(501, "NotImplemented")
        if wanted is not None and (how == "never" or (how == "heeded" and there is not None and wanted != there.etag)):
            raise Refusal(412, "PreconditionFailed")
        generation = request.headers.get("x-goog-if-generation-match")
        if generation is not None and int(generation) != (there.generation if there else 0):
            raise Refusal(412, "PreconditionFailed")
        self.objects.pop(request.key, None)
        return Response(204, {})

    def _described(self, there: Object) -> dict[str, str]:
        headers = {**there.headers, "ETag": there.etag, "Last-Modified": formatdate(there.modified, usegmt=True)}
        if self.behavior.conditions == "generation":
            headers["x-goog-generation"] = str(there.generation)
        if self.behavior.encrypted:
            headers["x-amz-server-side-encryption"] = "aws:kms"
        return headers

    def _list(self, query: Mapping[str, str]) -> Response:
        second = query.get("list-type") == "2"
        if second and self.behavior.second_form_refused:
            raise Refusal(501, "NotImplemented")
        second = second and not self.behavior.first_form_only
        token = query.get("continuation-token" if second else "marker", "")
        after = query.get("start-after", "") if second and self.behavior.starts_after and not token else ""
        found: dict[str, Object | None] = {}
        prefix = query.get("prefix", "")
        for key in sorted(self.objects):
            if key.startswith(prefix):
                name, slash, _ = key[len(prefix) :].partition("/")
                found[prefix + name + slash] = None if slash else self.objects[key]
        names = sorted((name for name in found if name > after), key=self.behavior.order)
        names = names[names.index(token) + 1 :] if token in found else [name for name in names if name > token]
        shown = names[: self.behavior.page]
        encode = functools.partial(quote, safe="/") if query.get("encoding-type") == "url" else escape
        parts = [f"<IsTruncated>{str(len(names) > len(shown)).lower()}</IsTruncated>"]
        if query.get("encoding-type") == "url":
            parts.append("<EncodingType>url</EncodingType>")
        if len(names) > len(shown):
            if second:
                parts.append(f"<NextContinuationToken>{escape(shown[-1])}</NextContinuationToken>")
            elif self.behavior.told_marker:
                parts.append(f"<NextMarker>{encode(shown[-1])}</NextMarker>")
        for name in shown:
            there = found[name]
            if there is None:
                parts.append(f"<CommonPrefixes><Prefix>{encode(name)}</Prefix></CommonPrefixes>")
            else:
                when = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(there.modified))
                etag = escape(self.behavior.listed(there.etag))
                parts.append(
                    f"<Contents><Key>{encode(name)}</Key><LastModified>{when}</LastModified>"
                    f"<ETag>{etag}</ETag><Size>{len(there.body)}</Size></Contents>"
                )
        return Response(200, {"Content-Type": "application/xml"}, f"<R>{''.join(parts)}</R>".encode())


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that an object keeps."""
    kept = {k: v for k, v in headers.items() if k in {"content-type", "cache-control"}}
    metadata = {k: v for k, v in headers.items() if k.startswith(("x-amz-meta-", "x-goog-meta-"))}
    return kept | {k.replace("x-goog-", "x-amz-"): v for k, v in metadata.items()}


def verify(request: Request) -> None:
    """Refuse a request that has no length, is not signed as its algorithm is documented, or mixes two dialects."""
    if "transfer-encoding" in request.headers:
        raise Refusal(411, "MissingContentLength")
    algorithm, _, rest = request.headers.get("authorization", "").partition(" ")
    if algorithm not in _DIALECTS:
        raise Refusal(403, "AccessDenied")
    prefix, terminator, family = _DIALECTS[algorithm]
    if any(it.startswith("x-goog-") for it in request.headers) and any(
        it.startswith("x-amz-") for it in request.headers
    ):
        raise Refusal(400, "ExcessHeaderValues")
    parts = dict(part.strip().split("=", 1) for part in rest.split(","))
    access_key, date, region, service, end = parts["Credential"].split("/")
    names = parts["SignedHeaders"].split(";")
    digest = request.headers[f"{family}content-sha256"]
    unsigned = [it for it in request.headers if it.startswith(family) and it not in names]
    if digest not in {"UNSIGNED-PAYLOAD", hashlib.sha256(request.body).hexdigest()} or unsigned or "host" not in names:
        raise Refusal(403, "SignatureDoesNotMatch")
    pairs = sorted(pair.partition("=") for pair in request.query.split("&") if pair)
    canonical = "\n".join(
        [
            request.method,
            request.path,
            "&".join(f"{name}={value}" for name, _, value in pairs),
            *(f"{name}:{' '.join(request.headers[name].split())}" for name in names),
            "",
            parts["SignedHeaders"],
            digest,
        ]
    )
    scope = f"{date}/{region}/{service}/{terminator}"
    stamp = request.headers[f"{family}date"]
    to_sign = "\n".join([algorithm, stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"{prefix}{SECRET_KEY}".encode()
    for part in (date, region, service, terminator):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    expected = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    if (access_key, end, stamp[:8]) != (ACCESS_KEY, terminator, date) or expected != parts["Signature"]:
        raise Refusal(403, "SignatureDoesNotMatch")


@dataclass
class Server:
    """A server whose store changes from test to test, and a client for each provider: to make one takes long."""

    url: str = ""
    fake: FakeS3 = field(default_factory=lambda: FakeS3(Behavior()))
    sleep: Callable[[float], None] = lambda _: None
    _clients: dict[tuple[str, str], S3Store] = field(default_factory=dict)

    def _jitter(self, longest: float) -> float:
        self.sleep(longest)
        return 0.0

    def open(self, provider: str = "other", prefix: str = PREFIX) -> S3Store:
        """A store that leads here and knows nothing yet."""
        if (provider, prefix) not in self._clients:
            options = S3Options(
                endpoint_url=self.url, access_key_id=ACCESS_KEY, secret_access_key=SECRET_KEY, provider=provider
            )
            retries = Retries(self._jitter)
            target = Target(f"s3://{BUCKET}/{prefix}", options)
            self._clients[provider, prefix] = S3Store(BUCKET, prefix, target, retries)
        store = copy.copy(self._clients[provider, prefix])
        store.writes = ConditionalWrites(store.bucket, store.provider.conditions)
        return store

    def close(self) -> None:
        """Close all connections."""
        for store in self._clients.values():
            store.bucket.client.connections.close()


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    """Serve on loopback, whatever store is put there."""
    there = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # an answer in one piece

        def log_message(self, *_: object) -> None:
            pass

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = urlsplit(self.path)
            key = unquote(parts.path).removeprefix(f"/{BUCKET}").removeprefix("/")
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = there.fake.answer(Request(self.command, parts.path, parts.query, key, headers, body))
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.status != 204:
                self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)

        def handle_expect_100(self) -> bool:
            self.send_response_only(100)
            self.end_headers()
            self.wfile.flush()
            return True

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _answer  # noqa: N815  the base class calls them so

    server = Listening((LOOPBACK, 0), Handler)
    thread = threading.Thread(target=functools.partial(server.serve_forever, poll_interval=0.01))
    thread.start()
    there.url = f"http://{LOOPBACK}:{server.server_port}"
    try:
        yield there
    finally:
        there.close()
        server.shutdown()
        thread.join()
        server.server_close()
