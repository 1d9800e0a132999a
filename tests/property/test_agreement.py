"""All formats of a publication agree, and a record that is changed in one of them is found."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hypothesis import assume, given

from indexer.commands.check.findings import PublishedFiles
from indexer.commands.check.formats import read_formats
from indexer.core import names
from indexer.core.model import Index, Outputs
from indexer.core.publication import publication
from indexer.lister.snapshot import take_read_only_snapshot
from indexer.store.channel_folder import ChannelFolder
from indexer.writer.compress import compressed
from tests.property.test_publication import OUTPUTS
from tests.support.memory import MemoryStore
from tests.support.memory_channel import Inline
from tests.support.render_context import first_context
from tests.support.strategies import indexes

if TYPE_CHECKING:
    from indexer.core.verify import Fault


def publish(index: Index, outputs: Outputs) -> MemoryStore:
    store = MemoryStore()
    for artifact in publication(index, first_context(outputs)):
        if artifact.content is not None:
            store.upload(f"noarch/{artifact.key}", bytes(compressed(artifact).content))
    return store


def faults(store: MemoryStore) -> tuple[Fault, ...]:
    folder = ChannelFolder(store, "noarch", Inline())
    return read_formats(PublishedFiles(folder, take_read_only_snapshot(folder, Outputs()))).findings.faults


@given(indexes(), OUTPUTS)
def test_the_formats_of_one_publication_agree(index: Index, outputs: Outputs) -> None:
    assert faults(publish(index, outputs)) == ()


@given(indexes())
def test_a_record_in_only_one_format_is_found(index: Index) -> None:
    store = publish(index, Outputs(zst_level=1))
    assume(index.records.keys() - index.v3)
    content = json.loads(store.bodies()["noarch/repodata.json"])
    section = content["packages"] or content["packages.conda"]
    gone = min(section)
    del section[gone]
    store.upload("noarch/repodata.json", json.dumps(content).encode())
    results = {fault.key.partition("/")[2] for fault in faults(store) if gone in fault.reason}
    assert {names.REPODATA_ZST, names.SHARD_INDEX} <= results
