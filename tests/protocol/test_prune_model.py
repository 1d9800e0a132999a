"""`prune` keeps its laws in every interleaving, and the model finds each unsound way to work."""

from __future__ import annotations

import pytest

from tests.protocol.prune_model import FOUND, INDEXED, NEWER, OUT, Protocol, Scenario, broken

ONE = Scenario("1 prune, 1 indexer; upload", ("prune", "index", "upload", "clock"))
TWO = Scenario("2 prunes, 1 indexer", ("prune", "prune", "index", "clock"))
SCENARIOS = (
    ONE,
    TWO,
    Scenario("2 prunes; upload", ("prune", "prune", "upload", "clock")),
    Scenario("2 prunes, snapshot", ("prune", "prune", "snapshot", "clock")),
    Scenario("1 prune, 2 indexers, snapshot", ("prune", "index", "index", "snapshot", "clock")),
)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_every_interleaving_keeps_the_laws_of_prune(scenario: Scenario) -> None:
    laws, situations = broken(scenario, Protocol())
    assert laws == set()
    assert situations > 200


@pytest.mark.parametrize(
    ("way", "scenario", "law"),
    [
        (Protocol(counts_from_index=False), TWO, FOUND),
        (Protocol(deletes_by_etag=False), SCENARIOS[2], NEWER),
        (Protocol(heeds_entries=False), ONE, OUT),
        (Protocol(by_etag=False), ONE, INDEXED),
        (Protocol(conditional_index=False), TWO, FOUND),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_unsound_way_to_prune_is_refuted(way: Protocol, scenario: Scenario, law: str) -> None:
    assert law in broken(scenario, way)[0]
    assert broken(scenario, Protocol())[0] == set()
