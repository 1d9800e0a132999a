"""A record of another channel is used only for the very copy that was made of its package."""

from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace

from indexer.core.json_form import dump
from indexer.core.metadata import Metadata
from indexer.core.model import ETag, Index, Outputs, Raw, Rules, Stat
from indexer.core.plan import DiffContext
from indexer.core.promoted_record import PromotedRecord, Wish, extracted_from, promoted_record, source_fault
from indexer.core.release import __version__
from indexer.core.state import State, config_fingerprint

NAME = "reed-1.0-0.conda"
NOW = 1_800_000_000_000
MD5, SHA256 = "0" * 32, "1" * 64
RECORD = {
    "build": "0",
    "md5": MD5,
    "name": "reed",
    "sha256": SHA256,
    "size": 10,
    "version": "1.0",
    "indexed_timestamp": 7,
    "attestations_sha256": "2" * 64,
}
COPY = Stat(NAME, 10, ETag("copy"), NOW - 1, MD5)
PROMOTED = PromotedRecord(dump(RECORD), Raw(b"{}"), v3=False, rules=Rules(), etag=ETag("copy"))
WISH = Wish(Rules(), NOW)
STATE = State(
    config_fingerprint(Outputs(), Rules(), __version__), outputs=Outputs(), rules=Rules(), etags_complete=True
)
INDEX = Index(records={NAME: dump(RECORD)}, run_exports={NAME: Raw(b"{}")})


def test_the_record_gets_the_date_of_the_channel_and_no_attestations() -> None:
    result = extracted_from(PROMOTED, COPY, WISH)
    assert result is not None
    kept = {name: value for name, value in RECORD.items() if name != "attestations_sha256"}
    assert msgspec.json.decode(result.record) == {**kept, "indexed_timestamp": NOW}
    assert (result.etag, result.md5_matches_etag) == ("copy", True)


@pytest.mark.parametrize(
    ("stat", "wish"),
    [
        (replace(COPY, etag=ETag("other")), WISH),
        (replace(COPY, size=11), WISH),
        (COPY, replace(WISH, rules=Rules(strict=True))),
        (COPY, replace(WISH, metadata=True)),
    ],
)
def test_in_doubt_the_package_is_read(stat: Stat, wish: Wish) -> None:
    assert extracted_from(PROMOTED, stat, wish) is None


def test_a_record_without_the_etag_of_a_copy_is_never_used() -> None:
    assert extracted_from(replace(PROMOTED, etag=None), COPY, WISH) is None


def test_the_metadata_of_other_bytes_is_not_known() -> None:
    mine, other = Metadata(sha256=SHA256), Metadata(sha256="3" * 64)
    for metadata, expected in (({NAME: mine}, mine), ({NAME: other}, None), ({}, None)):
        record = promoted_record(NAME, INDEX, STATE, metadata)
        assert record is not None
        assert record.metadata == expected


@pytest.mark.parametrize(
    ("index", "state"),
    [
        (INDEX, None),
        (INDEX, State()),
        (INDEX, replace(STATE, config_fingerprint="of another release")),
        (INDEX, replace(STATE, all_in_v3=True)),
        (replace(INDEX, run_exports={}), STATE),
    ],
)
def test_a_record_that_a_run_here_might_not_make_is_not_used(index: Index, state: State | None) -> None:
    assert promoted_record(NAME, index, state, {}) is None


@pytest.mark.parametrize(
    ("stat", "fault"),
    [
        (None, "does not exist any more"),
        (replace(COPY, size=11), "is not the package that the index describes"),
        (replace(COPY, etag=ETag("other"), md5="4" * 32), "is not the package that the index describes"),
        (COPY, ""),
    ],
)
def test_an_object_that_the_index_does_not_describe_is_named(stat: Stat | None, fault: str) -> None:
    assert source_fault(NAME, stat, INDEX, DiffContext(STATE, index_matches_state=True)) == fault
