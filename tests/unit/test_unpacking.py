"""A package that cannot be unpacked to its end is rejected, however it is read; a good one never is."""

from __future__ import annotations

import bz2
import functools
import io
import random
import re
import zipfile
from typing import TYPE_CHECKING

import pytest
import zstandard
from msgspec.structs import replace

from indexer.core.model import Extracted, Rejected, Rules
from indexer.extractor import integrity as unpacking
from indexer.extractor.extract import ExtractSpec, Reading, ReadStrategy, read
from indexer.extractor.integrity import BZIP2_TAIL, ends_as_bzip2
from tests.support.archives import END, MIB, Entry, bz2_of, conda, header, index_json, member, zipped, zst
from tests.support.memory import Behavior, MemoryStore
from tests.unit.test_extractor import claims

if TYPE_CHECKING:
    from collections.abc import Callable

STEM = "a-1-0"
CONDA = f"noarch/{STEM}.conda"
TAR_BZ2 = f"noarch/{STEM}.tar.bz2"
SPEC = ExtractSpec("noarch", Rules(), 1_800_000_000_000)
VERIFY = replace(SPEC, verify_digests=True, unpack=True)
INFO = member("info/index.json", index_json(CONDA))
NOISE = random.Random(3).randbytes(900_000)
SIZES = {"small": 100_000, "middle": MIB, "large": 9 * MIB}
# bzip2 is slow: of the large ones there is one test.
BZIP2_SIZES = {"small": 100_000, "middle": 300_000}


def noise(size: int) -> bytes:
    return (NOISE * (size // len(NOISE) + 1))[:size]


def conda_of(size: int) -> bytes:
    full, rest = divmod(size, len(NOISE))
    return conda(STEM, zst(INFO + END), zst(NOISE) * full + zst(NOISE[:rest]))


@functools.cache
def tar_bz2_of(size: int) -> bytes:
    """The info files first, then a file of so many bytes, in one stream of blocks of 100,000 bytes."""
    return bz2.compress(INFO + member("info/files", b"bin/x") + member("bin/x", noise(size)) + END, 1)


def reading_of(
    body: bytes, *, vouched: bool = False, spec: ExtractSpec = SPEC, behavior: Behavior | None = None
) -> Reading:
    store = MemoryStore(behavior=behavior)
    key = TAR_BZ2 if body.startswith(b"BZh") else CONDA
    return read(store, store.upload(key, body, claims(body) if vouched else None), spec)


def reason_of(body: bytes, **how: object) -> str:
    result = reading_of(body, **how).result  # type: ignore[arg-type]
    assert isinstance(result, Rejected), result
    assert result.damaged
    assert result.sha256 is not None
    return result.reason


def is_good(body: bytes, **how: object) -> bool:
    return isinstance(reading_of(body, **how).result, Extracted)  # type: ignore[arg-type]


def flipped(body: bytes, at: int) -> bytes:
    return body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]


def flipped_in_payload(body: bytes) -> bytes:
    return flipped(body, body.index(NOISE[5000:5100]))


# A .tar.bz2.


@pytest.mark.parametrize("size", BZIP2_SIZES.values(), ids=BZIP2_SIZES)
@pytest.mark.parametrize("vouched", [True, False])
@pytest.mark.parametrize("spec", [SPEC, VERIFY], ids=["plain", "verify"])
def test_half_of_a_tar_bz2_is_rejected(size: int, spec: ExtractSpec, *, vouched: bool) -> None:
    body = tar_bz2_of(2 * size)
    assert is_good(body, vouched=vouched, spec=spec)
    for length in (len(body) // 2, len(body) - 1, len(body) - 8):
        assert "its bzip2 stream has no end" in reason_of(body[:length], vouched=vouched, spec=spec)


@pytest.mark.parametrize("size", [*BZIP2_SIZES.values(), 9 * MIB], ids=[*BZIP2_SIZES, "large"])
def test_a_flipped_byte_in_a_tar_bz2_is_found_by_a_check_of_digests(size: int) -> None:
    body = tar_bz2_of(size)
    assert "damaged" in reason_of(flipped(body, len(body) * 3 // 4), spec=VERIFY)


def test_a_flipped_byte_in_a_small_tar_bz2_is_always_found() -> None:
    body = tar_bz2_of(100_000)
    assert "damaged" in reason_of(flipped(body, len(body) * 3 // 4))


@pytest.mark.parametrize("length", range(200))
def test_the_end_of_a_bzip2_stream_is_known_at_every_bit(length: int) -> None:
    body = bz2.compress(random.Random(length).randbytes(length))
    assert ends_as_bzip2(body[-BZIP2_TAIL:])
    assert ends_as_bzip2(body)
    assert not ends_as_bzip2(body[:-1])
    assert not ends_as_bzip2(body + b"x")


@pytest.mark.parametrize("tail", [b"", b"B", bytes(20), b"\xff" * 20, b"\x17\x72\x45\x38\x50\x90"])
def test_other_bytes_are_not_the_end_of_a_bzip2_stream(tail: bytes) -> None:
    assert not ends_as_bzip2(tail)


@pytest.mark.parametrize("size", BZIP2_SIZES.values(), ids=BZIP2_SIZES)
@pytest.mark.parametrize("vouched", [True, False])
def test_a_tar_bz2_with_bytes_after_its_end_is_indexed(size: int, *, vouched: bool) -> None:
    assert is_good(tar_bz2_of(size) + bytes(5000), vouched=vouched)


def test_a_vouched_tar_bz2_costs_one_request_more() -> None:
    reading = reading_of(tar_bz2_of(9 * MIB), vouched=True)
    assert (reading.strategy, reading.usage.requests) == (ReadStrategy.HEAD, {"GET": 2})
    assert reading.usage.bytes_read < MIB


@pytest.mark.parametrize("behavior", [{"ignores_ranges": True}, {"refuses_ranges": True}], ids=["ignores", "refuses"])
def test_half_of_a_vouched_tar_bz2_is_found_where_a_store_has_no_ranges(behavior: dict[str, bool]) -> None:
    body = tar_bz2_of(600_000)
    assert is_good(body, vouched=True, behavior=Behavior(**behavior))
    assert "has no end" in reason_of(body[: len(body) // 2], vouched=True, behavior=Behavior(**behavior))


def test_a_tar_bz2_that_unpacks_to_gigabytes_is_no_bad_package() -> None:
    zeros = bz2.compress(bytes(8 * MIB))
    body = bz2_of((INFO + header("bin/zeros", 8 * MIB * 300), 1)) + zeros * 300 + bz2_of((END, 1))
    assert is_good(body)
    assert is_good(body, spec=VERIFY)


# A .conda.


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("spec", [SPEC, VERIFY], ids=["plain", "verify"])
def test_a_flipped_byte_in_the_pkg_part_of_a_conda_is_rejected(size: int, spec: ExtractSpec) -> None:
    body = conda_of(size)
    assert is_good(body, spec=spec)
    assert f"pkg-{STEM}.tar.zst" in reason_of(flipped_in_payload(body), spec=spec)


@pytest.mark.parametrize("vouched", [True, False])
@pytest.mark.parametrize("spec", [SPEC, replace(SPEC, metadata=True)], ids=["plain", "html"])
def test_a_flipped_byte_in_the_info_part_of_a_conda_is_rejected(spec: ExtractSpec, *, vouched: bool) -> None:
    # Behind the files that an index needs, and not in the same step of the reader, so that nothing else notices it.
    info = zst(INFO + member("info/run_exports.json", b"{}") + member("info/icon.png", noise(400_000)) + END)
    body = conda(STEM, info, zst(noise(MIB)))
    assert is_good(body, vouched=vouched, spec=spec)
    at = body.index(info) + len(info) - 2000
    assert "CRC" in reason_of(flipped(body, at), vouched=vouched, spec=spec)


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_a_zstd_frame_without_an_end_is_found_by_a_check_of_digests(size: int) -> None:
    frame = zst(NOISE) * (size // len(NOISE)) + zst(noise(100_000))[:-1]
    body = conda(STEM, zst(INFO + END), frame)
    assert f"pkg-{STEM}.tar.zst ends inside of a zstd frame" in reason_of(body, spec=VERIFY)
    assert is_good(body), "it takes too long in a first run"


def test_frames_of_any_number_and_kind_are_followed_to_the_end() -> None:
    skippable = b"\x50\x2a\x4d\x18\x04\0\0\0abcd"
    large = zstandard.ZstdCompressor(
        compression_params=zstandard.ZstdCompressionParameters.from_level(1, window_log=27)
    ).compress(noise(2 * MIB))
    for pkg in (b"", zst(b""), zst(NOISE) + skippable + zst(b"x") * 50, large, zst(bytes(300 * MIB))):
        assert is_good(conda(STEM, zst(INFO + END), pkg), spec=VERIFY)


@pytest.mark.parametrize("content", [zst(b"x"), zst(NOISE), zst(b"") * 3], ids=len)
def test_frames_that_come_byte_by_byte_are_sound(content: bytes) -> None:
    frames = unpacking._zstd_check("pkg.tar.zst", len(content), unpack=True)
    assert frames is not None
    for byte in content:
        frames.feed(bytes([byte]))
    frames.end()
    assert frames.error is None


def test_a_pkg_part_that_is_no_zstd_is_found_by_a_check_of_digests() -> None:
    assert f"damaged in pkg-{STEM}.tar.zst" in reason_of(conda(STEM, zst(INFO + END), b"no zstd"), spec=VERIFY)


def with_zipfile(method: int, *, streamed: bool) -> bytes:
    """A `.conda` whose members the zip compresses, or that was written to a pipe, so that sizes follow the members."""
    out = io.BytesIO()
    with zipfile.ZipFile(Pipe(out) if streamed else out, "w", method) as archive:
        archive.writestr("metadata.json", b'{"conda_pkg_format_version": 2}')
        archive.writestr(f"pkg-{STEM}.tar.zst", zst(noise(100_000)))
        archive.writestr(f"info-{STEM}.tar.zst", zst(INFO + END))
    return out.getvalue()


class Pipe(io.RawIOBase):
    """What cannot be sought in."""

    def __init__(self, out: io.BytesIO) -> None:
        super().__init__()
        self.write = out.write  # type: ignore[method-assign]

    def writable(self) -> bool:
        return True


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("spec", [SPEC, VERIFY], ids=["plain", "verify"])
def test_members_are_checked_however_the_zip_was_written(method: int, spec: ExtractSpec, *, streamed: bool) -> None:
    body = with_zipfile(method, streamed=streamed)
    assert is_good(body, spec=spec)
    at = body.index(b"PK\1\2") // 2
    assert "damaged" in reason_of(flipped(body, at), spec=spec)


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("vouched", [True, False])
@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda body, at: body[:at] + body[at + 5000 :], "is damaged"),
        (lambda body, at: body[:at] + bytes(5000) + body[at:], "belong to no member"),
        (lambda body, _: bytes(10) + body, "10 bytes before metadata.json belong to no member|is not a zip archive"),
        (lambda body, _: body[: len(body) // 2], "no zip directory at its end"),
        (lambda body, _: body[:-30], "no zip directory at its end"),
    ],
    ids=["a part is missing", "something is inserted", "something stands before it", "half", "its end is missing"],
)
def test_a_conda_that_its_directory_does_not_cover_is_rejected(
    size: int, damage: Callable[[bytes, int], bytes], reason: str, *, vouched: bool
) -> None:
    body = conda_of(size)
    result = reading_of(damage(body, body.index(NOISE[5000:5100])), vouched=vouched).result
    assert isinstance(result, Rejected)
    assert re.search(reason, result.reason)


def test_a_gap_between_two_members_is_rejected() -> None:
    first = Entry(f"pkg-{STEM}.tar.zst", zst(b"x") + bytes(200))
    body = bytearray(zipped(first, Entry(f"info-{STEM}.tar.zst", zst(INFO + END))))
    at = body.index(b"PK\1\2") + 20
    for place in (at, at + 4):
        body[place : place + 4] = len(zst(b"x")).to_bytes(4, "little")
    assert "200 bytes before info-" in reason_of(bytes(body))


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_a_conda_costs_no_more_requests_than_before(size: int) -> None:
    body = conda_of(size)
    vouched = reading_of(body, vouched=True)
    assert vouched.usage.requests == {"GET": 1}
    assert vouched.usage.bytes_read == (len(body) if size < MIB else 64 * 2**10)
    assert reading_of(body, spec=VERIFY).usage.requests == {"GET": 1}


@pytest.mark.parametrize("zip64", [True, False])
@pytest.mark.parametrize("info_first", [True, False])
@pytest.mark.parametrize("spec", [SPEC, VERIFY], ids=["plain", "verify"])
def test_members_with_long_sizes_are_checked_in_one_pass(spec: ExtractSpec, *, zip64: bool, info_first: bool) -> None:
    body = conda(STEM, zst(INFO + END), zst(NOISE) * 10, zip64=zip64, info_first=info_first)
    assert is_good(body, spec=spec)
    assert "damaged" in reason_of(flipped_in_payload(body), spec=spec)


def test_ten_thousand_members_do_not_hold_up_the_check() -> None:
    body = zipped(Entry(f"info-{STEM}.tar.zst", zst(INFO + END)), *(Entry(f"{n}", b"") for n in range(10_000)))
    assert is_good(body)


@pytest.mark.parametrize("part", ["name", "flags"])
def test_a_member_that_its_directory_describes_in_another_way_is_rejected(part: str) -> None:
    body = conda(STEM, zst(INFO + END))
    directory = body.rindex(b"PK\1\2")  # of the info part, which is the last
    at, value = (directory + 46 + len("info-"), b"b") if part == "name" else (directory + 8, b"\1")
    assert not is_good(body[:at] + value + body[at + 1 :])
