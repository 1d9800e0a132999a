"""A whole run looks only at package names of which the listing shows a change, in their shards or in their chunks."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from indexer.core.errors import Denied
from indexer.core.model import Rules
from indexer.core.names import PATCH_INSTRUCTIONS, STATE_FILE, YANKS
from indexer.core.overlay import Ignore, Prune, WithdrawnPackages, Yank, decode_withdrawn, encode_withdrawn
from indexer.core.report import Outcome
from indexer.core.state import decode_state, encode_state
from tests.support.channel_check import faults
from tests.support.memory_channel import (
    DAY_MS,
    NOW_MS,
    PATCH,
    channel,
    fill,
    index,
    keys,
    only,
    package,
    packages_read,
    published,
    sharded,
    unpacked,
    upload_patch,
    with_outputs,
)
from tests.support.memory_channel import shards as shard_keys
from tests.support.strategies import first_of_a_chunk

if TYPE_CHECKING:
    from indexer.core.options import Options
    from indexer.core.report import SubdirReport
    from tests.support.memory import Call, MemoryStore

SHARDS_ONLY = with_outputs(monolithic=False)
CHUNKS_ONLY = with_outputs(shards=False)
BOTH = with_outputs()
PAGES = with_outputs(html=True)
DATA_OF_SHARDS = with_outputs(monolithic=False, channeldata=True)
KEPT = {"shards": SHARDS_ONLY, "chunks": CHUNKS_ONLY, "both": BOTH, "pages": PAGES, "data of shards": DATA_OF_SHARDS}
OURS = f"linux-64/{STATE_FILE}"
LATER = NOW_MS + DAY_MS
NEW = "linux-64/p07-2.0-0.conda"


def shards_asked(store: MemoryStore, first: int) -> list[str]:
    return [call.verb for call in store.calls[first:] if call.key.startswith("linux-64/shards/")]


def forget_names(store: MemoryStore) -> None:
    """Leave the ledger that a run before this release left: without a word of names and chunks."""
    state = decode_state(store.bodies()[OURS])
    assert state is not None
    files = {name: msgspec.structs.replace(file, chunks=None) for name, file in state.files.items()}
    store.upload(OURS, encode_state(msgspec.structs.replace(state, name_digests={}, files=files)))


@pytest.mark.parametrize("many", [10, 40])
def test_it_reads_and_puts_only_the_shards_of_names_that_changed(many: int) -> None:
    store = channel(*keys(many), *keys(1, "noarch"))
    index(store, SHARDS_ONLY)
    fill(store, NEW)
    store.remove(keys(4)[3])
    store.upload(keys(6)[5], package(keys(6)[5], depends=["replaced"]))
    first = len(store.calls)
    report = only(index(store, SHARDS_ONLY, now_ms=LATER))
    assert shards_asked(store, first) == ["GET", "GET", "GET", "PUT", "PUT"]
    assert packages_read(store.calls, first) == [keys(6)[5], NEW]
    assert (report.packages, report.added, report.updated, report.removed) == (
        many,
        ("p07-2.0-0.conda",),
        ("p05-1.0-0.conda",),
        ("p03-1.0-0.conda",),
    )
    assert len(sharded(store)) == many
    assert faults(store) == []


def test_rejections_of_other_names_are_reported_and_not_read_again() -> None:
    store = channel(*keys(3), *keys(1, "noarch"))
    store.upload("linux-64/bad-1.0-0.conda", b"no package")
    index(store, SHARDS_ONLY)
    fill(store, NEW)
    first = len(store.calls)
    report = only(index(store, SHARDS_ONLY, now_ms=LATER))
    assert (report.outcome, report.exit_code) == (Outcome.PARTIAL, 3)
    assert [note.filename for note in report.rejected] == ["bad-1.0-0.conda"]
    assert packages_read(store.calls, first) == [NEW]
    store.upload("linux-64/bad-1.0-0.conda", package("linux-64/bad-1.0-0.conda"))
    assert only(index(store, SHARDS_ONLY, now_ms=LATER)).added == ("bad-1.0-0.conda",)


def test_a_package_that_could_not_be_read_this_time_is_tried_again() -> None:
    store = channel(*keys(3), *keys(1, "noarch"))
    index(store, SHARDS_ONLY)
    fill(store, NEW, keys(9)[8])

    def deny(call: Call) -> None:
        if (call.verb, call.key) == ("GET", NEW):
            raise Denied(NEW, "is of another owner")

    store.hook = deny
    assert only(index(store, SHARDS_ONLY, now_ms=LATER)).exit_code == 3
    store.hook = lambda _: None
    assert only(index(store, SHARDS_ONLY, now_ms=LATER)).added == ("p07-2.0-0.conda",)
    assert faults(store) == []


def test_attestations_change_their_name_and_those_of_others_stay() -> None:
    def attest(key: str, content: bytes) -> None:
        store.upload(f"{key}.sigs.{hashlib.sha256(content).hexdigest()}", content)
        store.upload(f"{key}.sigs", content)

    def attested() -> set[str]:
        whole = (unpacked(store.bodies()[key]) for key in shard_keys(store).values())
        return {
            key for item in whole for key, record in item["packages.conda"].items() if "attestations_sha256" in record
        }

    store = channel(*keys(3), *keys(1, "noarch"))
    attest(keys(1)[0], b"[1]")
    index(store, SHARDS_ONLY)
    attest(keys(2)[1], b"[2]")
    first = len(store.calls)
    index(store, SHARDS_ONLY, now_ms=LATER)
    assert shards_asked(store, first) == ["GET", "PUT"]
    assert attested() == {"p00-1.0-0.conda", "p01-1.0-0.conda"}
    store.remove(f"{keys(1)[0]}.sigs")
    index(store, SHARDS_ONLY, now_ms=LATER)
    assert attested() == {"p01-1.0-0.conda"}
    assert faults(store) == []


def test_a_file_that_comes_back_after_a_run_without_the_file_is_noticed() -> None:
    store = channel(*keys(3), *keys(1, "noarch"))
    index(store, SHARDS_ONLY)
    away = store.objects.pop(keys(1)[0])
    only(index(store, replace(SHARDS_ONLY, packages=frozenset(keys(1)))))
    store.objects[keys(1)[0]] = away  # its version says nothing new, as where a folder's file is moved and moved back
    assert only(index(store, SHARDS_ONLY, now_ms=LATER)).added == ("p00-1.0-0.conda",)


@pytest.mark.parametrize("unread", [False, True], ids=["it was named", "it could not be read"])
def test_a_package_removed_after_a_run_over_other_names_leaves_the_index(unread: bool) -> None:  # noqa: FBT001  a parameter of the test
    store = channel(*keys(3), *keys(1, "noarch"))
    index(store, SHARDS_ONLY)
    new = keys(1)[0].replace("1.0", "2.0") if unread else NEW
    fill(store, new)

    def deny(call: Call) -> None:
        if (call.verb, call.key) == ("GET", new):
            raise Denied(new, "is of another owner")

    store.hook = deny if unread else store.hook
    index(store, SHARDS_ONLY if unread else replace(SHARDS_ONLY, packages=frozenset([NEW])))
    store.hook = lambda _: None
    for key in {new, *(keys(1) if unread else ())}:
        store.remove(key)
    index(store, SHARDS_ONLY, now_ms=LATER)
    assert faults(store) == []


@pytest.mark.parametrize("step", ["remove", "upload"])
def test_a_record_in_a_wrong_shard_is_neither_lost_nor_kept_forever(step: str) -> None:
    odd = "linux-64/foo-1.0-0.conda"
    store = channel(*keys(3), *keys(1, "noarch"), "linux-64/foo-2.0-0.conda")
    store.upload(odd, package(odd, name="p01"))
    index(store, replace(SHARDS_ONLY, rules=Rules(lenient=True)))
    index(store, SHARDS_ONLY, now_ms=LATER)
    store.remove(odd) if step == "remove" else fill(store, "linux-64/p01-2.0-0.conda")
    index(store, SHARDS_ONLY, now_ms=LATER)
    assert faults(store) == []


def test_a_rejection_under_other_options_is_read_again_after_other_names() -> None:
    store = channel(*keys(3), *keys(1, "noarch"))
    store.upload("linux-64/bad-1.0-0.conda", b"no package")
    index(store, SHARDS_ONLY)
    other = with_outputs(monolithic=False, cache_control="no-cache")
    fill(store, NEW)
    index(store, replace(other, packages=frozenset([NEW])))
    assert only(index(store, other, now_ms=LATER)).exit_code == 3


def test_wheels_of_other_names_are_counted_on() -> None:
    store = channel(*keys(1), *keys(1, "noarch"))
    wheels = {"v3": {"whl": {"w-1-0": {"name": "w", "version": "1", "build": "0"}}}}
    store.upload("linux-64/repodata.json", json.dumps({"packages": {}, **wheels}).encode())
    index(store, SHARDS_ONLY)
    fill(store, keys(1)[0].replace("1.0", "2.0"))
    for options in (replace(SHARDS_ONLY, packages=frozenset(keys(1))), SHARDS_ONLY):
        index(store, options, now_ms=LATER)
        result = unpacked(store.bodies()["linux-64/repodata_shards.msgpack.zst"])["info"]["repodata_revisions"]["v3"]
        assert result["n_packages"] == 1


# A chunk begins at the second version of each name.
KEYS = [
    f"linux-64/{filename}"
    for name in ("a", "a-b", "A", "c")
    for filename in (f"{name}-1-0.conda", first_of_a_chunk(name, ".conda"))
]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "replace", "remove", "spoil", "attest", "attest falsely"]),
        st.sampled_from(KEYS),
        st.booleans(),
    ),
    max_size=4,
)


WITHDRAWING = ("yank", "ignore", "prune", "restore")


def withdraw(step: str, key: str, number: int, store: MemoryStore) -> None:
    """Change the file of withdrawn packages as a command does before its run."""
    subdir, _, filename = key.partition("/")
    path = f"{subdir}/{YANKS}"
    body = store.bodies().get(path)
    before = WithdrawnPackages() if body is None else decode_withdrawn(body, path)
    reason, stored = f"{number}", store.objects.get(key)
    fields = {kind: {k: v for k, v in getattr(before, kind).items() if k != filename} for kind in KINDS}
    if step == "yank":
        fields["yanked"][filename] = Yank(reason, number)
    elif step == "ignore":
        fields["ignored"][filename] = Ignore(reason, number)
    elif step == "prune" and stored is not None:
        fields["pruned"][filename] = Prune(stored.stat.etag, len(stored.body), number, number)
    store.upload(path, encode_withdrawn(WithdrawnPackages(**fields)))


KINDS = ("yanked", "ignored", "pruned")


def take(step: str, key: str, number: int, store: MemoryStore) -> None:
    """Change something in a channel, in its lap of this number."""
    content = b"[%d]" % number
    if step == "remove":
        store.objects.pop(key, None)
    elif step in WITHDRAWING:
        withdraw(step, key, number, store)
    elif step.startswith("attest"):
        store.upload(f"{key}.sigs", content)
        if step == "attest":
            store.upload(f"{key}.sigs.{hashlib.sha256(content).hexdigest()}", content)
    else:
        depends = {"replace": [f"d{number}"], "revise": [f"d{number}[when='b']"]}.get(step, [])
        store.upload(key, b"no package" if step == "spoil" else package(key, depends=depends))


@pytest.mark.parametrize("kept", KEPT.values(), ids=KEPT)
@settings(max_examples=25, deadline=None)
@given(laps=st.lists(st.tuples(STEPS, st.booleans()), min_size=1, max_size=5))
def test_a_run_over_changed_names_equals_a_run_that_reads_everything(
    kept: Options, laps: list[tuple[list[tuple[str, str, bool]], bool]]
) -> None:
    stores = [channel(*keys(2), *keys(1, "noarch")) for _ in range(2)]
    for number, (steps, scoped) in enumerate([([], False), *laps, ([], False)]):
        run_a_lap(stores, kept, number, steps, scoped=scoped)
    assert faults(stores[0]) == []


def without_patch_warnings(report: SubdirReport) -> SubdirReport:
    return replace(report, warnings=tuple(one for one in report.warnings if one.filename != PATCH_INSTRUCTIONS))


def run_a_lap(
    stores: list[MemoryStore], kept: Options, number: int, steps: list[tuple[str, str, bool]], *, scoped: bool
) -> None:
    """Change two channels in the same way, and index both: the second one forgets its names and chunks before."""
    few, whole = stores
    for store in stores:
        for step, key, vouched in steps:
            take(step, key, number, store)
            if key in store.objects and not vouched and step not in WITHDRAWING:
                store.disguise(key)  # of an ETag that tells nothing, only the ledger knows what was read
    if OURS in whole.bodies():
        forget_names(whole)
    options = replace(kept, allow_mass_removal=True)
    if scoped and steps:
        unyanked = frozenset(key for step, key, _ in steps if step == "restore")
        options = replace(options, packages=frozenset(key for _, key, _ in steps), unyanked=unyanked)
    first = len(few.calls)
    reports = [only(index(store, options, now_ms=NOW_MS + number * DAY_MS)) for store in stores]
    few_files, whole_files = (without_withdrawn(published(store)) for store in stores)
    assert few_files == whole_files
    assert without_patch_warnings(reports[0]) == without_patch_warnings(reports[1])
    assert {*reports[0].warnings} <= {*reports[1].warnings}  # of a patch, only those on packages that it looked at
    read = {key for key in packages_read(few.calls, first) if key.startswith("linux-64/")}
    # A package that comes back into the catalog is read for its metadata.
    assert read <= {key for _, key, _ in steps} or not number or kept.outputs.needs_metadata


def without_withdrawn(files: dict[str, bytes]) -> dict[str, bytes]:
    """Files without the list of withdrawn packages, which has ETags of one store."""
    return {key: body for key, body in files.items() if not key.endswith(YANKS)}


PATCHES: list[dict[str, object] | None] = [
    {"packages.conda": {"a-1-0.conda": {"depends": ["fixed"]}}, "remove": ["c-1-0.conda"]},
    {
        "patch_instructions_version": 2,
        "packages.conda": {
            "a-b-1-0.conda": {"run_exports": {"weak": ["patched"]}},
            "p00-1.0-0.conda": {"license": "x"},
        },
        "revoke": ["a-1-0.conda"],
    },
    None,
]
OVERLAY_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "replace", "revise", "remove", "spoil", "yank", "ignore", "prune", "restore"]),
        st.sampled_from(KEYS),
        st.booleans(),
    ),
    max_size=4,
)


@pytest.mark.parametrize("kept", KEPT.values(), ids=KEPT)
@settings(max_examples=25, deadline=None)
@given(
    laps=st.lists(
        st.tuples(OVERLAY_STEPS, st.booleans(), st.sampled_from([0, 0, 0, 0, *PATCHES])), min_size=1, max_size=6
    )
)
def test_withdrawn_and_patched_packages_are_as_in_a_run_that_reads_everything(
    kept: Options, laps: list[tuple[list[tuple[str, str, bool]], bool, dict[str, object] | int | None]]
) -> None:
    stores = [channel(*keys(2), *keys(1, "noarch")) for _ in range(2)]
    nothing: list[tuple[str, str, bool]] = []
    for number, (steps, scoped, patch) in enumerate([(nothing, False, 0), *laps, (nothing, False, 0)]):
        options = kept
        if not isinstance(patch, int):
            for store in stores:
                upload_patch(store, patch or {})
            options = replace(kept, repodata_patch=PATCH if patch else "")
        run_a_lap(stores, options, number, steps, scoped=scoped)
    assert faults(stores[0]) == []
