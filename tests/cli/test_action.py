"""The GitHub Action's own shell, run as a runner runs it: in bash, with its files and variables."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.support.channels import BROKEN, FEW, lay_out, lay_up
from tests.support.command import LIMIT, ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fixtures.bucket import Bucket

STEPS = yaml.safe_load((ROOT / "action.yml").read_text())["runs"]["steps"]
BASH = shutil.which("bash")
pytestmark = pytest.mark.skipif(BASH is None, reason="bash is not installed")


@dataclass(frozen=True)
class Stepped:
    """What the step left: its exit code, its outputs as the runner reads them, its summary and its lines."""

    code: int
    outputs: dict[str, str]
    summary: str = ""
    lines: tuple[str, ...] = ()

    @property
    def report(self) -> Any:
        """The report in the file that the output names."""
        return json.loads(Path(self.outputs["report"]).read_text())

    @property
    def commands(self) -> list[str]:
        """The lines that the runner reads as commands."""
        (stop,) = [at for at, line in enumerate(self.lines) if line.startswith("::stop-commands::")] or [-1]
        end = self.lines.index(f"::{self.lines[stop].rpartition('::')[2]}::") if stop >= 0 else -1
        heard = (*self.lines[: max(stop, 0)], *self.lines[end + 1 :])
        return [line for line in heard if line.lstrip().startswith("::") or "##[" in line]


def index(scratch: Path, channel: str, args: str = "", env: Mapping[str, str] | None = None) -> Stepped:
    """Run the step `Index`, with this very environment where the step `Install` makes one."""
    (scratch / "indexer").symlink_to(Path(sys.executable).parents[1])
    outputs, summary = scratch / "outputs", scratch / "summary.md"
    outputs.touch()
    (step,) = [step for step in STEPS if step.get("id") == "index"]
    assert BASH is not None
    done = subprocess.run(
        [BASH, "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        env={**os.environ, **(env or {}), "RUNNER_TEMP": str(scratch), "GITHUB_OUTPUT": str(outputs)}
        | {"GITHUB_STEP_SUMMARY": str(summary), "GITHUB_ACTION_PATH": str(ROOT), "PYTHONPATH": str(ROOT)}
        | {"CHANNEL": channel, "ARGS": args},
        cwd=ROOT,
        check=False,
        timeout=LIMIT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    return Stepped(done.returncode, _read(outputs.read_text()), summary.read_text(), tuple(done.stdout.splitlines()))


def _read(text: str) -> dict[str, str]:
    """The form of GITHUB_OUTPUT: `name=value`.  No other form is used, so no value can be a second output."""
    return dict(line.split("=", 1) for line in text.splitlines())


def test_a_folder_is_indexed_and_its_report_is_an_output(tmp_path: Path) -> None:
    channel = lay_out(tmp_path / "my channel")
    done = index(tmp_path, str(channel), "--no-run-exports --subdir noarch")
    assert done.code == 0
    assert {**done.outputs, "report": ""} == {
        "outcome": "published",
        "exit-code": "0",
        "packages": "5",
        "added": "5",
        "updated": "0",
        "removed": "0",
        "rejected": "0",
        "report": "",
    }
    assert done.report["subdirs"].keys() == {"noarch"}
    assert "| noarch | 5 | 5 | 0 | 0 | 0 |" in done.summary
    assert done.commands == []
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
    assert done.report["exit_code"] == 2
    assert done.report["error"]
    (command,) = done.commands
    assert command.startswith("::error title=indexer::")


def test_a_rejected_package_is_an_annotation_and_its_name_is_no_command(tmp_path: Path) -> None:
    channel = lay_out(tmp_path / "channel")
    shutil.copyfile(BROKEN / "linux-64" / "half-1.0-0.conda", channel / "noarch" / "half-1.0-0.conda")
    hostile = "::error::x,a%0A:b\n::set-output name=a::b\r<b>[x](http:y)*-1.0-0.conda"
    shutil.copyfile(BROKEN / "linux-64" / "half-1.0-0.conda", channel / "noarch" / hostile)
    done = index(tmp_path, str(channel), "--subdir noarch")
    assert (done.code, done.outputs["outcome"], done.outputs["rejected"]) == (3, "partial", "2")
    assert len(done.commands) == 2
    start = f"::error file={str(channel).replace(':', '%3A')}/noarch/"
    assert all(command.startswith(start) for command in done.commands)
    named = [command.removeprefix(start).partition(",")[0] for command in done.commands]
    assert r"%3A%3Aerror%3A%3Ax%2Ca%250A%3Ab\n%3A%3Aset-output name=a%3A%3Ab\r<b>[x](http%3Ay)*-1.0-0.conda" in named
    assert "half-1.0-0.conda" in named
    assert not any(text in done.summary for text in ("<b>", "[x]", "::", "*"))
    assert len(done.summary.splitlines()) < 15
