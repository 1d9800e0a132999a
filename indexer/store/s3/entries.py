"""A page of a listing, read here and strictly: what botocore makes of an odd one loses packages in silence.

It takes any IsTruncated but `true` for the end of the listing, and an element that is there twice for a list.  It also
looks each element up in its model of the service: so a page of a thousand objects takes 20 ms of a core where it took
52, and half a million packages are 500 pages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from indexer.store.s3.strict import unreadable
from indexer.store.s3.times import time_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_TRUTHS = {"true": True, "1": True, "false": False, "0": False}
_LONGEST = 18  # digits of a size, so that it fits into 64 bits
_READ = b"<ListBucketResult/>"


def _size(text: str) -> int:
    digits = text.strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _LONGEST):
        raise unreadable(f"a size of {text!r}")
    return int(digits)


def _truth(text: str) -> bool:
    told = _TRUTHS.get(text.strip().lower())
    if told is None:
        raise unreadable(f"IsTruncated of {text!r}")
    return told


OBJECT: dict[str, Callable[[str], Any]] = {"Key": str, "Size": _size, "ETag": str, "LastModified": time_of}
"""What is wanted of an object, and how it is read."""
PAGE: dict[str, Callable[[str], Any]] = {
    "Name": str,
    "KeyCount": str,
    "EncodingType": str,
    "IsTruncated": _truth,
    "NextContinuationToken": str,
    "NextMarker": str,
}
"""What is wanted of a page besides."""


def read_here(client: Any) -> None:
    """Let a client's listings be read here."""
    for operation in ("ListObjects", "ListObjectsV2"):
        # For a name with a `*` botocore calls before those without, so before one of its own handlers, which parses
        # every answer of S3 to see whether it is an error.
        client.meta.events.register(f"before-parse.*.{operation}", _before_parse)


def _before_parse(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: object) -> None:
    page = page_of(response_dict["body"]) if response_dict["status_code"] == 200 else None  # noqa: PLR2004  HTTP
    if page is not None:
        response_dict["body"] = _READ
        customized_response_dict.update(page)


def page_of(body: bytes) -> dict[str, Any] | None:
    """What a page says, in the names and types that botocore has for it.

    None where the answer broke off, or is an error: botocore sees to it that such a request is sent again.  Raises
    BadAnswer where anything that is wanted is not what it must be, or is told twice.
    """
    if b"<!DOCTYPE" in body:
        raise unreadable("it declares entities")  # which no store does, and which may be made to be slow
    try:
        root = ET.fromstring(body)  # noqa: S314  as botocore parses it
    except ET.ParseError:
        return None
    except LookupError as error:  # an encoding that nobody knows
        raise unreadable(str(error)) from error
    if root.tag == "Error":
        return None
    space = root.tag[: root.tag.find("}") + 1]
    page = _told(root, _named(PAGE, space))
    objects = _named(OBJECT, space)
    page["Contents"] = [_told(it, objects) for it in root.iterfind(f"{space}Contents")]
    # One in each, as AWS has it, or all in one.
    folders = root.iterfind(f"{space}CommonPrefixes/{space}Prefix")
    page["CommonPrefixes"] = [{"Prefix": folder.text or ""} for folder in folders]
    return {name: value for name, value in page.items() if value or value is False}


def _named(readers: Mapping[str, Callable[[str], Any]], space: str) -> dict[str, tuple[str, Callable[[str], Any]]]:
    return {space + name: (name, read) for name, read in readers.items()}


def _told(element: Iterable[ET.Element], readers: Mapping[str, tuple[str, Callable[[str], Any]]]) -> dict[str, Any]:
    """What the wanted ones of an element's children say."""
    texts = [(*readers[it.tag], it.text or "") for it in element if it.tag in readers]
    told = {name: read(text) for name, read, text in texts}
    if len(told) < len(texts):
        raise unreadable(f"one of {', '.join(told)} twice")
    return told
