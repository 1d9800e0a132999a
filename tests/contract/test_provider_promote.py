"""On every kind of store a package is promoted once, with its record, and never over other bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from indexer.commands.promote.promote import PromoteRequest, Source, promote
from indexer.core.publishing import Sending
from indexer.store import Expect
from tests.contract.test_provider_runs import KINDS, NEW, OLD, Play, assert_whole, play
from tests.support.memory_channel import PLAIN, fake_context, index, package

if TYPE_CHECKING:
    from indexer.store.s3.store import S3Store

__all__ = ["play"]


def staged(play: Play) -> S3Store:
    """A channel in the same bucket, which has a new package."""
    store = play.stage.open(play.kind.provider, "from")
    store.put(NEW, package(NEW), expect=Expect.ANYTHING)
    index(store, now_ms=int(1000 * play.wall()), clock=play.clock)
    return play.stage.open(play.kind.provider, "from")


def promoted(play: Play, source: S3Store) -> Sending:
    """What comes of a promotion, a while after the command before."""
    play.clock.now += 10
    context = fake_context(int(1000 * play.wall()), play.clock)
    store = play.stage.open(play.kind.provider)
    (result,) = promote(Source(source), store, PromoteRequest((NEW,)), PLAIN, context).packages
    return result.result


@pytest.mark.parametrize("play", KINDS, indirect=True)
def test_a_package_is_promoted_once_and_other_bytes_stay(play: Play) -> None:
    play.upload(OLD)
    play.run()
    source = staged(play)
    assert promoted(play, source) is Sending.PROMOTED
    assert play.fake.objects[f"ch/{NEW}"].body == package(NEW)
    channel = {key: it for key, it in play.fake.objects.items() if not key.startswith("from/")}
    play.fake.objects = channel
    assert_whole(play.fake)
    assert ".indexer-lease" not in " ".join(play.fake.bodies())
    source = staged(play)
    assert promoted(play, source) is Sending.THERE
    other = package(NEW, license="other")
    play.fake.upload(NEW, other)
    assert promoted(play, source) is Sending.DIFFERENT
    assert play.fake.objects[f"ch/{NEW}"].body == other
