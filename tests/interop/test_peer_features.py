"""What the page of parity says that we publish is published, and the page has every row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks import peers
from benchmarks.parity import features, trials
from tests.support.command import ROOT

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def channel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    nowhere = tmp_path_factory.mktemp("nowhere")
    ours, _, _ = trials.tools(peers.CondaIndex("no-python", nowhere))
    return trials.published(ours, tmp_path_factory.mktemp("full") / "channel")


@pytest.mark.parametrize("feature", features.PUBLISHED)
def test_we_publish_each_feature_as_the_page_says(channel: Path, feature: str) -> None:
    assert features.PUBLISHED[feature](channel)
    assert f"| {feature} | yes |" in (ROOT / "docs" / "parity.md").read_text()


@pytest.mark.parametrize("feature", features.TRIED)
def test_the_page_has_each_trial(feature: str) -> None:
    assert f"| {feature} | yes |" in (ROOT / "docs" / "parity.md").read_text()
