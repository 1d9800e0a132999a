"""conda is offered the same in every format that it knows, with both of its solvers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from indexer import index, yank
from tests.support import conda
from tests.support.answering import serving_folder
from tests.support.channels import lay_out
from tests.support.pixi import FILE_OF

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.answering import Server

YANKED = "noarch/reedbed-1.0.0-0.conda"
PATCHED = "noarch/reedbed-1.1.0-0.conda"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = lay_out(tmp_path_factory.mktemp("conda") / "channel")
    said = {"packages.conda": {"reedbed-1.1.0-0.conda": {"depends": ["mire"]}}}
    (folder / "noarch" / "patch_instructions.json").write_text(json.dumps(said))
    index(str(folder))
    yank(str(folder), [YANKED], "broken")
    with serving_folder(folder) as server:
        yield server


@pytest.mark.parametrize("form", conda.FORMATS)
def test_conda_is_offered_no_yanked_package_and_sees_a_patched_dependency(served: Server, form: str) -> None:
    start = len(served.asked)
    found = conda.search(served.url, form, "reedbed")
    assert f"/noarch/{FILE_OF[form]}" in {asked.path for asked in served.asked[start:]}
    assert YANKED not in found
    assert found[PATCHED]["depends"] == ["mire"]


@pytest.mark.parametrize("form", conda.FORMATS)
@pytest.mark.parametrize("solver", conda.SOLVERS)
def test_conda_solves_by_the_patched_dependency(served: Server, form: str, solver: str) -> None:
    start = len(served.asked)
    assert conda.solve(served.url, form, solver, "reedbed") == ["noarch/mire-1.0-0", "noarch/reedbed-1.1.0-0"]
    # Only the rattler solver has conda read shards; the classic one falls back to zst.
    read = "zst" if (form, solver) == ("shards", "classic") else form
    assert f"/noarch/{FILE_OF[read]}" in {asked.path for asked in served.asked[start:]}
