"""--metrics-file: the file is written whole after each run, also if the run fails."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.support.channels import BROKEN, FEW, copy, lay_up, write
from tests.support.command import ROOT, invoke

if TYPE_CHECKING:
    from pathlib import Path

    from fixtures.bucket import Bucket


def values(file: Path) -> dict[str, str]:
    lines = [line for line in file.read_text().splitlines() if not line.startswith("#")]
    return {line.partition("{")[0] + "".join(re.findall(r',subdir="(.*?)"', line)): line.split()[-1] for line in lines}


def test_a_run_writes_its_metrics_and_a_failed_run_keeps_the_last_success(channel: Path, tmp_path: Path) -> None:
    file = tmp_path / "some.prom"
    copy(BROKEN / "linux-64" / "half-1.0-0.conda", channel)
    assert invoke("fs", channel, "--metrics-file", file, "-q").code == 3
    first = values(file)
    assert (first["indexer_packagesnoarch"], first["indexer_rejected_packageslinux-64"]) == ("5", "1")
    assert first["indexer_exit_code"] == "3"
    (channel / "noarch" / "repodata.json").write_bytes(b"[]")
    assert invoke("fs", channel, "--metrics-file", file, "-q", "--no-such").code == 2
    assert values(file) == first
    assert invoke("fs", channel, "--metrics-file", file, "-q").code == 1
    failed = values(file)
    assert failed["indexer_exit_code"] == "1"
    assert "indexer_packagesnoarch" not in failed
    assert failed["indexer_packageslinux-64"] == first["indexer_packageslinux-64"]
    name = "indexer_last_success_timestamp_seconds"
    assert failed[name] == first[name] == first["indexer_last_run_timestamp_seconds"]
    assert [path.name for path in tmp_path.glob("*prom*")] == ["some.prom"]


def test_a_run_that_fails_for_the_whole_channel_writes_metrics(tmp_path: Path) -> None:
    assert invoke("fs", tmp_path / "nowhere", "--metrics-file", tmp_path / "some.prom").code == 2
    assert values(tmp_path / "some.prom")["indexer_exit_code"] == "2"


def test_publish_and_s3_write_metrics(bucket: Bucket, tmp_path: Path) -> None:
    url, file = lay_up(bucket, "ch", FEW), tmp_path / "some.prom"
    assert invoke("s3", url, "--metrics-file", file, env=bucket.environment()).code == 0
    count = int(values(file)["indexer_packagesnoarch"])
    new = write(tmp_path / "built", "noarch/new-1.0-0.conda")
    assert invoke("publish", url, new, "--metrics-file", file, env=bucket.environment()).code == 0
    assert values(file)["indexer_packagesnoarch"] == str(count + 1)
    assert f'channel="{url}"' in file.read_text()


def test_a_place_that_cannot_be_written_stops_the_command_before_its_work(channel: Path) -> None:
    done = invoke("fs", channel, "--metrics-file", channel / "nowhere" / "some.prom")
    assert done.code == 2
    assert done.error.endswith("some.prom: cannot be written; name a file in an existing folder")
    assert not (channel / "noarch" / "repodata.json").exists()


def test_the_page_names_each_metric(channel: Path, tmp_path: Path) -> None:
    invoke("fs", channel, "--metrics-file", tmp_path / "some.prom")
    written = set(re.findall(r"^# TYPE (\w+) ", (tmp_path / "some.prom").read_text(), re.MULTILINE))
    rows = [line for line in (ROOT / "docs" / "metrics.md").read_text().splitlines() if line.startswith("| `")]
    assert written == {name for row in rows for name in re.findall(r"`(indexer_\w+)`", row)}
