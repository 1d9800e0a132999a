"""A bucket as a store: one request a call, compare-and-swap by ETag, foreign errors stop here."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    MetadataRetrievalError,
    NoCredentialsError,
    PaginationError,
    PartialCredentialsError,
    RefreshWithMFAUnsupportedError,
    ResponseStreamingError,
    SSOError,
    TokenRetrievalError,
)
from botocore.exceptions import (
    ConnectionError as BotoConnectionError,
)
from urllib3.exceptions import HTTPError

from indexer.core.model import Stat, Version
from indexer.errors import BadConfig, Conflict, Denied, IndexerError, Missing, RangeRefused, Unavailable
from indexer.secrets import masked, note
from indexer.store import Expect, Opened, Usage
from indexer.store.client import connect
from indexer.store.retries import Retries

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType

    from indexer.store import Range
    from indexer.store.target import Target

_MD5_ETAG = re.compile(r'"?([0-9a-f]{32})"?')
_VERBS = {
    "ListObjectsV2": "LIST",
    "GetObject": "GET",
    "HeadObject": "HEAD",
    "PutObject": "PUT",
    "DeleteObject": "DELETE",
}
# What a store answers when somebody else was faster: AWS says 409 while two writes are under way, and
# 404 to If-Match where the object vanished.
_CONFLICTS = {"PreconditionFailed", "ConditionalRequestConflict", "OperationAborted", "412", "409"}
_MISSING = {"NoSuchKey", "NotFound", "404"}
_RANGE_REFUSED = {416, 501}
# An empty body, or any other XML, has none of them.
_OF_A_LISTING = {"Name", "KeyCount", "IsTruncated", "Contents", "CommonPrefixes"}
_DENIED = {
    *("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"),
    *("TokenRefreshRequired", "AuthorizationHeaderMalformed", "Unauthorized", "Forbidden", "401", "403"),
}
# What boto3's chain raises where it cannot get credentials, or cannot renew those that expire while a run
# works; botocore has no word of its own for renewed ones that are expired too.
_CANNOT_RENEW = (
    *(CredentialRetrievalError, MetadataRetrievalError, RefreshWithMFAUnsupportedError),
    *(SSOError, TokenRetrievalError, RuntimeError),
)


class S3Reader:
    """The body of an object on the wire."""

    def __init__(self, body: Any, opened: Opened, usage: Usage) -> None:
        self.opened = opened
        self._body = body
        self._usage = usage

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes, none at the end.  Raises Unavailable where the body breaks off."""
        try:
            data: bytes = self._body.read(None if size < 0 else size)
        except (IncompleteReadError, ResponseStreamingError, HTTPClientError, HTTPError, OSError) as error:
            raise Unavailable(self.opened.stat.key, f"the answer broke off ({masked(error)})", "try again") from error
        self._usage.bytes_read += len(data)
        return data

    def close(self) -> None:
        """End the transfer: the connection is given up where bytes are left, not drained."""
        self._body.close()

    def __enter__(self) -> S3Reader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class S3Store:
    """A channel under a prefix of a bucket.  A version is an ETag exactly as received."""

    def __init__(self, bucket: str, prefix: str, target: Target, retries: Retries | None = None) -> None:
        self.usage = Usage()
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._lock = threading.Lock()
        # Ceph RGW 16 compares If-Match with the quotes, and so refuses the form of the standard.
        self._bare_etags = False
        self._client, self._provider = connect(bucket, target)
        self._client.meta.events.register("needs-retry.s3", retries or Retries())
        self._client.meta.events.register("before-send.s3", self._count_request)
        self._client.meta.events.register("after-call.s3.ListObjectsV2", self._count_listing)

    def _count_request(self, request: Any, **_: object) -> None:
        verb = "LIST" if "list-type=2" in request.url else request.method
        # Of refreshed credentials too, which nobody else tells of.
        note(_text(request.headers.get("X-Amz-Security-Token")))
        with self._lock:
            self.usage.requests[verb] += 1
            if verb == "PUT":
                self.usage.bytes_written += int(request.headers.get("Content-Length") or 0)

    def _count_listing(self, http_response: Any, **_: object) -> None:
        with self._lock:
            self.usage.bytes_read += len(http_response.content)

    def _name(self, key: str) -> str:
        return f"s3://{self._bucket}/{self._prefix}{key}"

    def list(self, prefix: str) -> Iterator[Stat]:
        """The objects and prefixes directly under a prefix, in pages of a thousand."""
        full = self._prefix + prefix
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=full, Delimiter="/")
        with self._errors(prefix):
            for page in pages:
                self._check_page(full, page)
                for entry in page.get("Contents", ()):
                    key = entry["Key"][len(self._prefix) :]
                    if not key.endswith("/"):  # a marker object, as rattler-index leaves one
                        yield _stat_of(key, entry["Size"], entry["ETag"], entry["LastModified"])
                for entry in page.get("CommonPrefixes", ()):
                    yield Stat(entry["Prefix"][len(self._prefix) :], 0, Version(""), 0)

    def _check_page(self, full: str, page: Mapping[str, Any]) -> None:
        """Raise Unavailable for half a listing: whatever it lacks would be taken for deleted."""
        name = f"s3://{self._bucket}/{full}"
        if not page.keys() & _OF_A_LISTING:
            raise Unavailable(name, "the store answered something else than a listing", "repeat later")
        if page.get("IsTruncated") and not page.get("NextContinuationToken"):
            raise Unavailable(name, "the listing breaks off and does not say where it goes on", "repeat later")
        if any(not entry["Key"].startswith(full) for entry in page.get("Contents", ())):
            raise Unavailable(name, "the store listed other objects than it was asked for", "report this with its name")

    def stat(self, key: str, *, checksum: bool = False) -> Stat | None:
        """One object, None where it is absent; with its sha256 where asked and vouched for."""
        # Asked for seldom: some stores refuse requests with this header.
        wanted = {"ChecksumMode": "ENABLED"} if checksum and self._provider.checksums else {}
        try:
            with self._errors(key):
                answer = self._client.head_object(Bucket=self._bucket, Key=self._prefix + key, **wanted)
                return _answered(key, answer["ContentLength"], answer)
        except Missing:
            return None
        except BadConfig:
            with contextlib.suppress(Missing):
                self.open(key).close()  # an expired token is a 400, of which only an answer with a body says so
            raise

    def open(self, key: str, *, range: Range | None = None, version: Version | None = None) -> S3Reader:
        """Read an object, or a part of it; with a version only that one."""
        wanted: dict[str, str] = {}
        if range is not None:
            start, stop = range
            wanted["Range"] = f"bytes={start}" if start < 0 else f"bytes={start}-{'' if stop is None else stop - 1}"
        if version is not None:
            wanted["IfMatch"] = version
        with self._errors(key, ranged=range is not None):
            answer = self._client.get_object(Bucket=self._bucket, Key=self._prefix + key, **wanted)
            start, size = _extent(answer)
            stat = _answered(key, size, answer)
        reader = S3Reader(answer["Body"], Opened(stat, start, _metadata(answer)), self.usage)
        if version is not None and stat.version.strip('"') != version.strip('"'):
            reader.close()  # a store that does not know If-Match
            raise Conflict(self._name(key), "changed since it was looked at")
        return reader

    def put(
        self, key: str, body: bytes, *, expect: Expect | Version, headers: Mapping[str, str] | None = None
    ) -> Version:
        """Write an object in one request, with its MD5 so that the store refuses a damaged body."""
        digest = hashlib.md5(body, usedforsecurity=False)
        shape = {_PARAMETERS[name]: value for name, value in (headers or {}).items()}
        shape["ContentMD5"] = base64.b64encode(digest.digest()).decode()
        try:
            return self._put(key, body, expect, shape)
        except Conflict:
            # An answer lost on the way makes botocore send again, and the second try then meets our
            # own first one: what is there tells whose it is.
            found = self.stat(key)
            if found is not None and found.md5 == digest.hexdigest():
                return found.version
            if found is None or found.version != expect or self._bare_etags:
                raise
        # The object still has the version we expect, so the store compares wrongly: once without quotes.
        version = self._put(key, body, Version(str(expect).strip('"')), shape)
        self._bare_etags = True
        return version

    def _put(self, key: str, body: bytes, expect: Expect | Version, shape: Mapping[str, str]) -> Version:
        wanted = dict(shape)
        if expect is Expect.ABSENT:
            wanted["IfNoneMatch"] = "*"
        elif expect is not Expect.ANYTHING:
            wanted["IfMatch"] = expect.strip('"') if self._bare_etags else expect
        with self._errors(key):
            answer = self._client.put_object(Bucket=self._bucket, Key=self._prefix + key, Body=body, **wanted)
            return Version(answer["ETag"])

    def delete(self, key: str, *, expect: Expect | Version) -> None:
        """Delete an object.  Few stores know conditions on DELETE, so the version is looked at first."""
        if expect is not Expect.ANYTHING:
            found = self.stat(key)
            if found is None:
                return
            if found.version != expect:
                raise Conflict(self._name(key), "changed since it was looked at")
        with contextlib.suppress(Missing), self._errors(key):
            self._client.delete_object(Bucket=self._bucket, Key=self._prefix + key)

    @contextlib.contextmanager
    def _errors(self, key: str, *, ranged: bool = False) -> Iterator[None]:
        """Turn botocore's errors into ours, here and nowhere else."""
        try:
            yield
        except ClientError as error:
            if ranged and error.response["ResponseMetadata"].get("HTTPStatusCode") in _RANGE_REFUSED:
                raise RangeRefused(self._name(key), "the store does not serve parts of objects") from error
            raise _translated(self._name(key), error) from error
        except (NoCredentialsError, PartialCredentialsError) as error:
            raise Denied(
                self._name(key),
                f"{error}",
                "give --access-key-id and --secret-access-key, a --profile, or --no-sign-request",
            ) from error
        except _CANNOT_RENEW as error:
            said = " ".join(masked(error).split())  # it may be what another program said, over some lines
            raise Denied(
                self._name(key), f"no valid credentials ({said})", "renew them or log in again, then repeat"
            ) from error
        except (KeyError, PaginationError) as error:
            wrong = f"the answer has no {error}" if isinstance(error, KeyError) else str(error)
            raise Unavailable(
                self._name(key), wrong, "look at what stands between here and the store, then repeat"
            ) from error
        except (BotoConnectionError, HTTPClientError) as error:
            raise Unavailable(
                self._name(key),
                f"the store does not answer ({masked(error)})",
                "look at --endpoint-url and the network, then repeat",
            ) from error
        except BotoCoreError as error:
            raise BadConfig(self._name(key), masked(error), "look at the S3 options and AWS_* variables") from error


_PARAMETERS = {"Cache-Control": "CacheControl", "Content-Type": "ContentType"}


def _text(value: str | bytes | None) -> str | None:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _stat_of(key: str, size: int, etag: str, modified: Any) -> Stat:
    shaped = _MD5_ETAG.fullmatch(etag)
    return Stat(key, size, Version(etag), int(modified.timestamp() * 1000), shaped and shaped[1])


def _extent(answer: Mapping[str, Any]) -> tuple[int, int]:
    """Where the body of an answer begins in its object, and how large the object is."""
    content_range = answer.get("ContentRange")
    if content_range is None:
        return 0, answer["ContentLength"]
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", content_range)
    if match is None:
        raise Unavailable("Content-Range", f"{content_range!r} cannot be read", "report this with the store's name")
    return int(match[1]), int(match[2])


def _metadata(answer: Mapping[str, Any]) -> dict[str, str]:
    return {name.lower(): value for name, value in answer.get("Metadata", {}).items()}


def _answered(key: str, size: int, answer: Mapping[str, Any]) -> Stat:
    stat = _stat_of(key, size, answer["ETag"], answer["LastModified"])
    if answer.get("SSECustomerAlgorithm") or answer.get("ServerSideEncryption", "AES256") != "AES256":
        stat = replace(stat, md5=None)  # the ETag of what was encrypted with a key is no MD5
    checksum = answer.get("ChecksumSHA256")
    # One made of the checksums of parts (COMPOSITE) is none of the whole object.
    if checksum and "-" not in checksum and answer.get("ChecksumType") != "COMPOSITE":
        stat = replace(stat, sha256=base64.b64decode(checksum).hex())
    return stat


def _translated(name: str, error: ClientError) -> IndexerError:
    """One of our errors for what a store said, by its code or else by the HTTP status."""
    said = error.response.get("Error", {})
    code = said.get("Code", "")
    status = str(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))
    text = f"{code}: {said.get('Message', '')}".strip(": ")
    if code == "NoSuchBucket":
        return BadConfig(name, "there is no such bucket", "look at the bucket's name and at --endpoint-url")
    if {code, status} & _CONFLICTS:
        return Conflict(name, "changed since it was looked at")
    if {code, status} & _MISSING:
        return Missing(name, "is not there")
    if {code, status} & _DENIED:
        return Denied(name, f"the store refuses ({text})", "look at the credentials, their rights and the region")
    if status in {"301", "307", "400"}:
        return BadConfig(name, f"the store refuses the request ({text})", "look at --region and --endpoint-url")
    return Unavailable(name, f"the store fails ({text}, status {status})", "repeat later")
