"""What is read of a page of a listing is what botocore would have made of it, or is refused."""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape

import botocore.session
import pytest
from botocore.parsers import ResponseParserFactory
from hypothesis import given
from hypothesis import strategies as st

from indexer.store.s3.entries import OBJECT, PAGE, page_of
from indexer.store.s3.times import time_of

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
_ENTRIES = st.lists(st.fixed_dictionaries({}, optional=_FIELDS), max_size=4)
_SPACES = st.sampled_from(["", ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'])


def page(entries: list[dict[str, str]], namespace: str = "", more: str = "<IsTruncated>false</IsTruncated>") -> bytes:
    results = [
        f"<Contents>{''.join(f'<{name}>{escape(value)}</{name}>' for name, value in entry.items())}</Contents>"
        for entry in entries
    ]
    rest = f"<Name>b</Name><CommonPrefixes><Prefix>a/é/</Prefix></CommonPrefixes>{more}"
    return f"<ListBucketResult{namespace}>{rest}{''.join(results)}</ListBucketResult>".encode()


def parsed(body: bytes) -> dict[str, Any]:
    """As botocore reads a page, with the reader of times that our client gives it."""
    factory = ResponseParserFactory()
    factory.set_parser_defaults(timestamp_parser=time_of)
    answer = {"body": body, "headers": {}, "status_code": 200, "context": {"operation_name": "ListObjectsV2"}}
    result: dict[str, Any] = factory.create_parser("rest-xml").parse(answer, _SHAPE)
    return result


@given(
    entries=_ENTRIES,
    namespace=_SPACES,
    truncated=st.sampled_from(["true", "false"]),
    token=_TEXTS.filter(bool),
    encoding=st.sampled_from(["", "<EncodingType>url</EncodingType>"]),
)
def test_what_a_page_says_is_as_botocore_reads_it(
    entries: list[dict[str, str]], namespace: str, truncated: str, token: str, encoding: str
) -> None:
    result = f"<NextContinuationToken>{escape(token)}</NextContinuationToken>"
    body = page(entries, namespace, f"<IsTruncated>{truncated}</IsTruncated>{encoding}{result}")
    whole = parsed(body)
    expected = {name: value for name, value in whole.items() if name in {*PAGE, "CommonPrefixes"}}
    if entries:
        expected["Contents"] = [
            {name: value for name, value in item.items() if name in OBJECT} for item in whole["Contents"]
        ]
    assert page_of(body) == expected


@pytest.mark.parametrize("body", [b"", b"<a", b"<Error><Code>InternalError</Code></Error>", page([{"Key": "a"}])[:-9]])
def test_what_broke_off_or_is_an_error_is_left_to_botocore(body: bytes) -> None:
    assert page_of(body) is None


@pytest.mark.parametrize("truncated", ["true", "True", "TRUE", "1", " true\n"])
def test_a_page_that_goes_on_is_never_taken_for_the_last(truncated: str) -> None:
    result = page_of(page([], more=f"<IsTruncated>{truncated}</IsTruncated>"))
    assert result is not None
    assert result["IsTruncated"] is True


@pytest.mark.parametrize(
    "body",
    [
        *(page([{"Size": size}]) for size in ("many", "", "-1", "1_0", "1.5", "\u0661", "9" * 19, "9" * 5000)),
        *(
            page([{"LastModified": time}])
            for time in ("tomorrow", "", "1e999", "9" * 17, "Sun, 22 Nov 99999 0:0:0 GMT")
        ),
        *(page([], more=f"<IsTruncated>{truncated}</IsTruncated>") for truncated in ("", "maybe", "-1")),
        page([], more="<IsTruncated>true</IsTruncated><IsTruncated>false</IsTruncated>"),
        page([{"Key": "a"}]).replace(b"</Key>", b"</Key><Key>b</Key>"),
        b"<?xml version='1.0' encoding='nonsense'?>" + page([]),
    ],
)
def test_a_page_that_cannot_mean_what_it_says_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        page_of(body)


def test_a_time_without_a_zone_is_in_utc() -> None:
    assert time_of("2026-11-22T12:00:00") == time_of("2026-11-22T12:00:00Z") == time_of("22 Nov 2026 12:00:00 -0000")
