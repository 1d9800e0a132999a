"""Every call of a run goes wrong once, in every way that it can, and many at once."""

from __future__ import annotations

import pytest

from tests.faults.store import Tally, calls_of, once, storm
from tests.support.fault_store import FAULTS, Fault

# `python -m tests.faults` goes through all scenes; these write, delete and read back all that there is.
SCENES = ("a changed channel", "to shards alone")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
@pytest.mark.parametrize("name", SCENES)
def test_whatever_call_goes_wrong_nothing_is_lost_and_the_next_run_heals(name: str, fault: Fault) -> None:
    tally = Tally()
    for at, call in enumerate(calls_of(name), 1):
        if call.verb in fault.verbs:
            once(name, fault, at, tally)
    assert tally.faults[fault.name] > 0
    assert tally.lost == 0


@pytest.mark.parametrize("seed", range(30))
def test_a_storm_loses_nothing_and_ends(seed: int) -> None:
    tally = Tally()
    storm(SCENES[seed % 2], seed, tally)
    assert tally.lost == 0
