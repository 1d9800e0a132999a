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
    NO_LISTING,
    Actor,
    File,
    J,
    Ledger,
    Outputs,
    S,
    World,
    X,
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
_LOOK_AT_ALL: Todo = ((*_LOOK[0], ("look", X)),)
_RANKS: dict[str, tuple[int, ...]] = {
    # -1 stands for the shards.
    "source last": (-1, S, Z, X, J),
    "source first": (J, -1, S, Z, X),
    "compressed, source, shards": (Z, X, J, -1, S),
    "the index before its shards": (S, -1, Z, X, J),
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
        existing = world.shards & (actor.seen[S].content if protocol.named_only else ~0)
        yield world, _planned(actor, role, protocol, existing), ""
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
        return actor._replace(at="trust") if trusting else _to_look(actor, protocol)
    if actor.at == "ledger":
        return _to_look(actor._replace(ledger=world.ledger), protocol)
    if actor.at == "trust":
        # A run over a few packages does not see this before it reads the files; a lap more changes nothing else.
        if versions(world.files) != actor.ledger.wrote:
            return _to_look(actor, protocol)
        actor = actor._replace(seen=world.files)
    return _decided(looked(actor, world), role, protocol)


def _to_look(actor: Actor, protocol: Protocol) -> Actor:
    return actor._replace(at="look", todo=_LOOK_AT_ALL if protocol.exports else _LOOK)


def _look(world: World, actor: Actor, role: Outputs, protocol: Protocol, op: Op) -> Actor | None:
    todo = without(actor.todo, op)
    actor = actor._replace(seen=having(actor.seen, op[1], world.files[op[1]]), todo=todo)
    if todo:
        return actor
    return _decided(actor, role, protocol) if protocol.list_first else actor._replace(at="list")


def _decided(actor: Actor, role: Outputs, protocol: Protocol) -> Actor | None:
    """Quiet, or on to reading."""
    alike = actor.ledger.stamp == stamp(role) and actor.ledger.listing == actor.listing and _in_step(actor)
    alike = alike and not role.scope
    return None if alike and not (actor.noted and protocol.heed_note) else actor._replace(at="read")


def _in_step(actor: Actor) -> bool:
    return bool(actor.ledger.version) and versions(actor.seen) == actor.ledger.wrote


def _vouched(actor: Actor, protocol: Protocol) -> bool:
    return not protocol.verify or (_in_step(actor) and not (actor.noted and protocol.heed_note))


def stamp(role: Outputs) -> int:
    """What stands for the options."""
    return 1 + role.json + 2 * role.shards + 4 * role.zst + 8 * role.exports


def _source(actor: Actor, role: Outputs) -> int:
    """The file that the index is read from, -1 for none."""
    existing = [which for which in (J, S) if actor.seen[which].version]
    if role.json or len(existing) < 2:
        return existing[0] if existing else -1
    # The date decides; a listing that agrees with the ledger shows none.
    trusted = actor.lap == 1 and _in_step(actor)
    return J if not trusted and actor.seen[J].version > actor.seen[S].version else S


# Reading and planning.


def _read(world: World, actor: Actor, role: Outputs, protocol: Protocol) -> Actor | None:
    """Read the source, the shard index and the packages that are new; then plan."""
    source = _source(actor, role)
    wanted = {which for which, value in ((S, role.shards), (X, role.exports)) if value and actor.seen[which].version}
    if any(world.files[item].version != actor.seen[item].version for item in wanted | ({source} - {-1})):
        return again(actor)
    known = actor.seen[source].content if source >= 0 else 0
    if not protocol.ledger and source >= 0 and known == actor.listing:
        return None
    vouched = _vouched(actor, protocol)
    if source == S and (lost := known & ~world.shards):
        if vouched or not protocol.heals_source:
            return None  # a bad index: the run fails, and says so
        known &= ~lost
    actor = _decided_on(actor, role, protocol, known)
    return again(actor) if actor.listing & ~known & ~world.packages else _to_write(actor, role, protocol, known)


def _decided_on(actor: Actor, role: Outputs, protocol: Protocol, known: int) -> Actor:
    """With the packages that get records, and with those whose run exports will be known."""
    source = _source(actor, role)
    result, carried = actor.seen[X].content, 0
    if role.scope:
        # Outside of the scope it says what the source says, so it is as old as that.
        listing = known & ~role.scope | actor.listing & role.scope
        actor = actor._replace(listing=listing, listed=actor.seen[source].listed if source >= 0 else actor.listed)
        carried = result & ~known & ~role.scope if protocol.carry else 0
    exports = result & actor.listing | carried | actor.listing & ~known
    if not role.scope and _were_complete(actor, source):
        exports = actor.listing
    complete = _were_complete(actor, source)
    return actor._replace(exports=exports if role.exports else 0, complete=complete)


def _were_complete(actor: Actor, source: int) -> bool:
    """Whether the run exports of all records were known once: a whole run reads those again that were lost."""
    ledger = actor.ledger
    stands = bool(ledger.version) and source >= 0 and ledger.wrote[source] == actor.seen[source].version
    return stands and not ledger.lacking


def _to_write(actor: Actor, role: Outputs, protocol: Protocol, known: int) -> Actor | None:
    named = actor.seen[S].content if role.shards else 0
    vouched = _vouched(actor, protocol)
    if named and not vouched:
        return actor._replace(at="verify")
    alike = known == actor.listing and actor.seen[X].content == actor.exports
    if vouched and alike and actor.ledger.stamp == stamp(role):
        # A look at a few packages that shows nothing new tells nothing of the rest.
        return None if role.scope else actor._replace(at="keep", wrote=actor.ledger.wrote)
    return _planned(actor, role, protocol, named)


def _planned(actor: Actor, role: Outputs, protocol: Protocol, there: int) -> Actor:
    """Plan all writes, rank by rank."""
    wanted = {S: role.shards, Z: role.zst, J: role.json, X: role.exports}
    source = _source(actor, role)
    todo: list[tuple[Op, ...]] = []
    stale: list[Op] = []
    wrote = [0, 0, 0, 0]
    for which in _ranks(protocol):
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
    return _on(actor._replace(todo=tuple(todo), wrote=(wrote[S], wrote[Z], wrote[J], wrote[X]), held=0))


def _ranks(protocol: Protocol) -> tuple[int, ...]:
    ranks = _RANKS[protocol.order]
    return ranks if protocol.exports_first else (*(which for which in ranks if which != X), X)


def _shards(fresh: int, protocol: Protocol) -> Iterator[tuple[Op, ...]]:
    if fresh:
        # Without a gc nobody can tell one that is there from all.
        yield tuple(("shard", bit) for bit in bits(fresh)) if protocol.ages else (("shard", fresh),)


def _standing(actor: Actor, which: int) -> bool:
    seen = actor.seen[which]
    return bool(seen.version) and actor.ledger.wrote[which] == seen.version and seen.content == _content(actor, which)


def _content(actor: Actor, which: int) -> int:
    return actor.exports if which == X else actor.listing


# Writing.


def _on(actor: Actor) -> Actor:
    """On to the next call that writes; what was seen of files that are done with is forgotten."""
    if not actor.todo:
        return actor._replace(at="keep", seen=FORGOTTEN)
    ahead = {op[1] for rank in actor.todo for op in rank if op[0] in {"put", "delete"}}
    s, z, j, x = (file if which in ahead else ABSENT for which, file in enumerate(actor.seen))
    return actor._replace(at="write", seen=(s, z, j, x))


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
    law, content = "", _content(actor, which)
    if which == X:
        pass  # what it says of packages without a record nobody reads
    elif now.content & world.packages & ~actor.listing:
        law = I3
    elif now.listed > actor.listed and not protocol.etags:
        law = I4
    version = content + 1 if protocol.etags else world.clock
    files = having(world.files, which, File(version, content, actor.listed))
    world = world._replace(files=files, clock=world.clock + 1)
    if which == S:
        law = I1 if world.missing and not protocol.ages else law
        if actor.held:
            todo = (tuple(("look after", bit) for bit in bits(actor.held)), *todo)
    s, z, j, x = (version if value == which else before for value, before in enumerate(actor.wrote))
    return world, _on(actor._replace(todo=todo, wrote=(s, z, j, x))), law


def _keep(world: World, actor: Actor, role: Outputs, protocol: Protocol) -> Step:
    """Put the ledger if it says anything new, and end."""
    before = actor.ledger
    lacking = actor.listing & ~actor.exports if role.exports else 0
    # If all were known, what was lost outside of the scope is left to the next whole run, which reads it again.
    lacking = 0 if role.scope and actor.complete and not lacking & role.scope else lacking
    fresh = (stamp(role), NO_LISTING if role.scope else actor.listing, actor.wrote, lacking)
    if protocol.ledger and before[1:] != fresh:
        if protocol.conditional and world.ledger.version != before.version:
            return world, again(actor), ""
        ledger = Ledger(hash(fresh) if protocol.etags else world.clock, *fresh)
        world = world._replace(ledger=ledger, clock=world.clock + 1)
    steady = actor.steady & world.packages & (role.scope or ~0)
    unindexed = any(file.version and steady & ~file.content for file in world.files)
    return world, None, FINDS_ALL if unindexed else ""
