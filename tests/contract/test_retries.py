"""Requests are sent again where that can help, so often, after such pauses; and never where it cannot."""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from indexer.core.errors import IndexerError, Unavailable
from indexer.core.stream import stream_of
from indexer.store import Expect
from indexer.store.s3.http import NoAnswer
from indexer.store.s3.retry import ATTEMPTS, Retries
from indexer.store.s3.store import S3Reader, S3Store
from indexer.store.target import S3Options, Target
from tests.contract.test_s3 import CALLS, KEY, SECRET, TEN, closed_port
from tests.support.buckets import options_for
from tests.support.http_hooks import Wire, no_pause, refusal, response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fixtures.bucket import Bucket
    from indexer.store import Store

    Call = Callable[[Store], object]


@pytest.fixture
def wire(s3: S3Store) -> Iterator[Wire]:
    listening = Wire(s3)
    yield listening
    listening.leave()


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "refused",
    [
        (403, "AccessDenied"),
        (403, "RequestTimeTooSkewed"),
        (400, "ExpiredToken"),
        (400, "InvalidArgument"),
        (404, "NoSuchBucket"),
        (412, "PreconditionFailed"),
        (409, "OperationAborted"),
        (501, "NotImplemented"),
    ],
    ids=str,
)
def test_a_refused_request_is_sent_once(s3: S3Store, wire: Wire, call: Call, refused: tuple[int, str]) -> None:
    status, code = refused
    wire.answer = lambda request: response(status) if request.method == "HEAD" else refusal(status, code)
    with contextlib.suppress(IndexerError):
        call(s3)
    asked = Counter(sent.method for sent in wire.sent)
    # A put that conflicts looks once whose it was; and a HEAD looks once for the region if its answer is 400.
    assert asked.pop("HEAD", 0) <= (2 if status == 400 else 1)
    # A listing that is not known is asked for once more, in its first form.
    assert sum(asked.values()) <= (2 if status == 501 else 1)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_temporary_error_is_tried_six_times(s3: S3Store, wire: Wire, call: Call, status: int) -> None:
    wire.answer = lambda request: response(status) if request.method == "HEAD" else refusal(status, "SlowDown")
    with pytest.raises(Unavailable):
        call(s3)
    assert len(wire.sent) == ATTEMPTS


@pytest.mark.parametrize("call", CALLS)
def test_a_lost_connection_is_tried_again(s3: S3Store, wire: Wire, call: Call) -> None:
    s3.put(KEY, TEN, expect=Expect.ANYTHING)
    wire.sent.clear()

    def lose(_request: Any) -> None:
        if len(wire.sent) < ATTEMPTS:
            raise NoAnswer("the connection was lost")

    wire.answer = lose
    answer = call(s3)
    if isinstance(answer, S3Reader):
        answer.close()
    assert len(wire.sent) == ATTEMPTS


@pytest.mark.parametrize("call", CALLS)
def test_a_missing_server_is_unavailable_after_three_tries(call: Call) -> None:
    options = S3Options(f"http://127.0.0.1:{closed_port()}", "us-east-1", "path", "key", SECRET)
    store = S3Store("bucket", "channel", Target("s3://bucket/channel", options), no_pause())
    with pytest.raises(Unavailable, match="check the endpoint URL") as caught:
        call(store)
    assert store.usage.requests.total() == ATTEMPTS / 2
    assert SECRET not in str(caught.value)


def test_the_pauses_grow_and_have_a_limit_each_and_together(moto: Bucket) -> None:
    longest: list[float] = []

    def jitter(pause: float) -> float:
        longest.append(pause)
        return 0.0

    target = Target("s3://contract/pauses", options_for(moto))
    store = S3Store("contract", "pauses", target, Retries(jitter))
    Wire(store).answer = lambda _: refusal(503, "SlowDown")
    with pytest.raises(Unavailable, match="SlowDown"):
        list(store.list(""))
    assert longest == [1, 2, 4, 8, 16]
    store.bucket.client.connections.close()


def test_an_html_page_of_a_failing_gateway_is_a_passing_fault(s3: S3Store, wire: Wire) -> None:
    wire.answer = lambda _: response(502, b"<!DOCTYPE html><title>Bad gateway</title>", Content_Type="text/html")
    with pytest.raises(Unavailable) as caught:
        list(s3.list(""))
    assert "not an S3 endpoint" not in str(caught.value)
    assert len(wire.sent) == ATTEMPTS


def test_a_storm_over_many_requests_uses_no_tries_up_for_others(s3: S3Store, wire: Wire) -> None:
    for number in range(40):
        calm = len(wire.sent) + ATTEMPTS
        wire.answer = lambda _: refusal(500, "InternalError") if len(wire.sent) < calm else None  # noqa: B023
        s3.put(f"noarch/{number}", TEN, expect=Expect.ABSENT)
    assert s3.usage.requests["PUT"] == 40 * ATTEMPTS


def test_the_jitter_of_a_pause_stays_within_it() -> None:
    drawn = [Retries().jitter(4.0) for _ in range(200)]
    assert 0 <= min(drawn) < 1
    assert 3 < max(drawn) <= 4


@pytest.mark.parametrize("sent", [0, 1, 100_000, 10_000_000])
def test_a_put_that_breaks_off_is_sent_from_the_beginning_again(s3: S3Store, wire: Wire, sent: int) -> None:
    s3.put(KEY, TEN, expect=Expect.ANYTHING)
    wire.sent.clear()
    parts = [b"%d " % number * 1000 for number in range(1000)]

    def lose(request: Any) -> None:
        if len(wire.sent) < ATTEMPTS:
            read = 0
            for chunk in request.body:
                read += len(chunk)
                if read > sent:
                    break
            raise NoAnswer("as the test wants it")

    wire.answer = lose
    s3.put(KEY, stream_of(lambda: iter(parts)), expect=Expect.ANYTHING)
    assert len(wire.sent) == ATTEMPTS
    wire.leave()
    with s3.open(KEY) as reader:
        assert reader.read() == b"".join(parts)
