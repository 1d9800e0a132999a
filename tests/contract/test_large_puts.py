"""An object above the limit of one PUT is written in parts, under the same conditions, and leaves no parts behind."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from indexer.core.errors import Conflict, OneUnavailable
from indexer.core.stream import Stream, pieces_of, stream_of
from indexer.store import Expect
from indexer.store.s3.client import Request
from indexer.store.s3.http import NoAnswer
from indexer.store.s3.multipart import Limits
from tests.contract.conftest import _emptied
from tests.support.http_hooks import Wire, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from indexer.store.s3.http import Answer, Message
    from indexer.store.s3.store import S3Store

KEY = "linux-64/large-1.0-0.conda"
MIB = 2**20
PART = 5 * MIB
BODY = bytes(range(256)) * (11 * MIB // 256)
OTHER = b"another package"
HEADERS = {
    "Content-Disposition": "attachment; filename=large-1.0-0.conda",
    "x-amz-meta-package-sha256": hashlib.sha256(BODY).hexdigest(),
}


@pytest.fixture(params=["moto", pytest.param("s3", marks=pytest.mark.s3)])
def bucket(request: pytest.FixtureRequest) -> S3Store:
    """A store in a bucket that writes more than five MiB in parts."""
    name = "s3" if request.param == "moto" else "_real"
    store: S3Store = _emptied(request.getfixturevalue(name))
    store.writes.limits = Limits(one_put=PART, part=PART)
    return store


def body(between: Callable[[], object] = lambda: None) -> Stream:
    """The body in chunks; `between` is called in the middle of it when it is sent."""

    def chunks() -> Iterator[bytes]:
        yield BODY[: 7 * MIB]
        between()
        yield BODY[7 * MIB :]

    return Stream(chunks, len(BODY), hashlib.sha256(BODY).digest())


def content(store: S3Store) -> bytes:
    with store.open(KEY) as reader:
        return reader.read()


def parts_left(store: S3Store) -> int:
    """How many uploads were begun, and neither joined nor deleted."""
    listed = store.bucket.client.ask(Request("GET", query={"uploads": ""})).content
    return listed.count(store.bucket.prefix.encode())


def test_a_large_object_is_written_in_parts_with_its_headers(bucket: S3Store) -> None:
    etag = bucket.put(KEY, body(), expect=Expect.NEW, headers=HEADERS)
    assert etag.endswith("-3")
    with bucket.open(KEY, etag=etag) as reader:
        assert reader.opened.metadata == {"package-sha256": HEADERS["x-amz-meta-package-sha256"]}
        assert reader.read() == BODY
    assert bucket.usage.requests == {"HEAD": 2, "POST": 2, "PUT": 3, "GET": 1}
    assert bucket.usage.bytes_written == len(BODY)


def test_nothing_is_sent_for_an_object_that_exists(bucket: S3Store) -> None:
    bucket.put(KEY, OTHER, expect=Expect.ANYTHING)
    with pytest.raises(Conflict):
        bucket.put(KEY, body(), expect=Expect.NEW)
    assert bucket.usage.bytes_written == len(OTHER)
    assert content(bucket) == OTHER


@pytest.mark.parametrize("expect", [Expect.NEW, Expect.ABSENT])
def test_an_object_that_came_meanwhile_stays(bucket: S3Store, expect: Expect) -> None:
    with pytest.raises(Conflict):
        bucket.put(KEY, body(lambda: bucket.put(KEY, OTHER, expect=Expect.ANYTHING)), expect=expect)
    assert content(bucket) == OTHER
    assert parts_left(bucket) == 0


def test_the_expected_version_is_replaced_and_no_other(bucket: S3Store) -> None:
    old = bucket.put(KEY, OTHER, expect=Expect.ANYTHING)
    new = bucket.put(KEY, body(), expect=old)
    assert content(bucket) == BODY
    bucket.put(KEY, OTHER, expect=new)
    with pytest.raises(Conflict):
        bucket.put(KEY, body(), expect=new)
    assert content(bucket) == OTHER


def test_without_a_condition_an_object_is_overwritten_unseen(bucket: S3Store) -> None:
    bucket.put(KEY, OTHER, expect=Expect.ANYTHING)
    bucket.put(KEY, body(), expect=Expect.ANYTHING)
    assert content(bucket) == BODY
    assert bucket.usage.requests["HEAD"] == 0


def test_a_content_that_changes_is_not_written(bucket: S3Store) -> None:
    changed = Stream(body().make, len(BODY), hashlib.sha256(OTHER).digest())
    with pytest.raises(OneUnavailable, match="changed while it was sent"):
        bucket.put(KEY, changed, expect=Expect.NEW)
    assert bucket.stat(KEY) is None
    assert parts_left(bucket) == 0


def test_a_lost_answer_to_the_last_request_is_no_conflict(s3: S3Store) -> None:
    s3.writes.limits = Limits(one_put=PART, part=PART)
    wire = Wire(s3)
    lost: list[bytes] = []

    def answer(message: Message) -> Answer | None:
        if message.method == "POST" and "uploadId" in message.target and not lost:
            given = wire._connections.send(message)
            lost.append(given.body.read())
            raise NoAnswer("lost")
        return None

    wire.answer = answer
    try:
        etag = s3.put(KEY, body(), expect=Expect.NEW, headers=HEADERS)
    finally:
        wire.leave()
    assert lost
    assert etag.endswith("-3")
    assert content(s3) == BODY


def test_a_store_that_refuses_a_part_keeps_none(s3: S3Store) -> None:
    s3.writes.limits = Limits(one_put=PART, part=PART)
    wire = Wire(s3)
    wire.answer = lambda message: refusal(403, "AccessDenied") if "partNumber=3" in message.target else None
    try:
        with pytest.raises(Exception, match="AccessDenied"):
            s3.put(KEY, body(), expect=Expect.NEW, headers=HEADERS)
    finally:
        wire.leave()
    assert s3.stat(KEY) is None
    assert parts_left(s3) == 0


def test_the_same_bytes_are_a_conflict_only_for_a_new_object(s3: S3Store) -> None:
    etag = s3.put(KEY, OTHER, expect=Expect.NEW)
    assert s3.put(KEY, OTHER, expect=Expect.ABSENT) == etag
    with pytest.raises(Conflict):
        s3.put(KEY, OTHER, expect=Expect.NEW)


@pytest.mark.parametrize("size", [1, 3, 7, 10, 11, 100])
def test_pieces_have_one_size_and_together_all_bytes(size: int) -> None:
    chunks = [b"abc", b"", b"defgh", b"i" * 20, b"jk"]
    pieces = list(pieces_of(stream_of(lambda: iter(chunks)), size))
    assert b"".join(pieces) == b"".join(chunks)
    assert {len(piece) for piece in pieces[:-1]} <= {size}
    assert 0 < len(pieces[-1]) <= size


def test_parts_grow_with_the_object_and_are_never_too_many() -> None:
    limits = Limits()
    assert limits.part_of(6 * 10**9) == limits.part
    for size in (10**11, 5 * 10**12):
        assert -(-size // limits.part_of(size)) <= limits.parts
