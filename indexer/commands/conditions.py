"""Remembers in the state of a subdir the tests of the store, of conditional writes and of compositions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.core.proof import Proof

if TYPE_CHECKING:
    from indexer.commands.context import Context
    from indexer.core.snapshot import Snapshot


def accept_proof(context: Context, snapshot: Snapshot, *, force: bool) -> None:
    """Spare the store the tests if the state has a proof that holds; a run with `force` tests again."""
    tests, proof = context.store_tests, snapshot.state.proof if snapshot.state else None
    if tests is not None and proof is not None and not force:
        tests.accept(proof.holding(tests.place, snapshot.state_saved_ms, snapshot.taken_ms))


def proof_to_keep(context: Context, snapshot: Snapshot) -> Proof | None:
    """The proof for the state that this run writes."""
    tests, now_ms = context.store_tests, snapshot.taken_ms
    if tests is None:
        return None
    tested = now_ms if tests.conditions_passed else tests.accepted.tested_ms
    composed, refused = tests.accepted.composed_ms, tests.accepted.refused_ms
    if tests.compositions_refused:
        composed, refused = 0, now_ms
    elif tests.compositions_passed:
        composed, refused = now_ms, 0
    return Proof(tests.place, tested, now_ms, composed, refused) if tested or composed or refused else None
