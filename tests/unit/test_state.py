"""The state of a run is read as it was written, or not at all."""

from __future__ import annotations

import hashlib
import tracemalloc

import msgspec
import pytest

from indexer.core.known_packages import Attested
from indexer.core.listing_digest import digest_of
from indexer.core.model import ETag, Outputs, Rules, Stat
from indexer.core.state import (
    Bad,
    PublishedFile,
    State,
    config_fingerprint,
    decode_state,
    encode_state,
    state_file,
    with_blocks,
    with_known_packages,
)
from indexer.core.zstd import compress

MIB = 2**20
A, B = "a-1-0.conda", "b-1-0.conda"
KNOWN = State(
    "stamp",
    "listing",
    5_000,
    False,  # noqa: FBT003  as it is written
    {"repodata.json": PublishedFile(ETag('"abc"'), "digest")},
    {A: ETag("1-2-3"), B: ETag("4")},
    {"c-1-0.conda": Bad(ETag("v"), "is broken: “é”")},
    attestations={B: Attested("digest", "sha256")},
)
STATE = with_blocks(KNOWN, (), None)
WRITTEN = encode_state(STATE)


@pytest.mark.parametrize("state", [STATE, State()])
def test_a_state_is_read_as_it_was_written_but_for_what_is_in_blocks(state: State) -> None:
    read = decode_state(encode_state(state))
    assert read == msgspec.structs.replace(state, package_etags={}, attestations={})
    assert with_known_packages(read, None) == state
    assert encode_state(state) == encode_state(read)


def test_the_known_packages_of_some_names_are_read() -> None:
    read = decode_state(WRITTEN)
    assert read is not None
    of_a, of_b = (with_known_packages(read, frozenset(name)) for name in "ab")
    assert (of_a.package_etags, of_a.attestations) == ({A: "1-2-3"}, {})
    assert (of_b.package_etags, of_b.attestations) == ({B: "4"}, KNOWN.attestations)


def test_the_order_of_its_entries_does_not_show() -> None:
    other = msgspec.structs.replace(KNOWN, package_etags=dict(reversed(KNOWN.package_etags.items())))
    assert encode_state(with_blocks(other, (), None)) == WRITTEN


def test_a_state_with_a_changed_bit_is_as_good_as_none_or_reads_the_same() -> None:
    read = decode_state(WRITTEN)
    for position in range(len(WRITTEN)):
        for bit in range(8):
            changed = bytearray(WRITTEN)
            changed[position] ^= 1 << bit
            assert decode_state(bytes(changed)) in (None, read), (position, bit)


def test_a_block_that_cannot_be_read_leaves_no_known_package_and_an_incomplete_state() -> None:
    forged = msgspec.structs.replace(STATE, blocks=tuple(compress(b"[]") for _ in STATE.blocks), etags_complete=True)
    read = decode_state(encode_state(forged))
    assert read is not None
    for state in (with_known_packages(read, None), with_blocks(STATE, read.blocks, frozenset("a"))):
        assert not state.etags_complete
    assert with_known_packages(read, None).blocks == ()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<!doctype html>",
        b"{}",
        compress(b"")[:3],
        WRITTEN[:-5],
        WRITTEN[:100] + bytes([WRITTEN[100] ^ 1]) + WRITTEN[101:],
        WRITTEN[:-5] + bytes([WRITTEN[-5] ^ 1]) + WRITTEN[-4:],
        compress(b'{"format": 3}'),
        state_file(b"[]"),
        state_file(b'{"format": 3, "block_sizes": [-1]}'),
        state_file(b'{"format": 3, "block_sizes": [9]}'),
        state_file(b'{"format": 3, "files": {"repodata.json": "v"}}'),
        state_file(b"\xff"),
    ],
)
def test_a_state_that_cannot_be_read_is_as_good_as_none(data: bytes) -> None:
    assert decode_state(data) is None


def first_frame(start: bytes) -> bytes:
    """A first frame after which there are no blocks."""
    return start + b', "blocks_digest": "%s"}' % hashlib.sha256().hexdigest().encode()


def test_keys_of_a_later_release_are_passed_over() -> None:
    first = first_frame(b'{"format": 3, "config_fingerprint": "s", "weather": "fine"')
    assert decode_state(state_file(first)) == State("s")


@pytest.mark.parametrize("number", ["", '"format": 1, ', '"format": 2, ', '"format": 4, ', '"format": "3", '])
def test_a_state_of_another_format_is_as_good_as_none(number: str) -> None:
    assert decode_state(state_file(first_frame(b'{%s"config_fingerprint": "s"' % number.encode()))) is None


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


def test_the_digest_of_files_tells_names_sizes_and_versions_apart() -> None:
    a = Stat("noarch/a", 1, ETag("v"), 5)
    listings = [
        {},
        {"a": a},
        {"b": a},
        {"a": Stat("noarch/a", 2, ETag("v"), 5)},
        {"a": Stat("noarch/a", 1, ETag("w"), 5)},
        {"a": a, "b": a},
    ]
    assert len({digest_of(listing) for listing in listings}) == len(listings)
    assert digest_of({"a": a, "b": a}) == digest_of({"b": a, "a": a})


def test_a_small_ledger_takes_little_memory_to_read() -> None:
    tracemalloc.start()
    decode_state(WRITTEN)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 * MIB
