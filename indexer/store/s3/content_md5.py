"""Sends Content-MD5 with every PUT: those of runs, of the test for conditions, and of the probes of the doctor.

A bucket with object lock and a default retention refuses a PUT that has neither Content-MD5 nor a checksum.
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
    """The MD5 of a content, as 16 bytes."""
    digest = hashlib.md5(usedforsecurity=False)
    for chunk in chunks_of(content):
        digest.update(chunk)
    return digest.digest()


def header(md5: bytes) -> str:
    """The value of Content-MD5 (RFC 1864)."""
    return base64.b64encode(md5).decode()


def send_content_md5(client: Any) -> None:
    """Let a boto3 client add Content-MD5 to each PUT whose body is bytes and that has no checksum yet."""
    client.meta.events.register("provide-client-params.s3.PutObject", _with_md5)


def _with_md5(params: MutableMapping[str, Any], **_: object) -> MutableMapping[str, Any]:
    has_one = any(name == "ContentMD5" or name.startswith("Checksum") for name in params)
    if has_one or not isinstance(params["Body"], bytes):
        return params
    return {**params, "ContentMD5": header(md5_of(params["Body"]))}
