"""Conditional writes in the dialect of Google Cloud Storage's XML API.

Its S3 dialect ignores If-Match and If-None-Match on writes silently.  Its own dialect has
`x-goog-if-generation-match`, refuses headers of both dialects in one request, and so needs its own signature:
the AWS algorithm with other names, by the same HMAC key.
https://docs.cloud.google.com/storage/docs/authentication/signatures
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Any

from botocore.auth import S3SigV4Auth

if TYPE_CHECKING:
    from collections.abc import Mapping

_AWS_ALGORITHM = "AWS4-HMAC-SHA256"
_ALGORITHM = "GOOG4-HMAC-SHA256"
_SCOPE = ("auto", "storage", "goog4_request")


class Goog4Auth(S3SigV4Auth):  # type: ignore[misc]  # botocore has no types
    """Signs a request with Google's names for the algorithm, the headers and the scope.

    Overrides public methods of botocore only.
    """

    def add_auth(self, request: Any) -> None:
        """Add the header with the signature."""
        super().add_auth(request)
        signed = request.headers["Authorization"].replace(_AWS_ALGORITHM, _ALGORITHM, 1)
        del request.headers["Authorization"]
        request.headers["Authorization"] = signed

    def canonical_request(self, request: Any) -> str:
        """The text whose digest is signed, after the headers of AWS got Google's names."""
        for name in [name for name in request.headers if name.lower().startswith("x-amz-")]:
            request.headers["x-goog-" + name.lower().removeprefix("x-amz-")] = request.headers[name]
            del request.headers[name]
        return str(super().canonical_request(request))

    def credential_scope(self, request: Any) -> str:
        """The day, place and service that the signature is valid for; the location is not checked."""
        return "/".join((request.context["timestamp"][:8], *_SCOPE))

    def scope(self, request: Any) -> str:
        """The same after the id of the key."""
        return f"{self.credentials.access_key}/{self.credential_scope(request)}"

    def string_to_sign(self, request: Any, canonical_request: str) -> str:
        """The text that is signed."""
        return str(super().string_to_sign(request, canonical_request)).replace(_AWS_ALGORITHM, _ALGORITHM, 1)

    def signature(self, string_to_sign: str, request: Any) -> str:
        """The signature, by a key made for the day."""
        key = f"GOOG4{self.credentials.secret_key}".encode()
        for part in (request.context["timestamp"][:8], *_SCOPE, string_to_sign):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        return key.hex()


def generation_of(headers: Mapping[str, str]) -> str | None:
    """The generation of an object, from the headers of a response in either dialect; None if they have none."""
    return headers.get("x-goog-generation")
