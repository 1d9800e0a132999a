"""Finds out that a server is not an S3 store: a console, a proxy, or a server that redirects."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from indexer.core.errors import BadConfig
from indexer.core.printable import one_line
from indexer.store.redact import masked

if TYPE_CHECKING:
    from indexer.store.s3.answers import Response
    from indexer.store.s3.client import Request
    from indexer.store.s3.endpoint import Endpoint

_REDIRECTS = {301, 302, 303, 307, 308}
_OF_OBJECTS = {200, 206, 404}
# Errors that are temporary, whatever their body is.
_TEMPORARY = {408, 429}
# The prefixes of headers that only stores send.
_STORE_HEADERS = ("x-amz-", "x-goog-", "x-minio-")
_HTML = re.compile(rb"\s*(<!doctype html|<html)", re.IGNORECASE)
_TITLE = re.compile(rb"<title[^>]*>([^<]{1,200})", re.IGNORECASE)
# The answer of a server written in Go to http on a port for https.
_NOT_TLS = b"Client sent an HTTP request to an HTTPS server"
_STEP = "use the URL of the store's S3 API as the endpoint"


def refuse_other_server(request: Request, response: Response, endpoint: Endpoint) -> None:
    """Raise BadConfig if the server is not an S3 store."""
    answer = _answer_of_another_server(request, response)
    if answer:
        raise BadConfig(endpoint.name, f"is not an S3 endpoint: it answered {answer}", _STEP)


def _answer_of_another_server(request: Request, response: Response) -> str:
    """An answer that no S3 store sends, in words; empty for an answer of a store."""
    status, headers, body = response.status, response.headers, response.content
    if b"<Error" in body or any(name.startswith(_STORE_HEADERS) for name in headers):
        return ""
    if status in _REDIRECTS:
        return f"{_status(status)} and redirects to {_address(headers.get('location', ''))}"
    if status in _TEMPORARY or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ""
    if body.startswith(_NOT_TLS):
        return f'{_status(status)} with the text "{_NOT_TLS.decode()}"'
    return f"{_status(status)} with an HTML page{_title(body)}" if _is_html(request, response) else ""


def _is_html(request: Request, response: Response) -> bool:
    """Whether an answer is an HTML page, and not an object that has one as its content."""
    if request.reads_object and response.status == HTTPStatus.OK:  # an object has an ETag, whatever its content is
        return not response.headers.get("etag") and "text/html" in response.headers.get("content-type", "")
    # An HTML page may be a part of an object, or the answer for a missing one.
    return bool(_HTML.match(response.content)) and not (request.reads_object and response.status in _OF_OBJECTS)


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
