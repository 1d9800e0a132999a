"""What every test of the command line starts from: no settings of the user, a channel of the fixtures, a bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.buckets import bucket, moto_server
from tests.support.channels import lay_out
from tests.support.command import clear_settings

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["bucket", "moto_server"]


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    clear_settings(monkeypatch, tmp_path_factory.mktemp("home"))


@pytest.fixture
def channel(tmp_path: Path) -> Path:
    """The fixtures' packages in a folder, not indexed."""
    return lay_out(tmp_path / "channel")
