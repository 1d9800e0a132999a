"""A large object is made from ranges of its old version only if that version is still there.

If the store cannot do this, the object is sent whole; if the version has changed, the put is a Conflict.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from indexer.core.errors import Conflict
from indexer.core.stream import Composition, Kept, Sent, Stream
from indexer.store import Expect
from indexer.store.s3.http import NoAnswer
from indexer.store.s3.multipart import Limits
from indexer.store.s3.store_tests import BucketTests
from tests.contract.conftest import _emptied
from tests.contract.test_large_puts import parts_left
from tests.support.fake_s3 import Behavior, FakeS3
from tests.support.fake_uploads import Uploads
from tests.support.http_hooks import Wire, refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from indexer.core.model import ETag
    from indexer.store import Store
    from indexer.store.s3.http import Answer, Message
    from indexer.store.s3.store import S3Store
    from tests.support.fake_s3 import Server

KEY = "linux-64/repodata.json"
# The smallest part of our server; a real one takes no part below 5 MiB.
SMALLEST = 5 * 2**14
OTHER = b"another index"
HEADERS = {"Cache-Control": "public, max-age=300", "Content-Type": "application/json"}
# The requests of the test, of which one is refused and looks at the object again, and of a composition.
TEST, COMPOSITION = 7, 5


@dataclass
class Versions:
    """The old version of an object, and the new one, which differs in the middle."""

    smallest: int = SMALLEST

    def __post_init__(self) -> None:
        self.old = bytes(range(256)) * (4 * self.smallest // 256)
        self.middle = b"new" * (self.smallest // 2)
        self.new = self.old[: self.smallest] + self.middle + self.old[self.smallest + 99 :]

    def body(self, base: ETag, between: Callable[[], object] = lambda: None) -> Stream:
        """The new version; `between` is called when its new bytes are sent."""

        def middle() -> bytes:
            between()
            return self.middle

        parts = (Kept(0, self.smallest), Sent((middle,)), Kept(self.smallest + 99, len(self.old)))
        composition = Composition(base, lambda _: parts)
        return Stream(lambda: iter([self.new]), len(self.new), hashlib.sha256(self.new).digest(), None, composition)


SMALL = Versions()
ANY_SIZE = Limits(worth=1)


def content(store: Store) -> bytes:
    with store.open(KEY) as reader:
        return reader.read()


def lay(store: Store, content: bytes = SMALL.old) -> ETag:
    return store.put(KEY, content, expect=Expect.ANYTHING, headers=HEADERS)


def opened(served: Server, provider: str = "minio") -> S3Store:
    """A store that composes objects of any size."""
    store = served.open(provider)
    store.writes.limits = ANY_SIZE
    return store


@pytest.fixture
def composing(served: Server) -> S3Store:
    """A store whose server composes."""
    served.fake = FakeS3(Behavior(), uploads=Uploads(smallest=SMALLEST))
    return opened(served)


@pytest.fixture(params=["fake", pytest.param("s3", marks=pytest.mark.s3)])
def composer(request: pytest.FixtureRequest) -> tuple[S3Store, Versions]:
    """A store whose server composes, ours and a real one, with versions of an object."""
    if request.param == "fake":
        return request.getfixturevalue("composing"), SMALL
    store = _emptied(request.getfixturevalue("_real"))
    store.writes.limits = ANY_SIZE
    return store, Versions(5 * 2**20)


def test_every_store_writes_the_new_version_in_place_of_the_old_one(store: Store) -> None:
    old = lay(store)
    etag = store.put(KEY, SMALL.body(old), expect=old, headers=HEADERS)
    assert content(store) == SMALL.new
    stat = store.stat(KEY)
    assert stat is not None
    assert stat.etag == etag
    lay(store, OTHER)
    with pytest.raises(Conflict):
        store.put(KEY, SMALL.body(etag), expect=etag)
    assert content(store) == OTHER


def test_only_the_new_bytes_are_sent_and_the_headers_stay(composer: tuple[S3Store, Versions]) -> None:
    store, versions = composer
    old = lay(store, versions.old)
    sent, requests = store.usage.bytes_written, store.usage.requests.total()
    etag = store.put(KEY, versions.body(old), expect=old, headers=HEADERS)
    assert store.usage.bytes_written - sent == len(versions.middle) + 1  # the test object has one byte
    assert store.usage.requests.total() - requests == TEST + COMPOSITION
    assert content(store) == versions.new
    stat, headers = store.bucket.head(KEY)
    assert stat.etag == etag
    assert (headers["cache-control"], headers["content-type"]) == tuple(HEADERS.values())


def test_a_store_is_tested_once(composing: S3Store) -> None:
    for number in range(2):
        old, requests = lay(composing), composing.usage.requests.total()
        composing.put(KEY, SMALL.body(old), expect=old)
        assert composing.usage.requests.total() - requests == COMPOSITION + (0 if number else TEST)


def test_a_new_version_of_a_composed_one_is_composed(composer: tuple[S3Store, Versions]) -> None:
    store, versions = composer
    old = lay(store, versions.old)
    etag = store.put(KEY, versions.body(old), expect=old)
    size = len(versions.new)
    parts = (Kept(0, size - 1), Sent((lambda: b"end",)))
    whole = versions.new[:-1] + b"end"
    body = Stream(
        lambda: iter([whole]), size + 2, hashlib.sha256(whole).digest(), None, Composition(etag, lambda _: parts)
    )
    sent = store.usage.bytes_written
    store.put(KEY, body, expect=etag)
    assert store.usage.bytes_written - sent == len(b"end")
    assert content(store) == whole


@pytest.mark.parametrize("kept", [0, 1])
def test_a_composition_is_made_if_it_keeps_enough_bytes(composing: S3Store, kept: int) -> None:
    worth = len(SMALL.old) - 99
    composing.writes.limits = Limits(worth=worth + 1 - kept)
    old, sent = lay(composing), composing.usage.bytes_written
    composing.put(KEY, SMALL.body(old), expect=old)
    assert content(composing) == SMALL.new
    assert composing.usage.bytes_written - sent == (len(SMALL.middle) + 1 if kept else len(SMALL.new))


@pytest.mark.parametrize("expect", [Expect.ANYTHING, "current"])
def test_another_expectation_than_the_base_is_a_whole_put(composing: S3Store, expect: Expect | str) -> None:
    base, current = lay(composing), lay(composing, OTHER)
    composing.put(KEY, SMALL.body(base), expect=current if expect == "current" else Expect.ANYTHING)
    assert content(composing) == SMALL.new


def test_a_large_range_is_copied_in_parts(composer: tuple[S3Store, Versions]) -> None:
    store, versions = composer
    store.writes.limits = Limits(copied=2 * versions.smallest, worth=1)
    old, copies = lay(store, versions.old), store.usage.requests["COPY"]
    sent = store.usage.bytes_written
    store.put(KEY, versions.body(old), expect=old)
    assert content(store) == versions.new
    assert store.usage.bytes_written - sent == len(versions.middle) + 1
    assert store.usage.requests["COPY"] - copies == 2 + 1 + 2


def test_an_object_that_changed_before_stays(composer: tuple[S3Store, Versions]) -> None:
    store, versions = composer
    old = lay(store, versions.old)
    lay(store, OTHER)
    with pytest.raises(Conflict):
        store.put(KEY, versions.body(old), expect=old)
    assert content(store) == OTHER
    assert parts_left(store) == 0


def test_an_object_that_changes_meanwhile_stays(composer: tuple[S3Store, Versions]) -> None:
    store, versions = composer
    old = lay(store, versions.old)
    with pytest.raises(Conflict):
        store.put(KEY, versions.body(old, lambda: lay(store, OTHER)), expect=old)
    assert content(store) == OTHER
    assert parts_left(store) == 0


def test_an_object_that_changes_before_its_parts_are_joined_stays(composing: S3Store, served: Server) -> None:
    old = lay(composing)
    composing.put(KEY, SMALL.body(old), expect=old)  # the store has passed the test
    old = lay(composing)
    served.fake.hook = lambda request: lay_there(served) if request.query.startswith("uploadId") else None
    with pytest.raises(Conflict):
        composing.put(KEY, SMALL.body(old), expect=old)
    assert served.fake.bodies()[KEY] == OTHER
    assert served.fake.uploads.begun == {}


def lay_there(served: Server) -> None:
    served.fake.hook = lambda _: None
    served.fake.upload(KEY, OTHER)


@pytest.mark.parametrize("how", ["source ignored", "join ignored", "always refused", "equal parts", "unknown"])
def test_a_store_that_cannot_compose_gets_the_whole_object(served: Server, how: str) -> None:
    served.fake = FakeS3(Behavior(), uploads=Uploads(how, SMALLEST))
    store = opened(served)
    for _ in range(2):
        old = lay(store)
        first = len(served.fake.requests)
        store.put(KEY, SMALL.body(old), expect=old, headers=HEADERS)
        assert content(store) == SMALL.new
        assert served.fake.uploads.begun == {}
    assert len(served.fake.requests) == first + 2  # not tried again
    tests = BucketTests(store.bucket, store.writes)
    assert not tests.compositions_passed or how == "equal parts"
    # A conflict is no refusal: another run may have written the test object.  So the next run tests the store again.
    assert tests.compositions_refused == (how != "always refused")


@pytest.mark.parametrize("provider", ["r2", "gcs"])
def test_a_store_that_is_known_not_to_compose_is_not_tested(served: Server, provider: str) -> None:
    served.fake = FakeS3(Behavior("generation" if provider == "gcs" else "heeded"))
    store = opened(served, provider)
    old = lay(store)
    first = len(served.fake.requests)
    store.put(KEY, SMALL.body(old), expect=old)
    assert content(store) == SMALL.new
    assert [request for request in served.fake.requests[first:] if request.method == "POST"] == []


@pytest.mark.parametrize("number", range(TEST + COMPOSITION))
def test_a_request_that_fails_leaves_the_new_version_and_no_parts(served: Server, number: int) -> None:
    served.fake = FakeS3(Behavior(), uploads=Uploads(smallest=SMALLEST))
    store = opened(served)
    old = lay(store)
    wire = Wire(store)
    asked: list[str] = []

    def answer(message: Message) -> Answer | None:
        asked.append(message.method)
        return refusal(403, "AccessDenied") if len(asked) == number + 1 else None

    wire.answer = answer
    try:
        store.put(KEY, SMALL.body(old), expect=old)
    finally:
        wire.leave()
    assert content(store) == SMALL.new
    assert served.fake.uploads.begun == {}


def test_a_lost_answer_to_the_last_request_is_no_conflict(composing: S3Store, served: Server) -> None:
    old = lay(composing)
    wire = Wire(composing)
    lost: list[bytes] = []

    def answer(message: Message) -> Answer | None:
        if message.method == "POST" and f"{KEY}?uploadId" in message.target and not lost:
            lost.append(wire._connections.send(message).body.read())
            raise NoAnswer("lost")
        return None

    wire.answer = answer
    try:
        etag = composing.put(KEY, SMALL.body(old), expect=old)
    finally:
        wire.leave()
    assert lost
    assert etag.endswith("-3")
    assert content(composing) == SMALL.new


class Killed(BaseException):
    """The process ends."""


@pytest.mark.parametrize("number", range(TEST + COMPOSITION))
def test_a_killed_composition_leaves_a_whole_version_and_can_be_repeated(served: Server, number: int) -> None:
    served.fake = FakeS3(Behavior(), uploads=Uploads(smallest=SMALLEST))
    store = opened(served)
    old = lay(store)
    wire = Wire(store)

    def answer(_: Message) -> Answer | None:
        if len(wire.sent) > number:
            raise Killed
        return None

    wire.answer = answer
    with pytest.raises(Killed):
        store.put(KEY, SMALL.body(old), expect=old)
    wire.leave()
    assert content(store) == SMALL.old
    assert len(served.fake.uploads.begun) <= 1  # the bucket deletes these parts (docs/providers.md)
    assert opened(served).put(KEY, SMALL.body(old), expect=old)
    assert content(store) == SMALL.new


def test_a_temporary_error_is_no_refusal(served: Server) -> None:
    served.fake = FakeS3(Behavior(), uploads=Uploads(smallest=SMALLEST))
    store = opened(served)
    old = lay(store)
    wire = Wire(store)
    wire.answer = lambda message: refusal(503, "SlowDown") if message.method == "POST" else None
    try:
        store.put(KEY, SMALL.body(old), expect=old)
    finally:
        wire.leave()
    assert content(store) == SMALL.new
    assert not store.writes.compositions.refused
