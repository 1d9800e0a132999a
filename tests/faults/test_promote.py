"""Every call of a promotion goes wrong once, in every way that it can: nothing is overwritten, and a repeat heals."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from indexer.commands.promote.promote import PromoteRequest, Source, promote
from indexer.core.errors import IndexerError
from indexer.core.exit_codes import ExitCode
from indexer.core.publishing import Sending
from tests.support.channel_check import faults
from tests.support.channel_reader import indexed, unreadable
from tests.support.fault_store import FAULTS, Fault, FaultStore
from tests.support.memory import Behavior, MemoryStore, copy_of
from tests.support.memory_channel import PLAIN, channel, fake_context, follow, keys, package, records
from tests.support.package_files import SIGS

if TYPE_CHECKING:
    from indexer.core.publishing import PromoteReport
    from indexer.store import Store
    from tests.support.memory import Call

OLD = [*keys(2, start=7), *keys(1, "noarch", start=9)]
NEW = [*keys(2), *keys(1, "noarch")]
OTHER = keys(1, start=8)[0]


def prepared() -> tuple[MemoryStore, MemoryStore]:
    """A channel with new packages, one of them attested, and one that has other bytes in the second channel."""
    source, target = channel(*NEW), channel(*OLD)
    source.upload(OTHER, package(OTHER, license="other"))
    source.upload(f"{NEW[0]}.sigs", SIGS)
    follow(source)
    follow(target)
    return source, target


def run(source: Store, target: Store) -> PromoteReport:
    return promote(Source(source), target, PromoteRequest(("p*",)), PLAIN, fake_context())


def ended(source: Store, target: Store) -> ExitCode:
    """The exit code of a promotion, as the command line ends with it."""
    try:
        return run(source, target).exit_code
    except IndexerError as error:
        return error.exit_code


class At:
    """Chooses one call, counted over both stores."""

    def __init__(self, at: int, fault: Fault | None) -> None:
        self.calls: list[Call] = []
        self._at, self._fault = at, fault

    def __call__(self, _number: int, call: Call) -> Fault | None:
        self.calls.append(call)
        return self._fault if len(self.calls) == self._at else None


@pytest.mark.parametrize("copies", [True, False], ids=["copied", "passed through"])
@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.honest], ids=lambda fault: fault.name)
def test_whatever_call_goes_wrong_a_repeated_promotion_ends_the_same(
    fault: Fault,
    copies: bool,  # noqa: FBT001
) -> None:
    source, target = prepared()
    calm = At(0, None)
    run(FaultStore(source, calm), FaultStore(_copying(target, copies), calm))
    injected = 0
    for at, call in enumerate(calm.calls, 1):
        if call.verb not in fault.verbs:
            continue
        mine, yours = copy_of(source), _copying(copy_of(target), copies)
        choose = At(at, fault)
        stores = FaultStore(mine, choose), FaultStore(yours, choose)
        said = f"{fault.name} at {call.verb} {call.key}"
        assert ended(*stores) in {ExitCode.REFUSED, ExitCode.FAILED, ExitCode.PARTIAL}, said
        injected += sum(len(store.injected) for store in stores)
        assert unreadable(yours.bodies()) == [], said
        assert {key: yours.bodies()[key] for key in OLD} == {key: package(key) for key in OLD}, said
        report = run(mine, yours)
        assert report.exit_code is ExitCode.REFUSED, said
        assert {result.result for result in report.packages} <= {Sending.PROMOTED, Sending.THERE, Sending.DIFFERENT}
        assert {*NEW} <= indexed(yours.bodies()), said
        assert yours.bodies()[f"{NEW[0]}.sigs.{hashlib.sha256(SIGS).hexdigest()}"] == SIGS
        assert records(yours)[NEW[0].partition("/")[2]]["attestations_sha256"] == hashlib.sha256(SIGS).hexdigest()
        assert faults(yours) == [], said
    assert injected or not any(call.verb in fault.verbs for call in calm.calls)


def _copying(store: MemoryStore, copies: bool) -> MemoryStore:  # noqa: FBT001
    store.behavior = Behavior(copies=copies)
    return store
