"""What the answers of S3 stores mean, in our words: foreign errors stop here."""

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
from indexer.store.redact import masked
from indexer.store.s3.strict import BadAnswer, told, unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_OF_CREDENTIALS = {"botocore.credentials", "botocore.tokens"}
_MD5 = re.compile(r"[0-9a-f]{32}", re.IGNORECASE)
_ETAG = re.compile(r"[!-~]+")
# What a store answers when somebody else was faster: AWS says 409 while two writes are under way, and
# 404 to If-Match where the object vanished.
_CONFLICTS = {"PreconditionFailed", "ConditionalRequestConflict", "OperationAborted", "412", "409"}
_MISSING = {"NoSuchKey", "NotFound", "404"}
_RANGE_REFUSED = {"416", "501"}
_NOT_IMPLEMENTED = {"NotImplemented", "501"}
_BAD_CREDENTIALS = {
    *("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired"),
    *("AuthorizationHeaderMalformed", "Unauthorized", "401"),
}
_DENIED = _BAD_CREDENTIALS | {"AccessDenied", "Forbidden", "403"}
# What boto3's chain raises where it cannot get credentials, or cannot renew those that expire while a run works.
_CANNOT_RENEW = (
    *(CredentialRetrievalError, MetadataRetrievalError, RefreshWithMFAUnsupportedError),
    *(SSOError, TokenRetrievalError),
)
_KEYS_STEP = "give --access-key-id and --secret-access-key, a --profile, or --no-sign-request"
_CONFIG_STEP = "check the settings; `indexer doctor --show-config` shows where each comes from"
_PROXY = "check the proxies between here and the store, then repeat"


@contextlib.contextmanager
def errors(name: str, *, ranged: bool = False, conditional: bool = False) -> Iterator[None]:
    """Turn botocore's errors into ours, here and nowhere else; `name` is what was asked for.

    `ranged` and `conditional` say what the request asked for besides: a store may refuse just that.  Errors of
    Python's own kinds are translated only where botocore raised them: a mistake of ours stays what it is.
    """
    try:
        yield
    except ClientError as error:
        said = _said(error)
        if ranged and said & _RANGE_REFUSED:
            raise RangeRefused(name, "the store does not serve parts of objects") from error
        if conditional and said & _NOT_IMPLEMENTED:
            raise NoConditions(name, "the store refuses conditional writes") from error
        raise _translated(name, error) from error
    except _CANNOT_RENEW as error:
        raise _no_valid(name, error) from error
    except BadAnswer as error:
        raise Unavailable(name, f"the answer {masked(error)}", _PROXY) from error
    except (ResponseParserError, KeyError, ValueError, RuntimeError) as error:
        foreign = _of_botocore(name, error)
        if foreign is None:
            raise
        raise foreign from error
    except (BotoConnectionError, HTTPClientError) as error:
        raise Unavailable(
            name,
            f"the store does not answer ({masked(error)})",
            "check the endpoint URL and the network, then repeat",
        ) from error
    except BotoCoreError as error:
        missing = isinstance(error, (NoCredentialsError, PartialCredentialsError))
        raise BadConfig(name, masked(error), _KEYS_STEP if missing else _CONFIG_STEP) from error


def _no_valid(name: str, error: Exception) -> BadCredentials:
    said_by_chain = " ".join(masked(error).split())  # it may be what another program said, over some lines
    return BadCredentials(name, f"no valid credentials ({said_by_chain})", "renew them or log in again, then repeat")


def _unreadable(name: str, error: Exception) -> Unavailable:
    return Unavailable(name, f"the answer cannot be read ({masked(error)})", _PROXY)


def _of_botocore(name: str, error: Exception) -> IndexerError | None:
    """What an error of one of Python's own kinds means where botocore raised it; None for a mistake of ours."""
    module = raised_in(error)
    if isinstance(error, RuntimeError):
        # botocore has no word of its own for renewed credentials that are expired too.
        return _no_valid(name, error) if module in _OF_CREDENTIALS else None
    return None if module.partition(".")[0] == "indexer" else _unreadable(name, error)


def raised_in(error: BaseException) -> str:
    """The module whose code raised an error, by its traceback."""
    trace, module = error.__traceback__, ""
    while trace is not None:
        module, trace = str(trace.tb_frame.f_globals.get("__name__", "")), trace.tb_next
    return module


def is_mismatch(conflict: Conflict) -> bool:
    """Whether a store has said that an object is not what a condition names (412), and nothing else."""
    return isinstance(conflict.__cause__, ClientError) and "412" in _said(conflict.__cause__)


def is_unknown(error: ClientError) -> bool:
    """Whether a store has said that it does not know such a request."""
    return bool(_said(error) & {*_NOT_IMPLEMENTED, "MethodNotAllowed", "405"})


def _said(error: ClientError) -> set[str]:
    """The code and the HTTP status of a refusal."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", "")
    return {error.response.get("Error", {}).get("Code", ""), str(status)}


def _translated(name: str, error: ClientError) -> IndexerError:
    """One of our errors for what a store said, by its code or else by the HTTP status."""
    said = _said(error)
    words = error.response.get("Error", {})
    text = f"{words.get('Code', '')}: {words.get('Message', '')}".strip(": ")
    if "NoSuchBucket" in said:
        return BadConfig(name, "there is no such bucket", "check the name of the bucket and the endpoint URL")
    if said & _CONFLICTS:
        return Conflict(name, "changed since it was looked at")
    if said & _MISSING:
        return Missing(name, "is not there")
    if said & _DENIED:
        # Without the right to list the bucket, the answer to a missing object is 403 too.
        kind = BadCredentials if said & _BAD_CREDENTIALS else Denied
        return kind(
            name, f"the store refuses ({text})", "look at the credentials, their rights (listing, too) and the region"
        )
    if said & {"301", "307", "400"}:
        return BadConfig(name, f"the store refuses the request ({text})", "check the region and the endpoint URL")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", "")
    return Unavailable(name, f"the store fails ({text}, status {status})", "repeat later")


def version_of(etag: str) -> ETag:
    """The version that an ETag stands for: without quotes, and strong, whatever form a store or a proxy gave it.

    Some stores leave the quotes out in one answer and not in the other.  Raises BadAnswer for one that is none: under
    an empty one no change would be seen, and others no header can hold.
    """
    bare = etag.strip().removeprefix("W/").strip('"')
    if not _ETAG.fullmatch(bare):
        raise unreadable(f"an ETag of {bare!r}")
    return ETag(bare)


def stat_of(key: str, size: int, etag: str, modified: Any) -> Stat:
    """An object as a listing shows it."""
    etag = version_of(etag)
    md5 = etag.lower() if _MD5.fullmatch(etag) else None
    # One string for both, which half a million packages save fifty megabytes by.
    return Stat(key, size, etag, int(modified.timestamp() * 1000), etag if md5 == etag else md5)


def opened_stat(key: str, size: int, answer: Mapping[str, Any]) -> Stat:
    """An object as an answer to GET or HEAD shows it."""
    stat = stat_of(key, size, told(answer, "ETag"), told(answer, "LastModified"))
    if answer.get("SSECustomerAlgorithm") or answer.get("ServerSideEncryption", "AES256") != "AES256":
        stat = msgspec.structs.replace(stat, md5=None)  # the ETag of what was encrypted with a key is no MD5
    checksum = answer.get("ChecksumSHA256")
    # One made of the checksums of parts (COMPOSITE) is none of the whole object.
    if checksum and "-" not in checksum and answer.get("ChecksumType") != "COMPOSITE":
        stat = msgspec.structs.replace(stat, sha256=_hex(checksum))
    return stat


def _hex(checksum: str) -> str:
    try:
        return base64.b64decode(checksum).hex()
    except ValueError as error:
        raise unreadable(f"a checksum of {checksum!r}") from error


def listed_stat(key: str, entry: Mapping[str, Any]) -> Stat:
    """An object as an entry of a listing shows it.  Raises BadAnswer."""
    return stat_of(key, told(entry, "Size"), told(entry, "ETag"), told(entry, "LastModified"))


def extent(answer: Mapping[str, Any]) -> tuple[int, int]:
    """Where the body of an answer begins in its object, and how large the object is."""
    content_range = answer.get("ContentRange")
    if content_range is None:
        return 0, told(answer, "ContentLength")
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", content_range)
    if match is None:
        raise Unavailable("Content-Range", f"{content_range!r} cannot be read", "report this with the store's name")
    return int(match[1]), int(match[2])


def metadata_of(answer: Mapping[str, Any]) -> dict[str, str]:
    """The metadata that an uploader gave to an object, its keys in lower case."""
    return {name.lower(): value for name, value in answer.get("Metadata", {}).items()}
