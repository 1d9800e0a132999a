"""The memory between runs is read as it was written, or not at all."""

from __future__ import annotations

import tracemalloc

import pytest

from indexer.core.model import ETag, Outputs, Rules, Stat
from indexer.core.state import (
    Bad,
    PublishedFile,
    State,
    config_fingerprint,
    decode_state,
    encode_state,
    listing_digest_of,
)
from indexer.core.zstd import compress

MIB = 2**20
STATE = State(
    "stamp",
    "listing",
    1,
    False,  # noqa: FBT003  as it is written
    {"repodata.json": PublishedFile(ETag('"abc"'), "digest")},
    {"a-1-0.conda": ETag("1-2-3")},
    {"b-1-0.conda": Bad(ETag("v"), "is broken: “é”")},
)


@pytest.mark.parametrize("state", [STATE, State()])
def test_a_state_is_read_as_it_was_written(state: State) -> None:
    assert decode_state(encode_state(state)) == state
    assert encode_state(state) == encode_state(state)


def test_the_order_of_its_entries_does_not_show() -> None:
    one, two = ETag("1"), ETag("2")
    assert encode_state(State(package_etags={"a": one, "b": two})) == encode_state(
        State(package_etags={"b": two, "a": one})
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<!doctype html>",
        b"{}",
        compress(b"")[:3],
        encode_state(STATE)[:-5],
        compress(b"[]"),
        compress(b'{"format": 2, "package_etags": []}'),
        compress(b'{"format": 2, "files": {"repodata.json": "v"}}'),
        compress(b"\xff"),
    ],
)
def test_a_state_that_cannot_be_read_is_as_good_as_none(data: bytes) -> None:
    assert decode_state(data) is None


def test_keys_of_a_later_release_are_passed_over() -> None:
    assert decode_state(compress(b'{"format": 2, "config_fingerprint": "s", "weather": "fine"}')) == State("s")


@pytest.mark.parametrize("number", ["", '"format": 1, ', '"format": 3, ', '"format": "2", '])
def test_a_state_of_another_format_is_as_good_as_none(number: str) -> None:
    assert decode_state(compress(b'{%s"config_fingerprint": "s"}' % number.encode())) is None


def test_the_fingerprint_differs_for_options_that_shape_the_output() -> None:
    shapes = [
        (Outputs(), Rules()),
        (Outputs(zst=False), Rules()),
        (Outputs(zst_level=3), Rules()),
        (Outputs(base_url="https://channel.example"), Rules()),
        (Outputs(cache_control="no-cache"), Rules()),
        (Outputs(), Rules(strict=True)),
        (Outputs(), Rules(lenient=True)),
    ]
    assert len({config_fingerprint(*shape, "1.0") for shape in shapes}) == len(shapes)
    assert config_fingerprint(Outputs(), Rules(), "1.0") == config_fingerprint(Outputs(), Rules(), "1.0")


def test_the_digest_of_a_listing_tells_names_sizes_and_versions_apart() -> None:
    a = Stat("noarch/a", 1, ETag("v"), 5)
    listings = [
        {},
        {"a": a},
        {"b": a},
        {"a": Stat("noarch/a", 2, ETag("v"), 5)},
        {"a": Stat("noarch/a", 1, ETag("w"), 5)},
        {"a": a, "b": a},
    ]
    assert len({listing_digest_of(listing) for listing in listings}) == len(listings)
    assert listing_digest_of({"a": a, "b": a}) == listing_digest_of({"b": a, "a": a})


def test_a_small_ledger_takes_little_memory_to_read() -> None:
    data = encode_state(STATE)
    tracemalloc.start()
    decode_state(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 * MIB
