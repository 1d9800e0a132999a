"""Attestations beside a package: named by its record while sound, read once, and never in the way of a package."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import msgspec
import pytest
from msgspec.structs import replace

from indexer.core import names
from indexer.core.formats.shards import decode_index, filename_of, unpack_shard
from indexer.core.known_packages import Attested
from indexer.core.report import Outcome
from indexer.core.state import decode_state, encode_state, with_blocks, with_known_packages
from indexer.core.verify import RUN
from tests.support.channel_check import faults
from tests.support.memory_channel import (
    PLAIN,
    changes,
    channel,
    index,
    keys,
    only,
    package,
    packages_read,
    published,
    with_outputs,
)

if TYPE_CHECKING:
    from indexer.core.options import Options
    from tests.support.memory import MemoryStore

KEY = "linux-64/p00-1.0-0.conda"
SIGS = f"{KEY}.sigs"
BUNDLES = b'[{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"}]'


def attest(store: MemoryStore, content: bytes = BUNDLES) -> str:
    sha256 = hashlib.sha256(content).hexdigest()
    store.upload(f"{SIGS}.{sha256}", content)
    store.upload(SIGS, content)
    return sha256


def digest(store: MemoryStore, key: str = KEY) -> object:
    sections = json.loads(store.bodies()["linux-64/repodata.json"])
    record = {**sections["packages.conda"], **sections.get("v3", {}).get("conda", {})}
    return record[key.rpartition("/")[2]].get("attestations_sha256")


def sidecars_read(store: MemoryStore, since: int = 0) -> list[str]:
    return [call.key for call in store.calls[since:] if call.verb == "GET" and ".sigs" in call.key]


def test_a_record_names_its_attestations_in_every_format() -> None:
    store = channel(*keys(2))
    sha256 = attest(store)
    report = only(index(store))
    assert (report.warnings, report.rejected, report.packages) == ((), (), 2)
    assert digest(store) == sha256
    assert digest(store, keys(2)[1]) is None
    bodies = store.bodies()
    shard_index = decode_index(bodies[f"linux-64/{names.SHARD_INDEX}"], "")
    shard = unpack_shard(bodies[f"linux-64/shards/{filename_of(shard_index.shards['p00'])}"], "")
    assert shard["packages.conda"]["p00-1.0-0.conda"]["attestations_sha256"] == bytes.fromhex(sha256)
    assert SIGS in bodies, "what is not ours stays"


def test_attestations_are_read_once_and_a_quiet_run_stays_quiet() -> None:
    store = channel(*keys(2))
    attest(store)
    index(store)
    since = len(store.calls)
    assert only(index(store)).outcome is Outcome.UNCHANGED
    assert not any("linux-64/p" in call.key for call in store.calls[since:])
    assert changes(store.calls, since) == []
    store.upload("linux-64/new-1.0-0.conda", package("linux-64/new-1.0-0.conda"))
    since = len(store.calls)
    index(store)
    assert sidecars_read(store, since) == []


def test_what_came_changed_or_went_is_noticed_without_reading_the_package() -> None:
    store = channel(*keys(2))
    index(store)
    before = store.bodies()["linux-64/repodata.json"]
    since = len(store.calls)
    for content in (BUNDLES, b'[{"another":1}]'):
        sha256 = attest(store, content)
        assert only(index(store)).outcome is Outcome.PUBLISHED
        assert digest(store) == sha256
    store.remove(SIGS)
    index(store)
    assert store.bodies()["linux-64/repodata.json"] == before
    assert packages_read(store.calls, since) == []


@pytest.mark.parametrize(
    ("content", "copy", "said"),
    [
        (b"{}", b"{}", "is not a JSON array"),
        (b"[]", b"[]", "is an empty array"),
        (b'["\xff"]', b'["\xff"]', "is not a JSON array"),
        (BUNDLES, None, "has no copy .sigs."),
        (BUNDLES, b"[1]", "differs from its copy .sigs."),
        (BUNDLES, BUNDLES.replace(b"v0.3", b"v0.4"), "differs from its copy .sigs."),
    ],
)
def test_unsound_attestations_are_told_of_and_the_package_stays_indexed(
    content: bytes, copy: bytes | None, said: str
) -> None:
    store = channel(*keys(2))
    attest(store)
    index(store)
    store.upload(SIGS, content)
    name = f"{SIGS}.{hashlib.sha256(content).hexdigest()}"
    if copy is None:
        store.remove(name)
    else:
        store.upload(name, copy)
    for _ in range(2):  # the second run is quiet, and says it again
        report = only(index(store))
        (warning,) = report.warnings
        assert warning.filename == "p00-1.0-0.conda.sigs"
        assert warning.reason.startswith(said)
        assert (report.packages, report.exit_code) == (2, 0)
        assert digest(store) is None


def test_a_look_at_one_package_leaves_attestations_to_the_next_whole_run() -> None:
    store = channel(*keys(2))
    index(store)
    sha256 = attest(store)
    index(store, replace(PLAIN, packages=frozenset({KEY})))
    assert digest(store) is None
    index(store)
    assert digest(store) == sha256
    index(store, replace(PLAIN, packages=frozenset({KEY})))
    assert digest(store) == sha256


@pytest.mark.parametrize("options", [PLAIN, with_outputs(monolithic=False)], ids=["repodata.json", "shards alone"])
def test_a_whole_run_restores_attestations_that_a_run_of_one_package_lost(options: Options) -> None:
    store = channel(*keys(3), *keys(1, "noarch"))
    attest(store)
    index(store, options)
    before = published(store)
    index(store, replace(options, packages=frozenset({KEY}), force=True))
    assert published(store) != before
    index(store, options)
    assert before.items() <= published(store).items()
    assert faults(store) == []


def test_a_check_finds_attestations_that_a_record_does_not_name() -> None:
    store = channel(*keys(2), *keys(1, "noarch"))
    sha256 = attest(store)
    index(store)
    key, other = f"linux-64/{names.STATE_FILE}", keys(2)[1].partition("/")[2]
    state = decode_state(store.bodies()[key])
    assert state is not None
    state = with_known_packages(state, None)
    attested = {**state.attestations, other: Attested("", sha256)}
    store.upload(key, encode_state(with_blocks(msgspec.structs.replace(state, attestations=attested), (), None)))
    reason = "has attestations that its record does not name; run `indexer fs DIR --force`"
    assert faults(store) == [f"linux-64/{other}: {reason}"]


def test_without_memory_and_under_v3_they_are_the_same() -> None:
    store = channel(*keys(2))
    sha256 = attest(store)
    index(store)
    before = store.bodies()["linux-64/repodata.json"]
    store.remove(f"linux-64/{names.STATE_FILE}")
    index(store)
    assert store.bodies()["linux-64/repodata.json"] == before
    index(store, with_outputs(monolithic=False))
    index(store)
    assert digest(store) == sha256


def test_sidecars_of_nothing_are_passed_over() -> None:
    store = channel(*keys(1))
    store.upload("linux-64/gone-1.0-0.conda.sigs", BUNDLES)
    store.upload("linux-64/notes.sigs", BUNDLES)
    store.upload(f"{KEY}.sigs.tmp", b"half")
    report = only(index(store))
    assert (report.packages, report.rejected) == (1, ())
    assert "linux-64/gone-1.0-0.conda.sigs" in store.bodies()


def test_a_check_finds_a_missing_copy_and_a_deep_check_a_different_one() -> None:
    store = channel(*keys(2))
    copy = f"{SIGS}.{attest(store)}"
    index(store)
    assert faults(store, deep=True) == []
    store.upload(copy, b'["forged"]')
    assert faults(store) == []
    advice = f"restore it, or {RUN.replace('{command}', 'indexer fs DIR')}"
    assert faults(store, deep=True) == [f"{copy}: content does not match its SHA-256 name; {advice}"]
    store.remove(copy)
    assert faults(store) == [f"{copy}: is in the index, but missing; {advice}"]
    index(store)
    assert faults(store, deep=True) == []
