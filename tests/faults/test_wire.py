"""Answers are spoilt on the wire: what may pass is not noticed, what may not ends the run, nothing is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.wire import FAULTS, Channel, channel_in, once, store_at, storm
from tests.support.buckets import moto_server, new_bucket, real_bucket
from tests.support.fault_proxy import FaultProxy, fault_proxy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fixtures.bucket import Bucket
    from indexer.store.s3.store import S3Store

__all__ = ["moto_server", "real_bucket"]


class Scene:
    """A channel, and the proxy through which it is indexed."""

    def __init__(self, bucket: Bucket, proxy: FaultProxy) -> None:
        self.proxy = proxy
        self.store: S3Store = store_at(proxy, bucket)
        self.channel: Channel = channel_in(bucket, self.store, proxy)


@pytest.fixture(scope="module", params=["moto", pytest.param("s3", marks=pytest.mark.s3)])
def scene(request: pytest.FixtureRequest) -> Iterator[Scene]:
    if request.param == "moto":
        bucket = new_bucket(request.getfixturevalue("moto_server"))
    else:
        bucket = request.getfixturevalue("real_bucket")
    with fault_proxy(bucket.endpoint) as proxy:
        scene = Scene(bucket, proxy)
        yield scene
        scene.store.bucket.client.connections.close()


@pytest.mark.parametrize("number", range(len(FAULTS)), ids=[fault.name for fault in FAULTS])
def test_a_spoilt_answer_loses_nothing_and_the_next_run_heals(scene: Scene, number: int) -> None:
    # Each kind of fault is injected into other requests; test_store.py injects faults into every call of a store.
    fault = FAULTS[number]
    able = scene.channel.able(fault)[number % 8 :: 8]
    injected = [once(scene.channel, scene.store, scene.proxy, fault, at) for at in able]
    assert all(injected)


@pytest.mark.parametrize("seed", range(3))
def test_a_storm_on_the_wire_loses_nothing(scene: Scene, seed: int) -> None:
    storm(scene.channel, scene.store, scene.proxy, seed)
    assert scene.proxy.injected
