"""One server for all stores that these tests play."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.fake_s3 import stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.fake_s3 import Stage


@pytest.fixture(scope="session")
def served() -> Iterator[Stage]:
    with stage() as there:
        yield there
