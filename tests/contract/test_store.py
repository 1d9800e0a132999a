"""The promises of a store, which every kind of store keeps."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from indexer.core.errors import Conflict, Missing, RangeRefused
from indexer.core.stream import stream_of
from indexer.lister.listing import listed
from indexer.store import Expect
from indexer.store.read import read_small

if TYPE_CHECKING:
    from collections.abc import Callable

    from indexer.core.model import ETag
    from indexer.store import Range, Store

KEY = "linux-64/repodata.json"
TEN = b"0123456789"
HEADERS = {"Cache-Control": "public, max-age=300", "Content-Type": "application/json"}
RACERS = 8
ODD_KEYS = [
    "linux-64/marsh-1!2.0+local.3-h5_5.conda",
    "noarch/with space-1-0.conda",
    "noarch/Röhricht-葦-1-0.conda",
    "noarch/100%-1-0.conda",
    "noarch/a%2Bb%20c-1-0.conda",
    "noarch/q=a&b;c#d'e(f)@g,h~i-1-0.conda",
    "noarch/.indexer.json.zst",
]


# Longer than what is sent at once, in pieces of all sizes.
PARTS = [b"%d " % number * (number * 7919 % 9973) for number in range(600)]


def lay(store: Store, key: str = KEY, body: bytes = TEN) -> ETag:
    return store.put(key, body, expect=Expect.ANYTHING)


def content(store: Store, key: str = KEY) -> bytes:
    with store.open(key) as reader:
        return reader.read()


def race(store: Store, expect: Expect | ETag) -> list[bytes]:
    """Let some threads put at once, each its own bytes, and return those of the winners."""
    start = threading.Barrier(RACERS)

    def put(number: int) -> bytes | None:
        body = b"%d" % number * 1000
        start.wait()
        try:
            store.put(KEY, body, expect=expect)
        except Conflict:
            return None
        return body

    with ThreadPoolExecutor(RACERS) as threads:
        return [body for body in threads.map(put, range(RACERS)) if body is not None]


# Writing


@pytest.mark.parametrize("expect", [Expect.ABSENT, Expect.ANYTHING])
def test_what_is_put_is_there(store: Store, expect: Expect) -> None:
    etag = store.put(KEY, TEN, expect=expect, headers=HEADERS)
    found = store.stat(KEY)
    assert found is not None
    assert (found.key, found.size, found.etag) == (KEY, len(TEN), etag)
    assert content(store) == TEN


def test_an_empty_object_is_an_object(store: Store) -> None:
    lay(store, body=b"")
    found = store.stat(KEY)
    assert found is not None
    assert found.size == 0
    assert content(store) == b""


def test_anything_may_be_overwritten_where_nothing_is_expected(store: Store) -> None:
    first = lay(store)
    second = lay(store, body=b"other")
    assert first != second
    assert content(store) == b"other"


def test_the_expected_version_is_replaced(store: Store) -> None:
    first = lay(store)
    second = store.put(KEY, b"other", expect=first)
    assert second != first
    assert content(store) == b"other"
    store.put(KEY, b"third", expect=second)
    assert content(store) == b"third"


def test_what_is_there_is_not_absent_and_stays(store: Store) -> None:
    etag = lay(store)
    with pytest.raises(Conflict):
        store.put(KEY, b"other", expect=Expect.ABSENT)
    found = store.stat(KEY)
    assert found is not None
    assert found.etag == etag
    assert content(store) == TEN


def test_another_version_than_the_expected_one_stays(store: Store) -> None:
    first = lay(store)
    second = lay(store, body=b"somebody's")
    with pytest.raises(Conflict):
        store.put(KEY, b"ours", expect=first)
    found = store.stat(KEY)
    assert found is not None
    assert found.etag == second
    assert content(store) == b"somebody's"


def test_a_version_of_what_is_absent_conflicts_and_makes_nothing(store: Store) -> None:
    etag = lay(store)
    store.delete(KEY, expect=Expect.ANYTHING)
    with pytest.raises(Conflict):
        store.put(KEY, b"ours", expect=etag)
    assert store.stat(KEY) is None
    assert list(store.list("linux-64/")) == []


def test_a_reader_sees_the_old_bytes_or_the_new_ones_whole(store: Store) -> None:
    old, new = b"o" * 200_000, b"n" * 300_000
    lay(store, body=old)
    stop = threading.Event()

    def rewrite() -> None:
        while not stop.is_set():
            lay(store, body=new)
            lay(store, body=old)

    with ThreadPoolExecutor(1) as thread:
        writing = thread.submit(rewrite)
        seen = {content(store) for _ in range(20)}
        stop.set()
        writing.result()
    assert seen <= {old, new}


@pytest.mark.parametrize("key", ODD_KEYS)
def test_a_key_may_hold_odd_characters(store: Store, key: str) -> None:
    etag = store.put(key, TEN, expect=Expect.ABSENT)
    found = store.stat(key)
    assert found is not None
    assert (found.key, found.etag) == (key, etag)
    assert content(store, key) == TEN
    assert [(it.key, it.etag) for it in store.list(key.partition("/")[0] + "/")] == [(key, etag)]
    store.put(key, b"other", expect=etag)
    store.delete(key, expect=Expect.ANYTHING)
    assert store.stat(key) is None


# Reading


@pytest.mark.parametrize(
    ("part", "start", "expected"),
    [
        ((0, 3), 0, b"012"),
        ((0, 1), 0, b"0"),
        ((3, 7), 3, b"3456"),
        ((3, None), 3, b"3456789"),
        ((0, None), 0, TEN),
        ((-4, None), 6, b"6789"),
        ((7, 10), 7, b"789"),
        ((7, 99), 7, b"789"),
        ((-99, None), 0, TEN),
    ],
)
def test_a_range_is_read_as_a_slice(store: Store, part: Range, start: int, expected: bytes) -> None:
    lay(store)
    with store.open(KEY, range=part) as reader:
        assert reader.opened.start == start
        assert reader.opened.stat.size == len(TEN)
        assert reader.read() == expected


def test_a_range_that_begins_beyond_the_end_has_no_bytes(store: Store) -> None:
    lay(store)
    try:
        with store.open(KEY, range=(99, None)) as reader:
            assert reader.read() == b""
    except RangeRefused:  # what S3 says of it
        pass


def test_a_body_is_read_in_steps_until_it_ends(store: Store) -> None:
    lay(store)
    with store.open(KEY) as reader:
        assert [reader.read(4), reader.read(4), reader.read(4), reader.read(4)] == [b"0123", b"4567", b"89", b""]
    with store.open(KEY, range=(2, 6)) as reader:
        assert [reader.read(3), reader.read(3), reader.read()] == [b"234", b"5", b""]


def test_the_expected_version_is_read_and_no_other(store: Store) -> None:
    first = lay(store)
    with store.open(KEY, etag=first) as reader:
        assert reader.opened.stat.etag == first
        assert reader.read() == TEN
    second = lay(store, body=b"replaced!!")
    for part in (None, (2, 5), (-3, None)):
        with pytest.raises(Conflict):
            store.open(KEY, range=part, etag=first)
        with store.open(KEY, range=part, etag=second) as reader:
            assert reader.opened.stat.etag == second


def test_what_is_absent_is_missing_to_a_reader(store: Store) -> None:
    etag = lay(store)
    store.delete(KEY, expect=Expect.ANYTHING)
    for wanted in (None, etag):
        with pytest.raises(Missing):
            store.open(KEY, etag=wanted)
    with pytest.raises(Missing):
        store.open("no-such/folder/at-all", range=(0, 5))


def test_a_body_may_be_closed_early_and_counts_what_was_read(store: Store) -> None:
    lay(store, body=b"x" * 3_000_000)
    before = store.usage.bytes_read
    with store.open(KEY) as reader:
        assert reader.read(10) == b"x" * 10
    assert store.usage.bytes_read - before == 10
    assert content(store) == b"x" * 3_000_000


# Looking


def test_what_is_absent_has_no_stat(store: Store) -> None:
    assert store.stat(KEY) is None
    lay(store)
    assert store.stat(KEY + ".zst") is None
    assert store.stat(KEY + "/deeper") is None
    assert store.stat("linux-64") is None


def test_a_stat_says_the_same_as_a_listing_and_a_reader(store: Store) -> None:
    lay(store)
    found = store.stat(KEY)
    with store.open(KEY) as reader:
        assert found is not None
        assert reader.opened.stat.etag == found.etag
        assert reader.opened.stat.size == found.size
    (listed,) = store.list("linux-64/")
    assert (listed.key, listed.size, listed.etag) == (found.key, found.size, found.etag)
    assert listed.md5 == found.md5


def test_an_object_that_is_larger_than_the_limit_is_not_read(store: Store) -> None:
    large = b"x" * 2**20
    etags = {key: lay(store, key, body) for key, body in {KEY: TEN, "noarch/large": large}.items()}
    before = store.usage.bytes_read
    data, stat = read_small(store, KEY, len(TEN))
    assert (data, stat.etag) == (TEN, etags[KEY])
    data, stat = read_small(store, "noarch/large", len(large) - 1)
    assert (data, stat.etag, stat.size) == (None, etags["noarch/large"], len(large))
    assert store.usage.bytes_read - before == len(TEN)
    assert content(store) == TEN


@pytest.mark.parametrize(
    "cuts", [[], ["m-1-0.conda"], ["a-1-0.conda", "c-1-0.conda", "shards-1-0.conda", "z-1-0.conda"]]
)
def test_a_listing_is_the_same_in_parts(store: Store, cuts: list[str]) -> None:
    keys = [f"{letter}-1-0.conda" for letter in "abcdnz"]
    for key in [*keys, "shards/a", "shards/b", "c/d"]:
        lay(store, f"noarch/{key}")
    whole = {stat.key: stat for stat in store.list("noarch/") if not stat.key.endswith("/")}
    assert len(whole) == len(keys)
    with ThreadPoolExecutor(3) as threads:
        found = {stat.key: stat for stat in listed(store, "noarch/", cuts, threads, list)}
    assert cuts or {"c/", "shards/"} <= found.keys()
    found = {key: stat for key, stat in found.items() if not key.endswith("/")}
    assert found.keys() == {*keys}
    assert {f"noarch/{key}": stat.within("noarch") for key, stat in found.items()} == whole


def test_a_listing_has_one_level_with_folders_that_end_in_a_slash(store: Store) -> None:
    for key in (
        "top.json",
        "linux-64/a-1-0.conda",
        "linux-64/shards/x",
        "linux-64/shards/y",
        "linux-641/b",
        "noarch/c",
    ):
        lay(store, key)
    assert sorted(it.key for it in store.list("")) == ["linux-64/", "linux-641/", "noarch/", "top.json"]
    assert sorted(it.key for it in store.list("linux-64/")) == ["linux-64/a-1-0.conda", "linux-64/shards/"]
    assert sorted(it.key for it in store.list("linux-64/shards/")) == ["linux-64/shards/x", "linux-64/shards/y"]


def test_nothing_lies_under_a_prefix_that_is_not_there(store: Store) -> None:
    assert list(store.list("")) == []
    assert list(store.list("osx-64/")) == []


# Deleting


@pytest.mark.parametrize("named", [True, False])
def test_what_is_deleted_is_gone(store: Store, named: bool) -> None:  # noqa: FBT001  a parameter of the test
    etag = lay(store)
    lay(store, "linux-64/other")
    store.delete(KEY, expect=etag if named else Expect.ANYTHING)
    assert store.stat(KEY) is None
    assert [it.key for it in store.list("linux-64/")] == ["linux-64/other"]


def test_another_version_than_the_expected_one_is_not_deleted(store: Store) -> None:
    first = lay(store)
    lay(store, body=b"somebody's")
    for expect in (first, Expect.ABSENT):
        with pytest.raises(Conflict):
            store.delete(KEY, expect=expect)
    assert content(store) == b"somebody's"


@pytest.mark.parametrize("key", [KEY, "no-such/folder/at-all"])
@pytest.mark.parametrize("expect", [Expect.ANYTHING, Expect.ABSENT])
def test_the_absent_may_be_deleted(store: Store, key: str, expect: Expect) -> None:
    lay(store, "linux-64/other")
    store.delete(key, expect=expect)
    assert store.stat(key) is None


def test_what_somebody_else_has_deleted_may_be_deleted(store: Store) -> None:
    etag = lay(store)
    lay(store, "linux-64/other")
    store.delete(KEY, expect=Expect.ANYTHING)
    store.delete(KEY, expect=etag)
    assert store.stat(KEY) is None


# Racing


def test_of_many_that_expect_nothing_there_one_wins(store: Store) -> None:
    (winner,) = race(store, Expect.ABSENT)
    assert content(store) == winner


def test_of_many_that_expect_one_version_one_wins(store: Store) -> None:
    etag = lay(store)
    (winner,) = race(store, etag)
    assert content(store) == winner


# Counting


@pytest.mark.parametrize(
    ("verb", "ask"),
    [
        ("LIST", lambda store: list(store.list("linux-64/"))),
        ("HEAD", lambda store: store.stat(KEY)),
        ("GET", content),
        ("PUT", lay),
        ("DELETE", lambda store: store.delete(KEY, expect=Expect.ANYTHING)),
    ],
)
def test_each_request_is_counted_once(store: Store, verb: str, ask: Callable[[Store], object]) -> None:
    lay(store)
    before = store.usage.requests.copy()
    ask(store)
    assert store.usage.requests - before == {verb: 1}


def test_bytes_of_bodies_are_counted(store: Store) -> None:
    lay(store)
    assert store.usage.bytes_written == len(TEN)
    with store.open(KEY, range=(2, 5)) as reader:
        reader.read()
    assert store.usage.bytes_read == 3


def test_a_reader_may_be_closed_twice(store: Store) -> None:
    lay(store)
    reader = store.open(KEY)
    reader.close()
    reader.close()
    with contextlib.closing(store.open(KEY)) as again:
        assert again.read() == TEN


# Content in pieces


@pytest.mark.parametrize("parts", [[], [b""], [b"", b"0", b""], PARTS], ids=["none", "empty", "small", "large"])
def test_content_in_pieces_is_put_as_if_it_were_whole(store: Store, parts: list[bytes]) -> None:
    body = b"".join(parts)
    etag = store.put(KEY, stream_of(lambda: iter(parts)), expect=Expect.ABSENT, headers=HEADERS)
    assert content(store) == body
    with store.open(KEY, etag=etag) as reader:
        assert reader.opened.stat.size == len(body)
    assert store.usage.bytes_written == len(body)


def test_content_in_pieces_is_put_under_a_condition(store: Store) -> None:
    etag = lay(store)
    pieces = stream_of(lambda: iter(PARTS))
    with pytest.raises(Conflict):
        store.put(KEY, pieces, expect=Expect.ABSENT)
    assert content(store) == TEN
    store.put(KEY, pieces, expect=etag)
    assert content(store) == b"".join(PARTS)
