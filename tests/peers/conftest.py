"""Nothing of the user's settings, and a bucket."""

from __future__ import annotations

import pytest

from tests.support.buckets import bucket, moto_server
from tests.support.command import forget_settings

__all__ = ["bucket", "moto_server"]


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    forget_settings(monkeypatch, tmp_path_factory.mktemp("home"))
