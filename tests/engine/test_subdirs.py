"""What fails in one subdir stays there, unless all subdirs would fail in the same way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from indexer.core.errors import BadCredentials, Denied, IndexerError, OneUnavailable, Unavailable
from indexer.core.report import Outcome
from tests.support.interfering_store import InterferingStore
from tests.support.memory_channel import channel, index, keys

if TYPE_CHECKING:
    from tests.support.memory import Call, MemoryStore

FIRST, LAST = "linux-64", "osx-arm64"


def run(error: IndexerError, *, verb: str, ends: str) -> tuple[MemoryStore, dict[str, Outcome]]:
    """A run to which the store answers with an error to one kind of request in the first subdir."""
    store = channel(*keys(3, FIRST), *keys(3, LAST))

    def refuse(_number: int, call: Call) -> None:
        if call.verb == verb and call.key.startswith(f"{FIRST}/") and call.key.endswith(ends):
            raise error

    report = index(InterferingStore(store, before=refuse))
    return store, {name: sub.outcome for name, sub in report.subdirs.items()}


@pytest.mark.parametrize(
    ("verb", "ends"), [("GET", ".conda"), ("LIST", "/"), ("GET", ".json.zst"), ("PUT", "repodata.json")]
)
@pytest.mark.parametrize("kind", [Denied, OneUnavailable])
def test_a_subdir_that_fails_does_not_stop_the_others(kind: type[IndexerError], verb: str, ends: str) -> None:
    store, outcomes = run(kind("linux-64/x", "is of another owner"), verb=verb, ends=ends)
    assert outcomes == {FIRST: Outcome.FAILED, LAST: Outcome.PUBLISHED, "noarch": Outcome.PUBLISHED}
    assert f"{LAST}/repodata.json" in store.objects


@pytest.mark.parametrize("kind", [BadCredentials, Unavailable])
def test_what_concerns_the_whole_channel_stops_the_channel(kind: type[IndexerError]) -> None:
    store, outcomes = run(kind("the store", "does not answer"), verb="LIST", ends="/")
    assert set(outcomes.values()) == {Outcome.FAILED}
    assert f"{LAST}/repodata.json" not in store.objects
