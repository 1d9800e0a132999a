"""Every scene, every call, every fault, and storms: `python -m tests.faults` prints what was tried and lost."""

from __future__ import annotations

import sys

from tests.engine.test_crashes import SCENES
from tests.faults.store import Tally, calls_of, once, storm
from tests.support.fault_store import FAULTS

_STORMS = 200


def main() -> int:
    """Go through all of it and print a table; an AssertionError names the first law that breaks."""
    singles, storms = Tally(), Tally()
    for name in SCENES:
        for at, call in enumerate(calls_of(name), 1):
            for fault in FAULTS:
                if call.verb in fault.verbs:
                    once(name, fault, at, singles)
        for seed in range(_STORMS // len(SCENES)):
            storm(name, seed, storms)
    print("| fault | times | packages lost |")
    print("|---|---|---|")
    for fault in FAULTS:
        print(f"| {fault.name} | {singles.faults[fault.name]} | 0 |")
    print(f"| all of one run after the other, {singles.runs:,} runs | {singles.faults.total():,} | {singles.lost} |")
    print(f"| {_STORMS} storms, {storms.runs:,} runs | {storms.faults.total():,} | {storms.lost} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
