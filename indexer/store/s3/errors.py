"""Translates the responses and errors of S3 stores into our values and errors."""

from __future__ import annotations

import base64
import contextlib
import re
from typing import TYPE_CHECKING, Any

import msgspec

from indexer.core.errors import (
    BadConfig,
    BadCredentials,
    Conflict,
    Denied,
    IndexerError,
    Missing,
    NoConditions,
    RangeRefused,
    Unavailable,
)
from indexer.core.model import ETag, Stat
from indexer.store import CHANGED
from indexer.store.redact import masked
from indexer.store.s3.answers import Refused, Response
from indexer.store.s3.http import NoAnswer, NoKeys
from indexer.store.s3.strict import BadAnswer, field_of, number_of
from indexer.store.s3.times import time_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_MD5 = re.compile(r"[0-9a-f]{32}", re.IGNORECASE)
_METADATA = "x-amz-meta-"
_ETAG = re.compile(r"[!-~]+")
# The answers of a store if another indexer was faster.  AWS answers 409 while two writes are in progress, and 404 to
# If-Match if the object is gone.
_CONFLICTS = {"PreconditionFailed", "ConditionalRequestConflict", "OperationAborted", "412", "409"}
_MISSING = {"NoSuchKey", "NotFound", "404"}
_RANGE_REFUSED = {"416", "501"}
_NOT_IMPLEMENTED = {"NotImplemented", "501"}
_BAD_CREDENTIALS = {
    *("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired"),
    *("AuthorizationHeaderMalformed", "Unauthorized", "401"),
}
_DENIED = _BAD_CREDENTIALS | {"AccessDenied", "Forbidden", "403"}
_PROXY = "check the proxies between this machine and the store, then run again"


@contextlib.contextmanager
def errors(name: str, *, ranged: bool = False, conditional: bool = False) -> Iterator[None]:
    """Translate the errors of a request into ours, here and nowhere else; `name` is that of the object or prefix.

    `ranged` and `conditional` are the features that the request used: a store may refuse just these.
    """
    try:
        yield
    except Refused as error:
        codes = _codes(error.response)
        if ranged and codes & _RANGE_REFUSED:
            raise RangeRefused(name, "the store does not serve parts of objects") from error
        if conditional and codes & _NOT_IMPLEMENTED:
            raise NoConditions(name, "the store refuses conditional writes") from error
        raise _refusal(name, error.response) from error
    except BadAnswer as error:
        raise Unavailable(name, f"invalid response: {masked(error)}", _PROXY) from error
    except NoAnswer as error:
        reason = f"the store does not answer ({masked(error)})"
        raise Unavailable(name, reason, "check the endpoint URL and the network, then run again") from error
    except NoKeys as error:
        reason = " ".join(masked(error).split())  # may be the output of another program, over several lines
        step = "renew them or log in again, then run again"
        raise BadCredentials(name, f"no valid credentials ({reason})", step) from error


def no_bucket(name: str) -> BadConfig:
    """The error if a store has no such bucket."""
    step = "check the name of the bucket, and the endpoint URL: it must not have the bucket in its path"
    return BadConfig(name, "the bucket does not exist", step)


def is_mismatch(conflict: Conflict) -> bool:
    """Whether a store refused a request because a condition does not hold (412), and for no other reason."""
    return isinstance(conflict.__cause__, Refused) and "412" in _codes(conflict.__cause__.response)


def is_unknown(refused: Refused) -> bool:
    """Whether a store does not implement a request."""
    return bool(_codes(refused.response) & {*_NOT_IMPLEMENTED, "MethodNotAllowed", "405"})


def is_lasting(error: Exception) -> bool:
    """Whether an error comes again if the same request is made later: the store answered, and refused it.

    A Conflict does not: another run may have written the same object.
    """
    refused = error.__cause__
    passes = isinstance(error, (Conflict, Unavailable))
    return not passes or (isinstance(refused, Refused) and is_unknown(refused))


def _codes(response: Response) -> set[str]:
    """The error code and the HTTP status of a response."""
    return {response.code, str(response.status)}


def _refusal(name: str, response: Response) -> IndexerError:
    """Our error for an error of a store, by its code or its HTTP status."""
    codes = _codes(response)
    text = f"{response.code}: {response.error.message if response.error else ''}".strip(": ")
    if "NoSuchBucket" in codes:
        return no_bucket(name)
    if codes & _CONFLICTS:
        return Conflict(name, CHANGED)
    if codes & _MISSING:
        return Missing(name, "does not exist")
    if codes & _DENIED:
        # Without permission to list the bucket, the answer for a missing object is 403 too.
        kind = BadCredentials if codes & _BAD_CREDENTIALS else Denied
        permissions = "their permissions (also to list the bucket; `indexer doctor --policy` prints all)"
        step = f"check the credentials, {permissions} and the region"
        return kind(name, f"the store refuses the request ({text})", step)
    if codes & {"301", "307", "400"}:
        return BadConfig(name, f"the store refuses the request ({text})", "check the region and the endpoint URL")
    return Unavailable(name, f"the store fails ({text}, status {response.status})", "run again later")


def etag_of(etag: str) -> ETag:
    """An ETag without quotes and without the mark of a weak one, in whatever form a store or a proxy sends it.

    Some stores leave the quotes out in some answers.  Raises BadAnswer for an invalid one: with an empty ETag no change
    would be noticed, and others cannot be sent in a header.
    """
    bare = etag.strip().removeprefix("W/").strip('"')
    if not _ETAG.fullmatch(bare):
        raise BadAnswer(f"an ETag of {bare!r}")
    return ETag(bare)


def stat_of(key: str, size: int, etag: str, modified: Any) -> Stat:
    """An object by the four fields that all answers have.  Raises BadAnswer."""
    etag = etag_of(etag)
    md5 = etag.lower() if _MD5.fullmatch(etag) else None
    # One string for both saves fifty megabytes for half a million packages.
    return Stat(key, size, etag, int(modified.timestamp() * 1000), etag if md5 == etag else md5)


def opened_stat(key: str, headers: Mapping[str, str], size: int | None = None) -> Stat:
    """An object by the headers of a response to GET or HEAD.  Raises BadAnswer."""
    length = number_of(headers, "Content-Length") if size is None else size
    stat = stat_of(key, length, field_of(headers, "ETag"), time_of(field_of(headers, "Last-Modified")))
    encryption = headers.get("x-amz-server-side-encryption", "AES256")
    if encryption != "AES256" or headers.get("x-amz-server-side-encryption-customer-algorithm"):
        stat = msgspec.structs.replace(stat, md5=None)  # the ETag of an encrypted object is not its MD5
    checksum = headers.get("x-amz-checksum-sha256")
    # A checksum made of those of parts (COMPOSITE) is not that of the whole object.
    if checksum and "-" not in checksum and headers.get("x-amz-checksum-type") != "COMPOSITE":
        stat = msgspec.structs.replace(stat, sha256=_hex(checksum))
    return stat


def _hex(checksum: str) -> str:
    try:
        return base64.b64decode(checksum).hex()
    except ValueError as error:
        raise BadAnswer(f"a checksum of {checksum!r}") from error


def listed_stat(key: str, entry: Mapping[str, Any]) -> Stat:
    """An object by an entry of a listing.  Raises BadAnswer."""
    return stat_of(key, field_of(entry, "Size"), field_of(entry, "ETag"), field_of(entry, "LastModified"))


def content_range(headers: Mapping[str, str]) -> tuple[int, int]:
    """The position of a body in its object, and the size of the object (bytes), by the headers of the response."""
    value = headers.get("content-range")
    if value is None:
        return 0, number_of(headers, "Content-Length")
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", value)
    if match is None:
        raise BadAnswer(f"a Content-Range of {value!r}")
    return int(match[1]), int(match[2])


def metadata_of(headers: Mapping[str, str]) -> dict[str, str]:
    """The user metadata of an object, its keys in lower case."""
    return {name.removeprefix(_METADATA): value for name, value in headers.items() if name.startswith(_METADATA)}
