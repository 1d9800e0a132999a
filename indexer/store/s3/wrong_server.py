"""Whether an S3 store answers at all: a console, a proxy or a server that redirects says something else."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from indexer.core.errors import BadConfig
from indexer.core.printable import one_line
from indexer.store.redact import masked

if TYPE_CHECKING:
    from collections.abc import Mapping

_REDIRECTS = {301, 302, 303, 307, 308}
# Answers that may be over in a moment, whatever their body is.
_PASSING = {408, 429}
_OF_OBJECTS = ("GetObject", "HeadObject")
_LISTINGS = ("ListObjectsV2", "ListObjects")
# What botocore calls before it parses an answer: those with an operation before the one without.
_EVENTS = (*(f"before-parse.*.{operation}" for operation in _LISTINGS), "before-parse.s3")
_HTML = re.compile(rb"\s*(<!doctype html|<html)", re.IGNORECASE)
_TITLE = re.compile(rb"<title[^>]*>([^<]{1,200})", re.IGNORECASE)
# What a server written in Go answers to http where it speaks https.
_NOT_TLS = b"Client sent an HTTP request to an HTTPS server"
_STEP = "give the URL of the store's S3 API as the endpoint"


def refuse_strangers(client: Any, named: str) -> None:
    """Let a client raise BadConfig where no S3 store answers; `named` says where its endpoint was given."""
    endpoint = client.meta.endpoint_url

    def look(response_dict: Mapping[str, Any], model: Any = None, **more: Any) -> None:
        operation = more.get("operation_model", model)
        said = _strange(response_dict, operation.name if operation is not None else "")
        if said:
            origin = f" ({named})" if named else ""
            raise BadConfig(f"{masked(endpoint)}{origin}", f"is not an S3 endpoint: it answered {said}", _STEP)

    for event in _EVENTS:
        client.meta.events.register_first(event, look)


def _strange(answer: Mapping[str, Any], operation: str) -> str:
    """What was answered that no S3 store answers, in words; empty for an answer of a store."""
    status, body = answer["status_code"], answer["body"] if isinstance(answer["body"], bytes) else b""
    headers = {name.lower(): value for name, value in answer["headers"].items()}
    if any(name.startswith(("x-amz-", "x-goog-", "x-minio-")) for name in headers) or b"<Error" in body:
        return ""
    if status in _REDIRECTS:
        return f"{_status(status)} and redirects to {_address(headers.get('location', ''))}"
    html = bool(_HTML.match(body)) and not _is_of_an_object(status, operation)
    if operation in _OF_OBJECTS and status == HTTPStatus.OK:  # an object has an ETag, whatever it is
        html = not headers.get("etag") and "text/html" in headers.get("content-type", "")
    if status in _PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ""
    if body.startswith(_NOT_TLS):
        return f'{_status(status)} with the text "{_NOT_TLS.decode()}"'
    return f"{_status(status)} with an HTML page{_title(body)}" if html else ""


def _is_of_an_object(status: int, operation: str) -> bool:
    """Whether a page may be the body of an object, or stand for one that is not there."""
    return operation in _OF_OBJECTS and status in {200, 206, 404}


def _status(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _title(body: bytes) -> str:
    match = _TITLE.search(body[:65536])
    return f' ("{one_line(masked(" ".join(match[1].decode("utf-8", "replace").split())))}")' if match else ""


def _address(location: str) -> str:
    """Where a redirect leads, without what may be secret in it: user, query and fragment."""
    parts = urlsplit(location)
    host = parts.netloc.rpartition("@")[2]
    return one_line(masked(f"{parts.scheme}://{host}{parts.path}" if host else parts.path)) or "nowhere"
