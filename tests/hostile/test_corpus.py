"""The corpus and what lies near it: every reader gives a result or an error of ours, twice the same, in bounds."""

from __future__ import annotations

import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.core.errors import IndexerError
from tests.hostile.corpus import SEEDS
from tests.hostile.readers import READERS

CASES = [(name, seed) for name, seeds in SEEDS.items() for seed in seeds]
MEMORY = 30 * 2**20
CPU = 2.0


def outcome(name: str, data: bytes) -> object:
    try:
        return READERS[name](data)
    except IndexerError as error:
        return str(error)


@pytest.mark.parametrize(("name", "seed"), CASES, ids=[f"{name}-{number}" for number, (name, _) in enumerate(CASES)])
def test_what_once_was_interesting_stays_harmless(name: str, seed: bytes) -> None:
    began = time.process_time()
    tracemalloc.start()
    try:
        first = outcome(name, seed)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert outcome(name, seed) == first
    assert not isinstance(first, str) or first.isprintable() or name == "spec"
    assert peak < MEMORY
    assert time.process_time() - began < CPU


def test_every_reader_has_a_corpus() -> None:
    assert READERS.keys() == SEEDS.keys()


# A piece that is cut out, and what is put there.
EDITS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 8), st.binary(max_size=8)), min_size=1, max_size=3)


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_what_lies_near_the_corpus_is_harmless_too(name: str, data: st.DataObject) -> None:
    damaged = data.draw(st.sampled_from(SEEDS[name]))
    for place, length, put in data.draw(EDITS):
        at = int(place * len(damaged))
        damaged = damaged[:at] + put + damaged[at + length :]
    assert outcome(name, damaged) == outcome(name, damaged)
