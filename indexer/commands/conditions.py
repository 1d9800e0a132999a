"""Remembers in the state of a subdir that the store has passed the test of conditional writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from indexer.core.proof import Proof

if TYPE_CHECKING:
    from indexer.commands.context import Context
    from indexer.core.snapshot import Snapshot


def accept_proof(context: Context, snapshot: Snapshot, *, force: bool) -> None:
    """Spare the store the test if the state has a proof that holds; a run with `force` tests again."""
    test, proof = context.conditions_test, snapshot.state.proof if snapshot.state else None
    if test is None or proof is None or force:
        return
    if proof.holds(test.place, snapshot.state_saved_ms, snapshot.taken_ms):
        test.accept(proof)


def proof_to_keep(context: Context, snapshot: Snapshot) -> Proof | None:
    """The proof for the state that this run writes."""
    test, now_ms = context.conditions_test, snapshot.taken_ms
    if test is None:
        return None
    if test.passed:
        return Proof(test.place, now_ms, now_ms)
    return msgspec.structs.replace(test.accepted, kept_ms=now_ms) if test.accepted else None
