"""Counts of requests and bytes of a store."""

from __future__ import annotations

import threading
from collections import Counter

from msgspec import Struct, field

# `+=` is a read and a write, and another thread may count between them.  One lock for all counts: a Usage travels to
# other processes, and a lock cannot.
COUNTING = threading.Lock()
"""Held while a Usage is changed that several threads share."""


class Usage(Struct):
    """Requests by verb (GET, HEAD, LIST, PUT, COPY, POST, DELETE), and the bytes of bodies that were read and written.

    For a bucket, each request on the wire counts, retries included; for a folder, each call of the store.
    """

    requests: Counter[str] = field(default_factory=Counter)
    bytes_read: int = 0
    bytes_written: int = 0

    def count(self, verb: str, *, written: int = 0) -> None:
        """Count a request, and the bytes that it sends.  Any thread may count at any time."""
        with COUNTING:
            self.requests[verb] += 1
            self.bytes_written += written

    def count_read(self, count: int) -> None:
        """Count bytes that were read."""
        with COUNTING:
            self.bytes_read += count

    def add(self, other: Usage) -> None:
        """Add the counts of another store."""
        with COUNTING:
            self.requests.update(other.requests)
            self.bytes_read += other.bytes_read
            self.bytes_written += other.bytes_written

    def since(self, before: Usage) -> Usage:
        """The counts since an earlier copy of this value."""
        return Usage(
            self.requests - before.requests,
            self.bytes_read - before.bytes_read,
            self.bytes_written - before.bytes_written,
        )
