"""The digests of a body: its MD5, which every PUT sends, and the SHA-256 of its signature.

A bucket with object lock and a default retention refuses a PUT that has neither Content-MD5 nor a checksum.
https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from indexer.core.stream import Stream, chunks_of

if TYPE_CHECKING:
    from indexer.core.stream import Content


def md5_of(content: Content) -> bytes:
    """The MD5 of a content, as 16 bytes; read only if it is not known."""
    if isinstance(content, Stream) and content.md5 is not None:
        return content.md5
    digest = hashlib.md5(usedforsecurity=False)
    for chunk in chunks_of(content):
        digest.update(chunk)
    return digest.digest()


def with_digests(content: Content) -> Content:
    """A stream whose digests are known; it is read once if one of them is not."""
    if isinstance(content, bytes) or (content.md5 is not None and content.sha256 is not None):
        return content
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    for chunk in content:
        md5.update(chunk)
        sha256.update(chunk)
    return replace(content, md5=md5.digest(), sha256=sha256.digest())


def content_md5(md5: bytes) -> str:
    """The value of Content-MD5 (RFC 1864)."""
    return base64.b64encode(md5).decode()
