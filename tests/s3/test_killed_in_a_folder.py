"""`kill -9` at every call of the store and at every deed on the folder: readers see no hole, one more run heals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.s3.killed import killed_everywhere

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.killable_processes import Location, Runner

pytestmark = pytest.mark.s3  # real processes take their time


@pytest.mark.parametrize("moment", ["before", "after", "deed"])
def test_an_indexer_killed_at_any_moment_loses_nothing(
    runner: Runner, in_folder: Callable[[], Location], moment: str
) -> None:
    assert killed_everywhere(runner, in_folder, moment) > 15
