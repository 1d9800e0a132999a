"""Each way to read a package: what it asks of the store, what it takes of memory, and that all agree."""

from __future__ import annotations

import dataclasses
import hashlib
import random
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from indexer.core.errors import Denied, Unavailable
from indexer.core.json_form import dump
from indexer.core.model import Extracted, Rejected, Rules
from indexer.core.records.identity import identity_of
from indexer.extractor.extract import ExtractSpec, Reading, ReadStrategy, Vanished, first_strategy, read, weight_of
from indexer.extractor.integrity import BZIP2_TAIL
from tests.support.archives import END, MIB, bz2_of, conda, header, index_json, member, zst
from tests.support.memory import Behavior, Call, MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from indexer.core.model import Stat

KIB = 2**10
TAIL = 64 * KIB
STEM = "a-1-0"
CONDA = f"noarch/{STEM}.conda"
TAR_BZ2 = f"noarch/{STEM}.tar.bz2"
SPEC = ExtractSpec("noarch", Rules(), 1_800_000_000_000)
# Incompressible; no bz2 block is larger.
NOISE = random.Random(1).randbytes(900_000)
INFO = member("info/index.json", index_json(CONDA, license="MIT")) + member("info/run_exports.json", b'["a >=1"]')
RUN_EXPORTS = {"weak": ["a >=1"]}


def conda_of(size: int, *, info: bytes = INFO, info_first: bool = False) -> bytes:
    """A `.conda` with a payload of so many bytes, as zstd frames that do not get smaller."""
    full, rest = divmod(size, len(NOISE))
    payload = zst(NOISE) * full + zst(NOISE[:rest])
    return conda(STEM, zst(info + END), payload, info_first=info_first)


def tar_bz2_of(streams: int) -> bytes:
    """A `.tar.bz2` of so many times 900,000 bytes, its info files first."""
    payload = header("bin/x", streams * len(NOISE))
    return bz2_of((INFO + payload, 1), (NOISE, streams))


SMALL = conda_of(100 * KIB)
MIDDLE = conda_of(MIB)
LARGE = conda_of(9 * MIB)
MIDDLE_BZ2 = tar_bz2_of(2)
LARGE_BZ2 = tar_bz2_of(10)


def claims(body: bytes, **other: str) -> dict[str, str]:
    """What an uploader such as rattler-build stores with a package."""
    md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
    return {"Package-SHA256": hashlib.sha256(body).hexdigest(), "package-md5": md5, **other}


def key_of(body: bytes) -> str:
    return CONDA if body.startswith(b"PK") else TAR_BZ2


def upload(body: bytes, *, vouched: bool, behavior: Behavior | None = None) -> tuple[MemoryStore, Stat]:
    store = MemoryStore(behavior=behavior)
    return store, store.upload(key_of(body), body, claims(body) if vouched else None)


def check(reading: Reading, body: bytes) -> Extracted:
    """The result says of the bytes what they are."""
    result = reading.result
    assert isinstance(result, Extracted), result
    facts = identity_of(result.record)
    assert (facts.name, facts.size) == ("a", len(body))
    assert facts.sha256 == hashlib.sha256(body).hexdigest()
    assert facts.md5 == hashlib.md5(body, usedforsecurity=False).hexdigest()
    assert result.run_exports == dump(RUN_EXPORTS)
    return result


def requests(store: MemoryStore) -> list[tuple[str, object]]:
    """The requests, and that each of them asked for one version only."""
    assert all(call.etag is not None for call in store.calls_of("GET"))
    return [(call.verb, call.range) for call in store.calls]


def all_closed(store: MemoryStore) -> bool:
    return all(reader.closed for reader in store.readers)


def hook_once(store: MemoryStore, verb: str, act: Callable[[], object], skip: int = 0) -> None:
    """Let something happen before the next request of a verb is answered, or some requests later."""
    left = [skip]

    def hook(call: Call) -> None:
        if call.verb == verb:
            left[0] -= 1
            if left[0] == -1:
                act()

    store.hook = hook


# Ways, requests and bytes.


@pytest.mark.parametrize("body", [SMALL, bz2_of((INFO + NOISE[: 100 * KIB], 1), (END, 1))], ids=["conda", "tar.bz2"])
@pytest.mark.parametrize("vouched", [True, False])
def test_a_small_package_is_read_whole_in_one_request(body: bytes, *, vouched: bool) -> None:
    store, stat = upload(body, vouched=vouched)
    reading = read(store, stat, SPEC)
    check(reading, body)
    assert (reading.strategy, requests(store)) == (ReadStrategy.WHOLE, [("GET", None)])
    assert reading.usage.requests == {"GET": 1}
    assert reading.usage.bytes_read == store.usage.bytes_read == len(body)
    assert all_closed(store)


@pytest.mark.parametrize("body", [MIDDLE, LARGE], ids=["middle", "large"])
def test_of_a_vouched_conda_the_tail_is_read_in_one_request(body: bytes) -> None:
    store, stat = upload(body, vouched=True)
    reading = read(store, stat, SPEC)
    check(reading, body)
    assert (reading.strategy, requests(store)) == (ReadStrategy.TAIL, [("GET", (len(body) - TAIL, len(body)))])
    assert reading.usage.bytes_read == store.usage.bytes_read == TAIL
    assert all_closed(store)


@pytest.mark.parametrize("info_first", [True, False])
def test_an_info_part_outside_of_the_tail_takes_a_second_request(*, info_first: bool) -> None:
    info = INFO if info_first else member("info/icon.png", NOISE[: 200 * KIB]) + INFO
    body = conda_of(MIB, info=info, info_first=info_first)
    store, stat = upload(body, vouched=True)
    reading = read(store, stat, SPEC)
    check(reading, body)
    assert reading.strategy is ReadStrategy.TAIL
    assert [verb for verb, _ in requests(store)] == ["GET", "GET"]
    assert store.usage.bytes_read < TAIL + len(zst(info)) + KIB
    assert all_closed(store)


def test_of_a_vouched_tar_bz2_the_head_and_the_last_bytes_are_read() -> None:
    store, stat = upload(LARGE_BZ2, vouched=True)
    reading = read(store, stat, SPEC)
    check(reading, LARGE_BZ2)
    end = (len(LARGE_BZ2) - BZIP2_TAIL, len(LARGE_BZ2))
    assert (reading.strategy, requests(store)) == (ReadStrategy.HEAD, [("GET", None), ("GET", end)])
    assert reading.usage.bytes_read == store.usage.bytes_read < 1_000_000  # one block of bz2
    assert all_closed(store)


@pytest.mark.parametrize("body", [MIDDLE_BZ2, LARGE_BZ2], ids=["middle", "large"])
def test_a_tar_bz2_without_checksums_is_read_whole_in_one_request(body: bytes) -> None:
    store, stat = upload(body, vouched=False)
    reading = read(store, stat, SPEC)
    check(reading, body)
    # For a large one the store is asked for a checksum of its own.
    result = [("HEAD", None)] if body is LARGE_BZ2 else []
    assert (reading.strategy, requests(store)) == (ReadStrategy.STREAM, [("GET", None), *result])
    assert store.usage.bytes_read == len(body)


def test_a_conda_that_nobody_vouches_for_is_read_once() -> None:
    store, stat = upload(LARGE, vouched=False)
    reading = read(store, stat, SPEC)
    check(reading, LARGE)
    tail = ("GET", (len(LARGE) - TAIL, len(LARGE)))
    assert (reading.strategy, requests(store)) == (ReadStrategy.STREAM, [tail, ("HEAD", None), ("GET", None)])
    assert reading.usage.requests == {"GET": 2, "HEAD": 1}
    assert store.usage.bytes_read == len(LARGE)
    assert all_closed(store)


def test_a_conda_with_its_info_first_takes_one_request_more() -> None:
    body = conda_of(2 * MIB, info_first=True)
    store, stat = upload(body, vouched=False)
    check(read(store, stat, SPEC), body)
    assert [verb for verb, _ in requests(store)] == ["GET", "GET", "GET"]


# Memory.


@pytest.mark.parametrize("make", [lambda: conda_of(20 * MIB), lambda: tar_bz2_of(23)], ids=["conda", "tar.bz2"])
@pytest.mark.parametrize("vouched", [True, False])
def test_a_large_package_is_never_in_memory_whole(make: Callable[[], bytes], *, vouched: bool) -> None:
    body = make()
    store, stat = upload(body, vouched=vouched)
    spec = replace(SPEC, verify_digests=not vouched)
    tracemalloc.start()
    reading = read(store, stat, spec)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    check(reading, body)
    assert len(body) > 19 * MIB
    assert peak < 6 * MIB


@pytest.mark.parametrize("size", [100 * KIB, MIB, 7 * MIB, 20 * MIB])
@pytest.mark.parametrize("verify_digests", [True, False])
def test_reading_takes_no_more_memory_than_its_weight(size: int, *, verify_digests: bool) -> None:
    body = conda_of(size)
    store, stat = upload(body, vouched=not verify_digests)
    spec = replace(SPEC, verify_digests=verify_digests)
    tracemalloc.start()
    read(store, stat, spec)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < weight_of(stat, spec)


# Who is believed.


@pytest.mark.parametrize("body", [SMALL, MIDDLE, LARGE, LARGE_BZ2], ids=["small", "middle", "large", "tar.bz2"])
@pytest.mark.parametrize("lie", ["package-md5", "package-sha256"])
def test_content_wins_over_contradicting_metadata_with_a_warning(body: bytes, lie: str) -> None:
    false = {"package-md5": "0" * 32, "package-sha256": "0" * 64}[lie]
    metadata = {**{key.lower(): value for key, value in claims(body).items()}, lie: false}
    store = MemoryStore()
    stat = store.upload(key_of(body), body, metadata)
    # Of a false sha256 under a true md5 only one who reads it all can know.
    reading = read(store, stat, replace(SPEC, verify_digests=lie == "package-sha256"))
    result = check(reading, body)
    true = hashlib.new(lie.removeprefix("package-"), body).hexdigest()
    assert len(result.warnings) == 1
    assert false in result.warnings[0]
    assert true in result.warnings[0]


@pytest.mark.parametrize("body", [MIDDLE, MIDDLE_BZ2], ids=["conda", "tar.bz2"])
@pytest.mark.parametrize(
    "other",
    [
        {"package-md5": ""},
        {"package-md5": "0" * 31},
        {"package-md5": "0" * 32 + "\n"},
        {"package-md5": "G" * 32},
        {"Package-SHA256": "0" * 63},
        {"Package-SHA256": "0" * 65},
        {"Package-SHA256": "A" * 64},
        {"Package-SHA256": "not a digest"},
    ],
)
def test_metadata_that_is_no_digest_vouches_for_nothing(body: bytes, other: dict[str, str]) -> None:
    store = MemoryStore()
    stat = store.upload(key_of(body), body, claims(body, **other))
    reading = read(store, stat, SPEC)
    assert check(reading, body).warnings == ()
    assert reading.strategy is ReadStrategy.STREAM


def test_an_object_without_an_md5_is_vouched_for_by_its_metadata() -> None:
    store, _ = upload(LARGE, vouched=True)
    reading = read(store, store.disguise(CONDA), SPEC)
    check(reading, LARGE)
    assert (reading.strategy, store.usage.requests) == (ReadStrategy.TAIL, {"GET": 1})


def test_an_object_without_md5_and_metadata_is_read_whole_without_head() -> None:
    store = MemoryStore()
    store.upload(CONDA, LARGE, checksum=True)
    reading = read(store, store.disguise(CONDA), SPEC)
    check(reading, LARGE)
    assert (reading.strategy, store.usage.requests) == (ReadStrategy.STREAM, {"GET": 2})


def test_a_checksum_and_an_md5_vouch_for_a_large_package() -> None:
    store = MemoryStore()
    stat = store.upload(CONDA, LARGE, checksum=True)
    reading = read(store, stat, SPEC)
    check(reading, LARGE)
    assert (reading.strategy, store.usage.requests, store.usage.bytes_read) == (
        ReadStrategy.TAIL,
        {"GET": 1, "HEAD": 1},
        TAIL,
    )
    assert store.calls_of("HEAD")[0].checksum


def test_a_checksum_is_not_worth_a_request_for_a_package_of_a_megabyte() -> None:
    store = MemoryStore()
    reading = read(store, store.upload(CONDA, MIDDLE, checksum=True), SPEC)
    check(reading, MIDDLE)
    assert (reading.strategy, store.usage.requests) == (ReadStrategy.STREAM, {"GET": 2})


def test_a_checksum_of_another_version_vouches_for_nothing() -> None:
    store = MemoryStore()
    stat = store.upload(CONDA, LARGE, checksum=True)
    hook_once(store, "HEAD", lambda: store.upload(CONDA, LARGE + b"x", checksum=True))
    assert read(store, stat, SPEC).result == Vanished(f"{STEM}.conda")


def test_a_store_that_fails_to_tell_a_checksum_is_read_from() -> None:
    store = MemoryStore()
    stat = store.upload(CONDA, LARGE, checksum=True)

    def fail() -> None:
        raise Unavailable(CONDA, "does not know this header")

    hook_once(store, "HEAD", fail)
    reading = read(store, stat, SPEC)
    check(reading, LARGE)
    assert reading.strategy is ReadStrategy.STREAM


@pytest.mark.parametrize(
    ("body", "way"),
    [
        (SMALL, ReadStrategy.WHOLE),
        (MIDDLE, ReadStrategy.WHOLE),
        (LARGE, ReadStrategy.STREAM),
        (MIDDLE_BZ2, ReadStrategy.WHOLE),
        (LARGE_BZ2, ReadStrategy.STREAM),
    ],
    ids=["small", "middle", "large", "middle bz2", "large bz2"],
)
def test_who_asks_for_digests_to_be_verified_has_every_byte_read(body: bytes, way: ReadStrategy) -> None:
    store, stat = upload(body, vouched=True)
    spec = replace(SPEC, verify_digests=True)
    reading = read(store, stat, spec)
    assert check(reading, body).warnings == ()
    assert (reading.strategy, requests(store)) == (way, [("GET", None)])
    assert first_strategy(stat, spec) is way
    assert store.usage.bytes_read == len(body)


def test_every_way_leads_to_the_same_result() -> None:
    results = []
    for vouched in (True, False):
        for verify_digests in (True, False):
            store, stat = upload(LARGE, vouched=vouched)
            results.append(read(store, stat, replace(SPEC, verify_digests=verify_digests)).result)
    assert results == [results[0]] * 4


# Stores that behave badly.

BADLY = {
    "ignores ranges": Behavior(ignores_ranges=True),
    "refuses ranges": Behavior(refuses_ranges=True),
    "drops metadata": Behavior(drops_metadata=True),
    "begins early": Behavior(early_by=1000),
}
BODIES = {"small": SMALL, "middle": MIDDLE, "large": LARGE, "middle bz2": MIDDLE_BZ2, "large bz2": LARGE_BZ2}


@pytest.mark.parametrize("behavior", BADLY.values(), ids=BADLY)
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("vouched", [True, False])
def test_a_store_that_behaves_badly_is_read_from_all_the_same(
    body: bytes, behavior: Behavior, *, vouched: bool
) -> None:
    store, stat = upload(body, vouched=vouched, behavior=dataclasses.replace(behavior))
    check(read(store, stat, SPEC), body)
    assert all_closed(store)
    assert store.usage.bytes_read <= len(body)


@pytest.mark.parametrize("behavior", [Behavior(ignores_ranges=True), Behavior(refuses_ranges=True)])
def test_where_there_are_no_ranges_what_must_be_read_whole_is_hashed(behavior: Behavior) -> None:
    store = MemoryStore(behavior=behavior)
    stat = store.upload(CONDA, MIDDLE, claims(MIDDLE) | {"Package-SHA256": "0" * 64})
    reading = read(store, stat, SPEC)
    assert len(check(reading, MIDDLE).warnings) == 1
    assert reading.strategy is ReadStrategy.STREAM


def test_a_store_that_ignores_ranges_finds_an_info_part_that_lies_first() -> None:
    body = conda_of(2 * MIB, info_first=True)
    store, stat = upload(body, vouched=False, behavior=Behavior(ignores_ranges=True))
    check(read(store, stat, SPEC), body)


def test_a_store_that_refuses_ranges_finds_an_info_part_that_lies_first() -> None:
    body = conda_of(2 * MIB, info_first=True)
    store, stat = upload(body, vouched=False, behavior=Behavior(refuses_ranges=True))
    check(read(store, stat, SPEC), body)


WHERE = {"small": (SMALL, 50_000), "large": (LARGE, 5 * MIB + 7), "bz2": (LARGE_BZ2, 3 * MIB), "first": (LARGE_BZ2, 0)}


@pytest.mark.parametrize(("body", "after"), WHERE.values(), ids=WHERE)
@pytest.mark.parametrize("silently", [True, False])
def test_a_body_that_breaks_off_is_taken_up_again_at_the_same_version(
    body: bytes, after: int, *, silently: bool
) -> None:
    store, stat = upload(body, vouched=False, behavior=Behavior(breaks_after=after, silently=silently))
    reading = read(store, stat, replace(SPEC, verify_digests=True))
    check(reading, body)
    first, second = store.calls_of("GET")
    assert (first.range, second.range) == (None, (after, len(body)))
    assert first.etag == second.etag == stat.etag
    assert store.usage.bytes_read == len(body)
    assert all_closed(store)


@pytest.mark.parametrize("silently", [True, False])
def test_a_body_may_break_off_three_times_and_no_more(*, silently: bool) -> None:
    for breaks in (3, 4):
        behavior = Behavior(breaks_after=30_000, breaks=breaks, silently=silently)
        store, stat = upload(SMALL, vouched=False, behavior=behavior)
        if breaks == 3:
            check(read(store, stat, SPEC), SMALL)
            starts = [call.range and call.range[0] for call in store.calls_of("GET")]
            assert starts == [None, 30_000, 60_000, 90_000]
        else:
            behavior.breaks_after = 10_000
            with pytest.raises(Unavailable, match="the connection broke"):
                read(store, stat, SPEC)


@pytest.mark.parametrize("behavior", [Behavior(ignores_ranges=True), Behavior(refuses_ranges=True)])
def test_a_broken_body_is_read_again_if_the_store_has_no_ranges(behavior: Behavior) -> None:
    behavior = dataclasses.replace(behavior, breaks_after=5 * MIB)
    store, stat = upload(LARGE, vouched=False, behavior=behavior)
    check(read(store, stat, replace(SPEC, verify_digests=True)), LARGE)


def test_a_resumed_body_is_joined_at_the_offset_of_the_answer() -> None:
    behavior = Behavior(breaks_after=5 * MIB, early_by=1000)
    store, stat = upload(LARGE, vouched=False, behavior=behavior)
    try:
        reading = read(store, stat, replace(SPEC, verify_digests=True))
    except Unavailable:
        return
    check(reading, LARGE)


@pytest.mark.parametrize("silently", [True, False])
def test_a_tail_that_breaks_off_is_taken_up_again_where_it_broke(*, silently: bool) -> None:
    store, stat = upload(MIDDLE, vouched=True, behavior=Behavior(breaks_after=1000, silently=silently))
    check(read(store, stat, SPEC), MIDDLE)
    first, second = store.calls_of("GET")
    assert first.range is not None
    assert second.range == (first.range[0] + 1000, len(MIDDLE))
    assert store.usage.bytes_read == len(MIDDLE) - first.range[0]
    assert all_closed(store)


def test_a_tail_that_always_breaks_off_is_not_the_whole() -> None:
    store, stat = upload(MIDDLE, vouched=True, behavior=Behavior(breaks_after=1000, breaks=99, silently=True))
    with pytest.raises(Unavailable, match="the connection broke"):
        read(store, stat, SPEC)


# What changes meanwhile.


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("vouched", [True, False])
@pytest.mark.parametrize("vanishes", [True, False])
def test_an_object_that_changed_since_it_was_listed_is_gone(body: bytes, *, vouched: bool, vanishes: bool) -> None:
    store, stat = upload(body, vouched=vouched)
    key = stat.key
    hook_once(store, "GET", lambda: store.remove(key) if vanishes else store.upload(key, body))
    assert read(store, stat, SPEC).result == Vanished(key.removeprefix("noarch/"))


def test_an_object_that_changes_between_two_requests_is_gone() -> None:
    body = conda_of(MIB, info_first=True)
    store, stat = upload(body, vouched=True)
    hook_once(store, "GET", lambda: store.upload(CONDA, body), skip=1)
    assert read(store, stat, SPEC).result == Vanished(f"{STEM}.conda")


def test_an_object_that_changes_while_its_body_breaks_off_is_gone() -> None:
    store, stat = upload(SMALL, vouched=False, behavior=Behavior(breaks_after=100))
    hook_once(store, "GET", lambda: store.upload(CONDA, SMALL), skip=1)
    assert read(store, stat, SPEC).result == Vanished(f"{STEM}.conda")


# What is judged.


def test_strict_rules_reject_what_others_only_warn_of() -> None:
    store = MemoryStore()
    stat = store.upload(CONDA, SMALL, claims(SMALL, **{"package-md5": "0" * 32}))
    result = read(store, stat, replace(SPEC, rules=Rules(strict=True))).result
    assert isinstance(result, Rejected)
    assert "the content is used" in result.reason


def test_a_bad_package_is_a_result_with_its_version() -> None:
    store = MemoryStore()
    stat = store.upload(CONDA, b"<html>")
    result = read(store, stat, SPEC).result
    assert isinstance(result, Rejected)
    assert (result.filename, result.etag) == (f"{STEM}.conda", stat.etag)


def test_a_package_that_the_store_refuses_is_rejected_for_now() -> None:
    store, stat = upload(SMALL, vouched=False)

    def deny() -> None:
        raise Denied(CONDA, "no")

    hook_once(store, "GET", deny)
    result = read(store, stat, SPEC).result
    assert isinstance(result, Rejected)
    assert (result.reason, result.transient) == ("no", True)
