"""Conditional writes in the dialect of Google Cloud Storage's XML API.

Its S3 dialect ignores If-Match and If-None-Match on writes, without a word.  Its own has
`x-goog-if-generation-match`, refuses headers of both dialects in one request, and so must be signed in its
own way: the AWS algorithm with other names, by the same HMAC key.
https://docs.cloud.google.com/storage/docs/authentication/signatures
"""

from __future__ import annotations

from typing import Any

from botocore.auth import AUTH_TYPE_MAPS, S3SigV4Auth

_NAME = "goog4-hmac"
_ALGORITHM = "GOOG4-HMAC-SHA256"
_SCOPE = ("auto", "storage", "goog4_request")
_MATCH = "x-goog-if-generation-match"


class Goog4Auth(S3SigV4Auth):  # type: ignore[misc]  # botocore has no types
    """Signs a request as Google has it: other names for the algorithm, the headers and the scope."""

    def credential_scope(self, request: Any) -> str:
        """What a signature is valid for; the location is not checked."""
        return "/".join((request.context["timestamp"][:8], *_SCOPE))

    def scope(self, request: Any) -> str:
        """The same with whose signature it is."""
        return f"{self.credentials.access_key}/{self.credential_scope(request)}"

    def string_to_sign(self, request: Any, canonical_request: str) -> str:
        """What is signed."""
        return str(super().string_to_sign(request, canonical_request)).replace("AWS4-HMAC-SHA256", _ALGORITHM, 1)

    def signature(self, string_to_sign: str, request: Any) -> str:
        """The signature, by a key made for the day."""
        key = f"GOOG4{self.credentials.secret_key}".encode()
        for part in (request.context["timestamp"][:8], *_SCOPE):
            key = self._sign(key, part)
        return str(self._sign(key, string_to_sign, hex=True))

    def _modify_request_before_signing(self, request: Any) -> None:
        super()._modify_request_before_signing(request)
        for name in [name for name in request.headers if name.lower().startswith("x-amz-")]:
            request.headers["x-goog-" + name.lower().removeprefix("x-amz-")] = request.headers[name]
            del request.headers[name]

    def _inject_signature_to_request(self, request: Any, signature: str) -> Any:
        super()._inject_signature_to_request(request, signature)
        signed = request.headers["Authorization"].replace("AWS4-HMAC-SHA256", _ALGORITHM, 1)
        del request.headers["Authorization"]
        request.headers["Authorization"] = signed
        return request


AUTH_TYPE_MAPS.setdefault(_NAME, Goog4Auth)


def write_by_generation(client: Any) -> None:
    """Let the PUTs of a client speak Google's dialect: what they give as ETag is a generation."""
    client.meta.events.register("choose-signer.s3.PutObject", _signer)
    client.meta.events.register("before-call.s3.PutObject", _conditions)


def generation_of(answer: Any) -> str | None:
    """The generation of an object, from an answer in either dialect; None where it is not told."""
    generation = answer["ResponseMetadata"]["HTTPHeaders"].get("x-goog-generation")
    return str(generation) if generation else None


def _signer(signature_version: object, **_: object) -> str | None:
    # An anonymous client signs nothing in any dialect.
    return _NAME if isinstance(signature_version, str) else None


def _conditions(params: Any, **_: object) -> None:
    headers = params["headers"]
    if headers.pop("If-None-Match", None):
        headers[_MATCH] = "0"
    elif generation := headers.pop("If-Match", None):
        headers[_MATCH] = generation
