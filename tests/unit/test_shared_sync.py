"""One sync of a folder serves all threads whose changes were made before the sync began."""

from __future__ import annotations

import pytest

from indexer.store.shared_sync import SharedSync


def test_changes_before_a_sync_share_it() -> None:
    shared, syncs = SharedSync(), list[str]()
    numbers = [shared.next() for _ in range(3)]
    for number in numbers:
        shared.wait_for(number, lambda: syncs.append("sync"))
    assert syncs == ["sync"]


def test_a_change_during_a_sync_needs_the_next_one() -> None:
    shared, syncs, during = SharedSync(), list[str](), list[int]()

    def sync() -> None:
        during.append(shared.next())
        syncs.append("first")

    shared.wait_for(shared.next(), sync)
    shared.wait_for(during[0], lambda: syncs.append("second"))
    assert syncs == ["first", "second"]


def test_a_sync_that_failed_serves_no_change() -> None:
    shared, syncs = SharedSync(), list[str]()
    number = shared.next()

    def fail() -> None:
        raise OSError

    with pytest.raises(OSError, match=r"^$"):
        shared.wait_for(number, fail)
    shared.wait_for(number, lambda: syncs.append("again"))
    assert syncs == ["again"]
