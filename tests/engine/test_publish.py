"""`publish` over a store in memory: what is sent, in which order and in how many requests, and what is not."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from indexer.commands.publish.publish import publish
from indexer.commands.publish.upload_progress import UploadProgress
from indexer.core.errors import BadConfig, GaveUp, Unavailable
from indexer.core.exit_codes import ExitCode
from indexer.core.model import Rules
from indexer.core.names import SETTINGS
from indexer.core.progress import Phase, Step
from indexer.core.publishing import PublishReport, PublishRequest, Sending
from indexer.core.report import Outcome
from indexer.core.stream import chunks_of, stream_of
from tests.support.channel_check import faults
from tests.support.command import LIMIT
from tests.support.memory import MemoryStore
from tests.support.memory_channel import (
    DAY_MS,
    NOW_MS,
    PLAIN,
    FakeClock,
    changes,
    channel,
    fake_context,
    follow,
    keys,
    only,
    package,
    published,
    records,
    shards,
    unpacked,
    with_outputs,
)
from tests.support.package_files import SIGS, attest, build
from tests.support.unconditional_store import UnconditionalStore

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from indexer.core.model import ETag
    from indexer.core.options import Options
    from indexer.core.report import Report
    from indexer.core.stream import Content
    from indexer.store import Expect, Store
    from tests.support.memory import Call

NEW = "linux-64/new-1.0-0.conda"
SHARDS_ONLY = with_outputs(monolithic=False)
REPLACE = PublishRequest(replace=True)


def bad(folder: Path) -> Path:
    file = folder / "half-1.0-0.conda"
    file.write_bytes(package("linux-64/half-1.0-0.conda")[:-30])
    return file


def run(
    store: Store,
    *files: Path,
    request: PublishRequest = PublishRequest(),  # noqa: B008  a frozen value
    options: Options = PLAIN,
    clock: FakeClock | None = None,
) -> PublishReport:
    return publish(store, files, request, options, fake_context(clock=clock))


def results(report: PublishReport) -> dict[str, Sending]:
    return {result.key or result.file.rpartition("/")[2]: result.result for result in report.packages}


def indexed_channel(options: Options = PLAIN, many: int = 2) -> MemoryStore:
    store = channel(*keys(many), *keys(1, "noarch"))
    follow(store, options)
    return store


def requests(calls: Sequence[Call]) -> Counter[str]:
    return Counter(call.verb for call in calls)


def test_a_new_package_is_sent_and_indexed(tmp_path: Path) -> None:
    store = indexed_channel()
    report = run(store, build(tmp_path, NEW))
    assert results(report) == {NEW: Sending.SENT}
    assert (report.outcome, report.exit_code) == (Outcome.PUBLISHED, ExitCode.OK)
    assert only(report).added == ("new-1.0-0.conda",)
    assert store.bodies()[NEW] == package(NEW)
    assert NEW.partition("/")[2] in records(store)
    assert faults(store) == []


def test_an_object_has_the_headers_of_rattler_build(tmp_path: Path) -> None:
    store = indexed_channel()
    run(store, build(tmp_path, NEW))
    assert store.objects[NEW].headers == {
        "Content-Disposition": "attachment; filename=new-1.0-0.conda",
        "x-amz-meta-package-md5": hashlib.md5(package(NEW)).hexdigest(),
        "x-amz-meta-package-sha256": hashlib.sha256(package(NEW)).hexdigest(),
    }


@pytest.mark.parametrize("options", [PLAIN, SHARDS_ONLY])
@pytest.mark.parametrize("names", [[NEW], [NEW, *keys(3, "osx-64", start=5)]])
def test_it_takes_the_uploads_and_the_requests_of_a_package_run(
    tmp_path: Path, options: Options, names: list[str]
) -> None:
    one, other = indexed_channel(options), indexed_channel(options)
    files = [build(tmp_path, key) for key in names]
    first = len(one.calls)
    run(one, *files, options=options)
    for key in names:
        other.upload(key, package(key))
    before = len(other.calls)
    follow(other, replace(options, packages=frozenset(names)))
    expected = requests(other.calls[before:]) + Counter(PUT=len(names))
    assert requests(one.calls[first:]) == expected
    assert published(one) == published(other)


def test_a_package_of_noarch_takes_one_request_more_to_find_the_channel(tmp_path: Path) -> None:
    store, key = indexed_channel(), "noarch/new-1.0-0.conda"
    first = len(store.calls)
    run(store, build(tmp_path, key), options=replace(PLAIN, create=True))
    without = requests(store.calls[first:])
    store = indexed_channel()
    first = len(store.calls)
    run(store, build(tmp_path, key))
    assert requests(store.calls[first:]) - without == Counter(HEAD=1)


def test_the_same_bytes_are_already_there(tmp_path: Path) -> None:
    store, file = indexed_channel(), build(tmp_path, NEW)
    run(store, file)
    first = len(store.calls)
    report = run(store, file)
    assert results(report) == {NEW: Sending.THERE}
    assert (report.outcome, report.exit_code) == (Outcome.UNCHANGED, ExitCode.OK)
    assert changes(store.calls, first) == [("PUT", NEW)]  # the one that was refused


@pytest.mark.parametrize("known", ["etag", "metadata", "nothing"])
def test_bytes_are_compared_by_etag_by_metadata_or_by_reading(tmp_path: Path, known: str) -> None:
    store, file = indexed_channel(), build(tmp_path, NEW)
    digests = {
        "package-sha256": hashlib.sha256(package(NEW)).hexdigest(),
        "package-md5": hashlib.md5(package(NEW)).hexdigest(),
    }
    store.upload(NEW, package(NEW), digests if known == "metadata" else {})
    if known != "etag":
        store.disguise(NEW)
    before, of_run = store.usage.bytes_read, [SETTINGS, "linux-64/.indexer.json.zst"]
    assert results(run(store, file, options=replace(PLAIN, dry_run=True))) == {NEW: Sending.THERE}
    read = store.usage.bytes_read - before - sum(len(store.bodies()[key]) for key in of_run)
    assert read == (len(package(NEW)) if known == "nothing" else 0)


def test_other_bytes_stay_and_the_others_are_sent(tmp_path: Path) -> None:
    store = indexed_channel()
    key = keys(1)[0]
    report = run(store, build(tmp_path, key, license="other"), build(tmp_path, NEW))
    assert results(report) == {key: Sending.DIFFERENT, NEW: Sending.SENT}
    assert (report.outcome, report.exit_code) == (Outcome.REFUSED, ExitCode.REFUSED)
    assert store.bodies()[key] == package(key)
    assert only(report).added == ("new-1.0-0.conda",)
    assert faults(store) == []


@pytest.mark.parametrize("disguised", [False, True])
def test_a_package_is_replaced_on_request_and_dated_anew(tmp_path: Path, disguised: bool) -> None:  # noqa: FBT001
    store = indexed_channel()
    key = keys(1)[0]
    file = build(tmp_path, key, license="MIX")
    if disguised:
        store.disguise(key)
    report = publish(store, [file], REPLACE, PLAIN, fake_context(NOW_MS + DAY_MS))
    assert results(report) == {key: Sending.REPLACED}
    assert report.exit_code is ExitCode.OK
    assert only(report).updated == (key.partition("/")[2],)
    record = records(store)[key.partition("/")[2]]
    assert (record["license"], record["indexed_timestamp"]) == ("MIX", NOW_MS + DAY_MS)
    assert faults(store) == []


def test_a_package_that_another_program_replaces_meanwhile_is_compared_again(tmp_path: Path) -> None:
    store = indexed_channel()
    key = keys(1)[0]
    file = build(tmp_path, key, license="ours")
    theirs = [package(key, license="theirs"), package(key, license="theirs, too")]

    def hook(call: Call) -> None:
        if call.verb == "PUT" and call.key == key and theirs and isinstance(call.expect, str):
            store.upload(key, theirs.pop(0))

    store.hook = hook
    clock = FakeClock()
    report = run(store, file, request=REPLACE, clock=clock)
    assert results(report) == {key: Sending.REPLACED}
    assert store.bodies()[key] == file.read_bytes()
    assert (theirs, len(clock.slept)) == ([], 2)


class EndlessStore(MemoryStore):
    """Refuses one package, and takes another one for as long as its bytes come."""

    def put(self, key: str, body: Content, *, expect: Expect | ETag, headers: Mapping[str, str] | None = None) -> ETag:
        """Write an object."""
        if key == SETTINGS:
            return super().put(key, body, expect=expect, headers=headers)
        if key == NEW:
            raise Unavailable(key, "the store fails (as the test wants it)", "repeat later")
        until = time.monotonic() + LIMIT
        while time.monotonic() < until:
            for _ in chunks_of(body):
                pass
        raise AssertionError("the other package was sent on and on")


def test_an_error_of_one_package_ends_the_upload_of_the_others(tmp_path: Path) -> None:
    store = EndlessStore()
    files = [build(tmp_path, keys(1)[0]), build(tmp_path, NEW)]
    with ThreadPoolExecutor(4) as threads:
        context = replace(fake_context(), executor=threads)
        with pytest.raises(Unavailable, match="as the test wants it"):
            publish(store, files, PublishRequest(), replace(PLAIN, create=True), context)


@pytest.mark.parametrize("conditional", [True, False])
def test_progress_counts_the_bytes_of_the_upload_then_packages(tmp_path: Path, conditional: bool) -> None:  # noqa: FBT001
    store = indexed_channel()
    there, different = keys(2)
    files = [build(tmp_path, NEW), build(tmp_path, there), build(tmp_path, different, license="other")]
    shown: list[Step] = []
    context = replace(fake_context(), progress=shown.append)
    publish(store if conditional else UnconditionalStore(store), files, REPLACE, PLAIN, context)
    uploads = [(step.done, step.total) for step in shown if step.phase is Phase.UPLOADING]
    size = sum(file.stat().st_size for file in files)
    assert {total for _, total in uploads} == {size}
    assert (uploads[0], uploads[-1]) == ((0, size), (size, size))
    assert all(0 <= done <= size for done, _ in uploads)
    assert [step.phase for step in shown[: len(uploads)]] == [Phase.UPLOADING] * len(uploads)
    assert Step(Phase.READING, "linux-64", 2, 2) in shown
    assert shown[-1].phase is Phase.WRITING
    assert shown[-1].done == shown[-1].total


def test_a_package_that_is_sent_again_is_counted_once() -> None:
    shown: list[Step] = []
    progress = UploadProgress(6, shown.append)
    content = progress.counted("a", stream_of(lambda: iter((b"ab", b"cd"))))
    for chunk in content:
        assert chunk == b"ab"
        break
    assert b"".join(content) == b"abcd"
    assert b"".join(content) == b"abcd"
    progress.set_sent("b", 2)
    assert [step.done for step in shown] == [0, 2, 4, 2, 4, 6]


def test_endless_conflicts_end_with_an_error(tmp_path: Path) -> None:
    store = indexed_channel()
    key = keys(1)[0]

    def hook(call: Call) -> None:
        if call.verb == "PUT" and call.key == key:
            store.upload(key, package(key, license=str(len(store.calls))))

    store.hook = hook
    with pytest.raises(GaveUp, match="changed during every attempt"):
        run(store, build(tmp_path, key, license="ours"), request=REPLACE)


def test_nothing_is_sent_if_a_file_is_rejected(tmp_path: Path) -> None:
    store = indexed_channel()
    first = len(store.calls)
    report = run(store, build(tmp_path, NEW), bad(tmp_path))
    assert results(report) == {NEW: Sending.NOT_SENT, "half-1.0-0.conda": Sending.REJECTED}
    assert "the archive is incomplete" in report.packages[1].reason
    assert (report.outcome, report.exit_code) == (Outcome.FAILED, ExitCode.FAILED)
    assert [call.key for call in store.calls[first:]] == [SETTINGS]


def test_the_valid_files_are_sent_on_request(tmp_path: Path) -> None:
    store = indexed_channel()
    report = run(store, bad(tmp_path), build(tmp_path, NEW), request=PublishRequest(partial=True))
    assert results(report) == {"half-1.0-0.conda": Sending.REJECTED, NEW: Sending.SENT}
    assert (report.outcome, report.exit_code) == (Outcome.PARTIAL, ExitCode.PARTIAL)
    assert only(report).added == ("new-1.0-0.conda",)


@pytest.mark.parametrize(
    ("fields", "rules", "reason"),
    [
        ({"subdir": None}, Rules(), "has no subdir"),
        ({"subdir": "Not/A"}, Rules(), "has the subdir 'Not/A'"),
        ({"subdir": "notasubdir"}, Rules(), "has the subdir 'notasubdir', which no channel can have"),
        ({"name": "other"}, Rules(), "has the name 'other', but the file name has 'new'"),
        ({"depends": ["a =>1"]}, Rules(strict=True), "'a =>1'"),
    ],
)
def test_the_rules_of_the_index_are_those_of_publish(
    tmp_path: Path, fields: dict[str, object], rules: Rules, reason: str
) -> None:
    report = run(indexed_channel(), build(tmp_path, NEW, **fields), options=replace(PLAIN, rules=rules))
    (result,) = report.packages
    assert result.result is Sending.REJECTED
    assert reason in result.reason


def test_a_dry_run_shows_everything_and_writes_nothing(tmp_path: Path) -> None:
    store = indexed_channel()
    first, second = keys(2)
    files = [build(tmp_path, NEW), build(tmp_path, first), build(tmp_path, second, license="other")]
    before, calls = store.bodies(), len(store.calls)
    options = replace(PLAIN, dry_run=True)
    report = run(store, *files, options=options)
    assert results(report) == {NEW: Sending.WOULD_SEND, first: Sending.THERE, second: Sending.DIFFERENT}
    report = run(store, *files, options=options, request=REPLACE)
    assert results(report)[second] is Sending.WOULD_REPLACE
    assert (report.outcome, report.exit_code) == (Outcome.PLANNED, ExitCode.OK)
    assert store.bodies() == before
    assert changes(store.calls, calls) == []


def test_attestations_come_after_the_package_the_copy_first(tmp_path: Path) -> None:
    store, file = indexed_channel(), build(tmp_path, NEW)
    attest(file)
    copy = f"{NEW}.sigs.{hashlib.sha256(SIGS).hexdigest()}"
    first = len(store.calls)
    report = run(store, file)
    assert report.exit_code is ExitCode.OK
    assert [key for _, key in changes(store.calls, first)][:3] == [NEW, copy, f"{NEW}.sigs"]
    assert store.bodies()[copy] == store.bodies()[f"{NEW}.sigs"] == SIGS


@pytest.mark.parametrize("options", [PLAIN, with_outputs(shards=False)])
def test_a_record_names_the_attestations_that_were_sent(tmp_path: Path, options: Options) -> None:
    store, file = indexed_channel(options), build(tmp_path, NEW)
    expected = attest(file)
    first = len(store.calls)
    run(store, file, options=options)
    assert not any(".sigs" in call.key for call in store.calls[first:] if call.verb != "PUT")
    assert records(store)[file.name]["attestations_sha256"] == expected
    assert faults(store) == []
    before = published(store)
    assert not any(changes_of(follow(store, options)))
    assert published(store) == before


def changes_of(report: Report) -> tuple[tuple[str, ...], ...]:
    return only(report).added, only(report).updated, only(report).removed


def test_attestations_that_come_later_change_the_record(tmp_path: Path) -> None:
    store, file = indexed_channel(SHARDS_ONLY), build(tmp_path, NEW)
    run(store, file, options=SHARDS_ONLY)
    for content in (SIGS, SIGS.replace(b"v0.3", b"v0.4")):
        expected = attest(file, content)
        report = run(store, file, options=SHARDS_ONLY)
        assert results(report) == {NEW: Sending.THERE}
        assert only(report).updated == (file.name,)
        shard = unpacked(store.bodies()[shards(store)["new"]])
        assert shard["packages.conda"][file.name]["attestations_sha256"].hex() == expected
    report = run(store, file, options=SHARDS_ONLY)
    assert (only(report).updated, report.outcome) == ((), Outcome.UNCHANGED)


def test_attestations_of_other_bytes_of_the_package_stay_out_of_its_record(tmp_path: Path) -> None:
    store, file = indexed_channel(), build(tmp_path, NEW)
    attest(file)
    alias = f"{NEW}.sigs"

    def hook(call: Call) -> None:
        if call.key == alias:
            store.upload(NEW, package(NEW, license="theirs"))

    store.hook = hook
    run(store, file)
    assert "attestations_sha256" not in records(store)[file.name]


def test_a_replaced_package_without_attestations_loses_those_of_the_old_one(tmp_path: Path) -> None:
    store, file = indexed_channel(), build(tmp_path, NEW)
    attest(file)
    run(store, file)
    report = run(store, build(tmp_path / "other", NEW, license="MIX"), request=REPLACE)
    assert only(report).updated == (file.name,)
    assert "attestations_sha256" not in records(store)[file.name]


def test_newer_attestations_replace_the_older_ones_and_the_old_copy_stays(tmp_path: Path) -> None:
    store, file = indexed_channel(), build(tmp_path, NEW)
    for content in (SIGS, SIGS.replace(b"v0.3", b"v0.4")):
        attest(file, content)
        run(store, file)
        assert store.bodies()[f"{NEW}.sigs"] == content
    assert len([key for key in store.bodies() if ".sigs." in key]) == 2


@pytest.mark.parametrize("content", [b"{}", b"[]", b"no JSON"])
def test_a_package_with_invalid_attestations_is_rejected(tmp_path: Path, content: bytes) -> None:
    file = build(tmp_path, NEW)
    attest(file, content)
    report = run(indexed_channel(), file)
    (result,) = report.packages
    assert result.result is Sending.REJECTED
    assert result.reason.startswith("new-1.0-0.conda.sigs is ")


@pytest.mark.parametrize("key", [NEW, "noarch/new-1.0-0.conda"])
def test_a_wrong_target_is_refused_before_anything_is_sent(tmp_path: Path, key: str) -> None:
    store, file = MemoryStore(), build(tmp_path, key)
    with pytest.raises(BadConfig, match="--create"):
        run(store, file)
    assert store.bodies() == {}
    report = run(store, file, options=replace(PLAIN, create=True))
    assert report.exit_code is ExitCode.OK
    assert faults(store) == []
    assert "noarch/repodata.json" in store.bodies()


def test_an_unknown_subdir_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    store = indexed_channel()
    before = store.bodies()
    with pytest.raises(BadConfig, match="is not a known subdir"):
        run(store, build(tmp_path, "linux-65/new-1.0-0.conda"))
    assert store.bodies() == before


@pytest.mark.parametrize("name", ["no-such-1.0-0.conda", "folder-1-0.conda", "notes.txt"])
def test_a_name_that_is_no_package_file_is_wrong_usage(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder-1-0.conda").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    store = indexed_channel()
    first = len(store.calls)
    with pytest.raises(BadConfig):
        run(store, build(tmp_path, NEW), tmp_path / name)
    assert [call.key for call in store.calls[first:]] == [SETTINGS]


def test_two_files_for_one_package_are_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match=r"as .* is"):
        run(indexed_channel(), build(tmp_path, NEW), build(tmp_path / "other", NEW))


def test_a_link_is_followed(tmp_path: Path) -> None:
    link = tmp_path / "new-1.0-0.conda"
    link.symlink_to(build(tmp_path / "store", NEW))
    assert results(run(indexed_channel(), link)) == {NEW: Sending.SENT}


def test_without_conditions_a_lease_is_held_and_other_bytes_stay(tmp_path: Path) -> None:
    store = indexed_channel()
    key = keys(1)[0]
    clock = FakeClock()
    files = [build(tmp_path, NEW), build(tmp_path, key, license="other"), build(tmp_path, keys(2)[1])]
    first = len(store.calls)
    report = run(UnconditionalStore(store), *files, clock=clock)
    assert results(report) == {NEW: Sending.SENT, key: Sending.DIFFERENT, keys(2)[1]: Sending.THERE}
    assert store.bodies()[key] == package(key)
    puts = [written for _, written in changes(store.calls, first)]
    assert puts[:2] == ["linux-64/.indexer-lease.json", NEW]
    assert "linux-64/.indexer-lease.json" not in store.bodies()
    assert faults(store) == []
    report = run(UnconditionalStore(store), files[1], request=REPLACE, clock=clock)
    assert results(report) == {key: Sending.REPLACED}
