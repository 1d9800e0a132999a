"""A bucket as a store: one request a call, compare-and-swap as the provider has it."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

from botocore.exceptions import HTTPClientError, IncompleteReadError, ResponseStreamingError
from urllib3.exceptions import HTTPError

from indexer.core import names
from indexer.core.errors import BadConfig, Conflict, Missing, NoConditions, Unavailable
from indexer.core.model import ETag, Stat
from indexer.core.usage import Usage
from indexer.store import WHOLE, Expect, Opened
from indexer.store.redact import masked, note
from indexer.store.s3.body import body_of
from indexer.store.s3.client import connect
from indexer.store.s3.content_md5 import header, md5_of
from indexer.store.s3.errors import errors, extent, is_mismatch, listed_stat, metadata_of, opened_stat, version_of
from indexer.store.s3.gcs import generation_of, write_by_generation
from indexer.store.s3.listing import pages, pages_of
from indexer.store.s3.pace import Pace
from indexer.store.s3.providers import Conditions
from indexer.store.s3.retry import Retries
from indexer.store.s3.strict import told

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType

    from indexer.core.stream import Content
    from indexer.store import Part, Range
    from indexer.store.target import Target

_PARAMETERS = {"Cache-Control": "CacheControl", "Content-Type": "ContentType"}
# What a store is asked with for whether it minds conditions; it stays, so that asking again changes nothing.
_NO_ETAG = "0" * 32
_NONE = "the store knows no conditional writes"
_UNSAFE = "so this cannot be done safely there"


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
        self._usage.read(len(data))
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
    """A channel under a prefix of a bucket.  A version is an ETag without its quotes."""

    def __init__(
        self, bucket: str, prefix: str, target: Target, retries: Retries | None = None, *, pace: Pace | None = None
    ) -> None:
        self.usage = Usage()
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._client, self._provider = connect(bucket, target)
        self._pace = pace or Pace(self._provider.pause)
        self._conditions = self._provider.conditions
        if self._conditions is Conditions.GENERATION:
            write_by_generation(self._client)
        # Ceph RGW 16 compares If-Match with the quotes, and so refuses the form of the standard.
        self._bare_etags = False
        self._reads_conditional = True
        self._proving = threading.Lock()
        self._client.meta.events.register("needs-retry.s3", retries or Retries())
        self._client.meta.events.register("before-send.s3", self._count_request)
        self._client.meta.events.register("after-call.s3", self._count_listing)

    def _count_request(self, request: Any, event_name: str, **_: object) -> None:
        verb = "LIST" if "ListObjects" in event_name else request.method
        # Of refreshed credentials too, which nobody else tells of.
        note(_text(request.headers.get("X-Amz-Security-Token")))
        self.usage.asked(verb)
        if verb == "PUT":
            self.usage.wrote(int(request.headers.get("Content-Length") or 0))

    def _count_listing(self, http_response: Any, event_name: str, **_: object) -> None:
        if "ListObjects" in event_name:
            self.usage.read(len(http_response.content))

    def _name(self, key: str) -> str:
        return f"s3://{self._bucket}/{self._prefix}{key}"

    def _where(self, key: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._prefix + key}

    def list(self, prefix: str, *, part: Part = WHOLE) -> Iterator[Stat]:
        """The objects and prefixes directly under a prefix, in pages of a thousand."""
        asked = {"Bucket": self._bucket, "Prefix": self._prefix + prefix, "Delimiter": "/"}
        after, last = (key and self._prefix + key for key in part)
        with errors(self._name(prefix)):
            for page in pages(self._client, asked) if part == WHOLE else pages_of((after, last), self._client, asked):
                for entry in page.get("Contents", ()):
                    key = entry["Key"][len(self._prefix) :]
                    if not key.endswith("/"):  # a marker object, as rattler-index leaves one
                        yield listed_stat(key, entry)
                for entry in page.get("CommonPrefixes", ()):
                    yield Stat(entry["Prefix"][len(self._prefix) :], 0, ETag(""), 0)

    def stat(self, key: str, *, checksum: bool = False) -> Stat | None:
        """One object, None where it is absent; with its sha256 where asked and vouched for."""
        # Asked for seldom: some stores refuse requests with this header.
        wanted = {"ChecksumMode": "ENABLED"} if checksum and self._provider.checksums else {}
        try:
            with errors(self._name(key)):
                answer = self._client.head_object(**self._where(key), **wanted)
                return opened_stat(key, told(answer, "ContentLength"), answer)
        except Missing:
            return None
        except BadConfig:
            with contextlib.suppress(Missing):
                self.open(key).close()  # an expired token is a 400, of which only an answer with a body says so
            raise

    def open(self, key: str, *, range: Range | None = None, etag: ETag | None = None) -> S3Reader:
        """Read an object, or a part of it; with a version only that one."""
        try:
            return self._open(key, range, etag, conditional=self._reads_conditional)
        except Conflict as conflict:
            if etag is None or not is_mismatch(conflict) or not self._stands(key, etag):
                raise
        # The object has that version, so the store compares wrongly; the answer tells the version, too.
        self._reads_conditional = False
        return self._open(key, range, etag, conditional=False)

    def _stands(self, key: str, etag: ETag) -> bool:
        found = self.stat(key)
        return found is not None and found.etag == etag

    def _open(self, key: str, range: Range | None, etag: ETag | None, *, conditional: bool) -> S3Reader:
        wanted: dict[str, str] = {}
        if range is not None:
            start, stop = range
            wanted["Range"] = f"bytes={start}" if start < 0 else f"bytes={start}-{'' if stop is None else stop - 1}"
        if etag is not None and conditional:
            wanted["IfMatch"] = f'"{etag}"'
        with errors(self._name(key), ranged=range is not None):
            answer = self._client.get_object(**self._where(key), **wanted)
            with contextlib.ExitStack() as unless_read:
                unless_read.callback(answer["Body"].close)
                start, size = extent(answer)
                stat = opened_stat(key, size, answer)
                if etag is None or stat.etag == etag:  # else a store that does not know If-Match
                    unless_read.pop_all()
                    return S3Reader(answer["Body"], Opened(stat, start, metadata_of(answer)), self.usage)
        raise Conflict(self._name(key), "changed since it was looked at")

    def put(self, key: str, body: Content, *, expect: Expect | ETag, headers: Mapping[str, str] | None = None) -> ETag:
        """Write an object in one request, with its MD5 so that the store refuses a damaged body."""
        md5 = md5_of(body)
        shape = {_PARAMETERS[name]: value for name, value in (headers or {}).items()}
        shape["ContentMD5"] = header(md5)
        try:
            return self._put(key, body, shape, self._condition(key, expect))
        except Conflict as conflict:
            # An answer lost on the way makes botocore send again, and the second try then meets our
            # own first one: what is there tells whose it is.
            found = self.stat(key)
            if found is not None and found.md5 == md5.hex():
                return found.etag
            if not self._compared_wrongly(conflict, found, expect):
                raise
        return self._put_bare(key, body, shape, ETag(str(expect)))

    def _put(self, key: str, body: Content, shape: Mapping[str, str], condition: Mapping[str, str]) -> ETag:
        self._pace.wait(key)
        try:
            with errors(self._name(key), conditional=bool(condition)):
                answer = self._client.put_object(**self._where(key), **shape, **condition, Body=body_of(body))
                return version_of(told(answer, "ETag"))
        except NoConditions:
            self._conditions = Conditions.NONE
            raise

    def _condition(self, key: str, expect: Expect | ETag) -> dict[str, str]:
        """What a PUT says so that it depends on what is there.  Raises NoConditions, and Conflict."""
        if expect is Expect.ANYTHING:
            return {}
        if self._conditions is Conditions.UNPROVEN:
            self._prove()
        if self._conditions is Conditions.NONE:
            raise NoConditions(self._name(key), _NONE, _UNSAFE)
        if expect is Expect.ABSENT:
            return {"IfNoneMatch": "*"}
        if self._conditions is Conditions.GENERATION:
            return {"IfMatch": self._generation(key, expect)}
        return {"IfMatch": expect if self._bare_etags else f'"{expect}"'}

    def _prove(self) -> None:
        """Ask a store whether it minds conditions: one that does not would say 200 to all.

        One object of our own is created, and then must be neither created again nor replaced.
        """
        with self._proving:
            if self._conditions is not Conditions.UNPROVEN:
                return
            once = {"IfNoneMatch": "*"}
            ignored = (self._passes(once) and self._passes(once)) or self._passes({"IfMatch": f'"{_NO_ETAG}"'})
            self._conditions = Conditions.NONE if ignored else Conditions.ETAG

    def _passes(self, condition: Mapping[str, str]) -> bool:
        try:
            self._put(names.PROBE, b"", {}, condition)
        except Conflict:
            return False
        return True

    def _generation(self, key: str, expect: ETag) -> str:
        """The generation of an object that has the expected version.  Raises Conflict."""
        with errors(self._name(key)):
            answer = self._client.head_object(**self._where(key))
            if version_of(told(answer, "ETag")) != expect:
                raise Conflict(self._name(key), "changed since it was looked at")
        generation = generation_of(answer)
        if generation is None:
            raise BadConfig(self._name(key), "has no x-goog-generation", "name the store's kind with --provider")
        return generation

    def _compared_wrongly(self, conflict: Conflict, found: Stat | None, expect: Expect | ETag) -> bool:
        """Whether a store has refused the very version that is there, for the quotes about it."""
        if self._conditions is not Conditions.ETAG or self._bare_etags or not is_mismatch(conflict):
            return False
        return found is not None and found.etag == expect

    def _put_bare(self, key: str, body: Content, shape: Mapping[str, str], expect: ETag) -> ETag:
        """Write under an ETag without quotes, and remember it where the store wants it so."""
        try:
            with contextlib.suppress(Conflict):
                # A store that cannot read it may take it for no condition: then a wrong one passes, too.
                self._put(key, body, shape, {"IfMatch": _NO_ETAG})
                self._conditions = Conditions.NONE
                raise NoConditions(self._name(key), "the store refuses every ETag, and heeds none without quotes")
            etag = self._put(key, body, shape, {"IfMatch": expect})
        except BadConfig as error:  # one that compares well after all, and wants quotes
            raise Conflict(self._name(key), "changed since it was looked at") from error
        self._bare_etags = True
        return etag

    def delete(self, key: str, *, expect: Expect | ETag) -> None:
        """Delete an object.  Few stores know conditions on DELETE, so the version is looked at first."""
        if expect is not Expect.ANYTHING:
            if self._conditions is Conditions.NONE:
                raise NoConditions(self._name(key), _NONE, _UNSAFE)
            found = self.stat(key)
            if found is None:
                return
            if found.etag != expect:
                raise Conflict(self._name(key), "changed since it was looked at")
        with contextlib.suppress(Missing), errors(self._name(key)):
            self._client.delete_object(**self._where(key))


def _text(value: str | bytes | None) -> str | None:
    return value.decode("latin-1") if isinstance(value, bytes) else value
