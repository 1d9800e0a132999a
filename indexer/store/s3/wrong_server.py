"""Finds out that a server is not an S3 store: a console, a proxy, or a server that redirects."""

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
# Errors that are temporary, whatever their body is.
_TEMPORARY = {408, 429}
# The prefixes of headers that only stores send.
_STORE_HEADERS = ("x-amz-", "x-goog-", "x-minio-")
_OF_OBJECTS = ("GetObject", "HeadObject")
_LISTINGS = ("ListObjectsV2", "ListObjects")
# botocore's events before it parses an answer: those with an operation come before the one without.
_EVENTS = (*(f"before-parse.*.{operation}" for operation in _LISTINGS), "before-parse.s3")
_HTML = re.compile(rb"\s*(<!doctype html|<html)", re.IGNORECASE)
_TITLE = re.compile(rb"<title[^>]*>([^<]{1,200})", re.IGNORECASE)
# The answer of a server written in Go to http on a port for https.
_NOT_TLS = b"Client sent an HTTP request to an HTTPS server"
_STEP = "use the URL of the store's S3 API as the endpoint"


def refuse_other_servers(client: Any, setting: str) -> None:
    """Let a client raise BadConfig if the server is not an S3 store; `setting` is the one that has its endpoint."""
    endpoint = client.meta.endpoint_url

    def check(response_dict: Mapping[str, Any], model: Any = None, **more: Any) -> None:
        operation = more.get("operation_model", model)
        answer = _answer_of_another_server(response_dict, operation.name if operation is not None else "")
        if answer:
            origin = f" ({setting})" if setting else ""
            raise BadConfig(f"{masked(endpoint)}{origin}", f"is not an S3 endpoint: it answered {answer}", _STEP)

    for event in _EVENTS:
        client.meta.events.register_first(event, check)


def _answer_of_another_server(answer: Mapping[str, Any], operation: str) -> str:
    """An answer that no S3 store sends, in words; empty for an answer of a store."""
    status, body = answer["status_code"], answer["body"] if isinstance(answer["body"], bytes) else b""
    headers = {name.lower(): value for name, value in answer["headers"].items()}
    if b"<Error" in body or any(name.startswith(_STORE_HEADERS) for name in headers):
        return ""
    if status in _REDIRECTS:
        return f"{_status(status)} and redirects to {_address(headers.get('location', ''))}"
    if status in _TEMPORARY or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ""
    if body.startswith(_NOT_TLS):
        return f'{_status(status)} with the text "{_NOT_TLS.decode()}"'
    return f"{_status(status)} with an HTML page{_title(body)}" if _is_html(status, headers, body, operation) else ""


def _is_html(status: int, headers: Mapping[str, str], body: bytes, operation: str) -> bool:
    """Whether an answer is an HTML page, and not an object that has one as its content."""
    if operation in _OF_OBJECTS and status == HTTPStatus.OK:  # an object has an ETag, whatever its content is
        return not headers.get("etag") and "text/html" in headers.get("content-type", "")
    return bool(_HTML.match(body)) and not _is_of_an_object(status, operation)


def _is_of_an_object(status: int, operation: str) -> bool:
    """Whether an HTML page may be the body of an object, or the answer for a missing one."""
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
    """The URL of a redirect without the parts that may be secret: user, query and fragment."""
    parts = urlsplit(location)
    host = parts.netloc.rpartition("@")[2]
    return one_line(masked(f"{parts.scheme}://{host}{parts.path}" if host else parts.path)) or "no address"
