"""Walks all scenarios, the large ones too, and prints what held: `python -m tests.protocol`."""

from __future__ import annotations

import sys
import time

from tests.protocol.scenarios import ETAGS, FEW_IN_ALL_FORMATS, LARGE, SMALL, UNSOUND
from tests.protocol.walk import Scenario, Walk
from tests.protocol.world import Protocol


def _line(name: str, scenario: Scenario, protocol: Protocol) -> None:
    began = time.process_time()
    walk = Walk(scenario, protocol).run()
    broken = "; ".join(f"breaks: {law} ({count})" for law, count in sorted(walk.broken.items()))
    _say(f"| {name} | {walk.situations:,} | {time.process_time() - began:.1f} | {broken or 'holds'} |")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Print a table in Markdown."""
    _say("| scenario | situations | seconds | laws |\n|---|--:|--:|---|")
    for scenario in (*SMALL, *LARGE):
        _line(scenario.name, scenario, Protocol())
    for scenario in ETAGS:
        _line(f"{scenario.name}; versions are MD5s", scenario, Protocol(etags=True))
    _line(f"*limit:* {FEW_IN_ALL_FORMATS.name}", FEW_IN_ALL_FORMATS, Protocol())
    for way in UNSOUND:
        _line(f"*unsound:* {way.name}", way.scenario, way.protocol)


main()
