"""A run over one package of a large channel sends what changed, and leaves what a run over everything would leave."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import zstandard
from msgspec.structs import replace

from indexer.commands.index import index_channel
from indexer.core.report import Outcome
from indexer.core.saved_chunks import Row, table_of
from indexer.core.state import SMALL, decode_state, encode_state
from indexer.lister import chunks
from indexer.store.s3.multipart import LIMITS, Limits
from indexer.store.s3.store_tests import BucketTests
from tests.support.channel_check import faults
from tests.support.fake_s3 import Behavior, FakeS3
from tests.support.fake_uploads import Refusal, Uploads
from tests.support.memory_channel import DAY_MS, NOW_MS, PLAIN, FakeClock, fake_context, package

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.fake_s3 import Request, Server

RECORDS = 95_000
NEW = [f"linux-64/p{number}-9-0.conda" for number in (30_000, 31_000, 59_000)]
REPODATA = "linux-64/repodata.json"
OPTIONS = replace(PLAIN, outputs=replace(PLAIN.outputs, shards=False))


def record(number: int) -> dict[str, object]:
    digest = f"{number:032x}"
    record = {"name": f"p{number}", "version": "1", "build": "0", "build_number": 0, "depends": [f"p{number + 1}"]}
    return {**record, "subdir": "linux-64", "md5": digest, "sha256": 2 * digest, "size": 9, "timestamp": NOW_MS - 1}


def published(count: int) -> bytes:
    """A repodata.json that another indexer has left: 26 MB for 95,000 records."""
    records = {f"p{number}-1-0.conda": record(number) for number in range(count)}
    return json.dumps(
        {"info": {"subdir": "linux-64"}, "packages": {}, "packages.conda": records}, separators=(",", ":")
    ).encode()


class Channel:
    """A large channel in a bucket."""

    def __init__(self, served: Server, records: int, limits: Limits = LIMITS) -> None:
        self.served, self.records, self.limits = served, records, limits
        self.days = self.bytes_read = 0
        served.fake = FakeS3(Behavior(), wall=self.now, uploads=Uploads(smallest=limits.smallest))
        served.fake.upload(REPODATA, published(records))
        served.fake.upload("noarch/repodata.json", b'{"info":{"subdir":"noarch"},"packages":{},"packages.conda":{}}')

    def now(self) -> float:
        """The time in seconds."""
        return NOW_MS / 1000 + self.days * DAY_MS / 1000

    def add(self, key: str) -> list[Request]:
        """The requests of a run over one new package."""
        self.days += 1
        self.served.fake.upload(key, package(key))
        first = len(self.served.fake.requests)
        store = self.served.open("minio")
        store.writes.limits = self.limits
        before = store.usage.bytes_read
        context = fake_context(int(1000 * self.now()), FakeClock())
        context = replace(context, store_tests=BucketTests(store.bucket, store.writes))
        report = index_channel(store, replace(OPTIONS, packages=frozenset({key})), context)
        assert report.outcome is Outcome.PUBLISHED
        assert report.subdirs["linux-64"].added == (key.partition("/")[2],)
        self.bytes_read = store.usage.bytes_read - before
        return self.served.fake.requests[first:]

    def check(self, *added: str) -> None:
        """Compare the files with each other, and with the records that they must have."""
        bodies = self.served.fake.bodies()
        plain = bodies[REPODATA]
        assert zstandard.ZstdDecompressor().decompress(bodies[f"{REPODATA}.zst"]) == plain
        filenames = [key.partition("/")[2] for key in added]
        assert set(json.loads(plain)["packages.conda"]) == {f"p{n}-1-0.conda" for n in range(self.records)} | {
            *filenames
        }
        assert [fault for fault in faults(self.served.open("minio")) if "-1-0.conda" not in fault] == []


def sent(requests: list[Request]) -> int:
    return sum(
        len(request.body)
        for request in requests
        if request.key.startswith(f"ch/{REPODATA}") and "zst" not in request.key
    )


def test_one_package_is_added_by_a_few_requests_and_bytes(served: Server) -> None:
    channel = Channel(served, RECORDS)
    channel.add(NEW[0])
    assert len(served.fake.bodies()[REPODATA]) > 20 * 2**20
    second, third = channel.add(NEW[1]), channel.add(NEW[2])
    channel.check(*NEW)
    assert max(sent(second), sent(third)) < 7 * 2**20
    assert (len(second), len(third)) == (25, 19)  # the store is tested once a week
    assert served.fake.uploads.begun == {}


SMALL_PARTS = Limits(smallest=2**12, worth=2**14)


@pytest.fixture
def small_parts(served: Server, monkeypatch: pytest.MonkeyPatch) -> Channel:
    """A channel whose files are put together from small parts."""
    monkeypatch.setattr(chunks, "LARGE", SMALL_PARTS.worth)
    monkeypatch.setattr(chunks, "_AHEAD", SMALL_PARTS.smallest)
    monkeypatch.setattr(chunks, "_GAP", 0)
    return Channel(served, SMALL + 1, SMALL_PARTS)


def test_the_compressed_file_is_neither_read_nor_sent_whole(small_parts: Channel) -> None:
    channel = small_parts
    channel.add(NEW[0])
    channel.add(NEW[1])
    zst = f"ch/{REPODATA}.zst"
    size = len(channel.served.fake.bodies()[zst.removeprefix("ch/")])
    requests = channel.add(NEW[2])
    channel.check(*NEW)
    assert {"range" in request.headers for request in requests if (request.method, request.key) == ("GET", zst)} == {
        True
    }
    assert channel.bytes_read < size // 3
    assert sum(len(request.body) for request in requests if request.key == zst) < size // 3
    assert len(requests) == 26


def test_a_store_that_composes_no_more_gets_the_whole_file(small_parts: Channel) -> None:
    channel = small_parts
    channel.add(NEW[0])
    channel.add(NEW[1])
    channel.served.fake.uploads.how = "unknown"
    requests = channel.add(NEW[2])
    channel.check(*NEW)
    assert f"ch/{REPODATA}" in {request.key for request in requests if request.method == "PUT" and not request.query}


def test_a_run_that_cannot_read_the_old_file_any_more_begins_again(
    small_parts: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store composes the .zst, then it refuses to compose repodata.json, of which the run has read few chunks."""
    channel = small_parts
    channel.add(NEW[0])
    channel.add(NEW[1])
    begin = Uploads.begin

    def refusing(self: Uploads, key: str, headers: Mapping[str, str]) -> bytes:
        if key == f"ch/{REPODATA}":
            raise Refusal(501, "NotImplemented")
        return begin(self, key, headers)

    monkeypatch.setattr(Uploads, "begin", refusing)
    requests = channel.add(NEW[2])
    channel.check(*NEW)
    assert [r.method for r in requests if r.key == f"ch/{REPODATA}" and r.method != "HEAD"] == ["POST", "GET", "PUT"]


def forged(rows: list[Row], how: str) -> list[Row]:
    """The rows of a table that does not fit the file; NEW[2] is in the last chunk but two."""
    if how == "a larger file":
        return [*rows[:-1], replace(rows[-1], packed=10**12)]
    if how == "a shorter file":
        return [*rows[:-1], replace(rows[-1], packed=rows[-1].packed - 1)]
    number = next(number for number, row in enumerate(rows) if row.section)
    return [replace(row, packed_digest="0" * 32) if at == number else row for at, row in enumerate(rows)]


@pytest.mark.parametrize("how", ["a larger file", "a shorter file", "another chunk, which is read when it is sent"])
def test_a_table_that_does_not_fit_is_not_believed(
    small_parts: Channel, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    channel = small_parts
    channel.add(NEW[0])
    channel.add(NEW[1])
    key = "linux-64/.indexer.json.zst"
    state = decode_state(channel.served.fake.bodies()[key])
    assert state is not None
    file = state.files["repodata.json.zst"]
    assert file.chunks is not None
    table = table_of(forged([*file.chunks.rows], how))
    files = {**state.files, "repodata.json.zst": replace(file, chunks=table)}
    channel.served.fake.upload(key, encode_state(replace(state, files=files)))
    requests = channel.add(NEW[2])
    channel.check(*NEW)
    assert "linux-64/repodata.json.zst: is not as the last run left it; it is written again" in caplog.messages
    assert f"ch/{REPODATA}" in {request.key for request in requests if request.method == "GET"}
    assert channel.bytes_read < 60 * 2**20
    assert len(channel.add("linux-64/p60000-9-0.conda")) < 30  # the test of compositions is not made again
    channel.check(*NEW, "linux-64/p60000-9-0.conda")
