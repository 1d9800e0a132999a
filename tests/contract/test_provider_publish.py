"""On every kind of store a publisher sends a package with its digests, finds it again, and replaces it on request."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from indexer.commands.publish.publish import publish
from indexer.core.publishing import PublishRequest, Sending
from tests.contract.test_provider_runs import KINDS, NEW, OLD, Play, assert_whole, play
from tests.support.memory_channel import PLAIN, fake_context, package
from tests.support.package_files import build

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["play"]

META = "-meta-package-sha256"


def published(play: Play, file: Path, *, replace: bool = False) -> Sending:
    """What comes of a file that is published a while after the command before."""
    play.clock.now += 10
    store = play.stage.open(play.kind.provider)
    context = fake_context(int(1000 * play.wall()), play.clock)
    (result,) = publish(store, [file], PublishRequest(replace=replace), PLAIN, context).packages
    return result.result


@pytest.mark.parametrize("play", KINDS, indirect=True)
def test_a_package_is_sent_once_and_replaced_on_request_only(play: Play, tmp_path: Path) -> None:
    play.upload(OLD)
    play.run()
    file = build(tmp_path, NEW)
    assert published(play, file) is Sending.SENT
    assert stored(play) == package(NEW)
    assert published(play, file) is Sending.THERE
    build(tmp_path, NEW, license="other")
    assert published(play, file) is Sending.DIFFERENT
    assert stored(play) == package(NEW)
    assert published(play, file, replace=True) is Sending.REPLACED
    assert stored(play) == file.read_bytes()
    assert_whole(play.fake)
    assert ".indexer-lease" not in " ".join(play.fake.bodies())


def stored(play: Play) -> bytes:
    """The package in the bucket, whose metadata has its digest."""
    body = play.fake.bodies()[NEW]
    headers = play.fake.objects[f"ch/{NEW}"].headers
    assert [value for name, value in headers.items() if name.endswith(META)] == [hashlib.sha256(body).hexdigest()]
    return body
