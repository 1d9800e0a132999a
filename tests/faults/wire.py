"""Runs over a bucket with one answer or many of them spoilt on the wire, and what they must not do to the channel."""

from __future__ import annotations

import hashlib
import io
import random
import uuid
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from indexer.core.errors import IndexerError
from indexer.store.s3.store import S3Store
from indexer.store.target import S3Options, Target
from tests.faults.store import Ended
from tests.support.channel_check import faults
from tests.support.channel_reader import indexed, unreadable
from tests.support.channels import objects
from tests.support.http_hooks import no_pause
from tests.support.memory_channel import DAY_MS, NOW_MS, PLAIN, index, is_package, keys, package

if TYPE_CHECKING:
    from collections.abc import Callable

    from fixtures.bucket import Bucket
    from tests.support.fault_proxy import FaultProxy, Request

LATER_MS = NOW_MS + DAY_MS


@dataclass(frozen=True)
class Fault:
    """What is done to one answer, and what a run may end with; `hidden` where nobody shall notice."""

    name: str
    codes: frozenset[int] = frozenset({0})
    verbs: frozenset[str] = frozenset({"LIST", "GET", "HEAD", "PUT", "DELETE"})

    @property
    def hidden(self) -> bool:
        """Whether the run shall end as if nothing had been."""
        return self.codes == {0}


_READS = frozenset({"GET", "HEAD", "LIST"})
_ON_OBJECTS = frozenset({"GET", "HEAD", "PUT", "DELETE"})
FAULTS = (
    *(Fault(name) for name in ("503", "500", "reset", "lost")),
    *(Fault(name, verbs=_ON_OBJECTS) for name in ("412", "409")),
    *(Fault(name, verbs=frozenset({"GET", "LIST"})) for name in ("cut", "torn")),
    Fault("404", verbs=frozenset({"GET", "HEAD", "PUT"})),
    Fault("lying", frozenset({0, 1}), frozenset({"GET", "LIST"})),
    Fault("stale", frozenset({0, 1, 6}), _READS),
    Fault("twice", frozenset({0, 1, 6})),
    Fault("403", frozenset({0, 1, 3})),
    Fault("400", frozenset({0, 1, 2})),
    Fault("expired", frozenset({0, 1, 2, 3})),
)


def _large(key: str) -> bytes:
    """A package of which only the end is read."""
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(package(key))) as small, zipfile.ZipFile(packed, "w") as large:
        large.writestr("pkg-of-noise.tar.zst", random.Random(1).randbytes(400_000))
        for name in small.namelist():
            large.writestr(name, small.read(name))
    return packed.getvalue()


@dataclass
class Channel:
    """A channel that was indexed and then changed, in a bucket, to be put back as it was after each try."""

    bucket: Bucket
    prefix: str = field(default_factory=lambda: uuid.uuid4().hex)
    before: dict[str, bytes] = field(default_factory=dict)
    expected: dict[str, bytes] = field(default_factory=dict)
    verbs: list[str] = field(default_factory=list)
    _read: dict[str, bytes] = field(default_factory=dict)

    def able(self, fault: Fault) -> list[int]:
        """The numbers, from 1, of the requests that a fault can befall in a run that nobody disturbs."""
        return [at for at, verb in enumerate(self.verbs, 1) if verb in fault.verbs]

    @property
    def kept(self) -> set[str]:
        """The packages that the index has when a try begins."""
        return indexed(self.before)

    def now(self) -> dict[str, bytes]:
        """All that lies there; what has an MD5 that was there before is not read again."""
        return objects(self.bucket, self.prefix, self._read)

    def put(self, key: str, body: bytes) -> None:
        """Put an object as an uploader does."""
        metadata = {}
        if is_package(key):
            md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
            metadata = {"package-md5": md5, "package-sha256": hashlib.sha256(body).hexdigest()}
        where = {"Bucket": self.bucket.bucket, "Key": f"{self.prefix}/{key}"}
        self.bucket.client.put_object(**where, Body=body, Metadata=metadata)

    def remove(self, key: str) -> None:
        """Delete an object."""
        self.bucket.client.delete_object(Bucket=self.bucket.bucket, Key=f"{self.prefix}/{key}")

    def put_back(self) -> None:
        """Make it what it was before the try."""
        now = self.now()
        for key in now.keys() - self.before.keys():
            self.remove(key)
        for key, body in self.before.items():
            if now.get(key) != body:
                self.put(key, body)


def channel_in(bucket: Bucket, store: S3Store, proxy: FaultProxy) -> Channel:
    """A channel for many tries, with what an undisturbed run makes of it."""
    channel = Channel(bucket)
    first, second, gone, *_ = keys(4)
    for key in keys(4):
        channel.put(key, package(key))
    _run(channel, store, NOW_MS)
    channel.remove(gone)
    channel.put(second, package(second, license="replaced"))
    channel.put("linux-64/large-1.0-0.conda", _large("linux-64/large-1.0-0.conda"))
    channel.before = channel.now()
    began = len(proxy.requests)
    assert _run(channel, store, LATER_MS) == Ended(0, ())
    channel.verbs = [request.kind for request in proxy.requests[began:]]
    channel.expected = channel.now()
    assert faults(store) == []
    assert first in indexed(channel.expected)
    channel.put_back()
    return channel


def store_at(proxy: FaultProxy, bucket: Bucket) -> S3Store:
    """A store that is reached through the proxy, whose retries nobody waits for."""
    options = S3Options(proxy.url, "us-east-1", "path", bucket.access_key, bucket.secret_key)
    return S3Store(bucket.bucket, "", Target(f"s3://{bucket.bucket}", options), no_pause())


def _run(channel: Channel, store: S3Store, now_ms: int) -> Ended:
    store.bucket.prefix = f"{channel.prefix}/"
    try:
        report = index(store, PLAIN, now_ms=now_ms)
    except IndexerError as error:
        return Ended(error.exit_code, (str(error),))
    return Ended(report.exit_code, tuple(sub.error for sub in report.subdirs.values() if sub.error))


def once(channel: Channel, store: S3Store, proxy: FaultProxy, fault: Fault, at: int) -> bool:
    """A run whose request number `at` is answered wrongly, and one more, each checked.  Whether there was such one."""
    began = len(proxy.requests)

    def choose(number: int, request: Request) -> str:
        return fault.name if number == began + at and request.kind in fault.verbs else ""

    return _checked(channel, store, proxy, choose, fault)


def storm(channel: Channel, store: S3Store, proxy: FaultProxy, seed: int) -> None:
    """A run of which most requests fail for a while, and one more, each checked."""
    draw = random.Random(seed)
    share = draw.choice([0.3, 0.6, 0.9])
    length = draw.randrange(20, 200)
    began = len(proxy.requests)

    def choose(number: int, _question: Request) -> str:
        raging = number < began + length and draw.random() < share
        return draw.choice(["503", "500", "reset", "lost", "cut", "torn"]) if raging else ""

    _checked(channel, store, proxy, choose, Fault("storm", frozenset({0, 1})))


def _checked(
    channel: Channel, store: S3Store, proxy: FaultProxy, choose: Callable[[int, Request], str], fault: Fault
) -> bool:
    proxy.injected.clear()
    proxy.choose = choose
    ended = _run(channel, store, LATER_MS)
    proxy.choose = lambda _number, _question: ""
    injected = bool(proxy.injected)
    told = f"{fault.name} {proxy.injected}, last {proxy.requests[-1][:2]}: {ended}"
    left = channel.now()
    assert ended.code in fault.codes, told
    assert (ended.code in {0, 3}) == (not ended.errors), told
    assert all(len(line.splitlines()) == 1 for line in ended.errors), told
    assert unreadable(left) == [], told
    assert {key: left.get(key) for key in channel.before if is_package(key)} == _packages(channel.before), told
    if fault.name not in {"stale", "twice"}:
        assert channel.kept <= indexed(left), told
    if fault.hidden or (fault.name == "storm" and ended.code == 0):
        assert published(left) == published(channel.expected), told
    ended = _run(channel, store, LATER_MS)
    assert ended == Ended(0, ()), told
    healed = channel.now()
    assert faults(store) == [], told
    if fault.name not in {"stale", "twice"}:
        assert published(healed) == published(channel.expected), told
    channel.put_back()
    return injected


def published(content: dict[str, bytes]) -> dict[str, bytes]:
    """What readers see besides packages."""
    return {key: body for key, body in content.items() if not is_package(key) and ".indexer" not in key}


def _packages(content: dict[str, bytes]) -> dict[str, bytes]:
    return {key: body for key, body in content.items() if is_package(key)}
