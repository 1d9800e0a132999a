"""rattler-index and we publish the same of the same configuration, and pixi's engine reads it in every format."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from indexer import index
from indexer.core.options import Options
from indexer.settings.files import load
from indexer.settings.given import given_settings
from indexer.settings.locations import Environment
from tests.support.command import run
from tests.support.http_servers import serving_folder
from tests.support.memory_channel import package
from tests.support.pixi import FORMATS, Errand, send

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """[index-config]
package-revision-assignment = "{assignment}"
repodata-revisions = [{{ revision = "v3", message = "Update your client" }}]
[index-config.channel-relations]
base = "../conda-forge"
[[index-config.notices]]
id = "n1"
message = "Moving house"
level = "info"
created_at = "2026-01-01T00:00:00Z"
expires_at = "2027-01-01T00:00:00Z"
"""
PACKAGES: dict[str, dict[str, object]] = {
    "linux-64/plain-1.0-0.conda": {},
    "linux-64/singer-1.0-0.conda": {"depends": ["plain 1.0.* 0", "plain >=1"], "constrains": ["x 1"]},
    "linux-64/choosy-1.0-0.conda": {"depends": ['plain[when="python>=3.10"]']},
    "linux-64/flagged-1.0-0.conda": {"flags": ["gpu"]},
    "noarch/old-1-0.tar.bz2": {"noarch": "generic"},
}
ATTESTED = "linux-64/plain-1.0-0.conda"
BUNDLES = b'[{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"}]'
SHA256 = hashlib.sha256(BUNDLES).hexdigest()
# py-rattler crashes now and then while the interpreter shuts down, so its process never does that.
RATTLER = """
import asyncio, os, sys
from rattler.config import Config
from rattler.index import index_fs
asyncio.run(index_fs(sys.argv[1], config=Config.load_from_files([sys.argv[2]])))
sys.stdout.flush()
os._exit(0)
"""


def lay_up(folder: Path) -> Path:
    for key, fields in PACKAGES.items():
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(package(key, **fields))
    (folder / f"{ATTESTED}.sigs").write_bytes(BUNDLES)
    (folder / f"{ATTESTED}.sigs.{SHA256}").write_bytes(BUNDLES)
    return folder


def ours(folder: Path, config: Path) -> None:
    result = load(config, Environment(os.environ, folder, folder)).index(str(folder))
    given = given_settings({"bz2": True}, result)
    assert index(str(folder), Options(settings=given.settings, origins=tuple(given.origins.items()))).exit_code == 0


def repodata(folder: Path, subdir: str) -> dict[str, Any]:
    """What is comparable: without the times of the run, which differ."""
    result: dict[str, Any] = json.loads((folder / subdir / "repodata.json").read_bytes())
    for revision in result["info"]["repodata_revisions"].values():
        revision.pop("oldest", None)
        revision.pop("newest", None)
    sections = [result["packages"], result["packages.conda"], *result.get("v3", {}).values()]
    for records in sections:
        for record in records.values():
            del record["indexed_timestamp"]
    result["v3"] = {bucket: records for bucket, records in result.get("v3", {}).items() if records}
    return result


@pytest.mark.parametrize("assignment", ["from-index-json", "latest"])
def test_rattler_index_publishes_the_same_of_the_same_configuration(tmp_path: Path, assignment: str) -> None:
    config = tmp_path / "config.toml"
    config.write_text(CONFIG.format(assignment=assignment))
    theirs, mine = lay_up(tmp_path / "theirs"), lay_up(tmp_path / "mine")
    done = run([sys.executable, "-c", RATTLER, str(theirs), str(config)])
    assert done.code == 0, done.err
    ours(mine, config)
    assert json.loads((mine / "notices.json").read_bytes()) == json.loads((theirs / "notices.json").read_bytes())
    for subdir in ("linux-64", "noarch"):
        wanted = {**repodata(theirs, subdir), "removed": []}  # theirs is missing where it is empty
        legacy = wanted["packages.conda"].get("singer-1.0-0.conda")
        if legacy:  # they rewrite what CEP 36 wants verbatim
            assert legacy["constrains"] == ["x ==1"]
            legacy["constrains"] = ["x 1"]
        assert repodata(mine, subdir) == wanted


@pytest.mark.parametrize("assignment", ["from-index-json", "latest"])
def test_pixis_engine_reads_what_the_configuration_shaped_in_every_format(tmp_path: Path, assignment: str) -> None:
    config = tmp_path / "config.toml"
    config.write_text(CONFIG.format(assignment=assignment))
    folder = lay_up(tmp_path / "mine")
    ours(folder, config)
    with serving_folder(folder) as server:
        result = send(Errand(server.url, spec="singer"))
    for form in FORMATS:
        assert result.records[form].keys() == PACKAGES.keys()
        assert result.solutions[form] == ["linux-64/plain-1.0-0.conda", "linux-64/singer-1.0-0.conda"]
