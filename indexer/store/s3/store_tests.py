"""The tests that a bucket has passed in this run, and those that earlier runs have made for it."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import TYPE_CHECKING

from indexer.core.proof import Proof
from indexer.store.s3.providers import Conditions

if TYPE_CHECKING:
    from indexer.store.s3.bucket import Bucket
    from indexer.store.s3.conditional import ConditionalWrites


class BucketTests:
    """The tests of conditional writes and of compositions in a bucket."""

    def __init__(self, bucket: Bucket, writes: ConditionalWrites) -> None:
        self.accepted = Proof("", 0, 0)
        self._bucket = bucket
        self._writes = writes

    @cached_property
    def place(self) -> str:
        """A digest of the address of the bucket."""
        address = self._bucket.client.endpoint.address()
        return hashlib.sha256(f"{address.origin}{address.path}\n{self._bucket.name}".encode()).hexdigest()

    @property
    def conditions_passed(self) -> bool:
        """Whether the store has passed the test of conditional writes in this run."""
        return self._writes.passed

    @property
    def compositions_passed(self) -> bool:
        """Whether the store has passed the test of compositions in this run."""
        return self._writes.compositions.passed

    @property
    def compositions_refused(self) -> bool:
        """Whether the store has failed the test of compositions in this run, or has refused a composition."""
        return self._writes.compositions.refused

    def accept(self, proof: Proof) -> None:
        """Make no test that earlier runs have made: their proof is for this `place`."""
        self.accepted = proof
        if proof.tested_ms and self._writes.conditions is Conditions.UNPROVEN:
            self._writes.conditions = Conditions.ETAG
        if proof.composed_ms or proof.refused_ms:
            self._writes.compositions.accept(works=not proof.refused_ms)
