"""Uploads in parts of a small S3 server: parts that are sent, and parts that are copied from objects."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl, unquote

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.fake_s3 import Object, Request


class Refusal(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(status, code)
        self.status = status
        self.code = code


class Joined(NamedTuple):
    """An object that was joined from parts."""

    body: bytes
    etag: str
    headers: Mapping[str, str]


@dataclass
class Upload:
    """Parts by number, and the key and the headers that the object shall have."""

    key: str
    headers: Mapping[str, str]
    parts: dict[int, bytes] = field(default_factory=dict)


@dataclass
class Uploads:
    """The uploads that were begun, and neither joined nor deleted.

    `how` they behave: `heeded`, or `source ignored`, `join ignored`, `always refused` (412), `equal parts`, `unknown`.
    All parts but the last must have the `smallest` size.
    """

    how: str = "heeded"
    smallest: int = 5 * 2**20
    begun: dict[str, Upload] = field(default_factory=dict)
    count: int = 0

    def begin(self, key: str, headers: Mapping[str, str]) -> bytes:
        """The answer to the beginning of an upload."""
        if self.how == "unknown":
            raise Refusal(501, "NotImplemented")
        self.count += 1
        self.begun[f"u{self.count}"] = Upload(key, headers)
        return f"<R><UploadId>u{self.count}</UploadId></R>".encode()

    def listing(self) -> bytes:
        """The answer to the listing of all uploads."""
        return f"<R>{''.join(f'<Key>{upload.key}</Key>' for upload in self.begun.values())}</R>".encode()

    def part(self, request: Request, objects: Mapping[str, Object]) -> str:
        """The ETag of a part that was sent or copied."""
        query = dict(parse_qsl(request.query))
        body = request.body
        if "x-amz-copy-source" in request.headers:
            body = self._copied(request.headers, objects)
        self._upload(query).parts[int(query["partNumber"])] = body
        return _etag(body)

    def _copied(self, headers: Mapping[str, str], objects: Mapping[str, Object]) -> bytes:
        source = objects[unquote(headers["x-amz-copy-source"]).split("/", 2)[2]]
        if headers["x-amz-copy-source-if-match"] != source.etag and self.how != "source ignored":
            raise Refusal(412, "PreconditionFailed")
        first, last = re.findall(r"\d+", headers["x-amz-copy-source-range"])
        if int(last) >= len(source.body):
            raise Refusal(400, "InvalidArgument")
        return source.body[int(first) : int(last) + 1]

    def join(self, request: Request, existing: Object | None) -> Joined:
        """The object of the parts that a request names."""
        query = dict(parse_qsl(request.query))
        upload = self._upload(query)
        wanted = request.headers.get("if-match")
        if self.how == "always refused":
            raise Refusal(412, "PreconditionFailed")
        if wanted is not None and self.how != "join ignored" and (existing is None or existing.etag != wanted):
            raise Refusal(412, "PreconditionFailed")
        numbers = [int(number) for number in re.findall(rb"<PartNumber>(\d+)<", request.body)]
        parts = [upload.parts[number] for number in numbers]
        if any(len(part) < self.smallest for part in parts[:-1]):
            raise Refusal(400, "EntityTooSmall")
        if self.how == "equal parts" and len({len(part) for part in parts[:-1]}) > 1:
            raise Refusal(400, "InvalidPart")
        del self.begun[query["uploadId"]]
        digest = hashlib.md5(b"".join(hashlib.md5(part).digest() for part in parts)).hexdigest()
        return Joined(b"".join(parts), f'"{digest}-{len(parts)}"', upload.headers)

    def delete(self, request: Request) -> None:
        """Delete the parts of an upload."""
        self.begun.pop(dict(parse_qsl(request.query))["uploadId"], None)

    def _upload(self, query: Mapping[str, str]) -> Upload:
        if query["uploadId"] not in self.begun:
            raise Refusal(404, "NoSuchUpload")
        return self.begun[query["uploadId"]]


def _etag(body: bytes) -> str:
    return f'"{hashlib.md5(body).hexdigest()}"'
