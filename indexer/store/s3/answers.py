"""An answer of a store as a value: its status, headers, error, and its body, read or still on the wire."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple
from xml.etree import ElementTree as ET

from indexer.store.s3.http import read

if TYPE_CHECKING:
    from collections.abc import Mapping

    from indexer.store.s3.client import Request
    from indexer.store.s3.http import Answer

_DENIED = {401, 403}
_ERRORS = 300
_FAILS = 500
_NOT_IMPLEMENTED = 501
_OK = 200
# A page of a thousand objects has at most 5 MB, if all keys are as long as possible.
_LONGEST = 2**25


class StoreError(NamedTuple):
    """An error of a store: its code and message, and the region that it names.  Without a body, those of HTTP."""

    code: str
    message: str = ""
    region: str = ""


class Response(NamedTuple):
    """The response to a request.

    `content` is the body, unless `body` is the body of an object that is still on the wire: urllib3's response, which
    must be closed.  `headers` have names in lower case.  `error` is None for a success.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes = b""
    body: Any = None
    error: StoreError | None = None

    @property
    def region(self) -> str:
        """The region of the bucket, if the response names it."""
        return self.headers.get("x-amz-bucket-region", "") or (self.error.region if self.error else "")

    @property
    def code(self) -> str:
        """The error code, empty for a success."""
        return self.error.code if self.error else ""

    @property
    def refusal(self) -> str:
        """The error in words."""
        return f"{self.status} {self.code}".strip()

    @property
    def denied(self) -> bool:
        """Whether the store refused the request for its credentials, failed, or did not answer."""
        if self.code == "SignatureDoesNotMatch":  # some stores refuse unusual names like this
            return False
        failed = self.status >= _FAILS and self.status != _NOT_IMPLEMENTED
        return failed or self.status in {0, *_DENIED}


class Refused(Exception):
    """The store answered with an error."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.refusal)
        self.response = response


def response_of(request: Request, answer: Answer) -> Response:
    """The response in an answer; the body of an object stays on the wire.  Raises NoAnswer if the body breaks off.

    A body of more than 32 MiB is cut off, so that no server can fill the memory: it is no complete XML then.
    """
    if request.method == "GET" and request.key and answer.status < _ERRORS:
        return Response(answer.status, answer.headers, body=answer.body)
    try:
        content = read(answer.body, _LONGEST)
    finally:
        answer.body.close()
    if answer.status >= _ERRORS:
        return Response(answer.status, answer.headers, content, error=_error(answer.status, content))
    return Response(answer.status, answer.headers, content)


def checked(request: Request, response: Response) -> Response:
    """The response, or an error 500 for a success whose body is an error or is cut off, as in botocore.

    A store can fail after it has sent the status.
    """
    content = response.content
    if response.status != _OK or not content or _is_whole(request, content):
        return response
    return response._replace(status=_FAILS, error=_error(_FAILS, content))


def _is_whole(request: Request, content: bytes) -> bool:
    """Whether a body is complete XML, and not an error.  The end of a listing is enough: parsing takes 10 ms."""
    if request.query and content.rstrip().endswith((b"</ListBucketResult>", b"<ListBucketResult/>")):
        return True
    root = _root_of(content)
    return root is not None and _name(root) != "Error"


def _error(status: int, content: bytes) -> StoreError:
    """The error in a body, or else that of the status."""
    root = _root_of(content)
    values = {_name(child): child.text or "" for child in root} if root is not None else {}
    if "Code" in values:
        return StoreError(values["Code"], values.get("Message", ""), values.get("Region", ""))
    return StoreError(str(status), HTTPStatus(status).phrase if status in {*HTTPStatus} else "")


def _root_of(content: bytes) -> ET.Element | None:
    if b"<!DOCTYPE" in content:  # entities can be made to take very long
        return None
    try:
        return ET.fromstring(content)  # noqa: S314  see above
    except (ET.ParseError, LookupError, ValueError):  # the last two: an encoding that is unknown or not supported
        return None


def value_in(content: bytes, name: str) -> str:
    """The text of an element directly in the root of a body, empty if there is none."""
    root = _root_of(content)
    texts = [child.text or "" for child in root if _name(child) == name] if root is not None else []
    return texts[0] if texts else ""


def _name(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]
