"""The measured runs, a line of JSON for each, written as soon as the run has ended."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

FILE = Path("bench-cache/runs.jsonl")
"""Where results of this machine lie, unless another file is named."""
OK = "ok"
TIMED_OUT = "timed out"
NOT_NOTICED = "not noticed"
"""The run ended well, and the index does not have what was changed."""


@dataclass(frozen=True)
class Run:
    """One run of one tool."""

    corpus: str
    packages: int
    store: str
    latency_ms: float
    case: str
    tool: str
    lap: int
    state: str
    """`ok`, `not noticed`, `not run: REASON`, or how it failed: then the figures say little."""
    seconds: float = 0.0
    """Wall time, interpreter start included."""
    cpu_seconds: float = 0.0
    """Of all processes of the tool."""
    server_cpu_seconds: float = 0.0
    proxy_cpu_seconds: float = 0.0
    peak_mib: float = 0.0
    """Of the largest process."""
    together_mib: float = 0.0
    """Of all processes of the tool at one time."""
    requests: dict[str, int] = field(default_factory=dict)
    package_requests: dict[str, int] = field(default_factory=dict)
    connections: int = 0
    bytes_read: int = 0
    """On the wire, heads included."""
    bytes_written: int = 0
    load: float = 0.0
    """How many processes wanted a core before the run began: what else went on on the machine."""
    when: str = ""

    @property
    def key(self) -> tuple[str, str, float, str, str, int]:
        """The subject of the run: a later line of the same key replaces this one."""
        return (self.corpus, self.store, self.latency_ms, self.case, self.tool, self.lap)

    @property
    def measured(self) -> bool:
        """Whether the figures are those of a complete run."""
        return self.state in {OK, NOT_NOTICED}

    @property
    def all_requests(self) -> int:
        """Requests of all verbs."""
        return sum(self.requests.values())


def not_run(reason: str) -> str:
    """The entry of a run that did not happen."""
    return f"not run: {reason}"


def append(run: Run, file: Path) -> None:
    """Add a line."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as lines:
        lines.write(f"{json.dumps(dataclasses.asdict(run))}\n")


def load(file: Path) -> list[Run]:
    """All runs of a file, which need not exist; an incomplete last line is ignored."""
    if not file.exists():
        return []
    lines = file.read_text().splitlines(keepends=True)
    runs = [Run(**json.loads(line)) for line in lines if line.endswith("\n")]
    return list({run.key: run for run in runs}.values())


def keys(runs: Iterable[Run]) -> set[tuple[str, str, float, str, str, int]]:
    """The runs that are not repeated: a failed run gets another chance, one that never ended does not."""
    return {run.key for run in runs if run.measured or run.state == TIMED_OUT}
