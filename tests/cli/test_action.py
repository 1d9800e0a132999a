"""The GitHub Action's own shell, run as a runner runs it: in bash, with its files and variables."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.support.channels import FEW, lay_out, lay_up
from tests.support.command import LIMIT, ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fixtures.bucket import Bucket

STEPS = yaml.safe_load((ROOT / "action.yml").read_text())["runs"]["steps"]
BASH = shutil.which("bash")
pytestmark = pytest.mark.skipif(BASH is None, reason="bash is not installed")


@dataclass(frozen=True)
class Stepped:
    """What the step left: its exit code, and its outputs as the runner reads them."""

    code: int
    outputs: dict[str, str]


def index(scratch: Path, channel: str, args: str = "", env: Mapping[str, str] | None = None) -> Stepped:
    """Run the step `Index`, with this very environment where the step `Install` makes one."""
    (scratch / "indexer").symlink_to(Path(sys.executable).parents[1])
    outputs = scratch / "outputs"
    outputs.touch()
    (step,) = [step for step in STEPS if step.get("id") == "index"]
    assert BASH is not None
    done = subprocess.run(
        [BASH, "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        env={**os.environ, **(env or {}), "RUNNER_TEMP": str(scratch), "GITHUB_OUTPUT": str(outputs)}
        | {"CHANNEL": channel, "ARGS": args},
        cwd=ROOT,
        check=False,
        timeout=LIMIT,
        capture_output=True,
    )
    return Stepped(done.returncode, _read(outputs.read_text()))


def _read(text: str) -> dict[str, str]:
    """The form of GITHUB_OUTPUT: `name=value`, or `name<<END`, lines, END."""
    results: dict[str, str] = {}
    lines = iter(text.splitlines())
    for line in lines:
        name, value = re.split("=|<<", line, maxsplit=1)
        block = line.startswith(f"{name}<<")
        results[name] = "\n".join(itertools.takewhile(value.__ne__, lines)) if block else value
    return results


def test_a_folder_is_indexed_and_its_report_is_an_output(tmp_path: Path) -> None:
    channel = lay_out(tmp_path / "my channel")
    done = index(tmp_path, str(channel), "--no-run-exports --subdir noarch")
    assert done.code == 0
    assert done.outputs["outcome"] == "published"
    assert json.loads(done.outputs["json"])["subdirs"].keys() == {"noarch"}
    assert not (channel / "noarch" / "run_exports.json").exists()


def test_a_bucket_is_indexed(tmp_path: Path, bucket: Bucket) -> None:
    done = index(tmp_path, lay_up(bucket, "some/channel", FEW), env=bucket.environment())
    assert (done.code, done.outputs["outcome"]) == (0, "published")


def test_a_failure_fails_the_step_and_is_an_output_too(tmp_path: Path) -> None:
    done = index(tmp_path, str(tmp_path / "nowhere"))
    assert done.code == 2
    assert done.outputs["outcome"] == "failed"


def test_an_input_is_never_a_part_of_the_script(tmp_path: Path) -> None:
    done = index(tmp_path, f"$(touch {tmp_path}/owned); touch {tmp_path}/owned", f"--subdir $(touch {tmp_path}/owned)")
    assert done.code == 2
    assert not (tmp_path / "owned").exists()


def test_args_over_several_lines_are_split_as_a_shell_splits_them(tmp_path: Path) -> None:
    channel = lay_out(tmp_path / "channel")
    args = '--subdir noarch\n--no-shards --base-url "https://example.com/a%20b"\n--cache-control "no-cache, private"\n'
    done = index(tmp_path, str(channel), args)
    assert (done.code, done.outputs["outcome"]) == (0, "published")
    assert not (channel / "noarch" / "repodata_shards.msgpack.zst").exists()
    info = json.loads((channel / "noarch" / "repodata.json").read_text())["info"]
    assert info["base_url"] == "https://example.com/a%20b/noarch/"


@pytest.mark.parametrize("args", ["--no-such-option", "--zst-level 99", "--base-url 'a b'", '"open quote'])
def test_wrong_args_set_the_outcome_to_failed(tmp_path: Path, args: str) -> None:
    done = index(tmp_path, str(lay_out(tmp_path / "channel")), args)
    assert (done.code, done.outputs["outcome"]) == (2, "failed")
    report = json.loads(done.outputs["json"])
    assert (report["outcome"], report["exit_code"]) == ("failed", 2)
    assert report["error"]
