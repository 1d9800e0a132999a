"""Counts of requests and bytes of a store."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field

# `+=` is a read and a write, between which another thread may count.  One lock for all counts: a Usage travels to
# other processes, and a lock does not.
_COUNTING = threading.Lock()


@dataclass(slots=True)
class Usage:
    """What a store was asked: requests by verb (GET, HEAD, LIST, PUT, DELETE), bytes of bodies.

    For a bucket every request that went over the wire counts, retries included; for a folder each
    call of the store does.
    """

    requests: Counter[str] = field(default_factory=Counter)
    bytes_read: int = 0
    bytes_written: int = 0

    def asked(self, verb: str) -> None:
        """Count a request.  Any thread may count at any time."""
        with _COUNTING:
            self.requests[verb] += 1

    def read(self, count: int) -> None:
        """Count bytes that were read."""
        with _COUNTING:
            self.bytes_read += count

    def wrote(self, count: int) -> None:
        """Count bytes that were written."""
        with _COUNTING:
            self.bytes_written += count

    def add(self, other: Usage) -> None:
        """Count what another store was asked, too."""
        with _COUNTING:
            self.requests.update(other.requests)
            self.bytes_read += other.bytes_read
            self.bytes_written += other.bytes_written

    def since(self, before: Usage) -> Usage:
        """What was asked since an earlier state of this count."""
        return Usage(
            self.requests - before.requests,
            self.bytes_read - before.bytes_read,
            self.bytes_written - before.bytes_written,
        )
