"""Each hostile package is refused with a reason, in under 100 MB of memory and 2 s of CPU of a real process."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING

import pytest

from tests.hostile.packages import PACKAGES
from tests.support.channels import BROKEN
from tests.support.process_usage import Usage, measure

if TYPE_CHECKING:
    from pathlib import Path

MB = 10**6
# The interpreter with our modules and its libraries has some 40 MB of this.
MEMORY = 100 * MB
CPU = 2.0
LONGEST = 500

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="measures forks")


def test_each_hostile_package_is_refused_with_a_reason_in_bounds(tmp_path: Path) -> None:
    # One test, so that the packages are made once however many processes share the tests.
    keys = {name: f"{number}/{package.key}" for number, (name, package) in enumerate(PACKAGES.items())}
    for name, key in keys.items():
        (tmp_path / key).parent.mkdir(parents=True)
        (tmp_path / key).write_bytes(PACKAGES[name].make())
    taken = measure(tmp_path, keys.values())
    faults = {name: fault for name, key in keys.items() if (fault := _fault(taken[key], PACKAGES[name].reason))}
    assert faults == {}


def test_every_broken_package_is_refused_in_bounds() -> None:
    keys = json.loads((BROKEN / "reasons.json").read_text())
    assert {key: fault for key, taken in measure(BROKEN, keys).items() if (fault := _fault(taken, ""))} == {}


def _fault(taken: Usage, reason: str | None) -> str | None:
    """What is wrong with how a package was taken, if anything; without a `reason` it is only odd."""
    result = (taken.reason or "", *taken.warnings)
    if taken.crash is not None:
        return taken.crash
    if taken.cpu >= CPU or taken.peak >= MEMORY:
        return f"took {taken.cpu:.1f} s and {taken.peak / MB:.0f} MB"
    if not all(text.isprintable() and len(text) < LONGEST for text in result):
        return f"says {result}"
    if reason is not None and not (taken.reason and re.search(reason, taken.reason)):
        return f"is refused with {taken.reason!r}"
    return None
