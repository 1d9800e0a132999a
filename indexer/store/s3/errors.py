"""Translates the answers and errors of S3 stores and of botocore into our values and errors."""

from __future__ import annotations

import base64
import contextlib
import re
from typing import TYPE_CHECKING, Any

import msgspec
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    MetadataRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    RefreshWithMFAUnsupportedError,
    SSOError,
    TokenRetrievalError,
)
from botocore.exceptions import (
    ConnectionError as BotoConnectionError,
)
from botocore.parsers import ResponseParserError

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
from indexer.store.s3.strict import BadAnswer, field_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_OF_CREDENTIALS = {"botocore.credentials", "botocore.tokens"}
_MD5 = re.compile(r"[0-9a-f]{32}", re.IGNORECASE)
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
# The errors of boto3's chain if it cannot get credentials, or cannot renew those that expire during a run.
_CANNOT_RENEW = (
    *(CredentialRetrievalError, MetadataRetrievalError, RefreshWithMFAUnsupportedError),
    *(SSOError, TokenRetrievalError),
)
_KEYS_STEP = "use --access-key-id and --secret-access-key, a --profile, or --no-sign-request"
_CONFIG_STEP = "check the settings; `indexer doctor --show-config` shows where each comes from"
_PROXY = "check the proxies between this machine and the store, then run again"


@contextlib.contextmanager
def errors(name: str, *, ranged: bool = False, conditional: bool = False) -> Iterator[None]:
    """Translate botocore's errors into ours, here and nowhere else; `name` is that of the object or prefix.

    `ranged` and `conditional` are the features that the request used: a store may refuse just these.  Errors of
    Python's own types are translated only if botocore raised them: a bug of ours stays visible as one.
    """
    try:
        yield
    except ClientError as error:
        codes = _codes(error)
        if ranged and codes & _RANGE_REFUSED:
            raise RangeRefused(name, "the store does not serve parts of objects") from error
        if conditional and codes & _NOT_IMPLEMENTED:
            raise NoConditions(name, "the store refuses conditional writes") from error
        raise _refusal(name, error) from error
    except (BotoCoreError, ResponseParserError, KeyError, ValueError, RuntimeError) as error:
        translated = _without_answer(name, error)
        if translated is None:
            raise
        raise translated from error


def _without_answer(name: str, error: Exception) -> IndexerError | None:
    """Our error for one that is not an answer of the store; None for a bug of ours."""
    if isinstance(error, _CANNOT_RENEW):
        return _no_credentials(name, error)
    if isinstance(error, BadAnswer):
        return Unavailable(name, f"invalid response: {masked(error)}", _PROXY)
    if isinstance(error, (ResponseParserError, KeyError, ValueError, RuntimeError)):
        return _of_python(name, error)
    if isinstance(error, (BotoConnectionError, HTTPClientError)):
        reason = f"the store does not answer ({masked(error)})"
        return Unavailable(name, reason, "check the endpoint URL and the network, then run again")
    missing = isinstance(error, (NoCredentialsError, PartialCredentialsError))
    return BadConfig(name, masked(error), _KEYS_STEP if missing else _CONFIG_STEP)


def _no_credentials(name: str, error: Exception) -> BadCredentials:
    reason = " ".join(masked(error).split())  # may be the output of another program, over several lines
    return BadCredentials(name, f"no valid credentials ({reason})", "renew them or log in again, then run again")


def _of_python(name: str, error: Exception) -> IndexerError | None:
    """Our error for one of Python's own types that botocore raised; None for a bug of ours."""
    module = raised_in(error)
    if isinstance(error, RuntimeError):
        # botocore has no type of its own for renewed credentials that are expired too.
        return _no_credentials(name, error) if module in _OF_CREDENTIALS else None
    if module.partition(".")[0] == "indexer":
        return None
    return Unavailable(name, f"invalid response ({masked(error)})", _PROXY)


def raised_in(error: BaseException) -> str:
    """The name of the module that raised an error, from its traceback."""
    trace, module = error.__traceback__, ""
    while trace is not None:
        module, trace = str(trace.tb_frame.f_globals.get("__name__", "")), trace.tb_next
    return module


def is_mismatch(conflict: Conflict) -> bool:
    """Whether a store refused a request because a condition does not hold (412), and for no other reason."""
    return isinstance(conflict.__cause__, ClientError) and "412" in _codes(conflict.__cause__)


def is_unknown(error: ClientError) -> bool:
    """Whether a store does not implement a request."""
    return bool(_codes(error) & {*_NOT_IMPLEMENTED, "MethodNotAllowed", "405"})


def _codes(error: ClientError) -> set[str]:
    """The error code and the HTTP status of an answer."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", "")
    return {error.response.get("Error", {}).get("Code", ""), str(status)}


def _refusal(name: str, error: ClientError) -> IndexerError:
    """Our error for an answer of a store, by its error code or its HTTP status."""
    codes = _codes(error)
    words = error.response.get("Error", {})
    text = f"{words.get('Code', '')}: {words.get('Message', '')}".strip(": ")
    if "NoSuchBucket" in codes:
        return BadConfig(name, "the bucket does not exist", "check the name of the bucket and the endpoint URL")
    if codes & _CONFLICTS:
        return Conflict(name, CHANGED)
    if codes & _MISSING:
        return Missing(name, "does not exist")
    if codes & _DENIED:
        # Without permission to list the bucket, the answer for a missing object is 403 too.
        kind = BadCredentials if codes & _BAD_CREDENTIALS else Denied
        step = "check the credentials, their permissions (also to list the bucket) and the region"
        return kind(name, f"the store refuses the request ({text})", step)
    if codes & {"301", "307", "400"}:
        return BadConfig(name, f"the store refuses the request ({text})", "check the region and the endpoint URL")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", "")
    return Unavailable(name, f"the store fails ({text}, status {status})", "run again later")


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


def opened_stat(key: str, size: int, answer: Mapping[str, Any]) -> Stat:
    """An object by an answer to GET or HEAD.  Raises BadAnswer."""
    stat = stat_of(key, size, field_of(answer, "ETag"), field_of(answer, "LastModified"))
    if answer.get("SSECustomerAlgorithm") or answer.get("ServerSideEncryption", "AES256") != "AES256":
        stat = msgspec.structs.replace(stat, md5=None)  # the ETag of an encrypted object is not its MD5
    checksum = answer.get("ChecksumSHA256")
    # A checksum made of those of parts (COMPOSITE) is not that of the whole object.
    if checksum and "-" not in checksum and answer.get("ChecksumType") != "COMPOSITE":
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


def content_range(answer: Mapping[str, Any]) -> tuple[int, int]:
    """The position of an answer's body in its object, and the size of the object (bytes)."""
    value = answer.get("ContentRange")
    if value is None:
        return 0, field_of(answer, "ContentLength")
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", value)
    if match is None:
        raise BadAnswer(f"a Content-Range of {value!r}")
    return int(match[1]), int(match[2])


def metadata_of(answer: Mapping[str, Any]) -> dict[str, str]:
    """The user metadata of an object, its keys in lower case."""
    return {name.lower(): value for name, value in answer.get("Metadata", {}).items()}
