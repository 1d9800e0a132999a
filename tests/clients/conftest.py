"""Channels of the fixtures, indexed by us and served in each way that readers know."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from indexer import Options, Outputs, index
from tests.support.buckets import bucket, moto_server
from tests.support.channels import lay_out
from tests.support.command import forget_settings

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["bucket", "moto_server"]


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    forget_settings(monkeypatch, tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fixtures' packages in a folder, with every file that a reader may ask for.  Nobody changes it."""
    folder = lay_out(tmp_path_factory.mktemp("clients") / "channel")
    index(str(folder), Options(outputs=Outputs(bz2=True)))
    return folder
