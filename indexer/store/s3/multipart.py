"""Writes an object that is too large for one PUT or one copy: in parts, which the last request joins to the object.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from indexer.core.composition import SMALLEST_PART, WORTH
from indexer.core.errors import Conflict, IndexerError, OneUnavailable
from indexer.core.model import ETag
from indexer.core.stream import Content, Stream, pieces_of
from indexer.core.value import Value
from indexer.store import CHANGED, Expect, holds
from indexer.store.s3.answers import value_in
from indexer.store.s3.body_digests import content_md5
from indexer.store.s3.client import Request
from indexer.store.s3.errors import errors, etag_of
from indexer.store.s3.strict import BadAnswer, field_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from indexer.store.s3.answers import Response
    from indexer.store.s3.bucket import Bucket


class Limits(Value, frozen=True):
    """The largest body of one PUT, and the size of a part (bytes); the largest number of parts.

    Stores take 5 GB in one request, and parts from 5 MiB on, the `smallest`.  One part is in memory at a time.  A
    `copied` part is in no memory of ours.  A composition is made if it keeps at least the bytes of `worth`.
    """

    one_put: int = 5 * 10**9
    part: int = 8 * 2**20
    copied: int = 2**29
    parts: int = 10_000
    smallest: int = SMALLEST_PART
    worth: int = WORTH

    def part_of(self, size: int) -> int:
        """The size of all parts but the last of an object (bytes): some stores want equal parts."""
        return max(self.part, -(-size // self.parts))


LIMITS = Limits()

_MD5 = re.compile(r"[0-9a-f]{32}")


class LargeWrite(Value, frozen=True):
    """An object that is written in parts, with the headers that it shall have; `send_parts` sends or copies them.

    `heeded` is true if the store has shown that it heeds a condition on the request that joins the parts.
    """

    bucket: Bucket
    key: str
    headers: Mapping[str, str]
    limits: Limits
    send_parts: SendParts
    heeded: bool = False

    def write(self, condition: Mapping[str, str], expect: Expect | ETag) -> ETag:
        """Write the object and return its ETag.

        The request that joins the parts has the `condition`.  Not every store heeds a condition there, so else the
        object is also compared with what is expected, before the parts are sent and again before they are joined.  If
        the object is not written, the parts are deleted.  Raises Conflict and NoConditions.
        """
        self._check(expect)
        upload = self.begin()
        try:
            md5s = self.send_parts(self, upload)
            self._check(expect)
            return self.join(upload, md5s, condition)
        except BaseException:
            self.abort(upload)
            raise

    def begin(self) -> str:
        """The id of a new upload."""
        headers = {name: value for name, value in self.headers.items() if name != "Content-MD5"}
        begun = self.ask(Request("POST", headers=headers, query={"uploads": ""}))
        upload = value_in(begun.content, "UploadId")
        if not upload:
            with errors(self.bucket.url(self.key)):
                raise BadAnswer("it has no 'UploadId'")
        return upload

    def abort(self, upload: str) -> None:
        """Delete the parts of an upload."""
        with contextlib.suppress(IndexerError):
            self.ask(Request("DELETE", query={"uploadId": upload}))

    def _check(self, expect: Expect | ETag) -> None:
        """Raise Conflict if the object is not what is expected."""
        if self.heeded or expect is Expect.ANYTHING:
            return
        existing = self.bucket.stat(self.key)
        if not holds(expect, existing.etag if existing else None):
            raise Conflict(self.bucket.url(self.key), CHANGED)

    def ask(self, request: Request, *, conditional: bool = False) -> Response:
        """The answer to a request for the object.  Raises the errors of the store."""
        with errors(self.bucket.url(self.key), conditional=conditional):
            return self.bucket.client.ask(request._replace(key=self.bucket.prefix + self.key))

    def send(self, upload: str, number: int, piece: bytes) -> SentPart:
        """Send one part."""
        md5 = hashlib.md5(piece, usedforsecurity=False).digest()
        query = {"partNumber": str(number), "uploadId": upload}
        answer = self.ask(Request("PUT", headers={"Content-MD5": content_md5(md5)}, query=query, body=piece))
        with errors(self.bucket.url(self.key)):
            return field_of(answer.headers, "ETag"), md5

    def copy(self, upload: str, number: int, source: Mapping[str, str], span: tuple[int, int]) -> SentPart:
        """Copy one part: the bytes from the first to before the second position in the `source`."""
        headers = {**source, "x-amz-copy-source-range": f"bytes={span[0]}-{span[1] - 1}"}
        answer = self.ask(Request("PUT", headers=headers, query={"partNumber": str(number), "uploadId": upload}))
        with errors(self.bucket.url(self.key)):
            etag = etag_of(value_in(answer.content, "ETag"))
        return etag, bytes.fromhex(etag) if _MD5.fullmatch(etag) else b""

    def join(self, upload: str, sent: Sequence[SentPart], condition: Mapping[str, str]) -> ETag:
        """Join the parts to the object and return its ETag.  Raises Conflict."""
        body = _list_of_parts([etag for etag, _ in sent])
        request = Request("POST", headers=condition, query={"uploadId": upload}, body=body)
        try:
            joined = self.ask(request, conditional=bool(condition))
        except Conflict:
            # If an answer was lost, the request is sent again, and the second one does not find the parts any more.
            existing = self.bucket.stat(self.key)
            if existing is not None and existing.etag == _etag_of_parts([md5 for _, md5 in sent]):
                return existing.etag
            raise
        with errors(self.bucket.url(self.key)):
            return etag_of(value_in(joined.content, "ETag"))


SentPart = tuple[str, bytes]
"""The ETag of a part as the store gives it, and its MD5 or an empty one."""

SendParts = Callable[[LargeWrite, str], list[SentPart]]
"""Sends the parts of a write with its id."""


def sending(body: Content) -> SendParts:
    """The parts of a content, one in memory at a time.  Sending raises OneUnavailable if it has another SHA-256.

    A content without a known digest is not compared.
    """

    def send(write: LargeWrite, upload: str) -> list[SentPart]:
        sent = []
        digest = hashlib.sha256()
        for number, piece in enumerate(pieces_of(body, write.limits.part_of(len(body))), 1):
            digest.update(piece)
            sent.append(write.send(upload, number, piece))
        if isinstance(body, Stream) and body.sha256 not in {None, digest.digest()}:
            raise OneUnavailable(write.key, "its content changed while it was sent", "repeat when no program writes it")
        return sent

    return send


def copying(source: Mapping[str, str], size: int) -> SendParts:
    """The parts of an object of the same store; `source` has the headers that name its version."""

    def copy(write: LargeWrite, upload: str) -> list[SentPart]:
        sent: list[SentPart] = []
        part = max(write.limits.copied, write.limits.part_of(size))
        for number, start in enumerate(range(0, size, part), 1):
            sent.append(write.copy(upload, number, source, (start, min(start + part, size))))
        return sent

    return copy


def _list_of_parts(etags: Sequence[str]) -> bytes:
    """The body of the request that joins parts."""
    quoted = [etag.strip('"') for etag in etags]
    parts = [
        f"<Part><PartNumber>{number}</PartNumber><ETag>&quot;{etag}&quot;</ETag></Part>"
        for number, etag in enumerate(quoted, 1)
    ]
    namespace = "http://s3.amazonaws.com/doc/2006-03-01/"
    return f'<CompleteMultipartUpload xmlns="{namespace}">{"".join(parts)}</CompleteMultipartUpload>'.encode()


def _etag_of_parts(md5s: Sequence[bytes]) -> ETag:
    """The ETag that Amazon and most other stores give to an object of parts."""
    digest = hashlib.md5(b"".join(md5s), usedforsecurity=False).hexdigest()
    return ETag(f"{digest}-{len(md5s)}")
