"""A model of `prune` beside indexers, an upload and a snapshot: one package, and one call of the store at a time.

The package has an old object, which is pruned, and perhaps a new one of the same name.  A walk goes through every
interleaving.  In each situation all actors may have died: then plain runs, and prunes a grace later, must end well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

GRACE = 2
NOTHING, OLD, NEW = 0, 1, 2
NO_ENTRY, NOT_UNLISTED = -2, -1

FOUND = "a reader of an index younger than the grace finds the object"
NEWER = "a newer upload is never deleted"
HELD = "an object that a snapshot names stays"
INDEXED = "a run indexes a newer upload"
OUT = "no run brings a pruned package back"
ENDS = "later prunes delete the object and end"

_PLACES = 3  # a run ends after so many conflicts, as one that was killed


class World(NamedTuple):
    """The object, the one that the index has `named`, and the entry: NO_ENTRY, NOT_UNLISTED, or when it was unlisted.

    `index_version` and `entry_version` change with each write.  `listed` is the last time at which the index named the
    old object, `judged` when the entry was made.  `held` is true if a snapshot names the old object.
    """

    now: int = 0
    object: int = OLD
    named: int = OLD
    index_version: int = 0
    entry: int = NO_ENTRY
    entry_version: int = 0
    judged: int = 0
    listed: int = 0
    held: bool = False


class Protocol(NamedTuple):
    """The way to work; each False is a way that a test refutes."""

    counts_from_index: bool = True
    deletes_by_etag: bool = True
    heeds_entries: bool = True
    by_etag: bool = True
    conditional_index: bool = True


class Actor(NamedTuple):
    """One actor, and what it has seen: a world as it was at its last looks, without what does not matter any more.

    `expected` is the entry as a prune has left it, `began` the time of its first look.
    """

    kind: str
    at: str = "begin"
    seen: World = World()
    expected: int = NO_ENTRY
    began: int = 0
    turn: int = 0
    deleted: bool = False


Step = tuple[World, Actor | None, str]
"""The world afterwards, the actor or None if it has ended, and the law that the step breaks."""


def step(world: World, actor: Actor, protocol: Protocol) -> Step:
    """The next call of an actor."""
    if actor.kind == "clock":
        last = actor.turn == GRACE
        return _at(world, world.now + 1), None if last else actor._replace(turn=actor.turn + 1), ""
    if actor.kind == "upload":
        return world._replace(object=NEW), None, ""
    if actor.kind == "snapshot":
        return _snapshot(world, actor)
    if actor.kind == "prune" and actor.at in _OF_PRUNE:
        return _OF_PRUNE[actor.at](world, actor, protocol)
    return _index(world, actor, protocol)


def _at(world: World, now: int) -> World:
    return world._replace(now=now, listed=now if world.named == OLD else world.listed)


def _snapshot(world: World, actor: Actor) -> Step:
    """Read the index, then name its packages.  A snapshot takes less than the grace."""
    if actor.at == "begin":
        return world, actor._replace(at="name", began=world.now) if world.named == OLD else None, ""
    if world.now - actor.began >= GRACE:
        return world, None, ""
    return world._replace(held=True), None, _law_of_snapshot(world._replace(held=True))


def _law_of_snapshot(world: World) -> str:
    return HELD if world.held and world.object == NOTHING else ""


# A run: the ETag of the index, then the listing, then the entries at the ETag of the listing, then the write.


def _index(world: World, actor: Actor, protocol: Protocol) -> Step:
    if actor.at in {"begin", "index"}:
        return world, actor._replace(at="list", seen=World(index_version=world.index_version)), ""
    seen = actor.seen
    if actor.at == "list":
        seen = seen._replace(object=world.object, entry_version=world.entry_version)
        return world, actor._replace(at="entries", seen=seen), ""
    if actor.at == "entries":
        if world.entry_version != seen.entry_version:
            return world, _again(actor), ""
        has_entry = NO_ENTRY if world.entry == NO_ENTRY else NOT_UNLISTED
        return world, actor._replace(at="write", seen=seen._replace(entry=has_entry, entry_version=0)), ""
    if world.index_version != seen.index_version and protocol.conditional_index:
        return world, _again(actor), ""
    return _written(world, _wanted(seen, protocol)), _indexed(actor, world), ""


def _wanted(seen: World, protocol: Protocol) -> int:
    """What the index shall name."""
    is_pruned = seen.entry != NO_ENTRY and (seen.object == OLD or not protocol.by_etag)
    return NOTHING if is_pruned and protocol.heeds_entries else seen.object


def _written(world: World, content: int) -> World:
    if content == world.named:
        return world
    world = world._replace(listed=world.now if world.named == OLD else world.listed)
    return world._replace(named=content, index_version=world.index_version + 1)


def _again(actor: Actor) -> Actor | None:
    return None if actor.turn == _PLACES else actor._replace(at="index", turn=actor.turn + 1)


def _indexed(actor: Actor, world: World) -> Actor | None:
    """The end of a run; a prune goes on, and takes the time."""
    return actor._replace(at="due", seen=World(now=world.now), turn=0) if actor.kind == "prune" else None


# A prune: look, change the entry, index, delete, change the entry.


def _look(world: World, actor: Actor, _protocol: Protocol) -> Step:
    seen = World(object=world.object, named=world.named, entry=world.entry, held=world.held)
    return world, actor._replace(at="first", seen=seen, began=world.now), ""


def _first(world: World, actor: Actor, protocol: Protocol) -> Step:
    """Make an entry, or begin one again, or end one whose object is another one now."""
    seen = actor.seen
    goes = seen.named == OLD and seen.object == OLD
    entry = seen.entry
    if entry == NO_ENTRY:
        entry = NOT_UNLISTED if goes else NO_ENTRY
    elif seen.object != OLD:
        entry = NO_ENTRY
    elif seen.held or seen.named == OLD:
        entry = NOT_UNLISTED
    if entry == seen.entry:
        return world, actor._replace(at="index", seen=World(), expected=entry), ""
    if world.entry != seen.entry:  # another program has changed it meanwhile
        return world, actor._replace(at="index", seen=World(), expected=world.entry), ""
    judged = 0 if protocol.counts_from_index else world.now if world.entry == NO_ENTRY else world.judged
    changed = world._replace(entry=entry, entry_version=world.entry_version + 1, judged=judged)
    return changed, actor._replace(at="index", seen=World(), expected=entry), ""


def _due(world: World, actor: Actor, protocol: Protocol) -> Step:
    """Look which objects are due, and at the snapshots once more."""
    unlisted = actor.seen.now if actor.expected == NOT_UNLISTED else actor.expected
    since = unlisted if protocol.counts_from_index else world.judged
    is_due = actor.expected != NO_ENTRY and since <= actor.began - GRACE and not world.held
    return world, actor._replace(at="delete" if is_due else "last"), ""


def _delete(world: World, actor: Actor, protocol: Protocol) -> Step:
    after = actor._replace(at="last", deleted=True)
    if world.object == NOTHING:
        return world, after, ""
    if world.object == NEW and protocol.deletes_by_etag:
        return world, actor._replace(at="last"), ""
    gone = world._replace(object=NOTHING)
    if world.object == NEW:
        return gone, after, NEWER
    return gone, after, FOUND if world.named == OLD or world.now - world.listed < GRACE else _law_of_snapshot(gone)


def _last(world: World, actor: Actor, _protocol: Protocol) -> Step:
    """End the entry, or note when the package was unlisted."""
    entry = world.entry
    if entry == actor.expected != NO_ENTRY:
        entry = NO_ENTRY if actor.deleted else actor.seen.now if entry == NOT_UNLISTED and not world.held else entry
    version = world.entry_version + (entry != world.entry)
    return world._replace(entry=entry, entry_version=version), None, ""


_OF_PRUNE = {"begin": _look, "first": _first, "due": _due, "delete": _delete, "last": _last}


class Scenario(NamedTuple):
    """The actors of a walk."""

    name: str
    kinds: tuple[str, ...]


def broken(scenario: Scenario, protocol: Protocol) -> tuple[set[str], int]:
    """The laws that some interleaving breaks, and the number of situations."""
    laws: set[str] = set()
    start = (World(), tuple(Actor(kind) for kind in scenario.kinds))
    known, todo = {start}, [start]
    judged: dict[World, frozenset[str]] = {}
    while todo:
        world, actors = todo.pop()
        if world not in judged:
            judged[world] = frozenset(_faults_after_a_crash(world, protocol))
        laws |= judged[world]
        for place, actor in enumerate(actors):
            after, then, law = step(world, actor, protocol)
            laws |= {law} - {""}
            rest = actors[:place] + (() if then is None else (then,)) + actors[place + 1 :]
            situation = (after, tuple(sorted(rest)))
            if situation not in known and not law:
                known.add(situation)
                todo.append(situation)
    return laws, len(known)


def _faults_after_a_crash(world: World, protocol: Protocol) -> Iterator[str]:
    """The laws that plain runs and prunes break if everybody has died."""
    indexed, law = _run(world, "index", protocol)
    yield from filter(None, [law])
    if indexed.object == NEW and indexed.named != NEW:
        yield INDEXED
    if indexed.entry != NO_ENTRY and indexed.object == OLD and indexed.named == OLD:
        yield OUT
    later = indexed
    for _ in range(3):
        later, law = _run(_at(later, later.now + GRACE), "prune", protocol)
        yield from filter(None, [law])
    later, _ = _run(later, "index", protocol)
    expected = OLD if world.held and world.object == OLD else NEW if world.object == NEW else NOTHING
    if later.object != expected or (later.entry != NO_ENTRY and not world.held) or later.named == OLD:
        yield ENDS


def _run(world: World, kind: str, protocol: Protocol) -> tuple[World, str]:
    """The world after an undisturbed run or prune, and the first law that it breaks."""
    actor: Actor | None = Actor(kind)
    while actor is not None:
        world, actor, law = step(world, actor, protocol)
        if law:
            return world, law
    return world, ""
