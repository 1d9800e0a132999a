"""The text of a metrics file: each metric has its lines, each value is escaped, and no value is wrong."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.core.metrics import EndedRun, metrics
from indexer.core.report import Note, Outcome, Report, SubdirReport
from indexer.core.usage import Usage

SUCCESS = "indexer_last_success_timestamp_seconds"


def report(outcome: Outcome = Outcome.PUBLISHED, error: str | None = None) -> Report:
    bad = (Note("b-1-0.conda", "broken"),)
    sub = SubdirReport(outcome, packages=5, attempts=3, added=("a-1-0.conda",), rejected=bad, error=error)
    return Report({"noarch": sub}, usage=Usage(Counter(GET=4), 70, 80))


def values(text: str) -> dict[str, str]:
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return dict(line.rsplit(" ", 1) for line in lines)


def test_each_metric_has_its_value_and_its_labels() -> None:
    shown = values(metrics(EndedRun("ch", 3, 100.25, 1.5, report())))
    assert shown == {
        'indexer_last_run_timestamp_seconds{channel="ch"}': "100.25",
        f'{SUCCESS}{{channel="ch"}}': "100.25",
        'indexer_exit_code{channel="ch"}': "3",
        'indexer_duration_seconds{channel="ch"}': "1.5",
        'indexer_requests{channel="ch",verb="GET"}': "4",
        'indexer_read_bytes{channel="ch"}': "70",
        'indexer_written_bytes{channel="ch"}': "80",
        'indexer_packages{channel="ch",subdir="noarch"}': "5",
        'indexer_rejected_packages{channel="ch",subdir="noarch"}': "1",
        'indexer_added_packages{channel="ch",subdir="noarch"}': "1",
        'indexer_updated_packages{channel="ch",subdir="noarch"}': "0",
        'indexer_removed_packages{channel="ch",subdir="noarch"}': "0",
        'indexer_conflicts{channel="ch",subdir="noarch"}': "2",
    }


def test_a_type_and_a_meaning_stand_before_the_values_of_a_metric() -> None:
    lines = metrics(EndedRun("ch", 0, 100.0, 1.5, report())).splitlines()
    for at, line in enumerate(lines):
        if line.startswith("# HELP "):
            name = line.split()[2]
            assert lines[at + 1] == f"# TYPE {name} gauge"
            assert lines[at + 2].startswith(f"{name}{{")
    assert sum(line.startswith("# HELP ") for line in lines) == 13


@pytest.mark.parametrize(
    "failed", [EndedRun("ch", 1, 200.0, 1.0), EndedRun("ch", 0, 200.0, 1.0, report(Outcome.PLANNED))]
)
def test_a_failed_run_and_a_plan_keep_the_time_of_the_last_success(failed: EndedRun) -> None:
    assert SUCCESS not in metrics(failed)
    before = metrics(EndedRun("ch", 0, 100.125, 1.0, report()))
    shown = metrics(failed, before)
    assert values(shown)[f'{SUCCESS}{{channel="ch"}}'] == "100.125"
    assert values(metrics(failed, shown))[f'{SUCCESS}{{channel="ch"}}'] == "100.125"
    assert SUCCESS not in metrics(failed, metrics(EndedRun("other", 0, 100.0, 1.0, report())))


def test_a_subdir_that_failed_has_no_values() -> None:
    assert "subdir" not in metrics(EndedRun("ch", 1, 100.0, 1.0, report(Outcome.FAILED, "a reason")))


@given(st.text())
def test_a_label_is_one_quoted_text(channel: str) -> None:
    text = metrics(EndedRun(channel, 0, 100.0, 1.0, report()))
    escaped = channel.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    lines = [line for line in text.split("\n") if line and not line.startswith("# ")]
    assert all(f'{{channel="{escaped}"' in line for line in lines)
    assert len(lines) == 13
