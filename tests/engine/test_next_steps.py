"""For each kind of fault that a check finds: do what its next step says, and the next check finds none."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import pytest
from msgspec.structs import replace

from indexer.commands.yank import YankRequest, withdraw
from indexer.core import names
from indexer.core.known_packages import Attested
from indexer.core.state import decode_state, encode_state, with_blocks, with_known_packages
from tests.engine.test_attestations import SIGS, attest
from tests.engine.test_check import ALL, FAULTS, P0, key, record_of, rewrite, sound, spoil
from tests.support.channel_check import check, faults
from tests.support.memory_channel import (
    DAY_MS,
    NOW_MS,
    PLAIN,
    channel,
    fake_context,
    index,
    is_package,
    keys,
    package,
    packages_read,
    published,
    shards,
    upload_patch,
    with_outputs,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from indexer.core.options import Options
    from indexer.core.report import Report
    from indexer.core.verify import Fault
    from tests.support.memory import MemoryStore

COMMAND = "indexer fs /srv/channel"
SHARDS_ONLY = with_outputs(monolithic=False)
NO_SHARDS = with_outputs(shards=False)
IN_SHARDS = (
    *("a shard is gone", "a shard is another's", "a shard lacks a record", "a shard has a record too many"),
    *("a shard has packages of another name", "a shard has no map", "a shard has digests as text"),
    *("the shard index is cut off", "the shard index has no base url", "the shard index is of another subdir"),
    *("older clients' file is stale", "older clients' file is broken", "zst is no zst"),
    *("a package is gone", "a package is new", "a package has another size"),
    *("a package was replaced by one of the same size", "a rejected package was replaced"),
)
WITHOUT_SHARDS = [
    name for name in FAULTS if "shard" not in name and "bz2" not in name and name != "run exports say something else"
]


def follow(store: MemoryStore, found: Sequence[Fault], options: Options) -> Report:
    """Do what the next steps of some faults say: delete what they name, then run the command that they name."""
    commands = set()
    for fault in found:
        match = re.fullmatch(r"(.*?)run `([^`]+)`(.*)", fault.next_step)
        assert match, f"{fault} names no command"
        before, command, after = match.groups()
        assert command.startswith(COMMAND), fault
        if doomed := re.search(r"delete (\S+) and ", before):
            store.objects.pop(fault.key if doomed[1] == "it" else doomed[1], None)
        commands.add(command.removeprefix(COMMAND).strip())
        if "--no-repodata-patch" in after:
            options = replace(options, repodata_patch="")
    assert commands <= {"", "--force"}
    return index(store, replace(options, force="--force" in commands), now_ms=NOW_MS + DAY_MS)


def heals(store: MemoryStore, options: Options, *, deep: bool = False) -> None:
    result = check(store, deep=deep, command=COMMAND).faults
    assert result
    follow(store, result, options)
    assert faults(store, deep=deep) == []


@pytest.mark.parametrize("name", FAULTS)
def test_the_next_step_of_each_fault_heals_it(name: str) -> None:
    store = sound()
    FAULTS[name].plant(store)
    heals(store, ALL)


@pytest.mark.parametrize("name", IN_SHARDS)
def test_the_next_step_heals_a_channel_of_shards_alone(name: str) -> None:
    store = sound(SHARDS_ONLY)
    FAULTS[name].plant(store)
    heals(store, SHARDS_ONLY)


@pytest.mark.parametrize("name", WITHOUT_SHARDS)
def test_the_next_step_heals_a_channel_without_shards(name: str) -> None:
    store = sound(NO_SHARDS)
    FAULTS[name].plant(store)
    heals(store, NO_SHARDS)


@dataclass(frozen=True)
class Damage:
    """What happens to a channel of some options, and whether only a deep check sees it."""

    plant: Callable[[MemoryStore], object]
    options: Options = PLAIN
    deep: bool = False


def yanked(store: MemoryStore) -> None:
    """Yank a package of the channel."""
    withdraw(store, YankRequest(frozenset({key(P0)}), "it breaks the build"), PLAIN, fake_context())


def patched(store: MemoryStore) -> None:
    """Put a patch in force."""
    upload_patch(store, {"packages.conda": {P0: {"license": "MIT"}}, "patch_instructions_version": 1})
    index(store, replace(PLAIN, repodata_patch="patch-1-0.conda"))


def after(
    first: Callable[[MemoryStore], object], then: Callable[[MemoryStore], object]
) -> Callable[[MemoryStore], None]:
    """Two things, one after the other."""

    def both(store: MemoryStore) -> None:
        first(store)
        assert faults(store) == []
        then(store)

    return both


def unnamed_attestations(store: MemoryStore) -> None:
    """A ledger that knows of attestations that a record does not name."""
    sha256 = attest(store)
    index(store)
    state = decode_state(store.bodies()[key(names.STATE_FILE)])
    assert state is not None
    state = with_known_packages(state, None)
    attested = {**state.attestations, "p01-1.0-0.conda": Attested("", sha256)}
    state = with_blocks(msgspec.structs.replace(state, attestations=attested), (), None)
    store.upload(key(names.STATE_FILE), encode_state(state))


def attested(store: MemoryStore) -> None:
    """Attestations that the index names."""
    attest(store)
    index(store)


def copy_of_attestations(store: MemoryStore) -> str:
    return next(body for body in store.bodies() if body.startswith(f"{SIGS}."))


def without_ledger(store: MemoryStore, change: Callable[[MemoryStore], object]) -> None:
    store.remove(key(names.STATE_FILE))
    change(store)


def drop(store: MemoryStore, *gone: str) -> None:
    for item in gone:
        store.remove(item)


def cut_off(store: MemoryStore, *filenames: str) -> None:
    for filename in filenames:
        spoil(store, filename)


def broken(name: str) -> Callable[[MemoryStore], object]:
    return lambda store: store.upload(key(name), b"{")


DAMAGE = {
    "the index is gone": Damage(lambda s: drop(s, *(body for body in s.bodies() if not is_package(body)))),
    "the index of noarch is gone": Damage(lambda s: s.remove("noarch/repodata.json")),
    "all shards are gone": Damage(lambda s: drop(s, *shards(s).values())),
    "all shards are gone, and nothing else is there": Damage(lambda s: drop(s, *shards(s).values()), SHARDS_ONLY),
    "both indexes are cut off": Damage(lambda s: cut_off(s, names.REPODATA, names.SHARD_INDEX)),
    "run exports are cut off, and their zst": Damage(lambda s: cut_off(s, names.RUN_EXPORTS, names.RUN_EXPORTS_ZST)),
    "run exports are cut off, and there is no zst": Damage(
        lambda s: spoil(s, names.RUN_EXPORTS), with_outputs(zst=False)
    ),
    "the index before yanks is cut off": Damage(after(yanked, lambda s: spoil(s, names.FROM_PACKAGES))),
    "the index before yanks and the index are cut off": Damage(
        after(yanked, lambda s: cut_off(s, names.FROM_PACKAGES, names.REPODATA))
    ),
    "the index is cut off beside that before yanks": Damage(after(yanked, lambda s: spoil(s, names.REPODATA))),
    "the yanks are cut off": Damage(after(yanked, broken(names.YANKS))),
    "the patch is cut off": Damage(after(patched, broken(names.PATCH_INSTRUCTIONS))),
    "a yank is not published": Damage(
        after(yanked, lambda s: rewrite(s, names.REPODATA, lambda c: c.update(removed=[])))
    ),
    "attestations are not named": Damage(unnamed_attestations),
    "a copy of attestations is gone": Damage(after(attested, lambda s: s.remove(copy_of_attestations(s)))),
    "a copy of attestations is another": Damage(
        after(attested, lambda s: s.upload(copy_of_attestations(s), b'["forged"]')), deep=True
    ),
    "a record says something else": Damage(
        lambda s: rewrite(s, names.REPODATA, lambda c: record_of(c).update(license="other")), NO_SHARDS, deep=True
    ),
    "run exports say something else": Damage(
        lambda s: rewrite(s, names.RUN_EXPORTS, lambda c: record_of(c).update(run_exports={"weak": ["q"]})),
        NO_SHARDS,
        deep=True,
    ),
    "a package is damaged": Damage(
        lambda s: without_ledger(s, lambda s: s.upload(key(P0), b"x" * len(package(key(P0))))), deep=True
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_the_next_step_heals_other_damage(name: str) -> None:
    damage = DAMAGE[name]
    store = channel(*keys(3), *keys(1, "noarch"))
    index(store, damage.options)
    damage.plant(store)
    heals(store, damage.options, deep=damage.deep)


@pytest.mark.parametrize("options", [PLAIN, SHARDS_ONLY], ids=["repodata.json", "shards alone"])
def test_a_plain_run_puts_back_a_deleted_folder_of_shards(options: Options) -> None:
    store = channel(*keys(3), *keys(1, "noarch"))
    index(store, options)
    before = published(store)
    for shard in shards(store).values():
        store.remove(shard)
    index(store, options)
    assert published(store).keys() == before.keys()
    assert faults(store) == []


def test_lost_run_exports_come_from_their_compressed_copy() -> None:
    store = sound()
    before = published(store)
    spoil(store, names.RUN_EXPORTS)
    first = len(store.calls)
    index(store, ALL)
    assert published(store) == before
    assert packages_read(store.calls, first) == []
    store.remove(key(names.RUN_EXPORTS))
    index(store, ALL)
    assert published(store) == before


def test_a_shard_that_is_lost_alone_is_one_fault_in_shards_alone() -> None:
    store = sound(SHARDS_ONLY)
    FAULTS["a shard is gone"].plant(store)
    assert len(check(store).faults) == 1
