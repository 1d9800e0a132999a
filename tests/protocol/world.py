"""What the model knows of a subdir: its files, shards and packages, who is at work on it, and which way they do it.

A package is a bit: the same file name with other content is another bit.  What an index says is the set of
bits that its writer listed; each package has a shard of its own, so an index names the same bits as shards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Union

if TYPE_CHECKING:
    from collections.abc import Iterator


Versions = tuple[int, int, int, int]
"""One of each file."""


class File(NamedTuple):
    """One mutable file: version 0 means that it is not there.

    `listed` counts the changes to packages that its writer's listing had seen.
    """

    version: int = 0
    content: int = 0
    listed: int = 0


class Ledger(NamedTuple):
    """The ledger: under which options, of which listing, and the versions of s, z, j and x that belong to it.

    `listing` is NO_LISTING after a run over a few packages.  `lacking` are the records of unknown run exports.
    """

    version: int = 0
    stamp: int = 0
    listing: int = 0
    wrote: Versions = (0, 0, 0, 0)
    lacking: int = 0


Files = tuple[File, File, File, File]
"""The shard index, the compressed repodata, repodata.json, run_exports.json."""
Op = tuple[str, int]
"""A call to be made: what, and on which file or shard."""
Todo = tuple[tuple[Op, ...], ...]
"""Calls to be made, rank by rank; those of a rank in any order."""

ABSENT = File()
FORGOTTEN = (ABSENT, ABSENT, ABSENT, ABSENT)
NO_LEDGER = Ledger()
NO_LISTING = -1
S, Z, J, X = range(4)


class World(NamedTuple):
    """A subdir: its files and its ledger, shards by age, the note of a gc, packages.

    `note` is 0 for none, 1 while its gc lives, 2 where it died.  `clock` is the next version.
    """

    files: Files
    ledger: Ledger
    old: int
    young: int
    note: int
    packages: int
    changes: int
    clock: int

    @property
    def shards(self) -> int:
        """The shards that are there."""
        return self.old | self.young

    @property
    def missing(self) -> int:
        """The shards that the shard index names and that are not there."""
        return self.files[S].content & ~self.shards


class Actor(NamedTuple):
    """Somebody at work: what it is, where it stands, and what it has seen.

    `todo` are the steps still to be done, rank by rank.  `held` are shards to look after: revived by an indexer,
    deleted by a gc.  `steady` are the packages that were there all the time since it began.  `exports` are the
    packages whose run exports an indexer is about to write; `complete` says that those of all records were known once.
    """

    role: int
    at: str = "begin"
    lap: int = 1
    seen: Files = FORGOTTEN
    ledger: Ledger = NO_LEDGER
    noted: bool = False
    listing: int = 0
    listed: int = 0
    todo: Todo = ()
    wrote: Versions = (0, 0, 0, 0)
    held: int = 0
    steady: int = 0
    exports: int = 0
    complete: bool = False


class Outputs(NamedTuple):
    """An indexer of ours, and what it publishes.  `scope` has the only packages that it looks at, 0 means all."""

    name: str
    json: bool = True
    shards: bool = True
    zst: bool = True
    exports: bool = False
    scope: int = 0


class Foreign(NamedTuple):
    """A rattler-index: conditional, in its own order, without a ledger, comparing packages by name."""

    name: str = "rattler-index"


class Gc(NamedTuple):
    """A garbage collector of shards."""

    name: str = "gc"


FULL = Outputs("all formats")
JSON = Outputs("json only", shards=False, zst=False)
SHARDS = Outputs("shards only", json=False, zst=False)
EXPORTS = Outputs("json and run exports", shards=False, zst=False, exports=True)
Role = Union[Outputs, Foreign, Gc]  # noqa: UP007  evaluated, so in the words of Python 3.9


class Change(NamedTuple):
    """Something that befalls a package once, at any moment: bits that go and bits that come.

    Where something goes, it must be there.
    """

    gone: int = 0
    new: int = 0


@dataclass(frozen=True)
class Protocol:
    """Which way the actors work.  The defaults are what the engine does; each switch takes one precaution away."""

    list_first: bool = False
    order: str = "source last"
    conditional: bool = True
    etags: bool = False  # versions are of content, as ETags of a plain bucket, so an old one can come back
    revive: bool = True  # R1: a shard that is there and not named is put again
    look_after: bool = True  # R1: and looked at once more when the index is there
    verify: bool = True  # R2: out of step, shards are not believed to be there
    named_only: bool = True  # R2: only those count that the index names, an orphan must be revived
    heed_note: bool = True  # R2: with a note neither
    note: bool = True  # R3: gc puts a note first
    lock: bool = True  # R3: and only where there is none, unless its gc has died
    reread: bool = True  # R3: the index is read again before a batch
    put_back: bool = True  # R3: and after it
    last_look: bool = True  # R3: the note goes when every shard named is there
    heals_source: bool = True  # R2: a shard missing from the source is read as an empty one
    ages: bool = False  # whether the age of shards matters: set where there is a gc
    exports: bool = False  # whether there can be run exports: set where an indexer writes them
    carry: bool = True  # a run over a few packages keeps run exports of others that have no record yet
    exports_first: bool = True  # run_exports.json is written before the records
    ledger: bool = True  # without one, a run is quiet where its source says what the listing shows


Step = tuple[World, Actor | None, str]
"""The subdir and the actor (None: it has ended) after a call, and the law that this call broke."""


def bits(mask: int) -> Iterator[int]:
    """The single bits of a mask."""
    while mask:
        bit = mask & -mask
        yield bit
        mask ^= bit


def names_of(mask: int) -> int:
    """The file names of packages: bits 2n and 2n + 1 are contents of the same name."""
    return (mask | mask >> 1) & 0x5555


def having(files: Files, which: int, file: File) -> Files:
    """The files with one of them changed."""
    s, z, j, x = files
    if which in {S, Z}:
        return (file, z, j, x) if which == S else (s, file, j, x)
    return (s, z, file, x) if which == J else (s, z, j, file)


def versions(files: Files) -> Versions:
    """The versions of the files."""
    s, z, j, x = files
    return s.version, z.version, j.version, x.version


def looked(actor: Actor, world: World) -> Actor:
    """What a listing shows."""
    return actor._replace(listing=world.packages, listed=world.changes, noted=world.note > 0)


def without(todo: Todo, op: Op, *more: Op) -> Todo:
    """What is still to be done after a call, with the calls in the same rank that it leads to."""
    left = (*(other for other in todo[0] if other != op), *more)
    return (left, *todo[1:]) if left else todo[1:]


def young(world: World, shard: int) -> World:
    """A shard is put, over one that may be there."""
    return world._replace(old=world.old & ~shard, young=world.young | shard)
