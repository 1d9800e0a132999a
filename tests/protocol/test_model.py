"""The protocol holds in every interleaving of the small scenarios, and the model finds each unsound way to work.

`python -m tests.protocol` walks the large ones.
"""

from __future__ import annotations

import pytest

from tests.protocol.indexer import FINDS_ALL, I3
from tests.protocol.scenarios import ETAGS, FEW_IN_ALL_FORMATS, SMALL, UNSOUND, Unsound
from tests.protocol.walk import Scenario, Walk
from tests.protocol.world import FULL, Change, Protocol


@pytest.mark.parametrize("scenario", SMALL, ids=lambda scenario: scenario.name)
def test_every_interleaving_keeps_the_laws(scenario: Scenario) -> None:
    assert Walk(scenario, Protocol()).run().broken == {}


def test_versions_that_come_back_do_no_lasting_harm() -> None:
    assert Walk(ETAGS[0], Protocol(etags=True)).run().broken == {}


@pytest.mark.parametrize("way", UNSOUND, ids=lambda way: way.name)
def test_an_unsound_way_to_work_is_refuted(way: Unsound) -> None:
    assert way.laws <= Walk(way.scenario, way.protocol).run().broken.keys()
    assert Walk(way.scenario, Protocol()).run().broken == {}


def test_runs_over_a_few_in_all_formats_leave_what_the_next_run_heals() -> None:
    assert Walk(FEW_IN_ALL_FORMATS, Protocol()).run().broken.keys() == {I3, FINDS_ALL}


def test_one_indexer_alone_meets_every_moment_of_an_upload() -> None:
    walk = Walk(Scenario("1 indexer; upload", (FULL,), (Change(new=0b10000),)), Protocol()).run()
    # 3 of a quiet run; 8 and 7 of one that met the upload before or after its first call; what the two kinds leave.
    assert walk.situations == 20


def test_the_order_of_the_source_matters_only_without_a_ledger() -> None:
    scenario = SMALL[0]
    assert Walk(scenario, Protocol(order="source first")).run().broken == {}
