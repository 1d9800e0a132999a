"""An indexer of ours in the model, one store call at a time, as laps, lister and writer of the engine work.

What an actor decides by itself belongs to the call before it.  Calls that no other actor can tell apart are
one step: the GETs under a version together with the reading of packages under theirs, for the lap ends where
any of them fails.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.protocol.world import (
    ABSENT,
    FORGOTTEN,
    Actor,
    File,
    J,
    Ledger,
    Outputs,
    S,
    World,
    Z,
    bits,
    having,
    looked,
    versions,
    without,
    young,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.protocol.world import Op, Protocol, Step, Todo

LAPS = 2  # a third one would go the way of the second
I1, I3, I4 = "I1: no index names a missing shard", "I3: nothing there is dropped", "I4: content never goes back"
FINDS_ALL = "who ends well has indexed what was there"

_LOOK: Todo = ((("look", S), ("look", Z), ("look", J)),)
_RANKS: dict[str, tuple[int, ...]] = {
    # -1 stands for the shards.
    "source last": (-1, S, Z, J),
    "source first": (J, -1, S, Z),
    "compressed, source, shards": (Z, J, -1, S),
    "the index before its shards": (S, -1, Z, J),
}


def indexer(world: World, actor: Actor, role: Outputs, protocol: Protocol) -> Iterator[Step]:
    """Every call that an indexer may make next."""
    if actor.at == "look":
        for op in actor.todo[0]:
            yield world, _look(world, actor, role, protocol, op), ""
    elif actor.at == "write":
        for op in actor.todo[0]:
            yield write(world, actor, op, protocol)
    elif actor.at == "read":
        yield world, _read(world, actor, role, protocol), ""
    elif actor.at == "verify":
        there = world.shards & (actor.seen[S].content if protocol.named_only else ~0)
        yield world, _planned(actor, role, protocol, there), ""
    elif actor.at == "keep":
        yield _keep(world, actor, role, protocol)
    else:
        yield world, _listing(world, actor, role, protocol), ""


# Looking.


def _listing(world: World, actor: Actor, role: Outputs, protocol: Protocol) -> Actor | None:
    """The ledger and the listing, in the order of the protocol."""
    if actor.at == "begin":
        actor = actor._replace(steady=actor.steady or world.packages)
        if protocol.list_first:
            return looked(actor, world)._replace(at="ledger")
        trusting = actor.lap == 1 and world.ledger.version
        actor = actor._replace(ledger=world.ledger)
        return actor._replace(at="trust") if trusting else actor._replace(at="look", todo=_LOOK)
    if actor.at == "ledger":
        return actor._replace(ledger=world.ledger, at="look", todo=_LOOK)
    if actor.at == "trust":
        if versions(world.files) != actor.ledger.wrote:
            return actor._replace(at="look", todo=_LOOK)
        actor = actor._replace(seen=world.files)
    return _decided(looked(actor, world), role, protocol)


def _look(world: World, actor: Actor, role: Outputs, protocol: Protocol, op: Op) -> Actor | None:
    todo = without(actor.todo, op)
    actor = actor._replace(seen=having(actor.seen, op[1], world.files[op[1]]), todo=todo)
    if todo:
        return actor
    return _decided(actor, role, protocol) if protocol.list_first else actor._replace(at="list")


def _decided(actor: Actor, role: Outputs, protocol: Protocol) -> Actor | None:
    """Quiet, or on to reading."""
    alike = actor.ledger.stamp == stamp(role) and actor.ledger.listing == actor.listing and _in_step(actor)
    return None if alike and not (actor.noted and protocol.heed_note) else actor._replace(at="read")


def _in_step(actor: Actor) -> bool:
    return bool(actor.ledger.version) and versions(actor.seen) == actor.ledger.wrote


def _vouched(actor: Actor, protocol: Protocol) -> bool:
    return not protocol.verify or (_in_step(actor) and not (actor.noted and protocol.heed_note))


def stamp(role: Outputs) -> int:
    """What stands for the options."""
    return 1 + role.json + 2 * role.shards + 4 * role.zst


def _source(actor: Actor, role: Outputs) -> int:
    """The file that the index is read from, -1 for none."""
    there = [which for which in (J, S) if actor.seen[which].version]
    if role.json or len(there) < 2:
        return there[0] if there else -1
    # The date decides; a listing that agrees with the ledger shows none.
    trusted = actor.lap == 1 and _in_step(actor)
    return J if not trusted and actor.seen[J].version > actor.seen[S].version else S


# Reading and planning.


def _read(world: World, actor: Actor, role: Outputs, protocol: Protocol) -> Actor | None:
    """Read the source, the shard index and the packages that are new; then plan."""
    source = _source(actor, role)
    wanted = {S} if role.shards and actor.seen[S].version else set()
    if any(world.files[it].version != actor.seen[it].version for it in wanted | ({source} - {-1})):
        return again(actor)
    known = actor.seen[source].content if source >= 0 else 0
    if not protocol.ledger and source >= 0 and known == actor.listing:
        return None
    vouched = _vouched(actor, protocol)
    if source == S and (lost := known & ~world.shards):
        if vouched or not protocol.heals_source:
            return None  # a bad index: the run fails, and says so
        known &= ~lost
    return again(actor) if actor.listing & ~known & ~world.packages else _to_write(actor, role, protocol, known)


def _to_write(actor: Actor, role: Outputs, protocol: Protocol, known: int) -> Actor:
    named = actor.seen[S].content if role.shards else 0
    vouched = _vouched(actor, protocol)
    if named and not vouched:
        return actor._replace(at="verify")
    if vouched and known == actor.listing and actor.ledger.stamp == stamp(role):
        return actor._replace(at="keep", wrote=actor.ledger.wrote)
    return _planned(actor, role, protocol, named)


def _planned(actor: Actor, role: Outputs, protocol: Protocol, there: int) -> Actor:
    """Plan all writes, rank by rank."""
    wanted = {S: role.shards, Z: role.zst, J: role.json}
    source = _source(actor, role)
    todo: list[tuple[Op, ...]] = []
    stale: list[Op] = []
    wrote = [0, 0, 0]
    for which in _RANKS[protocol.order]:
        if which < 0:
            todo += _shards(actor.listing & ~there if role.shards else 0, protocol)
        elif not wanted[which] and actor.seen[which].version:
            if not role.json or which == source:
                stale.append(("delete", which))
            else:
                todo.append((("delete", which),))
        elif wanted[which]:
            # A shard index that is to stand alone is put anew before repodata.json goes.
            alone = not role.json and bool(actor.seen[J].version)
            if _standing(actor, which) and not alone:
                wrote[which] = actor.seen[which].version
            else:
                todo.append((("put", which),))
    if stale:
        todo.append(tuple(stale))
    return _on(actor._replace(todo=tuple(todo), wrote=(wrote[S], wrote[Z], wrote[J]), held=0))


def _shards(fresh: int, protocol: Protocol) -> Iterator[tuple[Op, ...]]:
    if fresh:
        # Without a gc nobody can tell one that is there from all.
        yield tuple(("shard", bit) for bit in bits(fresh)) if protocol.ages else (("shard", fresh),)


def _standing(actor: Actor, which: int) -> bool:
    seen = actor.seen[which]
    return bool(seen.version) and actor.ledger.wrote[which] == seen.version and seen.content == actor.listing


# Writing.


def _on(actor: Actor) -> Actor:
    """On to the next call that writes; what was seen of files that are done with is forgotten."""
    if not actor.todo:
        return actor._replace(at="keep", seen=FORGOTTEN)
    ahead = {op[1] for rank in actor.todo for op in rank if op[0] in {"put", "delete"}}
    s, z, j = (file if which in ahead else ABSENT for which, file in enumerate(actor.seen))
    return actor._replace(at="write", seen=(s, z, j))


def again(actor: Actor) -> Actor | None:
    """After a conflict look again; None for who gives up."""
    return Actor(actor.role, lap=actor.lap + 1, steady=actor.steady) if actor.lap < LAPS else None


def write(world: World, actor: Actor, op: Op, protocol: Protocol) -> Step:
    """One call that writes, or looks at what was written."""
    kind, which = op
    if kind in {"put", "delete"}:
        return _replace_file(world, actor, op, protocol)
    more: tuple[Op, ...] = ()
    held = actor.held
    if kind == "shard":
        if not protocol.ages:
            world = world._replace(old=world.old | which)
        elif not which & world.shards:
            world = young(world, which)
        elif protocol.revive:
            more = (("again", which),)
    elif kind == "again":
        world, held = young(world, which), held | which if protocol.look_after else held
    elif kind == "look after":
        if which & world.shards:
            held &= ~which
        else:
            more = (("back", which),)
    else:
        world, held = young(world, which), held & ~which
    return world, _on(actor._replace(todo=without(actor.todo, op, *more), held=held)), ""


def _replace_file(world: World, actor: Actor, op: Op, protocol: Protocol) -> Step:
    """Put or delete a mutable file under the version that was seen."""
    kind, which = op
    now, seen = world.files[which], actor.seen[which]
    gone_already = kind == "delete" and not now.version
    if protocol.conditional and now.version != seen.version and not gone_already:
        return world, again(actor), ""
    todo = without(actor.todo, op)
    if kind == "delete":
        return world._replace(files=having(world.files, which, ABSENT)), _on(actor._replace(todo=todo)), ""
    law = ""
    if now.content & world.packages & ~actor.listing:
        law = I3
    elif now.listed > actor.listed and not protocol.etags:
        law = I4
    version = actor.listing + 1 if protocol.etags else world.clock
    files = having(world.files, which, File(version, actor.listing, actor.listed))
    world = world._replace(files=files, clock=world.clock + 1)
    if which == S:
        law = I1 if world.missing and not protocol.ages else law
        if actor.held:
            todo = (tuple(("look after", bit) for bit in bits(actor.held)), *todo)
    s, z, j = (version if it == which else before for it, before in enumerate(actor.wrote))
    return world, _on(actor._replace(todo=todo, wrote=(s, z, j))), law


def _keep(world: World, actor: Actor, role: Outputs, protocol: Protocol) -> Step:
    """Put the ledger if it says anything new, and end."""
    before = actor.ledger
    fresh = (stamp(role), actor.listing, actor.wrote)
    if protocol.ledger and (before.stamp, before.listing, before.wrote) != fresh:
        if protocol.conditional and world.ledger.version != before.version:
            return world, again(actor), ""
        ledger = Ledger(hash(fresh) if protocol.etags else world.clock, *fresh)
        world = world._replace(ledger=ledger, clock=world.clock + 1)
    unindexed = any(file.version and actor.steady & world.packages & ~file.content for file in world.files)
    return world, None, FINDS_ALL if unindexed else ""
