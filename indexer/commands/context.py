"""What a run is asked to do, and what it needs of the world."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from indexer.core.errors import BadConfig
from indexer.core.model import Outputs, Rules

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from indexer.core.formats.channel_info import Notice
    from indexer.extractor.workers import Workers


@dataclass(frozen=True, slots=True)
class Options:
    """What a run is asked to do.

    `subdirs` empty means every known one that is there.  `packages` (`SUBDIR/FILENAME`) narrows the
    run to these; None means all.  With `complete` packages whose run exports are unknown are read, and their
    records stay.  `repodata_patch` is a patch package in `noarch/` that comes into force,
    the empty text ends the patch that is in force; None leaves it.  `notices` are
    what `notices.json` shall tell, None leaves it as it is.  `unyanked` (`SUBDIR/FILENAME`) shall be
    indexed again although another indexer lists them as removed.  With `create` a channel or a
    subdir that is not there is created empty.  `may_be_gone` are those of `packages` that an event named: no fault
    if neither the channel nor its index has them.  With `fail_on_new` only a rejection that the last
    run did not report makes the exit code 3.
    """

    outputs: Outputs = field(default_factory=Outputs)
    rules: Rules = field(default_factory=Rules)
    subdirs: tuple[str, ...] = ()
    packages: frozenset[str] | None = None
    force: bool = False
    complete: bool = False
    repodata_patch: str | None = None
    notices: tuple[Notice, ...] | None = None
    unyanked: frozenset[str] = frozenset()
    verify_digests: bool = False
    allow_mass_removal: bool = False
    preconditions: bool = True
    dry_run: bool = False
    fail_on_new: bool = False
    create: bool = False
    may_be_gone: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Refuse one text instead of several.  Raises BadConfig: its characters would be taken for names."""
        for name in ("subdirs", "packages", "unyanked"):
            several(name, getattr(self, name))


def several(name: str, value: object) -> None:
    """Refuse one text in the place of a collection of texts.  Raises BadConfig."""
    if isinstance(value, (str, bytes)):
        raise BadConfig(f"{name}={value!r}", "is one text, and a collection of texts is wanted", f"give [{value!r}]")


@dataclass(frozen=True, slots=True)
class Machines:
    """Where packages are read, and how many at once.

    `max_parallel` is a number of packages; the default suits where the channel lies.  With a `scheduler`, such as
    `tcp://HOST:8786`, packages are read by the workers of that dask.distributed cluster, so many at once on each of
    their threads.  With `processes`, 400 packages or more are read by processes of this machine, one a core.  Each
    process imports the main module of the program again, so what that module does must stand below
    `if __name__ == "__main__":`.
    """

    max_parallel: int | None = None
    scheduler: str | None = None
    processes: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """What a run needs of the world: who reads packages, threads for requests, clocks, chance, an ear.

    `channel` is the target's name for messages.
    A folder is not `vouching`: it has no metadata with the digests of packages, so each byte is hashed.
    """

    workers: Workers
    executor: Executor
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    # Full jitter: indexers that met once shall not meet again.
    jitter: Callable[[float], float] = lambda pause: random.uniform(0, pause)  # noqa: S311  no secret
    progress: Callable[[str, int, int], None] = lambda _subdir, _done, _total: None
    vouching: bool = True
    channel: str = ""
