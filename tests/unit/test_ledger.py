"""The memory between runs is read as it was written, or not at all."""

from __future__ import annotations

import tracemalloc

import pytest

from indexer.core import state as ledgers
from indexer.core.formats.shards import compress
from indexer.core.model import ETag, Outputs, Rules, Stat
from indexer.core.state import Bad, PublishedFile, State

MIB = 2**20
LEDGER = State(
    "stamp",
    "listing",
    1,
    False,  # noqa: FBT003  as it is written
    {"repodata.json": PublishedFile(ETag('"abc"'), "digest")},
    {"a-1-0.conda": ETag("1-2-3")},
    {"b-1-0.conda": Bad(ETag("v"), "is broken: “é”")},
)


@pytest.mark.parametrize("ledger", [LEDGER, State()])
def test_a_ledger_is_read_as_it_was_written(ledger: State) -> None:
    assert ledgers.decode(ledgers.encode(ledger)) == ledger
    assert ledgers.encode(ledger) == ledgers.encode(ledger)


def test_the_order_of_its_entries_does_not_show() -> None:
    one, two = ETag("1"), ETag("2")
    assert ledgers.encode(State(seen={"a": one, "b": two})) == ledgers.encode(State(seen={"b": two, "a": one}))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<!doctype html>",
        b"{}",
        compress(b"")[:3],
        ledgers.encode(LEDGER)[:-5],
        compress(b"[]"),
        compress(b'{"seen": []}'),
        compress(b'{"wrote": {"repodata.json": "v"}}'),
        compress(b"\xff"),
    ],
)
def test_a_ledger_that_cannot_be_read_is_as_good_as_none(data: bytes) -> None:
    assert ledgers.decode(data) is None


def test_keys_of_a_later_release_are_passed_over() -> None:
    assert ledgers.decode(compress(b'{"stamp": "s", "weather": "fine"}')) == State("s")


def test_the_stamp_tells_options_apart_that_shape_the_output() -> None:
    shapes = [
        (Outputs(), Rules()),
        (Outputs(zst=False), Rules()),
        (Outputs(zst_level=3), Rules()),
        (Outputs(base_url="https://channel.example"), Rules()),
        (Outputs(cache_control="no-cache"), Rules()),
        (Outputs(), Rules(strict=True)),
        (Outputs(), Rules(lenient=True)),
    ]
    assert len({ledgers.config_fingerprint(*shape, "1.0") for shape in shapes}) == len(shapes)
    assert ledgers.config_fingerprint(Outputs(), Rules(), "1.0") == ledgers.config_fingerprint(
        Outputs(), Rules(), "1.0"
    )


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
    assert len({ledgers.digest_of(listing) for listing in listings}) == len(listings)
    assert ledgers.digest_of({"a": a, "b": a}) == ledgers.digest_of({"b": a, "a": a})


def test_a_small_ledger_takes_little_memory_to_read() -> None:
    data = ledgers.encode(LEDGER)
    tracemalloc.start()
    ledgers.decode(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 * MIB
