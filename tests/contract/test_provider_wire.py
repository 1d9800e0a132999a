"""What is sent to a store to learn how it takes conditions, and what is made of odd answers."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest

from indexer.core.errors import Conflict, Denied, NoConditions
from indexer.core.model import ETag
from indexer.core.stream import stream_of
from indexer.store import Expect
from tests.support.fake_s3 import Behavior, FakeS3

if TYPE_CHECKING:
    from indexer.store.s3.store import S3Store
    from tests.support.fake_s3 import Request, Server

KEY = "noarch/repodata.json"
PROBE = ".indexer-probe"
STALE = ETag("0123456789abcdef0123456789abcdef")


def at(served: Server, behavior: Behavior, provider: str = "other") -> S3Store:
    """A store that leads to a new fake."""
    served.fake = FakeS3(behavior)
    return served.open(provider)


def conditions(asked: list[Request]) -> list[tuple[str, str]]:
    """The conditions that were sent, in order."""
    named = {"if-match", "if-none-match", "x-goog-if-generation-match"}
    return [(name, value) for it in asked for name, value in sorted(it.headers.items()) if name in named]


# A store that nobody knows


def test_an_unknown_store_is_tested_once_before_the_first_write(served: Server) -> None:
    store = at(served, Behavior())
    etag = store.put(KEY, b"one", expect=Expect.ABSENT)
    store.put(KEY, b"two", expect=etag)
    assert conditions(served.fake.of("PUT", PROBE)) == [
        ("if-none-match", "*"),
        ("if-none-match", "*"),
        ("if-match", f'"{"0" * 32}"'),
    ]
    again = served.open()
    again.put(KEY, b"three", expect=Expect.ANYTHING)
    assert len(served.fake.of("PUT", PROBE)) == 3
    with pytest.raises(Conflict):
        again.put(KEY, b"four", expect=etag)
    assert len(served.fake.of("PUT", PROBE)) == 5


@pytest.mark.parametrize("provider", ["minio", "aws"])
def test_a_store_that_is_known_is_not_asked(served: Server, provider: str) -> None:
    at(served, Behavior(), provider).put(KEY, b"one", expect=Expect.ABSENT)
    assert served.fake.of("PUT", PROBE) == []


@pytest.mark.parametrize("behavior", [Behavior(it) for it in ("ignored", "creations", "refused", "unimplemented")])
@pytest.mark.parametrize("expect", [Expect.ABSENT, STALE])
def test_nothing_is_written_where_conditions_are_not_heeded(
    served: Server, behavior: Behavior, expect: Expect | ETag
) -> None:
    store = at(served, behavior)
    served.fake.upload(KEY, b"somebody's")
    for _ in range(2):
        with pytest.raises(NoConditions):
            store.put(KEY, b"ours", expect=expect)
    with pytest.raises(NoConditions):
        store.delete(KEY, expect=expect)
    assert served.fake.bodies()[KEY] == b"somebody's"
    store.put(KEY, b"ours", expect=Expect.ANYTHING)
    assert served.fake.bodies()[KEY] == b"ours"


# Object lock with a default retention


@pytest.mark.parametrize("provider", ["other", "hetzner", "ceph"])
def test_every_put_carries_a_content_md5(served: Server, provider: str) -> None:
    store = at(served, Behavior("quotes", locked=True), provider)
    etag = store.put(KEY, b"one", expect=Expect.ABSENT)
    etag = store.put(KEY, stream_of(lambda: iter((b"one ", b"again"))), expect=etag)
    store.put(KEY, b"", expect=Expect.ANYTHING)
    for put in served.fake.of("PUT"):
        assert put.headers["content-md5"] == b64encode(hashlib.md5(put.body).digest()).decode()
    assert set(served.fake.statuses) <= {200, 412}


# Quotes


def test_a_store_that_ignores_an_etag_without_quotes_is_not_trusted(served: Server) -> None:
    store = at(served, Behavior(), "ceph")
    etag = store.put(KEY, b"one", expect=Expect.ABSENT)

    def odd(asked: Request) -> None:
        if asked.method == "PUT":  # refused with quotes, and without them not looked at
            quoted = asked.headers.get("if-match", "").startswith('"')
            served.fake.behavior = Behavior("heeded" if quoted else "ignored", etag='"{}-x"'.format)
            there = served.fake.objects[f"ch/{KEY}"]
            if quoted:
                served.fake.objects[f"ch/{KEY}"] = there.__class__(
                    there.body, '"hidden"', there.generation, there.modified, there.headers
                )
        elif asked.method == "HEAD":
            there = served.fake.objects[f"ch/{KEY}"]
            served.fake.objects[f"ch/{KEY}"] = there.__class__(
                there.body, f'"{etag}"', there.generation, there.modified, there.headers
            )

    served.fake.hook = odd
    with pytest.raises(NoConditions):
        store.put(KEY, b"two", expect=etag)
    with pytest.raises(NoConditions):
        store.put(KEY, b"three", expect=etag)


def test_a_conflict_that_is_no_mismatch_says_nothing_of_quotes(served: Server) -> None:
    store = at(served, Behavior("refused"), "minio")
    served.fake.upload(KEY, b"one")
    with pytest.raises(NoConditions):
        store.put(KEY, b"two", expect=STALE)
    assert [value for _, value in conditions(served.fake.of("PUT", KEY))] == [f'"{STALE}"']


# Google's generations


def test_a_write_by_generation_compares_and_sends_no_x_amz_header(served: Server) -> None:
    store = at(served, Behavior("generation"), "gcs")
    etag = store.put(KEY, b"one", expect=Expect.ABSENT)
    assert etag == hashlib.md5(b"one").hexdigest()
    generation = served.fake.objects[f"ch/{KEY}"].generation
    store.put(KEY, b"two", expect=etag)
    assert conditions(served.fake.of("PUT")) == [
        ("x-goog-if-generation-match", "0"),
        ("x-goog-if-generation-match", str(generation)),
    ]
    assert all(put.headers["authorization"].startswith("GOOG4-HMAC-SHA256 ") for put in served.fake.of("PUT"))
    assert not [name for put in served.fake.of("PUT") for name in put.headers if name.startswith("x-amz-")]
    assert set(served.fake.statuses) == {200}


def test_a_write_by_generation_does_not_replace_another_object(served: Server) -> None:
    store = at(served, Behavior("generation"), "gcs")
    etag = store.put(KEY, b"one", expect=Expect.ABSENT)
    served.fake.upload(KEY, b"somebody's")
    for expect in (etag, Expect.ABSENT):
        with pytest.raises(Conflict):
            store.put(KEY, b"two", expect=expect)
    served.fake.upload(KEY, b"one")

    def meddle(asked: Request) -> None:
        if asked.method == "PUT":
            served.fake.upload(KEY, b"between look and write")

    served.fake.hook = meddle
    with pytest.raises(Conflict):
        store.put(KEY, b"two", expect=etag)
    assert served.fake.bodies()[KEY] == b"between look and write"


def test_metadata_is_read_in_the_dialect_in_which_it_was_written(served: Server) -> None:
    store = at(served, Behavior("generation"), "gcs")
    served.fake.upload(KEY, b"one", {"x-amz-meta-package-md5": "abc"})
    with store.open(KEY) as reader:
        assert reader.opened.metadata["package-md5"] == "abc"


# Odd answers


def test_a_403_for_a_missing_object_names_the_missing_permission(served: Server) -> None:
    store = at(served, Behavior(missing=403), "minio")
    with pytest.raises(Denied, match="list the bucket"):
        store.stat(KEY)
    with pytest.raises(Denied, match="list the bucket"):
        store.open(KEY)


@pytest.mark.parametrize("form", ["{}", 'W/"{}"', ' "{}"'])
def test_a_version_is_the_same_whatever_form_its_etag_has(served: Server, form: str) -> None:
    store = at(served, Behavior(listed=lambda etag: form.format(etag.strip('"'))), "minio")
    etag = store.put(KEY, b"one", expect=Expect.ABSENT)
    (listed,) = store.list("noarch/")
    assert (listed.etag, listed.md5) == (etag, hashlib.md5(b"one").hexdigest())


def test_a_store_that_refuses_the_right_etag_is_read_and_compared_here(served: Server) -> None:
    store = at(served, Behavior(reads_refused=True), "minio")
    etag = store.put(KEY, b"one", expect=Expect.ABSENT)
    for _ in range(2):
        with store.open(KEY, etag=etag) as reader:
            assert reader.read() == b"one"
    served.fake.upload(KEY, b"two")
    with pytest.raises(Conflict):
        store.open(KEY, etag=etag)
    assert len([it for it in served.fake.of("GET") if "if-match" in it.headers]) == 1


# Deletions on the condition of an ETag


@pytest.mark.parametrize("behavior", [Behavior(deletions="heeded"), Behavior(conditions="generation")])
def test_an_upload_between_the_check_and_the_deletion_stays(served: Server, behavior: Behavior) -> None:
    store = at(served, behavior, "gcs" if behavior.conditions == "generation" else "minio")
    etag = store.put(KEY, b"old", expect=Expect.ANYTHING)
    other = served.open("gcs" if behavior.conditions == "generation" else "minio")

    def upload(request: Request) -> None:
        if request.method == "DELETE":
            served.fake.hook = lambda _: None
            other.put(KEY, b"new", expect=Expect.ANYTHING)

    served.fake.hook = upload
    with pytest.raises(Conflict):
        store.delete(KEY, expect=etag)
    with store.open(KEY) as reader:
        assert reader.read() == b"new"


@pytest.mark.parametrize("how", ["ignored", "refused", "never"])
def test_a_store_without_conditions_on_deletion_deletes_after_a_look(served: Server, how: str) -> None:
    store = at(served, Behavior(deletions=how), "minio")
    for _ in range(2):
        etag = store.put(KEY, b"one", expect=Expect.ANYTHING)
        store.delete(KEY, expect=etag)
        assert store.stat(KEY) is None
    store.delete(KEY, expect=etag)
    with_condition = [request for request in served.fake.of("DELETE") if "if-match" in request.headers]
    assert len(with_condition) == (2 if how == "ignored" else 1)
