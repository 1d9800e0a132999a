"""Signs requests with botocore's signer, in the algorithm of AWS or in that of Google."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest

from indexer.core.stream import sha256_of
from indexer.store.s3.gcs import Goog4Auth
from indexer.store.s3.providers import GOOGLE_MATCH

if TYPE_CHECKING:
    from collections.abc import Mapping

    from indexer.store.s3.http import Message

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


class _Auth(S3SigV4Auth):  # type: ignore[misc]  # botocore has no types
    """botocore's signer, which takes the digest of the body from us instead of reading the body."""

    def payload(self, request: Any) -> str:
        """The digest of the body in hex digits."""
        return str(request.context["payload"])


class _GoogleAuth(_Auth, Goog4Auth):
    """The same for Google."""


def host_of(origin: str) -> str:
    """The value of the header Host."""
    scheme, _, host = origin.partition("://")
    return urlsplit(origin).netloc.removesuffix(_DEFAULT_PORTS.get(scheme, "")) or host


def sign(message: Message, keys: Any, region: str) -> Mapping[str, str]:
    """The headers of a request with its signature by botocore's `keys`, valid for 15 minutes.

    A request with a condition in Google's dialect is signed in that dialect.  The digest of the body is always signed:
    then no body can be changed on the way.
    https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
    """
    request = AWSRequest(message.method, message.origin + message.target, message.headers)
    request.context["payload"] = sha256_of(message.body).hex()
    signer = _GoogleAuth if GOOGLE_MATCH in message.headers else _Auth
    signer(keys, "s3", region).add_auth(request)
    return dict(request.headers.items())
