"""A check finds packages of other people sound, whoever has indexed them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from indexer import check

if TYPE_CHECKING:
    from pathlib import Path

    from tests.interop.real_packages import Indexed

pytestmark = pytest.mark.xdist_group("real packages")  # indexed once, not once in each process


def test_what_we_have_indexed_is_sound_in_a_folder_and_in_a_bucket(folder: Indexed, in_bucket: Indexed) -> None:
    for indexed, least in ((folder, 250), (in_bucket, 60)):
        verdict = check(indexed.target, deep=True)
        assert [str(fault) for fault in verdict.faults] == []
        assert sum(sub.packages_read for sub in verdict.subdirs.values()) > least


def test_what_rattler_index_has_indexed_is_sound(rattlers: Path) -> None:
    verdict = check(str(rattlers), deep=True)
    assert [str(fault) for fault in verdict.faults] == []
    assert sum(sub.packages_read for sub in verdict.subdirs.values()) > 250
