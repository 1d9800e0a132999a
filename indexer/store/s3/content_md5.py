"""Content-MD5 in every put of a client: runs, the test for conditions and the probes of the doctor alike.

A bucket with object lock and a default retention refuses a put that has neither Content-MD5 nor a checksum.
https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

from indexer.core.stream import chunks_of

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from indexer.core.stream import Content


def md5_of(content: Content) -> bytes:
    """The MD5 of what an object holds, as 16 bytes."""
    digest = hashlib.md5(usedforsecurity=False)
    for piece in chunks_of(content):
        digest.update(piece)
    return digest.digest()


def header(md5: bytes) -> str:
    """The value of Content-MD5 (RFC 1864)."""
    return base64.b64encode(md5).decode()


def in_every_put(client: Any) -> None:
    """Add Content-MD5 to the puts of a boto3 client whose body is bytes and that have no checksum yet."""
    client.meta.events.register("provide-client-params.s3.PutObject", _with_md5)


def _with_md5(params: MutableMapping[str, Any], **_: object) -> MutableMapping[str, Any]:
    has_one = any(name == "ContentMD5" or name.startswith("Checksum") for name in params)
    if has_one or not isinstance(params["Body"], bytes):
        return params
    return {**params, "ContentMD5": header(md5_of(params["Body"]))}
