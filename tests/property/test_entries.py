"""What is taken out of a page of a listing is what botocore would have made of it."""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape

import botocore.session
import pytest
from botocore.parsers import ResponseParserFactory
from hypothesis import given
from hypothesis import strategies as st

from indexer.store.entries import READERS, taken_out
from indexer.store.times import time_of

_SHAPE = botocore.session.Session().get_service_model("s3").operation_model("ListObjectsV2").output_shape
_TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff"))
_TIMES = st.sampled_from(["2026-11-22T12:00:00.000Z", "2026-11-22T12:00:00Z", "Sun, 22 Nov 2026 12:00:00 GMT"])
_FIELDS = {
    "Key": _TEXTS,
    "Size": st.integers(0, 2**50).map(str),
    "ETag": _TEXTS.map('"{}"'.format),
    "LastModified": _TIMES,
    "StorageClass": _TEXTS,
}
_ENTRIES = st.lists(st.fixed_dictionaries({}, optional=_FIELDS), min_size=1, max_size=4)


def page(entries: list[dict[str, str]], namespace: str) -> bytes:
    told = [
        f"<Contents>{''.join(f'<{name}>{escape(value)}</{name}>' for name, value in entry.items())}</Contents>"
        for entry in entries
    ]
    rest = "<Name>b</Name><CommonPrefixes><Prefix>a/é/</Prefix></CommonPrefixes><IsTruncated>false</IsTruncated>"
    return f"<ListBucketResult{namespace}>{rest}{''.join(told)}</ListBucketResult>".encode()


def parsed(body: bytes) -> dict[str, Any]:
    """As botocore reads a page, with the reader of times that our client gives it."""
    factory = ResponseParserFactory()
    factory.set_parser_defaults(timestamp_parser=time_of)
    answer = {"body": body, "headers": {}, "status_code": 200, "context": {"operation_name": "ListObjectsV2"}}
    found: dict[str, Any] = factory.create_parser("rest-xml").parse(answer, _SHAPE)
    return found


@given(entries=_ENTRIES, namespace=st.sampled_from(["", ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"']))
def test_the_objects_of_a_page_and_the_rest_of_it_are_as_botocore_reads_them(
    entries: list[dict[str, str]], namespace: str
) -> None:
    body = page(entries, namespace)
    taken = taken_out(body)
    assert taken is not None
    rest, objects = taken
    whole = parsed(body)
    expected = [{name: value for name, value in it.items() if name in READERS} for it in whole.pop("Contents")]
    assert objects == expected
    assert parsed(rest) == whole


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<a",
        b"<ListBucketResult/>",
        page([{"Size": "many"}], ""),
        page([{"LastModified": "tomorrow"}], ""),
        page([{"Key": "a"}], "")[:-9],
    ],
)
def test_what_is_not_as_expected_is_left_to_botocore(body: bytes) -> None:
    assert taken_out(body) is None
