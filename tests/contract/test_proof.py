"""A store that passed the test of conditional writes is not tested again, unless the state is not its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from indexer.commands.conditions import proof_to_keep
from indexer.commands.index import index_channel
from indexer.core.proof import Proof
from indexer.core.report import Outcome
from indexer.core.snapshot import Snapshot
from indexer.store.s3.store_tests import BucketTests
from tests.support.fake_s3 import Behavior, FakeS3
from tests.support.memory_channel import DAY_MS, PLAIN, FakeClock, fake_context, keys, package

if TYPE_CHECKING:
    from indexer.core.options import Options
    from tests.support.fake_s3 import Request, Server

PROBE, STATE = ".indexer-probe", "linux-64/.indexer.json.zst"
START_MS = 1_800_000_000_000
HOUR = 3600


class Channel:
    """A channel at a store that nobody knows, and its clock."""

    def __init__(self, served: Server, behavior: Behavior | None = None) -> None:
        self.served = served
        self.clock = FakeClock()
        self.number = 0
        served.sleep = self.clock.sleep
        served.fake = FakeS3(behavior or Behavior(), self.clock.monotonic, lambda: self.now_ms / 1000)

    @property
    def now_ms(self) -> int:
        """The time of day."""
        return START_MS + int(1000 * self.clock.now)

    def run(self, options: Options = PLAIN, *, provider: str = "other") -> list[Request]:
        """The requests of the test in a run that finds a new package."""
        self.clock.now += HOUR
        self.number += 1
        key = keys(1, start=self.number)[0]
        self.served.fake.upload(key, package(key))
        before = len(self.served.fake.of("PUT", PROBE))
        store = self.served.open(provider)
        tests = BucketTests(store.bucket, store.writes)
        context = replace(fake_context(self.now_ms, self.clock), store_tests=tests)
        report = index_channel(store, options, context)
        assert report.outcome is Outcome.PUBLISHED
        return self.served.fake.of("PUT", PROBE)[before:]


def test_a_store_that_has_passed_is_not_tested_again_for_a_week(served: Server) -> None:
    channel = Channel(served)
    assert len(channel.run()) == 3
    for _ in range(3):
        channel.clock.now += 2 * DAY_MS / 1000
        assert channel.run() == []
    channel.clock.now += 2 * DAY_MS / 1000
    assert len(channel.run()) == 2
    assert channel.run() == []


def test_a_run_with_force_tests_again(served: Server) -> None:
    channel = Channel(served)
    channel.run()
    assert len(channel.run(replace(PLAIN, force=True))) == 2


def test_a_copy_of_the_state_proves_nothing(served: Server) -> None:
    channel = Channel(served)
    channel.run()
    channel.clock.now += HOUR
    served.fake.upload(STATE, served.fake.bodies()[STATE])  # as a copy of the bucket has it
    assert len(channel.run()) == 2
    assert channel.run() == []


def test_a_store_that_ignores_conditions_leaves_no_proof(served: Server) -> None:
    channel = Channel(served, Behavior("ignored"))
    assert channel.run() != []
    assert channel.run() != []


def test_a_known_store_leaves_no_proof_for_an_unknown_one(served: Server) -> None:
    channel = Channel(served)
    assert channel.run(provider="minio") == []
    assert channel.run() != []


@pytest.mark.parametrize(
    ("place", "saved_ms", "now_ms", "holds"),
    [
        ("here", 1000, 2000, True),
        ("there", 1000, 2000, False),
        ("here", 1000 + 15 * 60_000, 2000, False),
        ("here", 1000, 999, False),
        ("here", 1000, 1000 + 7 * DAY_MS, False),
    ],
)
def test_a_proof_holds_for_its_place_its_file_and_a_week(
    place: str, saved_ms: int, now_ms: int, *, holds: bool
) -> None:
    proof = Proof("here", 1000, 1000, composed_ms=1000, refused_ms=1000).holding(place, saved_ms, now_ms)
    assert {bool(ms) for ms in (proof.tested_ms, proof.composed_ms, proof.refused_ms)} == {holds}


@pytest.mark.parametrize(("refused_ms", "expected"), [(0, True), (1000, False)])
def test_a_store_that_refused_a_composition_is_not_asked_again(
    served: Server, refused_ms: int, *, expected: bool
) -> None:
    served.fake = FakeS3(Behavior())
    store = served.open("other")
    tests = BucketTests(store.bucket, store.writes)
    tests.accept(Proof(tests.place, 1000, 1000, 1000 - refused_ms, refused_ms))
    assert store.writes.compositions.are_supported() is expected
    assert served.fake.requests == []


def test_a_refusal_ends_an_earlier_proof(served: Server) -> None:
    served.fake = FakeS3(Behavior())
    store = served.open("other")
    tests = BucketTests(store.bucket, store.writes)
    tests.accept(Proof(tests.place, 1000, 1000, composed_ms=1000))
    store.writes.compositions.refused = True
    kept = proof_to_keep(replace(fake_context(), store_tests=tests), Snapshot(taken_ms=2000))
    assert kept == Proof(tests.place, 1000, 2000, composed_ms=0, refused_ms=2000)


def test_each_test_of_a_proof_ends_by_itself() -> None:
    proof = Proof("here", 1000, 8 * DAY_MS, composed_ms=4 * DAY_MS)
    assert proof.holding("here", 8 * DAY_MS, 9 * DAY_MS) == replace(proof, tested_ms=0)
