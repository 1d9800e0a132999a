"""The proofs of what a store supports, as a state keeps them for later runs."""

from __future__ import annotations

import msgspec

# A bucket can move to another server under the same address, so a proof ends (milliseconds).
_LASTS_MS = 7 * 24 * 3600 * 1000
# Stores refuse requests of a clock that differs by more (RequestTimeTooSkewed).
_SKEW_MS = 15 * 60 * 1000


class Proof(msgspec.Struct, frozen=True, omit_defaults=True):
    """The tests that a store has passed, or failed.

    `place` is a digest of the address of the bucket.  `kept_ms` is the time of the run that wrote the state with this
    proof, `tested_ms` that of the test of conditional writes, `composed_ms` that of the test of compositions, each 0 if
    the store has not passed that test (milliseconds).  `refused_ms` is when the store failed the test of compositions,
    or refused a composition although it had passed the test, 0 if it did not.
    """

    place: str
    tested_ms: int
    kept_ms: int
    composed_ms: int = 0
    refused_ms: int = 0

    @property
    def composes(self) -> bool:
        """Whether the store has passed the test of compositions, and has refused none since."""
        return bool(self.composed_ms) and not self.refused_ms

    def holding(self, place: str, saved_ms: int, now_ms: int) -> Proof:
        """The proof without tests that are old; without any if it is for another place, or not in its own state file.

        A copy of the state has the time of the copy: its `saved_ms` is not the time of the run.
        """
        is_original = self.place == place and abs(saved_ms - self.kept_ms) < _SKEW_MS
        tests = [self.tested_ms, self.composed_ms, self.refused_ms]
        tested, composed, refused = [ms if is_original and 0 <= now_ms - ms < _LASTS_MS else 0 for ms in tests]
        return Proof(place, tested, self.kept_ms, composed, refused)
