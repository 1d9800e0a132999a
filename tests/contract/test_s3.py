"""What only a bucket must do: the requests it sends, and what it makes of the answers of many servers."""

from __future__ import annotations

import base64
import hashlib
import pickle
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexer.core.errors import (
    BadConfig,
    BadCredentials,
    Conflict,
    Denied,
    IndexerError,
    Missing,
    RangeRefused,
    Unavailable,
)
from indexer.core.model import ETag
from indexer.lister.listing import listed
from indexer.store import Expect
from indexer.store.open import open_store
from indexer.store.s3.http import NoAnswer
from indexer.store.s3.store import S3Store
from indexer.store.target import S3Options, Target
from tests.contract.conftest import in_moto
from tests.support.http_hooks import Wire, in_pages_of, refusal, response, without

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fixtures.bucket import Bucket
    from indexer.store import Store

KEY = "linux-64/repodata.json"
TEN = b"0123456789"
HEADERS = {"Cache-Control": "public, max-age=300", "Content-Type": "application/json"}
DATE = "Sun, 22 Nov 2026 12:00:00 GMT"
VERSION = ETag(hashlib.md5(TEN).hexdigest())
ETAG = f'"{VERSION}"'
CALLS: list[Callable[[Store], object]] = [
    lambda store: list(store.list("")),
    lambda store: store.stat(KEY),
    lambda store: store.open(KEY),
    lambda store: store.put(KEY, TEN, expect=Expect.ANYTHING),
    lambda store: store.delete(KEY, expect=Expect.ANYTHING),
]
SECRET = "correct-horse-battery-staple"


@pytest.fixture
def wire(s3: S3Store) -> Iterator[Wire]:
    """What goes over the wire between the store and its server."""
    listening = Wire(s3)
    yield listening
    listening.leave()


def full(store: S3Store, key: str) -> dict[str, str]:
    """How boto3 names an object of a store."""
    return {"Bucket": store.bucket.name, "Key": store.bucket.prefix + key}


def content(store: Store) -> bytes:
    with store.open(KEY) as reader:
        return reader.read()


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


# What is sent


def test_a_put_carries_the_md5_of_its_body_and_the_headers(s3: S3Store, moto: Bucket, wire: Wire) -> None:
    s3.put(KEY, TEN, expect=Expect.ABSENT, headers=HEADERS)
    (put,) = wire.of("PUT")
    assert put.headers["content-md5"] == base64.b64encode(hashlib.md5(TEN).digest()).decode()
    assert put.headers["content-type"] == "application/json"
    assert put.headers["cache-control"] == "public, max-age=300"
    assert put.body == TEN
    stored = moto.client.head_object(**full(s3, KEY))
    assert (stored["CacheControl"], stored["ContentType"]) == ("public, max-age=300", "application/json")
    assert "ContentEncoding" not in stored


def test_no_request_carries_a_checksum_of_botocore(s3: S3Store, wire: Wire) -> None:
    for call in CALLS[3], *CALLS:
        call(s3)
    for sent in wire.sent:
        assert not [name for name in sent.headers if "checksum" in name or "trailer" in name or "crc" in name]
        assert "aws-chunked" not in sent.headers.get("content-encoding", "")
        assert "TRAILER" not in sent.headers.get("x-amz-content-sha256", "")


@pytest.mark.parametrize(
    ("expect", "condition"),
    [
        (Expect.ANYTHING, {}),
        (Expect.ABSENT, {"if-none-match": "*"}),
        (VERSION, {"if-match": ETAG}),
    ],
)
def test_a_put_carries_the_condition_that_is_expected(
    s3: S3Store, moto: Bucket, wire: Wire, expect: Expect | ETag, condition: dict[str, str]
) -> None:
    if isinstance(expect, str):
        moto.client.put_object(**full(s3, KEY), Body=TEN)
        wire.sent.clear()
    s3.put(KEY, b"other", expect=expect)
    (put,) = wire.sent
    assert {name: value for name, value in put.headers.items() if name.startswith("if-")} == condition


def test_a_delete_of_anything_and_a_plain_read_carry_no_condition(s3: S3Store, wire: Wire) -> None:
    s3.put(KEY, TEN, expect=Expect.ANYTHING)
    s3.open(KEY).close()
    s3.delete(KEY, expect=Expect.ANYTHING)
    assert not [name for sent in wire.sent for name in sent.headers if name.startswith("if-")]


@pytest.mark.parametrize(
    ("part", "header"), [((0, 3), "bytes=0-2"), ((3, None), "bytes=3-"), ((-4, None), "bytes=-4"), (None, None)]
)
def test_a_part_is_asked_for_as_http_has_it(
    s3: S3Store, wire: Wire, part: tuple[int, int | None] | None, header: str | None
) -> None:
    s3.put(KEY, TEN, expect=Expect.ANYTHING)
    s3.open(KEY, range=part, etag=VERSION).close()
    (get,) = wire.of("GET")
    assert get.headers.get("range") == header
    assert get.headers["if-match"] == ETAG


def test_checksums_are_asked_for_only_where_the_caller_wants_them(s3: S3Store, wire: Wire) -> None:
    s3.put(KEY, TEN, expect=Expect.ANYTHING)
    s3.stat(KEY)
    s3.stat(KEY, checksum=True)
    plain, asking = wire.of("HEAD")
    assert "x-amz-checksum-mode" not in plain.headers
    assert asking.headers["x-amz-checksum-mode"] == "ENABLED"


# Listings


def test_a_marker_object_is_not_listed(s3: S3Store, moto: Bucket) -> None:
    for key in ("noarch/", "noarch/shards/", "noarch/a-1-0.conda"):
        moto.client.put_object(**full(s3, key), Body=b"")
    assert [it.key for it in s3.list("")] == ["noarch/"]
    assert sorted(it.key for it in s3.list("noarch/")) == ["noarch/a-1-0.conda", "noarch/shards/"]


def test_a_listing_of_several_pages_is_whole(s3: S3Store, wire: Wire) -> None:
    keys = [f"noarch/p{number}-1-0.conda" for number in range(7)] + [f"noarch/f{number}/" for number in range(4)]
    for key in keys:
        s3.put(key + "x" * key.endswith("/"), TEN, expect=Expect.ABSENT)

    wire.change = in_pages_of(2)
    before = s3.usage.requests["LIST"]
    assert sorted(it.key for it in s3.list("noarch/")) == sorted(keys)
    assert s3.usage.requests["LIST"] - before == 6


def test_more_than_a_thousand_objects_are_listed(s3: S3Store, wire: Wire) -> None:
    def page(first: int, last: int, token: str) -> bytes:
        entries = "".join(
            f"<Contents><Key>{s3.bucket.prefix}noarch/p{number}-1-0.conda</Key><Size>1</Size><ETag>{ETAG}</ETag>"
            "<LastModified>2026-11-22T12:00:00.000Z</LastModified></Contents>"
            for number in range(first, last)
        )
        more = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>"
        last_page = "<IsTruncated>false</IsTruncated>"
        return f"<ListBucketResult>{entries}{more if token else last_page}</ListBucketResult>".encode()

    wire.answer = lambda request: response(
        200, page(1000, 1500, "") if "continuation-token=later" in request.target else page(0, 1000, "later")
    )
    assert len({it.key for it in s3.list("noarch/")}) == 1500


ONE_LEVEL = [*(f"p{number}-1-0.conda" for number in range(9)), "p3/", "p31-1-0.conda", "shards/", "repodata.json"]


@settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(page=st.integers(1, 4), cuts=st.sets(st.sampled_from([*ONE_LEVEL, "a-1-0.conda", "q-1-0.conda"])))
def test_the_parts_of_a_listing_are_the_whole(s3: S3Store, wire: Wire, page: int, cuts: set[str]) -> None:
    if s3.stat("noarch/repodata.json") is None:
        for key in ONE_LEVEL:
            s3.put(f"noarch/{key}" + "x" * key.endswith("/"), TEN, expect=Expect.ABSENT)

    wire.change = in_pages_of(page)
    with ThreadPoolExecutor(3) as threads:
        found = {it.key for it in listed(s3, "noarch/", cuts, threads, list) if not it.key.endswith("/")}
    assert found == {it for it in ONE_LEVEL if not it.endswith("/")}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "is not XML"),
        (b"<ListBucketResult/>", "is not a listing"),
        (b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>", "repeats a page"),
        (
            b"<ListBucketResult><Contents><Key>other/a-1-0.conda</Key><Size>1</Size></Contents></ListBucketResult>",
            "outside of the requested prefix",
        ),
    ],
    ids=lambda it: str(it[:30]),
)
def test_an_answer_that_is_not_a_listing_has_a_reason(s3: S3Store, wire: Wire, body: bytes, reason: str) -> None:
    wire.answer = lambda _: response(200, body)
    with pytest.raises(Unavailable, match=reason):
        list(s3.list("noarch/"))


def test_a_listing_that_breaks_in_the_middle_is_no_listing(s3: S3Store, wire: Wire) -> None:
    for number in range(4):
        s3.put(f"noarch/p{number}-1-0.conda", TEN, expect=Expect.ABSENT)

    wire.change = in_pages_of(2)
    wire.answer = lambda request: refusal(403, "AccessDenied") if "continuation-token" in request.target else None
    with pytest.raises(Denied):
        list(s3.list("noarch/"))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<ListBucketResult></ListBucketResult>",
        b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
        b"<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken/></ListBucketResult>",
        b"<L><IsTruncated>true</IsTruncated><NextContinuationToken>a</NextContinuationToken></L>",
        b"<ListBucketResult><IsTruncated>false</IsTruncated>",
    ],
    ids=["nothing", "no end", "no token", "an empty token", "one token for ever", "half the XML"],
)
def test_an_incomplete_listing_is_not_taken_for_an_empty_one(s3: S3Store, wire: Wire, body: bytes) -> None:
    wire.answer = lambda _: response(200, body, Content_Type="application/xml")
    with pytest.raises(Unavailable, match=s3.bucket.prefix):
        list(s3.list("noarch/"))


@pytest.mark.parametrize("missing", ["Content-Length", "ETag", "Last-Modified"])
def test_an_answer_that_lacks_what_s3_says_of_an_object_is_not_believed(s3: S3Store, wire: Wire, missing: str) -> None:
    headers = {"Content-Length": "10", "ETag": ETAG, "Last-Modified": DATE}
    kept = {name: value for name, value in headers.items() if name != missing}
    answer = response(200, TEN, **kept)
    wire.answer = lambda _: answer._replace(headers={name.lower(): value for name, value in kept.items()})
    with pytest.raises(Unavailable, match=missing):
        s3.open(KEY)


def test_a_channel_in_the_root_of_a_bucket_has_plain_keys(moto: Bucket) -> None:
    moto.client.create_bucket(Bucket="root")
    store = in_moto(moto, "root")
    store.bucket.prefix = S3Store("top", "/", Target("s3://top/", S3Options(anonymous=True))).bucket.prefix
    store.put(KEY, TEN, expect=Expect.ABSENT)
    assert [entry["Key"] for entry in moto.client.list_objects_v2(Bucket="root")["Contents"]] == [KEY]
    assert [it.key for it in store.list("")] == ["linux-64/"]
    store.bucket.client.connections.close()


# What is known of an object


def test_metadata_of_uploaders_comes_with_the_body(s3: S3Store, moto: Bucket) -> None:
    moto.client.put_object(**full(s3, KEY), Body=TEN, Metadata={"Package-SHA256": "abc", "package-md5": "def"})
    with s3.open(KEY, range=(2, 4)) as reader:
        assert reader.opened.metadata == {"package-sha256": "abc", "package-md5": "def"}


def test_the_md5_is_the_etag_where_that_has_its_form(s3: S3Store) -> None:
    s3.put(KEY, TEN, expect=Expect.ABSENT)
    found = s3.stat(KEY)
    assert found is not None
    assert found.etag == VERSION
    assert found.md5 == hashlib.md5(TEN).hexdigest()
    assert found.md5 is found.etag, "half a million of them are held twice"
    (listed,) = s3.list("linux-64/")
    assert listed.md5 == found.md5


@pytest.mark.parametrize(
    "headers",
    [
        {"ETag": '"781e5e245d69b566979b86e28d23f2c7-3"'},
        {"ETag": ETAG, "x-amz-server-side-encryption": "aws:kms"},
        {"ETag": ETAG, "x-amz-server-side-encryption-customer-algorithm": "AES256"},
    ],
)
def test_there_is_no_md5_of_parts_and_of_what_is_encrypted(s3: S3Store, wire: Wire, headers: dict[str, str]) -> None:
    wire.answer = lambda _: response(200, b"", Content_Length="10", Last_Modified=DATE, **headers)
    found = s3.stat(KEY)
    assert found is not None
    assert found.md5 is None


def test_a_sha256_that_the_store_has_checked_is_given(s3: S3Store, moto: Bucket) -> None:
    moto.client.put_object(**full(s3, KEY), Body=TEN, ChecksumAlgorithm="SHA256")
    found = s3.stat(KEY, checksum=True)
    assert found is not None
    assert found.sha256 == hashlib.sha256(TEN).hexdigest()


@pytest.mark.parametrize("extra", [{"x-amz-checksum-type": "COMPOSITE"}, {"suffix": "-2"}])
def test_a_sha256_of_checksums_is_none_of_the_object(s3: S3Store, wire: Wire, extra: dict[str, str]) -> None:
    checksum = base64.b64encode(hashlib.sha256(TEN).digest()).decode() + extra.get("suffix", "")
    headers = {"x-amz-checksum-sha256": checksum, **extra}
    wire.answer = lambda _: response(200, b"", Content_Length="10", Last_Modified=DATE, ETag=ETAG, **headers)
    found = s3.stat(KEY, checksum=True)
    assert found is not None
    assert found.sha256 is None


# Lost answers and odd comparisons


def test_a_put_whose_answer_is_lost_is_known_as_our_own(s3: S3Store, wire: Wire, moto: Bucket) -> None:
    before = s3.put(KEY, b"before", expect=Expect.ABSENT)
    wire.sent.clear()

    def lose_the_first_answer(request: Any) -> None:
        if request.method == "PUT" and len(wire.of("PUT")) == 1:
            moto.client.put_object(**full(s3, KEY), Body=TEN)
            raise NoAnswer("as the test wants it")

    wire.answer = lose_the_first_answer
    assert s3.put(KEY, TEN, expect=before) == VERSION
    assert [sent.method for sent in wire.sent] == ["PUT", "PUT", "HEAD"]
    assert content(s3) == TEN


def test_a_new_object_whose_answer_is_lost_is_known_as_our_own(s3: S3Store, wire: Wire, moto: Bucket) -> None:
    def lose_the_first_answer(request: Any) -> None:
        if request.method == "PUT" and len(wire.of("PUT")) == 1:
            moto.client.put_object(**full(s3, KEY), Body=TEN)
            raise NoAnswer("as the test wants it")

    wire.answer = lose_the_first_answer
    assert s3.put(KEY, TEN, expect=Expect.ABSENT) == VERSION


def test_another_object_put_while_an_answer_was_lost_is_a_conflict(s3: S3Store, wire: Wire, moto: Bucket) -> None:
    def lose_the_first_answer(request: Any) -> None:
        if request.method == "PUT" and len(wire.of("PUT")) == 1:
            moto.client.put_object(**full(s3, KEY), Body=b"somebody's")
            raise NoAnswer("as the test wants it")

    wire.answer = lose_the_first_answer
    with pytest.raises(Conflict):
        s3.put(KEY, TEN, expect=Expect.ABSENT)
    assert content(s3) == b"somebody's"


def refuse_quotes(request: Any) -> Any:
    """Compare If-Match as Ceph RGW 16 does: the quotes are part of what is compared."""
    etag = request.headers.get("If-Match")
    if request.method != "PUT" or etag is None:
        return None
    etag = etag.decode() if isinstance(etag, bytes) else etag
    if etag.startswith('"'):
        return refusal(412, "PreconditionFailed")
    request.headers["If-Match"] = f'"{etag}"'  # moto compares as the standard says
    return None


def test_a_store_that_compares_quotes_gets_etags_without_them(s3: S3Store, wire: Wire) -> None:
    first = s3.put(KEY, b"first", expect=Expect.ABSENT)
    wire.answer = refuse_quotes
    wire.sent.clear()
    second = s3.put(KEY, b"second", expect=first)
    # Once a wrong one without quotes, to see that it is read at all.
    assert [sent.method for sent in wire.sent] == ["PUT", "HEAD", "PUT", "PUT"]
    third = s3.put(KEY, b"third", expect=second)
    assert [sent.method for sent in wire.sent] == ["PUT", "HEAD", "PUT", "PUT", "PUT"]
    assert wire.sent[-1].headers["if-match"] == second
    assert content(s3) == b"third"
    assert third == hashlib.md5(b"third").hexdigest()


def test_a_store_that_compares_quotes_conflicts_all_the_same(s3: S3Store, wire: Wire) -> None:
    first = s3.put(KEY, b"first", expect=Expect.ABSENT)
    s3.put(KEY, b"somebody's", expect=Expect.ANYTHING)
    wire.answer = refuse_quotes
    for _ in range(2):
        with pytest.raises(Conflict):
            s3.put(KEY, b"ours", expect=first)
    current = s3.stat(KEY)
    assert current is not None
    s3.put(KEY, b"known now", expect=current.etag)
    with pytest.raises(Conflict):
        s3.put(KEY, b"ours", expect=first)
    assert content(s3) == b"known now"


def test_a_conflict_that_stays_one_without_quotes_is_not_tried_for_ever(s3: S3Store, wire: Wire) -> None:
    first = s3.put(KEY, b"first", expect=Expect.ABSENT)
    wire.answer = lambda request: refusal(412, "PreconditionFailed") if request.method == "PUT" else None
    wire.sent.clear()
    with pytest.raises(Conflict):
        s3.put(KEY, b"ours", expect=first)
    assert len(wire.of("PUT")) == 3


def test_a_store_that_ignores_if_match_on_reads_is_seen_through(s3: S3Store, wire: Wire) -> None:
    s3.put(KEY, TEN, expect=Expect.ANYTHING)
    wire.change = without("If-Match")
    with pytest.raises(Conflict):
        s3.open(KEY, etag=ETag("another"))
    with s3.open(KEY, etag=VERSION) as reader:
        assert reader.read() == TEN


# Errors


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (412, "PreconditionFailed", Conflict),
        (409, "ConditionalRequestConflict", Conflict),
        (409, "OperationAborted", Conflict),
        (404, "NoSuchKey", Missing),
        (404, "NoSuchBucket", BadConfig),
        (403, "AccessDenied", Denied),
        (403, "SignatureDoesNotMatch", BadCredentials),
        (403, "InvalidAccessKeyId", BadCredentials),
        (401, "Unauthorized", BadCredentials),
        (400, "ExpiredToken", BadCredentials),
        (400, "InvalidArgument", BadConfig),
        (500, "InternalError", Unavailable),
        (503, "SlowDown", Unavailable),
        (501, "NotImplemented", Unavailable),
        (429, "TooManyRequests", Unavailable),
    ],
)
def test_each_refusal_says_who_can_act(
    s3: S3Store, wire: Wire, status: int, code: str, expected: type[IndexerError]
) -> None:
    wire.answer = lambda _: refusal(status, code)
    with pytest.raises(IndexerError) as caught:
        s3.open(KEY)
    assert type(caught.value) is expected
    assert "s3://contract/" in caught.value.thing
    assert KEY in caught.value.thing


@pytest.mark.parametrize("call", CALLS)
def test_a_store_that_refuses_us_denies_every_call(s3: S3Store, wire: Wire, call: Callable[[Store], object]) -> None:
    wire.answer = lambda request: response(403) if request.method == "HEAD" else refusal(403, "AccessDenied")
    with pytest.raises(Denied):
        call(s3)


@pytest.mark.parametrize("call", [CALLS[0], CALLS[2], CALLS[3]])
def test_a_bucket_that_is_not_there_is_a_mistake_in_the_set_up(moto: Bucket, call: Callable[[Store], object]) -> None:
    store = in_moto(moto, "no-such-bucket")
    with pytest.raises(BadConfig, match="the bucket does not exist"):
        call(store)
    store.bucket.client.connections.close()


def test_a_version_of_an_object_that_vanished_is_a_conflict(s3: S3Store, wire: Wire) -> None:
    wire.answer = lambda request: response(404) if request.method == "HEAD" else refusal(404, "NoSuchKey")
    with pytest.raises(Conflict):
        s3.put(KEY, TEN, expect=ETag("gone"))


@pytest.mark.parametrize("status", [416, 501])
def test_a_store_that_serves_no_parts_says_so(s3: S3Store, wire: Wire, status: int) -> None:
    wire.answer = lambda _: refusal(status, "InvalidRange" if status == 416 else "NotImplemented")
    with pytest.raises(RangeRefused):
        s3.open(KEY, range=(0, 5))
    with pytest.raises(IndexerError) as caught:
        s3.open(KEY)
    assert not isinstance(caught.value, RangeRefused)


def test_a_store_that_ignores_ranges_begins_at_the_start(s3: S3Store, wire: Wire) -> None:
    s3.put(KEY, TEN, expect=Expect.ANYTHING)
    wire.change = without("Range")
    with s3.open(KEY, range=(4, 6)) as reader:
        assert reader.opened.start == 0
        assert reader.opened.stat.size == len(TEN)
        assert reader.read() == TEN


def test_a_part_that_cannot_be_placed_is_not_believed(s3: S3Store, wire: Wire) -> None:
    wire.answer = lambda _: response(206, TEN, Content_Range="bytes 0-9/*", ETag=ETAG, Last_Modified=DATE)
    with pytest.raises(Unavailable, match="Content-Range"):
        s3.open(KEY, range=(0, 10))


@pytest.mark.parametrize("size", [-1, 100])
def test_a_body_that_breaks_off_is_unavailable(s3: S3Store, wire: Wire, size: int) -> None:
    wire.answer = lambda _: response(200, TEN, Content_Length="5000", ETag=ETAG, Last_Modified=DATE)

    def read() -> Iterator[bytes]:
        with s3.open(KEY) as reader:
            while step := reader.read(size):
                yield step

    with pytest.raises(Unavailable, match="the connection broke"):
        list(read())


# Credentials


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    """No credentials anywhere on this machine."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", f"{tmp_path}/config")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", f"{tmp_path}/credentials")


@pytest.mark.parametrize("call", CALLS)
def test_missing_credentials_name_the_variables_to_set(nobody: None, call: Callable[[Store], object]) -> None:
    options = S3Options(endpoint_url=f"http://127.0.0.1:{closed_port()}", region="us-east-1")
    with pytest.raises(BadConfig, match="set S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY") as caught:
        call(open_store(Target("s3://bucket/channel", options)))
    assert "--no-sign-request" in str(caught.value)


def ask_and_be_refused(target: Target) -> None:
    """Open a store and ask it for something that its server refuses."""
    store = open_store(target)
    assert isinstance(store, S3Store)
    Wire(store).answer = lambda _: refusal(403, "SignatureDoesNotMatch")
    list(store.list(""))


def test_half_a_pair_of_credentials_is_refused_by_name(nobody: None) -> None:
    options = S3Options(endpoint_url="http://127.0.0.1:1", region="us-east-1", access_key_id="key")
    with pytest.raises(IndexerError, match=r"(?i)secret"):
        ask_and_be_refused(Target("s3://bucket/channel", options))


def test_an_unknown_profile_is_a_mistake_in_the_set_up(nobody: None) -> None:
    with pytest.raises(BadConfig, match="nowhere"):
        open_store(Target("s3://bucket", S3Options(profile="nowhere")))


def test_an_anonymous_reader_signs_nothing(moto: Bucket, nobody: None) -> None:
    options = S3Options(moto.endpoint, "us-east-1", "path", anonymous=True)
    store = open_store(Target("s3://contract/anonymous", options))
    assert isinstance(store, S3Store)
    wire = Wire(store)
    assert list(store.list("")) == []
    assert "authorization" not in wire.sent[0].headers


def test_no_secret_shows_in_a_target_or_an_error() -> None:
    options = S3Options("http://127.0.0.1:1", "us-east-1", "path", "key", SECRET, f"token-{SECRET}")
    target = Target("s3://bucket/channel", options)
    assert SECRET not in repr(target)
    assert SECRET not in str(target)
    store = open_store(target)
    assert isinstance(store, S3Store)
    Wire(store).answer = lambda _: refusal(403, "SignatureDoesNotMatch")
    with pytest.raises(Denied) as caught:
        list(store.list(""))
    assert SECRET not in f"{caught.value} {caught.value!r} {store!r}"


def test_a_target_travels_to_other_processes_with_its_secrets() -> None:
    target = Target("s3://bucket/channel", S3Options(access_key_id="key", secret_access_key=SECRET))
    assert pickle.loads(pickle.dumps(target)) == target


@pytest.mark.parametrize("location", ["s3://", "s3:///channel", "https://bucket/channel", "s3://b/c?versionId=1"])
def test_an_address_that_is_none_of_a_bucket_is_refused(location: str) -> None:
    with pytest.raises(BadConfig, match="s3://BUCKET"):
        open_store(Target(location))


@pytest.mark.parametrize(
    ("headers", "etag"),
    [({"ETag": '""'}, None), ({"Content_Range": "bytes nonsense"}, None), ({"ETag": '"another"'}, VERSION)],
    ids=["no ETag", "no range", "another ETag"],
)
def test_a_body_is_closed_if_its_headers_are_bad(
    s3: S3Store, wire: Wire, headers: dict[str, str], etag: ETag | None
) -> None:
    told = {"ETag": ETAG, "Last_Modified": "Thu, 01 Jan 2026 00:00:00 GMT", **headers}
    answer = response(200, TEN, **told)
    wire.answer = lambda request: answer if request.method == "GET" else None
    with pytest.raises(IndexerError):
        s3.open(KEY, etag=etag)
    assert answer.body.closed
