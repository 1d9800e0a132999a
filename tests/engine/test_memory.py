"""What a large subdir takes of memory besides its records."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Its peak besides what it had before, and the size of the file, in bytes.
CHILD = """
import resource, sys
from pathlib import Path
from indexer.core.model import Index, Outputs, Raw
from indexer.core.render import publication
from indexer.observation import Observation
from indexer.store.fs import FolderStore
from indexer.writer import Writer
from tests.support.scene import Inline
from tests.support.scenes import first_scene

record = b'{"name":"a","license":"' + b"x" * 1000 + b'","build_number":%d}'
index = Index({f"a-{number}-0.conda": Raw(record % number) for number in range(30_000)})
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
artefacts = publication(index, first_scene(Outputs(shards=False, zst_level=1)))
Writer(FolderStore(Path(sys.argv[1])), "noarch/", Inline()).publish(artefacts, Observation())
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the kernel counts in other units")
def test_a_large_index_is_never_held_whole_while_it_is_published(tmp_path: Path) -> None:
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    size = (tmp_path / "noarch" / "repodata.json").stat().st_size
    assert size > 30_000_000
    assert int(child.stdout) < size / 2
