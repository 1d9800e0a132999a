"""`promote` over stores in memory: what is copied and what is not, how, and which records the copies get."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from indexer.commands.promote.promote import PromoteRequest, Source, promote
from indexer.commands.yank import YankRequest, withdraw
from indexer.core.errors import BadConfig, OneUnavailable, Refused
from indexer.core.exit_codes import ExitCode
from indexer.core.model import Rules
from indexer.core.publishing import PromoteReport, Sending
from indexer.core.report import Outcome
from tests.support.channel_check import faults
from tests.support.memory import Behavior, MemoryStore
from tests.support.memory_channel import (
    DAY_MS,
    NOW_MS,
    PLAIN,
    FakeClock,
    channel,
    fake_context,
    follow,
    keys,
    only,
    package,
    packages_read,
    published,
    records,
    upload_patch,
    with_outputs,
)
from tests.support.package_files import SIGS
from tests.support.unconditional_store import UnconditionalStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from indexer.core.options import Options
    from indexer.store import Store
    from tests.support.memory import Call

LATER = NOW_MS + DAY_MS
FIRST, SECOND, THIRD = keys(3)
NOARCH = keys(1, "noarch")[0]
HEADERS = ("Content-Disposition", "x-amz-meta-package-md5", "x-amz-meta-package-sha256")
SHARDS_ONLY = with_outputs(monolithic=False)
OPTIONS = {
    "plain": PLAIN,
    "shards only": SHARDS_ONLY,
    "pages": with_outputs(html=True, channeldata=True, rss=True),
}


def indexed(packages: Mapping[str, bytes], options: Options = PLAIN, now_ms: int = NOW_MS) -> MemoryStore:
    store = channel()
    for key, body in packages.items():
        store.upload(key, body)
    follow(store, replace(options, create=True), now_ms=now_ms)
    return store


@pytest.fixture
def source() -> MemoryStore:
    return indexed({key: package(key, license="MIT") for key in (FIRST, SECOND, THIRD, NOARCH)})


@pytest.fixture
def target() -> MemoryStore:
    return indexed({key: package(key) for key in (*keys(2, start=7), *keys(1, "noarch", start=9))})


def run(
    source: Store,
    target: Store,
    *packages: str,
    options: Options = PLAIN,
    with_dependencies: bool = False,
    clock: FakeClock | None = None,
) -> PromoteReport:
    request = PromoteRequest(packages, with_dependencies)
    return promote(Source(source), target, request, options, fake_context(LATER, clock))


def results(report: PromoteReport) -> dict[str, Sending]:
    return {result.key: result.result for result in report.packages}


def notes(report: PromoteReport) -> list[str]:
    return [f"{note.filename} {note.reason}" for note in report.notes]


def filename(key: str) -> str:
    return key.partition("/")[2]


# What a promotion does.


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_the_channel_gets_the_index_that_reading_the_copies_would_make(options: Options) -> None:
    bodies = {key: package(key, license="MIT", run_exports={"weak": ["a"]}, about={"summary": key}) for key in keys(3)}
    source, target = indexed(bodies, options), indexed({NOARCH: package(NOARCH)}, options)
    other = indexed({NOARCH: package(NOARCH)}, options)
    since = len(target.calls)
    report = run(source, target, "p*", options=options)
    assert results(report) == dict.fromkeys(keys(3), Sending.PROMOTED)
    assert (report.outcome, report.exit_code) == (Outcome.PUBLISHED, ExitCode.OK)
    assert packages_read(target.calls, since) == packages_read(source.calls, len(source.calls)) == []
    for key, body in bodies.items():
        other.upload(key, body)
    follow(other, replace(options, packages=frozenset(bodies)), now_ms=LATER)
    assert published(target) == published(other)
    assert faults(target) == []


def test_no_body_of_a_package_is_read_or_written(source: MemoryStore, target: MemoryStore) -> None:
    first, since = len(source.calls), len(target.calls)
    run(source, target, "p00", "p01=1.0", NOARCH)
    assert packages_read(source.calls, first) == packages_read(target.calls, since) == []
    requests = Counter(call.verb for call in target.calls[since:] if call.key.endswith(".conda"))
    assert requests == {"COPY": 3, "HEAD": 3}
    assert {"PUT", "DELETE"}.isdisjoint(call.verb for call in source.calls[first:])


def test_a_record_is_dated_by_the_channel_that_gets_the_package(source: MemoryStore, target: MemoryStore) -> None:
    run(source, target, FIRST)
    mine, theirs = (records(store)[filename(FIRST)] for store in (target, source))
    assert (theirs["indexed_timestamp"], mine["indexed_timestamp"]) == (NOW_MS, LATER)
    assert {**mine, "indexed_timestamp": 0} == {**theirs, "indexed_timestamp": 0}


def test_a_repeated_promotion_changes_nothing(source: MemoryStore, target: MemoryStore) -> None:
    run(source, target, FIRST, SECOND)
    before = published(target)
    report = run(source, target, FIRST, SECOND)
    assert results(report) == dict.fromkeys([FIRST, SECOND], Sending.THERE)
    assert (report.outcome, report.exit_code) == (Outcome.UNCHANGED, ExitCode.OK)
    assert published(target) == before


def test_other_bytes_stay_and_the_others_are_promoted(source: MemoryStore, target: MemoryStore) -> None:
    target.upload(FIRST, package(FIRST, license="other"))
    report = run(source, target, FIRST, SECOND)
    assert results(report) == {FIRST: Sending.DIFFERENT, SECOND: Sending.PROMOTED}
    assert (report.outcome, report.exit_code) == (Outcome.REFUSED, ExitCode.REFUSED)
    assert target.bodies()[FIRST] == package(FIRST, license="other")
    assert filename(FIRST) not in records(target)


def test_a_dry_run_writes_nothing(source: MemoryStore, target: MemoryStore) -> None:
    target.upload(FIRST, package(FIRST, license="other"))
    before = target.bodies()
    report = run(source, target, FIRST, SECOND, options=replace(PLAIN, dry_run=True))
    assert results(report) == {FIRST: Sending.DIFFERENT, SECOND: Sending.WOULD_PROMOTE}
    assert target.bodies() == before


def test_a_package_that_was_uploaded_before_gets_the_record_too(source: MemoryStore, target: MemoryStore) -> None:
    target.upload(FIRST, source.bodies()[FIRST])
    since = len(target.calls)
    report = run(source, target, FIRST)
    assert results(report) == {FIRST: Sending.THERE}
    assert only(report).added == (filename(FIRST),)
    assert len(packages_read(target.calls, since)) == 1  # opened to compare
    assert target.usage.bytes_read < 10**5
    assert only(report).read["record"].packages == 1


def test_a_new_channel_is_created_on_request_only(source: MemoryStore) -> None:
    target = MemoryStore()
    for key in (FIRST, NOARCH):
        with pytest.raises(BadConfig, match="--create"):
            run(source, target, key)
    assert target.bodies() == {}
    run(source, target, FIRST, options=replace(PLAIN, create=True))
    assert faults(target) == []


def test_a_missing_source_is_wrong_usage(target: MemoryStore) -> None:
    with pytest.raises(BadConfig, match="has no subdir"):
        run(MemoryStore(), target, "p00")


# Names and patterns.


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("p00", [FIRST, NOARCH]),
        ("P00", [FIRST, NOARCH]),
        ("p0*=1.0", [FIRST, SECOND, THIRD, NOARCH]),
        ("p*1", [SECOND]),
        ("p01=1", [SECOND]),
        ("p01=1.0=0", [SECOND]),
        ("p01=1.*=*", [SECOND]),
        ("p01>=1,<2", [SECOND]),
        (THIRD, [THIRD]),
    ],
)
def test_packages_are_named_by_key_or_pattern(
    source: MemoryStore, target: MemoryStore, pattern: str, expected: list[str]
) -> None:
    assert results(run(source, target, pattern)).keys() == {*expected}


@pytest.mark.parametrize(
    "name",
    ["p99", "p00=2", "p00=1.0=other", "linux-64/p99-1.0-0.conda", "p00-1.0-0.conda", "a/b/c", "=", "p00[x=1]", "p=>1"],
)
def test_a_name_without_packages_is_wrong_usage(source: MemoryStore, target: MemoryStore, name: str) -> None:
    before = target.bodies()
    with pytest.raises(BadConfig):
        run(source, target, FIRST, name)
    assert target.bodies() == before


def test_a_yanked_package_is_promoted_by_its_full_name_only(source: MemoryStore, target: MemoryStore) -> None:
    withdraw(source, YankRequest(frozenset([FIRST]), "broken"), PLAIN, fake_context(NOW_MS + 1))
    report = run(source, target, "p0*")
    assert FIRST not in results(report)
    assert notes(report) == [f"{FIRST} is yanked, so a pattern does not select it; to copy it, give its full name"]
    report = run(source, target, FIRST)
    assert results(report) == {FIRST: Sending.PROMOTED}
    assert notes(report) == [f"{FIRST} is yanked, and copied because its full name is given"]
    assert records(target)[filename(FIRST)]["license"] == "MIT"


# Dependencies.


def dependent() -> MemoryStore:
    def built(name: str, *depends: str, subdir: str = "linux-64", version: str = "1.0", build: str = "0") -> None:
        key = f"{subdir}/{name}-{version}-{build}.conda"
        bodies[key] = package(key, depends=list(depends))

    bodies: dict[str, bytes] = {}
    built("app", "lib >=1,<3", "there", "__glibc >=2.17", "nowhere >=1", "tool 1.0 b*")
    for version in ("0.9", "1.0", "2.0", "2.10", "3.0"):
        built("lib", "base", version=version)
    built("base", "lib", subdir="noarch")
    built("there")
    twin = "linux-64/lib-2.10-0.tar.bz2"
    bodies[twin] = package(twin, depends=["base"])
    built("tool", build="a1")
    built("tool", build="b1")
    built("everywhere", "base", "only", subdir="noarch")
    built("only")
    built("only", subdir="osx-64")
    return indexed(bodies)


def test_the_newest_packages_that_are_needed_and_missing_come_too() -> None:
    source = dependent()
    target = indexed({"linux-64/there-0.1-0.conda": package("linux-64/there-0.1-0.conda")})
    report = run(source, target, "app", with_dependencies=True)
    assert results(report).keys() == {
        "linux-64/app-1.0-0.conda",
        "linux-64/lib-2.10-0.conda",
        "linux-64/tool-1.0-b1.conda",
        "noarch/base-1.0-0.conda",
    }
    assert notes(report) == ["linux-64/app-1.0-0.conda needs 'nowhere >=1', which neither channel has"]
    assert report.exit_code is ExitCode.OK
    assert results(run(source, target, "app")).keys() == {"linux-64/app-1.0-0.conda"}


def test_a_package_of_noarch_gets_its_dependencies_on_each_platform() -> None:
    report = run(dependent(), indexed({}), "everywhere", with_dependencies=True)
    assert {"linux-64/only-1.0-0.conda", "osx-64/only-1.0-0.conda"} <= results(report).keys()


def test_a_dependency_that_the_channel_has_is_not_promoted() -> None:
    target = indexed({"linux-64/lib-1.5-0.conda": package("linux-64/lib-1.5-0.conda")})
    report = run(dependent(), target, "app", with_dependencies=True)
    assert not any("/lib-" in key for key in results(report))


# How the bytes come.


def test_bytes_pass_through_if_the_store_does_not_copy(source: MemoryStore) -> None:
    target = MemoryStore(behavior=Behavior(copies=False))
    sha256 = hashlib.sha256(source.bodies()[FIRST]).hexdigest()
    source.upload(FIRST, source.bodies()[FIRST], {"owner": "me", "package-sha256": sha256})
    follow(source)
    report = run(source, target, FIRST, options=replace(PLAIN, create=True))
    assert results(report) == {FIRST: Sending.PROMOTED}
    headers = target.objects[FIRST].headers
    assert (headers["x-amz-meta-owner"], headers["x-amz-meta-package-sha256"]) == ("me", sha256)
    assert headers["Content-Disposition"] == f"attachment; filename={filename(FIRST)}"
    assert packages_read(target.calls) == []
    assert only(report).read["record"].packages == 1
    assert faults(target, deep=True) == []


def test_bytes_that_are_not_those_of_the_record_are_not_written(source: MemoryStore) -> None:
    target = MemoryStore(behavior=Behavior(copies=False))
    stored = source.objects[FIRST]
    source.objects[FIRST] = dataclasses.replace(stored, body=stored.body[::-1])  # as a damaged disk
    with pytest.raises(OneUnavailable, match="has other bytes than its record says"):
        run(source, target, FIRST, options=replace(PLAIN, create=True))
    assert FIRST not in target.bodies()


@pytest.mark.parametrize("copied", [True, False])
def test_without_conditions_a_lease_is_held_and_other_bytes_stay(
    source: MemoryStore,
    target: MemoryStore,
    copied: bool,  # noqa: FBT001
) -> None:
    target.behavior.copies = copied
    target.upload(FIRST, package(FIRST, license="other"))
    since, clock = len(target.calls), FakeClock()
    report = run(source, UnconditionalStore(target), FIRST, SECOND, clock=clock)
    assert results(report) == {FIRST: Sending.DIFFERENT, SECOND: Sending.PROMOTED}
    assert target.bodies()[FIRST] == package(FIRST, license="other")
    assert "linux-64/.indexer-lease.json" in [call.key for call in target.calls[since:] if call.verb == "PUT"]
    assert "linux-64/.indexer-lease.json" not in target.bodies()
    assert target.objects[SECOND].headers.keys() == (set() if copied else {*HEADERS})


def test_attestations_come_with_the_package(source: MemoryStore, target: MemoryStore) -> None:
    digest = hashlib.sha256(SIGS).hexdigest()
    source.upload(f"{FIRST}.sigs", SIGS)
    since = len(target.calls)
    report = run(source, target, FIRST, SECOND)
    assert [result.attestations for result in report.packages] == [True, False]
    written = [call.key for call in target.calls[since:] if call.verb in {"PUT", "COPY"} and ".conda" in call.key]
    assert [key for key in written if FIRST in key] == [FIRST, f"{FIRST}.sigs.{digest}", f"{FIRST}.sigs"]
    assert records(target)[filename(FIRST)]["attestations_sha256"] == digest
    before = published(target)
    follow(target, now_ms=LATER + 1)
    assert records(target) == records(before)


def test_attestations_of_the_channel_stay(source: MemoryStore, target: MemoryStore) -> None:
    newer = SIGS.replace(b"v0.3", b"v0.4")
    source.upload(f"{FIRST}.sigs", SIGS)
    target.upload(f"{FIRST}.sigs", newer)
    run(source, target, FIRST)
    assert target.bodies()[f"{FIRST}.sigs"] == newer
    assert "attestations_sha256" not in records(target)[filename(FIRST)]


def test_invalid_attestations_stay_behind(source: MemoryStore, target: MemoryStore) -> None:
    source.upload(f"{FIRST}.sigs", b"{}")
    run(source, target, FIRST)
    assert f"{FIRST}.sigs" not in target.bodies()


# The record of the source is used only if it is certain.


def test_a_package_that_was_replaced_since_its_index_is_refused(source: MemoryStore, target: MemoryStore) -> None:
    source.upload(FIRST, package(FIRST, license="new"))
    before = target.bodies()
    with pytest.raises(Refused, match="is not the package that the index describes"):
        run(source, target, FIRST, SECOND)
    source.remove(FIRST)
    with pytest.raises(Refused, match="does not exist any more"):
        run(source, target, FIRST)
    assert target.bodies() == before


@pytest.mark.parametrize("copied", [True, False])
def test_a_package_that_is_replaced_meanwhile_never_gets_the_old_record(
    source: MemoryStore,
    target: MemoryStore,
    copied: bool,  # noqa: FBT001
) -> None:
    target.behavior.copies = copied

    def replace_it(call: Call) -> None:
        if call.verb == "COPY" and call.key == FIRST:
            source.upload(FIRST, package(FIRST, license="new"))

    target.hook = replace_it
    with pytest.raises(OneUnavailable, match="index the channel FROM"):
        run(source, target, FIRST)
    assert FIRST not in target.bodies()
    target.hook = lambda _: None
    follow(source, now_ms=NOW_MS + 1)
    run(source, target, FIRST)
    assert records(target)[filename(FIRST)]["license"] == "new"


def test_a_copy_that_another_program_replaces_meanwhile_is_read(source: MemoryStore, target: MemoryStore) -> None:
    other = package(FIRST, license="other")

    def replace_it(call: Call) -> None:
        if call.verb == "HEAD" and call.key == FIRST:
            target.upload(FIRST, other)

    target.hook = replace_it
    run(source, target, FIRST)
    assert records(target)[filename(FIRST)]["license"] == "other"


def unlike() -> Iterator[tuple[str, Options, Options]]:
    yield "other rules", replace(PLAIN, rules=Rules(lenient=True)), PLAIN
    yield "no run exports", with_outputs(run_exports=False), PLAIN
    yield "no metadata", PLAIN, with_outputs(html=True)


@pytest.mark.parametrize(("theirs", "mine"), [pair[1:] for pair in unlike()], ids=[pair[0] for pair in unlike()])
def test_a_package_is_read_if_its_record_would_be_another_one(theirs: Options, mine: Options) -> None:
    source = indexed({FIRST: package(FIRST, license="MIT")}, theirs)
    target = indexed({NOARCH: package(NOARCH)}, mine)
    since = len(target.calls)
    report = run(source, target, FIRST, options=mine)
    assert packages_read(target.calls, since) == [FIRST]
    assert report.exit_code is ExitCode.OK
    assert faults(target) == []


def test_the_patch_of_the_source_is_not_promoted(source: MemoryStore, target: MemoryStore) -> None:
    name = upload_patch(source, {"packages.conda": {filename(FIRST): {"license": "patched"}}})
    follow(source, replace(PLAIN, repodata_patch=name), now_ms=NOW_MS + 1)
    assert records(source)[filename(FIRST)]["license"] == "patched"
    since = len(target.calls)
    run(source, target, FIRST)
    assert records(target)[filename(FIRST)]["license"] == "MIT"
    assert packages_read(target.calls, since) == []


def test_the_index_of_another_program_is_enough_to_select(source: MemoryStore, target: MemoryStore) -> None:
    for key in list(source.bodies()):
        if key.endswith(".indexer.json.zst"):
            source.remove(key)
    since = len(target.calls)
    report = run(source, target, FIRST)
    assert results(report) == {FIRST: Sending.PROMOTED}
    assert packages_read(target.calls, since) == [FIRST]
    assert faults(target) == []
