"""What pixi's engine cannot parse never reaches an index: one such record would fail the installs of its whole name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from indexer import Options, Outputs, index
from tests.support.channels import write
from tests.support.http_servers import serving_folder
from tests.support.pixi import FORMATS, Errand, Found, send

if TYPE_CHECKING:
    from pathlib import Path

# Each is another build of the same name, which a reader must still find.
REFUSED: dict[str, dict[str, Any]] = {
    "linux-64/reed-1..0-0.conda": {},
    "linux-64/reed-1.0é-0.conda": {},
    "linux-64/reed-1!2!3-0.conda": {},
    "linux-64/reed-99999999999999999999-0.conda": {},
    "linux-64/r~d-1.0-0.conda": {},
    "linux-64/réed-1.0-0.conda": {},
}
MENDED: dict[str, dict[str, Any]] = {
    "linux-64/reed-2.0-time.conda": {"timestamp": 10**16},
    "linux-64/reed-2.0-purl.conda": {"purls": ["pkg:a", "nonsense"]},
    "linux-64/reed-2.0-text.conda": {"license": "MIT\x1b[2J", "features": "\u202e"},
}
ODD: dict[str, dict[str, Any]] = {
    "linux-64/reed-3.0-spec.conda": {"depends": ["a[[[", "<script>", "??? !!"]},
    "linux-64/reed-3.0-number.conda": {"build_number": 2**64 - 1},
    "linux-64/reed-3.0-html.conda": {"license": "<script>alert(1)</script>"},
    "linux-64/reed-1.0__-0.conda": {},
    "linux-64/reed-1._-0.conda": {},
    "linux-64/reed-1!1.0+1_a-0.conda": {},
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    folder: Path = tmp_path_factory.mktemp("hostile") / "channel"
    for key, fields in {**REFUSED, **MENDED, **ODD}.items():
        write(folder, key, **fields)
    report = index(str(folder), Options(outputs=Outputs(bz2=True)))
    assert {f"linux-64/{note.filename}" for note in report.subdirs["linux-64"].rejected} == REFUSED.keys()
    with serving_folder(folder) as server:
        return send(Errand(server.url))


@pytest.mark.parametrize("form", FORMATS)
def test_all_that_is_indexed_of_a_hostile_channel_is_read(found: Found, form: str) -> None:
    assert found.records[form].keys() == {*MENDED, *ODD}
