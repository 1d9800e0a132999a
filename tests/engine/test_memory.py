"""What a large subdir takes of memory besides its records."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Its peak besides what it had before, in bytes.  Not `ru_maxrss`, which a process has from the one that started it.
CHILD = """
import random, sys
from pathlib import Path
from indexer.core.model import Index, Outputs, Raw
from indexer.core.publication import publication
from indexer.core.snapshot import Snapshot
from indexer.store.fs import FolderStore
from indexer.store.channel_folder import ChannelFolder
from indexer.writer.publish import publish
from tests.support.memory_channel import Inline
from tests.support.render_context import first_context

def peak():
    '''The largest resident memory since the last call, in bytes.'''
    status = Path("/proc/self/status").read_text()
    Path("/proc/self/clear_refs").write_text("5")
    return int(status.split("VmHWM:")[1].split()[0]) * 1024

record, draw = b'{"name":"c%d","license":"%s","build_number":%d}', random.Random(0)
index = Index({
    f"c{number // 50}-{number}-0.conda": Raw(record % (number // 50, draw.randbytes(250).hex().encode(), number))
    for number in range(60_000)
})
peak()
before = peak()
folder, shards = Path(sys.argv[1]), sys.argv[2] == "shards"
outputs = Outputs(shards=shards, monolithic=not shards, zst=False)
artifacts = publication(index, first_context(outputs))
for _ in range(int(sys.argv[3])):
    (folder / "noarch/repodata_shards.msgpack.zst").unlink(missing_ok=True)
    publish(ChannelFolder(FolderStore(folder), "noarch", Inline()), artifacts, Snapshot())
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the kernel counts in other units")
@pytest.mark.parametrize(("form", "times"), [("repodata.json", 1), ("shards", 1), ("shards", 2)])
def test_a_large_index_is_never_held_whole_while_it_is_published(tmp_path: Path, form: str, times: int) -> None:
    """Also if the shards exist and no index names them: a run was killed before it wrote the shard index."""
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path), form, str(times)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    written = [tmp_path / "noarch" / form, *(tmp_path / "noarch" / form).glob("*")]
    size = sum(path.stat().st_size for path in written if path.is_file())
    assert size > 15_000_000
    assert int(child.stdout) < size / 2, (child.stdout, size)
