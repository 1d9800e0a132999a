"""Promotions that are killed at any moment and repeated: the channel ends the same, and no package passed through."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from indexer.commands.promote.promote import PromoteRequest, Source, promote
from indexer.core.exit_codes import ExitCode
from indexer.core.model import Outputs
from indexer.core.options import Options
from indexer.core.publishing import Sending
from indexer.store import Expect
from tests.s3.killed import done, killed_everywhere, new_channel
from tests.support.channel_check import faults
from tests.support.channel_reader import indexed
from tests.support.interfering_store import InterferingStore
from tests.support.killable_processes import Job, Location, Runner, content, store_at
from tests.support.memory_channel import fake_context, follow, is_package, keys, package
from tests.support.package_files import SIGS

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.s3

FIRST = {key: package(key) for key in keys(1, "noarch", start=9)}
NEW = {key: package(key, license="MIT") for key in (*keys(2), *keys(1, "noarch"))}
ATTESTED = keys(1)[0]
MANY = 1000


def killed(runner: Runner, new: Callable[[], Location]) -> list[str]:
    source = new_channel(runner, new, {**NEW, f"{ATTESTED}.sigs": SIGS})

    def prepare() -> Job:
        return Job(new_channel(runner, new, FIRST), promote=source)

    def check(job: Job, left: dict[str, bytes]) -> None:
        assert FIRST.keys() <= indexed(left)
        done(runner, job)
        found = content(job.where)
        assert {key: found.get(key) for key in NEW} == NEW
        assert found[f"{ATTESTED}.sigs"] == SIGS
        assert {*FIRST, *NEW} <= indexed(found)

    return killed_everywhere(runner, prepare, check)


def test_a_promotion_in_a_folder_is_killed_anywhere(runner: Runner, in_folder: Callable[[], Location]) -> None:
    assert {"os.rename package", "os.rename repodata.json"} < {*killed(runner, in_folder)}


def test_a_promotion_in_a_bucket_is_killed_anywhere(runner: Runner, in_bucket: Callable[[], Location]) -> None:
    assert {"after copy package", "before put repodata.json"} < {*killed(runner, in_bucket)}


def test_a_thousand_packages_are_promoted_without_a_byte_of_them(in_bucket: Callable[[], Location]) -> None:
    source, target = (InterferingStore(store_at.__wrapped__(in_bucket())) for _ in range(2))
    with ThreadPoolExecutor(8) as threads:
        for _ in threads.map(
            lambda key: source.store.put(key, package(key), expect=Expect.ANYTHING), keys(MANY, "noarch")
        ):
            pass
        options = Options(Outputs(zst_level=1), create=True)
        follow(source.store, options)
        follow(target.store, options)
        used = [store.store.usage for store in (source, target)]
        before = [usage.requests.copy() for usage in used]
        report = promote(Source(source), target, PromoteRequest(("p*",)), options, fake_context())
    assert report.exit_code is ExitCode.OK
    assert {package.result for package in report.packages} == {Sending.PROMOTED}
    assert len(report.packages) == report.subdirs["noarch"].packages == MANY
    touched = [call for call in (*source.calls, *target.calls) if is_package(call.key) and call.verb in {"GET", "PUT"}]
    assert touched == []
    assert target.store.usage.requests["COPY"] - before[1]["COPY"] == MANY + 2
    others = [usage.requests - earlier for usage, earlier in zip(used, before, strict=True)]
    assert others[0].total() <= 10
    assert others[1].total() - others[1]["COPY"] - others[1]["HEAD"] - others[1]["PUT"] <= 10
    assert others[1]["HEAD"] <= MANY + 30
    assert faults(target.store) == []
