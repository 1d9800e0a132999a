"""On every kind of store: a first run, one that finds news, and two indexers at once; nothing is lost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from indexer.core.report import Outcome
from tests.support.fake_s3 import Behavior, FakeS3
from tests.support.memory_channel import FakeClock, index, keys, missing_shards, package, records, repodata, sharded

if TYPE_CHECKING:
    from indexer.core.report import Report
    from tests.support.fake_s3 import Request, Server

OLD, NEW, OTHER = (keys(3)[number] for number in range(3))


@dataclass(frozen=True)
class Kind:
    """A kind of store: what it is called, how it behaves, and whether its writes are conditional."""

    provider: str
    behavior: Behavior
    safe: bool = True


KINDS = {
    "aws, with objects encrypted by a key": Kind("aws", Behavior(encrypted=True)),
    "minio": Kind("minio", Behavior()),
    "r2: one write a second and key": Kind("r2", Behavior(pause=1.0)),
    "r2: random ETags": Kind("r2", Behavior(etag=lambda md5: f'"{md5[::-1]}-2"')),
    "gcs": Kind("gcs", Behavior("generation")),
    "gcs: one write a second and key": Kind("gcs", Behavior("generation", pause=1.0)),
    "hetzner: quotes compared": Kind("hetzner", Behavior("quotes")),
    "b2: conditions refused": Kind("b2", Behavior("refused"), safe=False),
    "wasabi: conditions ignored": Kind("wasabi", Behavior("ignored"), safe=False),
    "unknown: conditions heeded": Kind("other", Behavior()),
    "unknown: conditions ignored": Kind("other", Behavior("ignored"), safe=False),
    "unknown: conditions refused with 501": Kind("other", Behavior("refused"), safe=False),
    "unknown: conditions refused with 400": Kind("other", Behavior("unimplemented"), safe=False),
    "unknown: only creations conditional": Kind("other", Behavior("creations"), safe=False),
    "said to be minio, but refuses conditions": Kind("minio", Behavior("refused"), safe=False),
    "only the first form of listing": Kind("other", Behavior(first_form_only=True, page=2)),
    "only the first form, without markers": Kind("other", Behavior(first_form_only=True, told_marker=False, page=2)),
    "the second form of listing refused": Kind("other", Behavior(second_form_refused=True, page=2)),
    "ETags without quotes in listings": Kind("other", Behavior(listed=lambda etag: etag.strip('"'))),
    "ETags in capitals": Kind("other", Behavior(etag=lambda md5: f'"{md5.upper()}"')),
    "no ranges": Kind("other", Behavior(ranges=False)),
    "hetzner: object lock with a default retention": Kind("hetzner", Behavior("quotes", locked=True)),
    "unknown: object lock with a default retention": Kind("other", Behavior(locked=True)),
    "unknown: object lock, conditions ignored": Kind("other", Behavior("ignored", locked=True), safe=False),
    "reads with a condition refused": Kind("other", Behavior(reads_refused=True)),
}


RACES = [
    name
    for name, kind in KINDS.items()
    if kind.behavior == Behavior() or (kind.behavior.conditions != "heeded" and not kind.behavior.pause)
]


@dataclass
class Play:
    """A kind of store that is being played, and its clock."""

    stage: Server
    kind: Kind
    clock: FakeClock

    @property
    def fake(self) -> FakeS3:
        """What lies there and was asked."""
        return self.stage.fake

    def run(self) -> Report:
        """One run of an indexer on the wire, a while after the one before."""
        self.clock.now += 10
        store = self.stage.open(self.kind.provider)
        return index(store, now_ms=int(1000 * self.wall()), clock=self.clock)

    def wall(self) -> float:
        """The time of day at the store."""
        return 1_800_000_000 + self.clock.now

    def upload(self, key: str) -> None:
        """Lay a package there."""
        self.fake.upload(key, package(key))


@pytest.fixture
def play(request: pytest.FixtureRequest, served: Server) -> Play:
    clock = FakeClock()
    playing = Play(served, KINDS[request.param], clock)
    served.sleep = clock.sleep  # between two tries of a request
    served.fake = FakeS3(playing.kind.behavior, clock.monotonic, playing.wall)
    return playing


def assert_whole(fake: FakeS3) -> None:
    """Everything that readers look at says the same, and names each package that is there."""
    bodies = fake.bodies()
    there = {key.partition("/")[2] for key in bodies if key.endswith(".conda") and "/shards/" not in key}
    assert set(records(bodies)) == there
    assert sharded(bodies) == there
    assert not missing_shards(bodies)
    assert repodata(bodies, "noarch")["packages.conda"] == {}


@pytest.mark.parametrize("play", KINDS, indirect=True)
def test_a_channel_is_indexed_then_quiet_then_brought_up_to_date(play: Play) -> None:
    for key in (OLD, NEW):
        play.upload(key)
    assert play.run().exit_code == 0
    assert_whole(play.fake)
    writes = len(play.fake.of("PUT"))
    assert {it.outcome for it in play.run().subdirs.values()} == {Outcome.UNCHANGED}
    assert len(play.fake.of("PUT")) == writes
    play.upload(OTHER)
    del play.fake.objects[f"ch/{OLD}"]
    assert play.run().exit_code == 0
    assert_whole(play.fake)
    assert 429 not in play.fake.statuses


@pytest.mark.parametrize("play", RACES, indirect=True)
def test_only_a_store_without_conditions_gets_a_lease_and_one_warning(
    play: Play, caplog: pytest.LogCaptureFixture
) -> None:
    play.upload(OLD)
    assert play.run().exit_code == 0
    told = [it for it in caplog.records if "lease" in it.getMessage()]
    assert len(told) == (0 if play.kind.safe else 1)
    taken = {it.key for it in play.fake.of("PUT") if it.key.endswith(".indexer-lease.json")}
    assert taken == (set() if play.kind.safe else {"ch/linux-64/.indexer-lease.json", "ch/noarch/.indexer-lease.json"})
    assert not [key for key in play.fake.bodies() if key.endswith(".indexer-lease.json")]


@pytest.mark.parametrize("play", RACES, indirect=True)
def test_a_whole_run_of_another_indexer_before_the_source_is_noticed(play: Play) -> None:
    play.upload(OLD)
    play.run()
    play.upload(NEW)

    def fall_in(asked: Request) -> None:
        if (asked.method, asked.key) == ("PUT", "ch/linux-64/repodata.json"):
            play.fake.hook = lambda _: None
            play.upload(OTHER)
            play.run()

    play.fake.hook = fall_in
    play.run()
    play.run()
    assert_whole(play.fake)


@pytest.mark.parametrize("play", RACES, indirect=True)
def test_two_indexers_at_once_lose_nothing(play: Play) -> None:
    for key in (OLD, NEW):
        play.upload(key)
    others = [replace(play, clock=FakeClock()) for _ in range(2)]
    with ThreadPoolExecutor(2) as threads:
        codes = {report.exit_code for report in threads.map(Play.run, others)}
    # Under leases one may give up, for here no time passes while it waits: an honest word, and nothing is lost.
    assert codes <= ({0} if play.kind.safe else {0, 4})
    play.clock.now += 2000
    play.run()
    assert_whole(play.fake)


@pytest.mark.parametrize("play", ["r2: one write a second and key", "gcs: one write a second and key"], indirect=True)
def test_a_write_too_soon_after_a_conflict_is_sent_again(play: Play) -> None:
    play.upload(OLD)
    play.run()
    play.upload(NEW)

    def meddle(asked: Request) -> None:
        if (asked.method, asked.key) == ("PUT", "ch/linux-64/repodata.json"):
            play.fake.hook = lambda _: None
            play.fake.upload("linux-64/repodata.json", b'{"packages":{}}')

    play.fake.hook = meddle
    report = play.run()
    assert (report.exit_code, report.subdirs["linux-64"].attempts) == (0, 2)
    assert 429 in play.fake.statuses
    assert_whole(play.fake)
