"""The state and the catalog of a run can be read by the next run, and a decompression bomb is not decompressed."""

from __future__ import annotations

import hashlib
import struct
import tracemalloc
from typing import TYPE_CHECKING

import msgspec
import pytest
import zstandard

from indexer.core import state
from indexer.core.known_packages import known_packages_in
from indexer.core.metadata import Metadata
from indexer.core.model import ETag
from indexer.core.pages import catalog
from indexer.core.pages.catalog import Catalog, Entry
from indexer.core.state import State
from indexer.core.zstd import SHORT_ENTRY, compress, decompress_saved

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 2**20


def bomb(size: int) -> bytes:
    """So many bytes of blanks, compressed: JSON that never begins."""
    compressor = zstandard.ZstdCompressor(level=1).compressobj()
    parts = [compressor.compress(b" " * MIB) for _ in range(size // MIB)]
    return b"".join([*parts, compressor.flush()])


def first_frame(packed: bytes) -> object:
    """The state of a state file with such a first frame."""
    return state.decode_state(struct.pack("<III", 0x184D2A50, 4, len(packed)) + packed)


def block(packed: bytes) -> object:
    """The known packages in such a block."""
    try:
        return known_packages_in([packed], None)
    except ValueError:
        return None


@pytest.mark.parametrize("decode", [first_frame, block, catalog.decode_catalog])
def test_a_gigabyte_in_a_few_kilobytes_is_not_decompressed(decode: Callable[[bytes], object]) -> None:
    packed = bomb(1024 * MIB)
    assert len(packed) < MIB
    tracemalloc.start()
    assert decode(packed) is None
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 220 * MIB


def test_a_saved_file_may_hold_64_mib_at_any_size() -> None:
    assert len(decompress_saved(bomb(64 * MIB))) == 64 * MIB
    with pytest.raises(ValueError, match="holds more than"):
        decompress_saved(bomb(80 * MIB))


def sha256(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def test_a_large_state_that_we_write_is_readable() -> None:
    # More than the 64 MiB that are always allowed. Long names that are alike compress well, and are in one block.
    name = "package-of-a-long-name-" * 6
    seen = {f"{name}{n}-1.0-0.conda": ETag(f"{17 * 10**17 + n * 977}-{n * 13}-{n}") for n in range(400_000)}
    written = state.with_blocks(State(package_etags=seen, packages=len(seen)), (), None)
    result = state.decode_state(state.encode_state(written))
    assert result is not None
    assert state.with_known_packages(result, None).package_etags == seen


def test_an_entry_that_may_have_been_shortened_is_not_complete() -> None:
    known, record = Metadata(sha256=sha256(0)), {"name": "reed", "depends": msgspec.Raw(b"[]")}
    entries = {
        "unknown": Entry("reed", depends=msgspec.Raw(b"[]")),
        "short": Entry("reed", metadata=known),
        "whole": msgspec.json.decode(msgspec.json.encode({**record, "about": known}), type=Entry),
        "without dependencies": Entry("reed", metadata=msgspec.structs.replace(known, summary="A reed.")),
    }
    assert list(catalog.incomplete_entries(Catalog(entries))) == ["unknown", "short"]


def test_a_large_catalog_of_similar_packages_is_readable() -> None:
    about = Metadata(summary="s" * 9_000, description="d" * 16_000, keywords=("k" * 1000,) * 20)
    entries = {
        f"reed-1.0-{n}.conda": Entry(
            "reed", sha256=sha256(n), metadata=msgspec.structs.replace(about, sha256=sha256(n))
        )
        for n in range(2_000)
    }
    short = Entry("rush", sha256=sha256(0), metadata=Metadata(sha256=sha256(0), summary="A rush."))
    packed = compress(catalog.encode_catalog(Catalog({**entries, "rush-1.0-0.conda": short})))
    result = catalog.decode_catalog(packed)
    assert result is not None
    assert result.packages["rush-1.0-0.conda"] == short
    assert result.packages["reed-1.0-7.conda"] == Entry("reed", sha256=sha256(7), metadata=Metadata(sha256=sha256(7)))
    assert all(len(msgspec.json.encode(entry)) <= SHORT_ENTRY for entry in result.packages.values())
