"""Each phase of a run shows its steps and ends at its total; nothing is counted if nothing is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from indexer.commands.index import index_channel
from indexer.commands.with_settings import index_with_settings
from indexer.core.progress import Phase, Step
from indexer.lister.listing import counted, listed
from tests.support.memory import MemoryStore
from tests.support.memory_channel import PLAIN, Inline, channel, fake_context, keys, with_outputs

if TYPE_CHECKING:
    from indexer.core.options import Options


def steps(store: MemoryStore, options: Options = PLAIN) -> list[Step]:
    shown: list[Step] = []
    index_with_settings(store, options, replace(fake_context(), progress=shown.append))
    return shown


def test_each_phase_of_each_subdir_ends_at_its_total() -> None:
    shown = steps(channel(*keys(3), *keys(2, "noarch")))
    for subdir, packages in (("linux-64", 3), ("noarch", 2)):
        phases = {phase: [step for step in shown if (step.phase, step.subdir) == (phase, subdir)] for phase in Phase}
        assert [step.done for step in phases[Phase.READING]] == [*range(packages + 1)]
        for phase in (Phase.LISTING, Phase.READING, Phase.WRITING):
            assert phases[phase][-1].done == phases[phase][-1].total > 0


def test_files_that_are_written_are_counted() -> None:
    store = channel(*keys(3))
    shown = steps(store)
    writes = [step for step in shown if (step.phase, step.subdir) == (Phase.WRITING, "linux-64")]
    assert [step.done for step in writes] == [*range(1, len(writes) + 1)]
    assert {step.total for step in writes} == {len(writes)}


def test_pages_that_are_written_are_counted() -> None:
    shown = steps(channel(*keys(3)), with_outputs(html=True))
    pages = [step for step in shown if step.subdir == "" and step.total == 3]
    assert [step.done for step in pages] == [1, 2, 3]


def test_all_stages_of_a_first_run_count_all_packages() -> None:
    shown: list[Step] = []
    index_channel(channel(*keys(5)), PLAIN, replace(fake_context(), progress=shown.append, stage=2))
    reading = [step for step in shown if step.phase is Phase.READING]
    assert [step.done for step in reading] == [0, 1, 2, 2, 3, 4, 4, 5]
    assert {step.total for step in reading} == {5}


def test_an_unchanged_run_writes_nothing_and_reads_nothing() -> None:
    store = channel(*keys(3))
    steps(store)
    assert {step.phase for step in steps(store)} == {Phase.LISTING}


def test_a_long_listing_shows_each_thousand_objects() -> None:
    store = MemoryStore()
    for number in range(2100):
        store.upload(f"noarch/{number:04}.txt", b"")
    counts: list[int] = []
    assert len([*listed(store, "noarch/", (), Inline(), lambda stats: [*counted(stats, counts.append)])]) == 2100
    assert counts == [1000, 2000]
