"""Walks every interleaving of a scenario's actors, and judges every situation on the way.

A crash needs no step of its own: an actor that is never seen again has died.  So in every situation all actors
are taken for dead, and one undisturbed run, with any of the options and with the ledger or without it, must
make the subdir whole, and may be quiet only where it is whole.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tests.protocol.indexer import FINDS_ALL, indexer, stamp
from tests.protocol.others import gc, rattler_index
from tests.protocol.world import (
    ABSENT,
    FORGOTTEN,
    FULL,
    JSON,
    NO_LEDGER,
    SHARDS,
    Actor,
    Change,
    File,
    Foreign,
    Gc,
    J,
    Ledger,
    Outputs,
    S,
    World,
    X,
    Z,
    versions,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.protocol.world import Files, Protocol, Role, Step

SEEN_BY = "a hole without a note has an indexer before its look"
THERE = "readers find an index"
HEALS = "one undisturbed run makes it whole"
HEALS_LOST = "so it does without a ledger"
QUIET = "no run is quiet on a wrong state"
EXPORTED = "no record of a package that is there lacks its run exports"
SETTLES = "the run after that is quiet"

Situation = tuple[World, tuple[int, ...], tuple[Actor, ...]]
"""The subdir, which changes to packages are still to come, who is at work."""


@dataclass(frozen=True)
class Scenario:
    """Who is at work on which packages, and what befalls those meanwhile.

    `indexed` is what the files say at first and `shards` which old shards lie there besides; `packages` is what
    is really there.
    """

    name: str
    roles: tuple[Role, ...]
    changes: tuple[Change, ...] = ()
    indexed: int = 0b101
    packages: int = 0b101
    shards: int = 0
    before: Outputs | None = FULL

    def first(self, protocol: Protocol) -> Situation:
        """The situation that everything begins with."""
        existing = self.before or Outputs("nothing", json=False, shards=False, zst=False)
        s, z, j, x = (
            File(self.indexed + 1 if protocol.etags else 1 + which, self.indexed) if wanted else ABSENT
            for which, wanted in enumerate((existing.shards, existing.zst, existing.json, existing.exports))
        )
        files = (s, z, j, x)
        wrote = versions(files)
        ledger = Ledger(5, stamp(existing), self.indexed, wrote) if self.before and protocol.ledger else NO_LEDGER
        old = self.shards | (self.indexed if existing.shards else 0)
        world = World(files, ledger, old, 0, 0, self.packages, 0, 6)
        return world, tuple(range(len(self.changes))), tuple(Actor(self.roles.index(role)) for role in self.roles)


@dataclass
class Walk:
    """A walk over a scenario: how many situations there are, and which laws were broken how often."""

    scenario: Scenario
    protocol: Protocol
    situations: int = 0
    broken: Counter[str] = field(default_factory=Counter)
    _whole: dict[object, frozenset[str]] = field(default_factory=dict)
    _timed: bool = field(init=False)

    def __post_init__(self) -> None:
        """Find out what matters here."""
        ages = any(isinstance(role, Gc) for role in self.scenario.roles)
        exports = any(isinstance(role, Outputs) and role.exports for role in self.scenario.roles)
        self.protocol = replace(self.protocol, ages=ages, exports=exports)
        self._timed = any(isinstance(role, Outputs) and not role.json for role in self.scenario.roles)

    def run(self) -> Walk:
        """Walk through all situations."""
        start = self._canonical(self.scenario.first(self.protocol))
        # Of each situation only the hash is kept, as other model checkers do: two in a million million may coincide.
        known, ahead = {hash(start)}, [start]
        while ahead:
            situation = ahead.pop()
            self.situations += 1
            for law in self._judge(situation):
                self.broken[law] += 1
            for after, law in self._next(situation):
                if law:
                    self.broken[law] += 1
                shape = self._canonical(after)
                if (mark := hash(shape)) not in known:
                    known.add(mark)
                    ahead.append(shape)
        return self

    def _next(self, situation: Situation) -> Iterator[tuple[Situation, str]]:
        world, changes, actors = situation
        for at, actor in enumerate(actors):
            if self._unseen(actor):
                # Nobody can tell when this call is made, so it is made at once.
                yield from self._steps(situation, at)
                return
        for number in changes:
            change = self.scenario.changes[number]
            gone = world.packages & change.gone
            if bool(gone) == bool(change.gone):
                packages = world.packages & ~gone | change.new
                after = world._replace(packages=packages, changes=world.changes + 1)
                at_work = tuple(item._replace(steady=item.steady & packages) for item in actors)
                yield (after, tuple(value for value in changes if value != number), at_work), ""
        for at in range(len(actors)):
            if at and actors[at] == actors[at - 1]:
                continue  # the twin of the one before
            yield from self._steps(situation, at)

    def _steps(self, situation: Situation, at: int) -> Iterator[tuple[Situation, str]]:
        world, changes, actors = situation
        role = self.scenario.roles[actors[at].role]
        for after, actor, law in _steps(world, actors[at], role, self.protocol):
            others = (*actors[:at], *((actor,) if actor else ()), *actors[at + 1 :])
            yield (after, changes, others), "" if law == FINDS_ALL and self._foreign else law

    @property
    def _foreign(self) -> bool:
        return any(isinstance(role, Foreign) for role in self.scenario.roles)

    @property
    def _indexed(self) -> bool:
        """Whether there must be an index at any moment; runs with opposite options may meet without one."""
        return self.scenario.before is not None and not {JSON, SHARDS} <= set(self.scenario.roles)

    def _unseen(self, actor: Actor) -> bool:
        """Whether the next call is to put a shard that nobody will look for before the index names it."""
        return not self.protocol.ages and bool(actor.todo) and actor.at == "write" and actor.todo[0][0][0] == "shard"

    def _judge(self, situation: Situation) -> Iterator[str]:
        world, _, actors = situation
        if self.protocol.ages and world.missing and not world.note and self.protocol.note:
            held = 0
            for actor in actors:
                held |= actor.held
            if world.missing & ~held:
                yield SEEN_BY
        if self._indexed and not world.files[S].version and not world.files[J].version:
            yield THERE
        if world.files[X].version and world.files[J].content & ~world.files[X].content & world.packages:
            yield EXPORTED
        shape = world if self.protocol.etags else _rename((world, (), ()), in_order=self._timed)[0]
        shape = shape._replace(changes=0, clock=99)
        s, z, j, x = (file._replace(listed=0) for file in shape.files)
        shape = shape._replace(files=(s, z, j, x))
        if shape not in self._whole:
            self._whole[shape] = frozenset(self._undisturbed(shape))
        yield from self._whole[shape]

    def _undisturbed(self, world: World) -> Iterator[str]:
        """What one run over all packages finds and leaves, with each of the options."""
        options = {role._replace(scope=0) for role in self.scenario.roles if isinstance(role, Outputs)} or {FULL}
        for role in options:
            after, quiet = self._run(world, role)
            if not _whole(after, role):
                yield QUIET if quiet else HEALS
            elif self._run(after, role)[0] != after:
                yield SETTLES
            lost, _ = self._run(world._replace(ledger=NO_LEDGER), role)
            if not _whole(lost, role):
                yield HEALS_LOST

    def _run(self, world: World, role: Outputs) -> tuple[World, bool]:
        """The subdir after one run that nobody disturbs, and whether that found nothing to do."""
        before, at = world, ""
        actor: Actor | None = Actor(0)
        while actor:
            at = actor.at
            world, actor, _ = next(_steps(world, actor, role, self.protocol))
        failed = at == "read" and self.protocol.ledger
        return world, world == before and not failed

    def _canonical(self, situation: Situation) -> Situation:
        """Equal situations in equal words: twins sorted, versions named by first appearance."""
        world, changes, actors = situation
        if len(actors) > 1:
            actors = tuple(sorted(actors, key=_by_stage))
        if self.protocol.etags:
            return world._replace(clock=0), changes, actors
        return _rename((world, changes, actors), in_order=self._timed)


def _steps(world: World, actor: Actor, role: Role, protocol: Protocol) -> Iterator[Step]:
    """Every call that an actor may make next."""
    if isinstance(role, Gc):
        return gc(world, actor, protocol)
    if isinstance(role, Foreign):
        return rattler_index(world, actor, protocol)
    return indexer(world, actor, role, protocol)


def _by_stage(actor: Actor) -> tuple[object, ...]:
    return actor.role, actor.at, actor.lap, actor.listing, actor.listed, actor.todo, actor.held, actor.steady


def _whole(world: World, role: Outputs) -> bool:
    """Whether every format says what is there, those that are switched off are gone, and no shard is missing."""
    wanted = {S: role.shards, Z: role.zst, J: role.json, X: role.exports}
    for which, file in enumerate(world.files):
        if bool(file.version) != wanted[which] or (file.version and file.content != world.packages):
            return False
    return not world.missing


class _Names(dict[object, int]):
    """Numbers in the order of first asking; 0, for what is absent, stays 0."""

    def __missing__(self, version: object) -> int:
        number = self[version] = len(self)
        return number


def _rename(situation: Situation, *, in_order: bool) -> Situation:
    """Versions by first appearance, or where dates matter in their order: nobody looks inside of one."""
    world, changes, actors = situation
    name = _Names({0: 0})
    if in_order:
        for version in sorted(_all_versions(world, actors)):
            name[version]
    results = []
    files, ledger = _named_files(world.files, name), _named_ledger(world.ledger, name)
    for actor in actors:
        s, z, j, x = actor.wrote
        results.append(
            actor._replace(
                seen=actor.seen if actor.seen is FORGOTTEN else _named_files(actor.seen, name),
                ledger=_named_ledger(actor.ledger, name),
                wrote=(name[s], name[z], name[j], name[x]),
            )
        )
    return world._replace(files=files, ledger=ledger, clock=len(name)), changes, tuple(results)


def _named_files(files: Files, name: _Names) -> Files:
    s, z, j, x = files
    return (
        File(name[s[0]], s[1], s[2]),
        File(name[z[0]], z[1], z[2]),
        File(name[j[0]], j[1], j[2]),
        File(name[x[0]], x[1], x[2]),
    )


def _named_ledger(ledger: Ledger, name: _Names) -> Ledger:
    if not ledger[0]:
        return ledger
    s, z, j, x = ledger[3]
    return Ledger(name[ledger[0]], ledger[1], ledger[2], (name[s], name[z], name[j], name[x]), ledger[4])


def _all_versions(world: World, actors: tuple[Actor, ...]) -> set[int]:
    result = {file.version for file in world.files} | {world.ledger.version, *world.ledger.wrote}
    for actor in actors:
        result |= {file.version for file in actor.seen} | {actor.ledger.version, *actor.ledger.wrote, *actor.wrote}
    return result
