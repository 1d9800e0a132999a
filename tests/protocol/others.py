"""The other actors of the model, one store call at a time: a rattler-index, and a gc of shards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.protocol.indexer import write
from tests.protocol.world import J, S, Z, bits, having, looked, names_of, without, young

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.protocol.world import Actor, Protocol, Step, Todo, World


def rattler_index(world: World, actor: Actor, protocol: Protocol) -> Iterator[Step]:
    """It looks at all versions before it lists, and writes everything: .zst, .json, shards, the shard index."""
    if actor.at == "begin":
        yield world, actor._replace(at="look", todo=((("look", S),), (("look", Z),), (("look", J),))), ""
    elif actor.at == "look":
        op = actor.todo[0][0]
        seen = having(actor.seen, op[1], world.files[op[1]])
        todo = without(actor.todo, op)
        yield world, actor._replace(seen=seen, todo=todo, at="look" if todo else "list"), ""
    elif actor.at == "list":
        yield world, _planned(looked(actor, world)), ""
    else:
        # It leaves no ledger, and how well it minds our laws is not ours to judge.
        after, then, _ = write(world, actor, actor.todo[0][0], protocol)
        yield after, None if then is not None and then.at == "keep" else then, ""


def _planned(actor: Actor) -> Actor:
    """What it writes: a package that it has under the same file name counts as known, replaced or not."""
    kept = sum(bit for bit in bits(actor.seen[J].content) if names_of(bit) & names_of(actor.listing))
    content = kept | sum(bit for bit in bits(actor.listing) if not names_of(bit) & names_of(kept))
    shards: Todo = tuple((("shard", bit),) for bit in bits(content & ~actor.seen[S].content))
    return actor._replace(at="write", listing=content, todo=((("put", Z),), (("put", J),), *shards, (("put", S),)))


def gc(world: World, actor: Actor, protocol: Protocol) -> Iterator[Step]:
    """A note, a listing of the shards, then batches of one shard each; at last a look whether all named are there."""
    if actor.at == "begin":
        if protocol.note and protocol.lock and world.note == 1:
            yield world, None, ""
        else:
            yield world._replace(note=int(protocol.note)), actor._replace(at="list"), ""
        return
    if world.note == 1:  # it may die here, and its note stays behind
        yield world._replace(note=2), None, ""
    if actor.at.startswith("last"):
        yield _last(world, actor)
    elif actor.at in {"list", "index", "get"}:
        yield world, _chosen(world, actor, protocol), ""
    else:
        yield _deleting(world, actor, protocol)


def _chosen(world: World, actor: Actor, protocol: Protocol) -> Actor:
    """Old shards that the index does not name, and of the next one whether it still is old."""
    if actor.at == "list":
        return actor._replace(at="index", listing=world.old)
    if actor.at == "index":
        return _next(actor._replace(listing=actor.listing & ~world.files[S].content), protocol)
    bit = actor.listing & -actor.listing
    return actor._replace(at="delete") if bit & world.old else _done(actor, bit, protocol)


def _deleting(world: World, actor: Actor, protocol: Protocol) -> Step:
    """Delete a shard, read the index again, put the shard back if it is named now."""
    bit = actor.held or actor.listing & -actor.listing
    if actor.at == "delete":
        gone = world._replace(old=world.old & ~bit, young=world.young & ~bit)
        then = actor._replace(at="reread", held=bit) if protocol.put_back else _done(actor, bit, protocol)
        return gone, then, ""
    if actor.at == "reread" and bit & world.files[S].content:
        return world, actor._replace(at="back"), ""
    return young(world, bit) if actor.at == "back" else world, _done(actor, bit, protocol), ""


def _done(actor: Actor, bit: int, protocol: Protocol) -> Actor:
    left = actor._replace(listing=actor.listing & ~bit, held=0)
    return left._replace(at="index") if left.listing and protocol.reread else _next(left, protocol)


def _next(actor: Actor, protocol: Protocol) -> Actor:
    if actor.listing:
        return actor._replace(at="get")
    return actor._replace(at="last index" if protocol.last_look else "last")


def _last(world: World, actor: Actor) -> Step:
    """The note goes only where every shard that the index names is there."""
    if actor.at == "last index":
        return world, actor._replace(at="last look", listing=world.files[S].content), ""
    if actor.at == "last look":
        hole = actor.listing & ~world.shards
        return (world._replace(note=2), None, "") if hole else (world, actor._replace(at="last", listing=0), "")
    return world._replace(note=0), None, ""
