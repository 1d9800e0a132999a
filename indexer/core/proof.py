"""The proof that a store supports conditional writes, as a state keeps it for later runs."""

from __future__ import annotations

import msgspec

# A bucket can move to another server under the same address, so a proof ends (milliseconds).
_LASTS_MS = 7 * 24 * 3600 * 1000
# Stores refuse requests of a clock that differs by more (RequestTimeTooSkewed).
_SKEW_MS = 15 * 60 * 1000


class Proof(msgspec.Struct, frozen=True):
    """A test that a store has passed.

    `place` is a digest of the address of the bucket.  `tested_ms` is the time of the test, `kept_ms` that of the run
    that wrote the state with this proof (milliseconds).
    """

    place: str
    tested_ms: int
    kept_ms: int

    def holds(self, place: str, saved_ms: int, now_ms: int) -> bool:
        """Whether the proof is for this place, not old, and in the state file that its run wrote.

        A copy of the state has the time of the copy: its `saved_ms` is not the time of the run.
        """
        is_original = abs(saved_ms - self.kept_ms) < _SKEW_MS
        return self.place == place and is_original and 0 <= now_ms - self.tested_ms < _LASTS_MS
