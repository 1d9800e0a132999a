"""A check finds packages of other people sound, whoever has indexed them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks import peers
from indexer import check
from tests.support.channels import lay_out

if TYPE_CHECKING:
    from pathlib import Path

    from tests.interop.real_packages import Indexed

pytestmark = pytest.mark.xdist_group("real packages")  # indexed once, not once in each process


def test_what_we_have_indexed_is_sound_in_a_folder_and_in_a_bucket(folder: Indexed, in_bucket: Indexed) -> None:
    for indexed in (folder, in_bucket):
        verdict = check(indexed.target, deep=True)
        assert [str(fault) for fault in verdict.faults] == []
        assert sum(sub.packages_read for sub in verdict.subdirs.values()) > 250


def test_what_rattler_index_has_indexed_is_sound(folder: Indexed, good: list[Path], tmp_path: Path) -> None:
    theirs = lay_out(tmp_path / "theirs", [path for path in good if path.parent.name in folder.report.subdirs])
    assert peers.rattler_folder(theirs).ok
    verdict = check(str(theirs), deep=True)
    assert [str(fault) for fault in verdict.faults] == []
    assert sum(sub.packages_read for sub in verdict.subdirs.values()) > 250
