"""A channel large enough for processes is indexed to the same bytes as by one thread of this one."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest
import zstandard

from fixtures.tree import plain_index
from indexer.extractor import workers
from tests.support.channels import files, unpacked
from tests.support.command import Ran, spawn

if TYPE_CHECKING:
    from pathlib import Path

MANY = 1050
# Every Python that runs says on standard error what it imports, also those that another one starts.
WATCHED = {"PYTHONPROFILEIMPORTTIME": "1"}


def readers(done: Ran) -> int:
    """How many processes were able to read packages."""
    return sum(line.endswith(" indexer.extractor.extract") for line in done.err.splitlines())


def write_many(folder: Path) -> None:
    """Tiny packages of one subdir; by hand, since the packer takes longer for them than all else here.

    ZipInfo's own date is 1980, not the clock.
    ."""
    folder.mkdir(parents=True)
    for number in range(MANY):
        stem = f"p{number % 20}-1.{number}-0"
        key = f"noarch/{stem}.conda"
        index = json.dumps(plain_index(key)).encode()
        info = io.BytesIO()
        with tarfile.open(fileobj=info, mode="w") as tar:
            member = tarfile.TarInfo("info/index.json")
            member.size = len(index)
            tar.addfile(member, io.BytesIO(index))
        with zipfile.ZipFile(folder / f"{stem}.conda", "w") as archive:
            archive.writestr(zipfile.ZipInfo("metadata.json"), '{"conda_pkg_format_version": 2}')
            archive.writestr(zipfile.ZipInfo(f"info-{stem}.tar.zst"), zstandard.compress(info.getvalue()))


def test_the_channel_of_the_next_test_is_large_enough() -> None:
    assert MANY > workers._MIN_FOR_PROCESSES


def published(channel: Path) -> dict[str, bytes]:
    return {
        name: content for name, content in files(channel).items() if not name.endswith((".conda", ".indexer.json.zst"))
    }


def test_processes_write_the_bytes_that_one_reader_at_a_time_writes(tmp_path: Path) -> None:
    channel = tmp_path / "channel"
    write_many(channel / "noarch")
    alone = spawn("fs", channel, "--max-parallel", "1", "--json", env=WATCHED)
    assert readers(alone) == 1
    assert (alone.code, alone.json["subdirs"]["noarch"]["packages"]) == (0, MANY)
    before = published(channel)
    parsed = unpacked(channel / "noarch" / "repodata_shards.msgpack.zst")
    assert len(parsed["shards"]) == 20
    # The dates of first indexing are kept, so whatever was read otherwise would show.
    together = spawn("fs", channel, "--force", "--max-parallel", "4", "--json", env=WATCHED)
    assert together.code == 0
    assert readers(together) > 1 or workers._cores() == 1
    assert together.json["subdirs"]["noarch"]["read"]["whole"]["packages"] == MANY
    assert together.json["store"]["requests"]["GET"] >= MANY  # those of the other processes too
    assert together.json["outcome"] == "unchanged"
    assert published(channel) == before


def test_processes_reject_broken_packages_among_many(tmp_path: Path) -> None:
    channel = tmp_path / "channel"
    write_many(channel / "noarch")
    (channel / "noarch" / "p0-1.0-0.conda").write_bytes(b"no package")
    done = spawn("fs", channel, "--json")
    assert done.code == 3
    assert [note["filename"] for note in done.json["subdirs"]["noarch"]["rejected"]] == ["p0-1.0-0.conda"]
    assert done.json["subdirs"]["noarch"]["packages"] == MANY - 1


def test_processes_index_the_same_as_one_reader(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for channel in (one, other):
        write_many(channel / "noarch")
    assert spawn("fs", one, "--max-parallel", "1").code == 0
    assert spawn("fs", other).code == 0
    assert dateless(one) == dateless(other)


def dateless(channel: Path) -> dict[str, object]:
    parsed = json.loads((channel / "noarch" / "repodata.json").read_bytes())
    for record in parsed["packages.conda"].values():
        assert record.pop("indexed_timestamp")
    return dict(parsed)


@pytest.mark.parametrize("parallel", ["1", "2", "64"])
def test_any_number_of_readers_will_do(channel: Path, parallel: str) -> None:
    done = spawn("fs", channel, "--max-parallel", parallel, "--json")
    assert done.code == 0
    assert {name: sub["packages"] for name, sub in done.json["subdirs"].items()} == {
        "linux-64": 12,
        "noarch": 5,
        "osx-arm64": 2,
    }
