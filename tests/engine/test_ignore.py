"""Ignored packages are neither read nor rejected nor indexed, and come back with `unignore`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from indexer.commands.yank import YankRequest, withdraw
from indexer.core import names
from indexer.core.errors import BadConfig, BadPatch
from indexer.core.overlay import WithdrawnPackages, Yank, decode_withdrawn, encode_withdrawn
from indexer.core.report import Note, Outcome
from tests.support.channel_check import check, faults
from tests.support.memory_channel import (
    DAY_MS,
    NOW_MS,
    PLAIN,
    channel,
    fake_context,
    index,
    keys,
    only,
    package,
    records,
    sharded,
    with_outputs,
)
from tests.support.unconditional_store import UnconditionalStore

if TYPE_CHECKING:
    from indexer.core.report import Report
    from indexer.store import Store
    from tests.support.memory import MemoryStore

GOOD = keys(3)[0]
BAD = "linux-64/bad-1.0-0.conda"
MISNAMED = "linux-64/nameless.conda"
STATE = f"linux-64/{names.YANKS}"
REASON = "known to be broken"


def order(store: Store, *packages: str, reason: str | None = REASON) -> Report:
    return withdraw(store, YankRequest(frozenset(packages), reason, ignore=True), PLAIN, fake_context(NOW_MS + DAY_MS))


def with_bad_packages() -> MemoryStore:
    store = channel(*keys(3))
    store.upload(BAD, b"not a zip file")
    store.upload(MISNAMED, b"no name")
    index(store)
    return store


def test_ignored_packages_are_not_rejected_any_more() -> None:
    store = with_bad_packages()
    done = only(order(store, BAD, MISNAMED))
    assert done.rejected == ()
    assert done.ignored == (Note("bad-1.0-0.conda", REASON), Note("nameless.conda", REASON))
    for _ in range(2):
        again = only(index(store))
        assert (again.exit_code, again.rejected, len(again.ignored)) == (0, (), 2)
    assert only(index(store)).outcome is Outcome.UNCHANGED
    assert only(index(store, replace(PLAIN, force=True))).rejected == ()


def test_an_ignored_package_is_rejected_again_after_unignore() -> None:
    store = with_bad_packages()
    order(store, BAD, MISNAMED)
    order(store, BAD, MISNAMED, reason=None)
    done = only(index(store))
    assert [note.filename for note in done.rejected] == ["bad-1.0-0.conda", "nameless.conda"]
    assert done.exit_code == 3


def test_a_good_package_that_is_ignored_leaves_the_index() -> None:
    store = with_bad_packages()
    before = records(store)
    order(store, GOOD)
    name = GOOD.partition("/")[2]
    assert records(store).keys() == before.keys() - {name}
    index(store)
    assert name not in records(store)
    order(store, GOOD, reason=None)
    assert records(store).keys() == before.keys()


def test_an_ignored_package_that_is_named_is_not_missing() -> None:
    store = with_bad_packages()
    order(store, BAD)
    done = only(index(store, replace(PLAIN, packages=frozenset({BAD}))))
    assert (done.exit_code, done.rejected, done.warnings) == (0, (), ())


def test_a_strict_run_passes_over_ignored_packages() -> None:
    store = with_bad_packages()
    order(store, BAD, MISNAMED)
    strict = replace(PLAIN, rules=replace(PLAIN.rules, strict=True))
    assert [only(index(store, strict)).outcome for _ in range(2)][1] is Outcome.UNCHANGED


def test_yanks_and_ignored_packages_are_kept_side_by_side() -> None:
    store = with_bad_packages()
    store.upload(STATE, encode_withdrawn(WithdrawnPackages({"a-1-0.conda": Yank("old", 1)})))
    order(store, BAD)
    result = decode_withdrawn(store.bodies()[STATE], STATE)
    assert result.yanked == {"a-1-0.conda": Yank("old", 1)}
    assert result.ignored["bad-1.0-0.conda"].reason == REASON
    assert json.loads(store.bodies()[STATE])["version"] == 2


def test_a_file_without_ignored_packages_is_readable_by_older_releases() -> None:
    assert json.loads(encode_withdrawn(WithdrawnPackages({"a-1-0.conda": Yank("old", 1)}))) == {
        "version": 1,
        "yanked": {"a-1-0.conda": {"reason": "old", "yanked_timestamp": 1}},
    }
    with pytest.raises(BadPatch, match="of version 4"):
        decode_withdrawn(b'{"version": 4}', STATE)


@pytest.mark.parametrize("name", ["linux-64/not-there-1-0.conda", "linux-64/repodata.json", "nowhere/a-1-0.conda"])
def test_what_is_no_package_of_the_channel_cannot_be_ignored(name: str) -> None:
    store = with_bad_packages()
    before = store.bodies()
    with pytest.raises(BadConfig, match=r"nothing was changed|is not a subdir"):
        order(store, name)
    assert store.bodies() == before


def test_only_new_rejections_fail_a_run_with_fail_on_new() -> None:
    store = with_bad_packages()
    new_only = replace(PLAIN, fail_on_new=True)
    known = only(index(store, new_only))
    assert (known.exit_code, len(known.rejected), known.new_rejected) == (0, 2, ())
    store.upload(BAD, b"another bad file with the same name")
    changed = only(index(store, new_only))
    assert (changed.exit_code, changed.new_rejected) == (3, ("bad-1.0-0.conda",))
    assert only(index(store, new_only)).exit_code == 0
    store.upload("linux-64/second.conda", b"a bad name")
    assert only(index(store, new_only)).new_rejected == ("second.conda",)
    assert only(index(store, new_only)).exit_code == 0
    assert only(index(store)).exit_code == 3


def test_a_run_with_good_news_and_known_rejections_succeeds() -> None:
    store = with_bad_packages()
    store.upload("linux-64/new-1.0-0.conda", package("linux-64/new-1.0-0.conda"))
    done = only(index(store, replace(PLAIN, fail_on_new=True)))
    assert (done.exit_code, done.added, done.new_rejected) == (0, ("new-1.0-0.conda",), ())


def test_a_check_is_silent_about_ignored_packages() -> None:
    store = with_bad_packages()
    assert len(check(store).hints) == 2
    order(store, BAD, MISNAMED, GOOD)
    verdict = check(store)
    assert (verdict.faults, verdict.hints) == ((), ())


def test_a_check_names_a_file_of_ignored_packages_that_is_broken() -> None:
    store = with_bad_packages()
    store.upload(STATE, b"{broken")
    assert STATE in faults(store)[0]


def test_packages_are_ignored_under_a_lease_too() -> None:
    store = with_bad_packages()
    guarded = UnconditionalStore(store)
    assert only(order(guarded, BAD)).ignored == (Note("bad-1.0-0.conda", REASON),)
    store.upload("linux-64/new-1.0-0.conda", package("linux-64/new-1.0-0.conda"))
    done = only(index(guarded))
    assert (done.added, [note.filename for note in done.rejected]) == (("new-1.0-0.conda",), ["nameless.conda"])


def test_a_channel_of_shards_alone_leaves_out_ignored_packages() -> None:
    store = channel(*keys(3))
    store.upload(BAD, b"not a zip file")
    alone = with_outputs(monolithic=False)
    index(store, alone)
    order(store, BAD, GOOD)
    assert sharded(store) == {key.partition("/")[2] for key in keys(3)[1:]}
    assert only(index(store, alone)).outcome is Outcome.UNCHANGED
