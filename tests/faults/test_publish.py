"""Every call of a publisher goes wrong once, in every way that it can: nothing is overwritten, and a repeat heals."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from indexer.commands.publish.publish import publish
from indexer.core.errors import IndexerError
from indexer.core.exit_codes import ExitCode
from indexer.core.publishing import PublishRequest, Sending
from tests.support.channel_check import faults
from tests.support.channel_reader import indexed, unreadable
from tests.support.fault_store import FAULTS, Fault, FaultStore
from tests.support.memory_channel import PLAIN, channel, fake_context, index, keys
from tests.support.package_files import SIGS, attest, build

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from indexer.core.publishing import PublishReport
    from indexer.store import Store
    from tests.support.memory import Call, MemoryStore

OLD = keys(3)
NEW = ["linux-64/new-1.0-0.conda", "noarch/new-1.0-0.conda"]
WITH_SIGS = "linux-64/signed-1.0-0.conda"


def prepared() -> MemoryStore:
    store = channel(*OLD, *keys(1, "noarch"))
    index(store)
    return store


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Two new packages, one that is in the channel, one that differs there, and one with attestations."""
    found = []
    for number, key in enumerate([*NEW, OLD[0], WITH_SIGS]):
        found.append(build(tmp_path / str(number), key))
    attest(found[-1])
    return [*found, build(tmp_path, OLD[1], license="other")]


def run(store: Store, files: list[Path]) -> PublishReport:
    return publish(store, files, PublishRequest(), PLAIN, fake_context())


def ended(store: Store, files: list[Path]) -> ExitCode:
    """The exit code of a publisher, as the command line ends with it."""
    try:
        return run(store, files).exit_code
    except IndexerError as error:
        return error.exit_code


def only_at(at: int, fault: Fault) -> Callable[[int, Call], Fault | None]:
    return lambda number, _call: fault if number == at else None


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.honest], ids=lambda fault: fault.name)
def test_whatever_call_goes_wrong_a_repeated_publisher_ends_the_same(files: list[Path], fault: Fault) -> None:
    calm = FaultStore(prepared())
    run(calm, files)
    injected = 0
    for at, call in enumerate(calm.calls, 1):
        if call.verb not in fault.verbs:
            continue
        store = prepared()
        before = {key: body for key, body in store.bodies().items() if key in OLD}
        faulty = FaultStore(store, only_at(at, fault))
        assert ended(faulty, files) in {ExitCode.REFUSED, ExitCode.FAILED, ExitCode.PARTIAL}, faulty.summary
        injected += len(faulty.injected)
        assert unreadable(store.bodies()) == [], faulty.summary
        assert {key: store.bodies()[key] for key in OLD} == before, faulty.summary
        report = run(store, files)
        assert report.exit_code is ExitCode.REFUSED
        assert {result.result for result in report.packages} <= {Sending.SENT, Sending.THERE, Sending.DIFFERENT}
        assert {*NEW, WITH_SIGS} <= indexed(store.bodies()), faulty.summary
        assert store.bodies()[f"{WITH_SIGS}.sigs.{hashlib.sha256(SIGS).hexdigest()}"] == SIGS
        assert store.bodies()[f"{WITH_SIGS}.sigs"] == SIGS
        assert faults(store) == [], faulty.summary
    assert injected or not any(call.verb in fault.verbs for call in calm.calls)
