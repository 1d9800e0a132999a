"""`kill -9` at every call of the store, before it and after: readers see no hole, one more run heals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.s3.killed import killed_everywhere

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.killable_processes import Location, Runner

pytestmark = pytest.mark.s3


# After a call that reads is before the next one.
@pytest.mark.parametrize(("moment", "step"), [("before", 1), ("after", 3)])
def test_an_indexer_killed_at_any_call_loses_nothing(
    runner: Runner, in_bucket: Callable[[], Location], moment: str, step: int
) -> None:
    assert killed_everywhere(runner, in_bucket, moment, step) > 15
