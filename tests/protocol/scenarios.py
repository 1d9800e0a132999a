"""What is walked: scenarios that hold, and ways to work that are refuted, each by a scenario and a law."""

from __future__ import annotations

from typing import NamedTuple

from tests.protocol.indexer import FINDS_ALL, I1, I3, I4
from tests.protocol.walk import EXPORTED, HEALS, HEALS_LOST, QUIET, SEEN_BY, Scenario
from tests.protocol.world import EXPORTS, FULL, JSON, SHARDS, Change, Foreign, Gc, Protocol

# Two packages are indexed, a (0b1) and b (0b100); bits two by two are contents of the same file name.
A, NEWER_A, NEW = 0b1, 0b10, 0b10000
UPLOAD, DELETE, REPLACE, DELETE_AGAIN = Change(new=NEW), Change(gone=A), Change(gone=A, new=NEWER_A), Change(gone=NEW)
INDEXED = 0b101
COMES_BACK = INDEXED | NEW  # a package that was there before, so its shard still lies there
RATTLER, GC = Foreign(), Gc()
# Three new packages, and runs over one of them each.
NEXT, LAST = NEW << 2, NEW << 4
ONE, TWO, THREE = (EXPORTS._replace(name=f"one package of {bit}", scope=bit) for bit in (NEW, NEXT, LAST))
TWO_NEW = INDEXED | NEW | NEXT

SMALL = (
    Scenario("2 indexers; upload, replacement", (FULL, FULL), (UPLOAD, REPLACE)),
    Scenario("2 indexers of a new channel; upload", (FULL, FULL), (UPLOAD,), indexed=0, before=None),
    Scenario("all formats beside json only; upload", (FULL, JSON), (UPLOAD,)),
    Scenario("shards only beside json only; upload", (SHARDS, JSON), (UPLOAD,)),
    Scenario("2 indexers of shards only; upload, deletion", (SHARDS, SHARDS), (UPLOAD, DELETE), before=SHARDS),
    Scenario("1 beside rattler-index; replacement", (FULL, RATTLER), (REPLACE,)),
    Scenario("1 beside gc; a shard comes back", (FULL, GC), (), packages=COMES_BACK, shards=NEW),
    Scenario("1 beside 2 gc; a shard comes back", (FULL, GC, GC), (), packages=COMES_BACK, shards=NEW),
    Scenario("1 of shards only beside gc; same", (SHARDS, GC), (), INDEXED, COMES_BACK, shards=NEW, before=SHARDS),
    Scenario("1 beside gc; 1 of 2 orphans comes back", (FULL, GC), (UPLOAD,), shards=NEW | NEW << 2),
    Scenario("2 over 1 new package each", (ONE, TWO), (), packages=TWO_NEW, before=EXPORTS),
    Scenario("2 over 1 package each of a new channel", (ONE, TWO), (), 0, TWO_NEW, before=None),
    Scenario("2 over 1 new package each; deletion", (ONE, TWO), (DELETE_AGAIN,), packages=TWO_NEW, before=EXPORTS),
    Scenario("1 beside 1 over 1 package; upload", (EXPORTS, ONE), (UPLOAD,), packages=INDEXED | NEXT, before=EXPORTS),
)
LARGE = (
    Scenario("2 indexers; upload, deletion, replacement", (FULL, FULL), (UPLOAD, Change(gone=0b100), REPLACE)),
    Scenario("2 indexers; upload deleted again, deletion", (FULL, FULL), (UPLOAD, DELETE_AGAIN, DELETE)),
    Scenario("3 indexers; upload", (FULL, FULL, FULL), (UPLOAD,)),
    Scenario("all formats beside shards only; 2 changes", (FULL, SHARDS), (UPLOAD, REPLACE)),
    Scenario("all formats beside json only; 2 changes", (FULL, JSON), (UPLOAD, REPLACE)),
    Scenario("1 beside rattler-index; upload, replacement", (FULL, RATTLER), (UPLOAD, REPLACE)),
    Scenario("2 beside gc; a package comes back", (FULL, FULL, GC), (UPLOAD,), shards=NEW),
    Scenario("2 beside gc; one that came back goes again", (FULL, FULL, GC), (DELETE_AGAIN,), INDEXED, COMES_BACK, NEW),
    Scenario("2 beside 2 gc; a shard comes back", (FULL, FULL, GC, GC), (), INDEXED, COMES_BACK, NEW),
    Scenario("1 beside 2 over 1 new package each", (EXPORTS, ONE, TWO), (), packages=TWO_NEW, before=EXPORTS),
    Scenario("3 over 1 new package each", (ONE, TWO, THREE), (), packages=TWO_NEW | LAST, before=EXPORTS),
)
# On a plain bucket a version is the MD5 of the content, so one that was there before can come back.
ETAGS = (
    Scenario("2 indexers; upload deleted again", (FULL, FULL), (UPLOAD, DELETE_AGAIN)),
    Scenario("3 indexers; upload deleted again", (FULL, FULL, FULL), (UPLOAD, DELETE_AGAIN)),
)


class Unsound(NamedTuple):
    """A way to work that a scenario refutes, and the laws that it breaks there."""

    name: str
    protocol: Protocol
    scenario: Scenario
    laws: frozenset[str]


_TWO = Scenario("2 indexers; upload", (FULL, FULL), (UPLOAD,))
_BACK = SMALL[6]
_BACK_TWICE = SMALL[7]
_SHARDS_BACK = SMALL[8]
_FEW = SMALL[10]
UNSOUND = (
    Unsound("packages listed before versions are seen", Protocol(list_first=True), _TWO, frozenset({I3, FINDS_ALL})),
    Unsound(
        "no conditions",
        Protocol(conditional=False),
        Scenario("", (FULL, FULL), (UPLOAD, DELETE)),
        frozenset({I3, I4, FINDS_ALL}),
    ),
    Unsound("the index before its shards", Protocol(order="the index before its shards"), _TWO, frozenset({I1})),
    Unsound(
        "source first, no ledger", Protocol(order="source first", ledger=False), _TWO, frozenset({QUIET, HEALS_LOST})
    ),
    Unsound(
        "compressed, source, shards; no ledger",
        Protocol(order="compressed, source, shards", ledger=False),
        _TWO,
        frozenset({QUIET, HEALS_LOST}),
    ),
    Unsound("a shard that comes back stays old", Protocol(revive=False), _BACK, frozenset({SEEN_BY})),
    Unsound("no look after the index", Protocol(look_after=False), _BACK, frozenset({SEEN_BY})),
    Unsound("out of step, shards are believed in", Protocol(verify=False), _BACK, frozenset({HEALS})),
    Unsound("an orphan counts as there", Protocol(named_only=False), _BACK, frozenset({SEEN_BY})),
    Unsound("gc without a note", Protocol(note=False), _BACK, frozenset({QUIET})),
    Unsound("a note that nobody heeds", Protocol(heed_note=False), _BACK, frozenset({QUIET})),
    Unsound("two gc at once", Protocol(lock=False), _BACK_TWICE, frozenset({SEEN_BY})),
    Unsound("gc that takes the note of a dead one away", Protocol(last_look=False), _BACK_TWICE, frozenset({SEEN_BY})),
    Unsound("shards only, a lost shard is a bad index", Protocol(heals_source=False), _SHARDS_BACK, frozenset({HEALS})),
    Unsound(
        "run exports of packages not looked at are dropped",
        Protocol(carry=False),
        _FEW,
        frozenset({EXPORTED, HEALS, FINDS_ALL}),
    ),
    Unsound("run exports after the records", Protocol(exports_first=False), _FEW, frozenset({EXPORTED, HEALS})),
)
# A run over a few packages takes the records of the others from repodata.json, so it does not see what another run has
# put in other formats before that.  There a package can be missing until the second run looks again; if the second run
# dies, until the next run over everything.
FEW_IN_ALL_FORMATS = Scenario(
    "2 over 1 new package each; all formats",
    tuple(FULL._replace(name=item.name, exports=True, scope=item.scope) for item in (ONE, TWO)),
    packages=TWO_NEW,
    before=FULL._replace(exports=True),
)
