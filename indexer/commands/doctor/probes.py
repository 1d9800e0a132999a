"""Asks a store what it really does, under a scratch prefix: each probe is one question and one finding.

What is asked and why stands in docs/providers.md.  A probe judges what it saw itself; what follows for a run is
for indexer.commands.doctor.doctor to say.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, NamedTuple

from indexer.commands.doctor.scratch import NotAsked
from indexer.core.errors import IndexerError, NoConditions
from indexer.store import Expect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from indexer.commands.doctor.scratch import Scratch
    from indexer.core.model import ETag

# How many write at once, and how often: a store that compares first and writes later lets two win now and then.
_AT_ONCE = 8
_ROUNDS = 3
# Signatures are refused beyond fifteen minutes; the tool itself bears two seconds (docs/design.md).
_SKEW_SECONDS = 60
_BODY = b"0123456789"
_CACHED = "public, max-age=300"
_JSON = "application/json"
_ODD_NAME = "odd +!~é-1!2.0+local-0.conda"


class Judged(NamedTuple):
    """What a probe found: whether the store does as it should (None where it need not), and in words."""

    sound: bool | None
    found: str


def well(found: str) -> Judged:
    """As it should be."""
    return Judged(True, found)  # noqa: FBT003  see Judged


def ill(found: str) -> Judged:
    """Not as it should be."""
    return Judged(False, found)  # noqa: FBT003  see Judged


def noted(found: str) -> Judged:
    """Good to know."""
    return Judged(None, found)


class Finding(NamedTuple):
    """The same with the name of the probe."""

    probe: str
    sound: bool | None
    found: str


def may_write(scratch: Scratch) -> Judged:
    """Whether the credentials may write at all, with the Content-MD5 that every put has."""
    sent = {"package-md5": "a", "package-sha256": "b"}
    answer = scratch.ask(
        "put_object",
        "first",
        Body=_BODY,
        Metadata=sent,
        CacheControl=_CACHED,
        ContentType=_JSON,
    )
    if answer.code:
        return ill(f"refused ({answer.refusal})")
    return well("an object with its Content-MD5 is taken")


def reads_what_was_written(scratch: Scratch) -> Judged:
    """Read-after-write, and after an overwrite."""
    may_read = scratch.ask("get_object", "first")
    if may_read.code:
        return ill(f"refused ({may_read.refusal})")
    may_read.parsed["Body"].close()
    scratch.need("put_object", "again", Body=b"old")
    scratch.body("again")
    scratch.need("put_object", "again", Body=b"new")
    first, again = scratch.body("first"), scratch.body("again")
    fresh = (first, again) == (_BODY, b"new")
    return Judged(fresh, "at once" if fresh else "an old answer after a write")


def keeps_metadata(scratch: Scratch) -> Judged:
    """The digests that uploaders leave with a package, and the headers that readers' caches go by."""
    said = scratch.need("head_object", "first").parsed
    metadata = {name.lower(): value for name, value in said.get("Metadata", {}).items()}
    lost = [name for name in ("package-md5", "package-sha256") if name not in metadata]
    if said.get("CacheControl") != _CACHED:
        lost.append("Cache-Control")
    if said.get("ContentType") != _JSON:
        lost.append("Content-Type")
    return Judged(not lost, f"lost: {', '.join(lost)}" if lost else "digests and headers are kept")


def etag_is_md5(scratch: Scratch) -> Judged:
    """Whether an unchanged package is known by its ETag alone."""
    etag = scratch.need("head_object", "first").parsed.get("ETag", "").strip('"')
    same = etag == hashlib.md5(_BODY, usedforsecurity=False).hexdigest()
    return noted("the MD5 of the content" if same else "not the MD5; versions are kept in the ledger")


def checks_sha256(scratch: Scratch) -> Judged:
    """Whether the store keeps the SHA-256 of an upload that has one."""
    digest = b64encode(hashlib.sha256(_BODY).digest()).decode()
    put = scratch.ask("put_object", "checked", Body=_BODY, ChecksumSHA256=digest)
    if put.code:
        return noted(f"refused on upload ({put.refusal})")
    head = scratch.ask("head_object", "checked", ChecksumMode="ENABLED")
    if head.code:
        return noted(f"the question is refused ({head.refusal})")
    kept = head.parsed.get("ChecksumSHA256") == digest
    return noted("kept and told" if kept else "not told")


def serves_ranges(scratch: Scratch) -> Judged:
    """A part from the middle, with a Content-Range that says so: packages are read by their tail."""
    answer = scratch.ask("get_object", "first", Range="bytes=2-5")
    if answer.denied:
        raise NotAsked(f"get is refused ({answer.refusal})")
    if answer.code:
        return noted(f"refused ({answer.refusal}); packages are read whole")
    body = answer.parsed["Body"].read()
    if (body, answer.parsed.get("ContentRange")) == (_BODY[2:6], "bytes 2-5/10"):
        return well("the part that was asked for")
    if body == _BODY:
        return noted("ignored; packages are read whole")
    return ill(f"another part: {answer.parsed.get('ContentRange')}, {len(body)} bytes")


def serves_suffixes(scratch: Scratch) -> Judged:
    """The last bytes, as rattler's clients ask for; a run never does, for some stores answer wrongly."""
    body = scratch.body("first", Range="bytes=-3")
    return noted("right" if body == _BODY[-3:] else "wrong or refused; runs never ask for one")


def reads_by_version(scratch: Scratch) -> Judged:
    """If-Match on GET; a run also compares the ETag of the answer."""
    etag = scratch.need("head_object", "first").parsed.get("ETag", "")
    right = scratch.ask("get_object", "first", IfMatch=etag)
    wrong = scratch.ask("get_object", "first", IfMatch='"00000000000000000000000000000000"')
    if (right.status, wrong.status) == (200, 412):
        return noted("heeded")
    return noted(f"not heeded (right {right.status}, wrong {wrong.status}); ETags are compared")


def lists_what_was_written(scratch: Scratch) -> Judged:
    """List-after-write, as a run lists: what is not listed would be dropped from the index."""
    scratch.need("put_object", "late", Body=b"")
    missing = {"first", "late"} - {stat.key for stat in scratch.store.list("")}
    return _guarded(not missing, "shows what has just been written", f"lacks {', '.join(sorted(missing))}")


def lists_in_pages(scratch: Scratch) -> Judged:
    """Pages and StartAfter of ListObjectsV2; a run takes the first form where there is no second."""
    everything, paged = scratch.listed(), scratch.listed(MaxKeys=1)
    if everything is None or paged is None:
        return noted("ListObjectsV2 is not known; the first form is used")
    if paged != everything:
        return ill("pages together are not the whole")
    after = scratch.listed(StartAfter=f"{scratch.prefix}first")
    right = after == [name for name in everything if name > "first"]
    return noted("whole; StartAfter is " + ("heeded" if right else "ignored"))


def keeps_odd_names(scratch: Scratch) -> Judged:
    """Versions have `!` and `+` in them."""
    put = scratch.ask("put_object", _ODD_NAME, Body=_BODY)
    if put.denied:
        raise NotAsked(f"put is refused ({put.refusal})")
    listed = {stat.key for stat in scratch.store.list("")}
    right = not put.code and _ODD_NAME in listed and scratch.body(_ODD_NAME) == _BODY
    return Judged(right, "kept" if right else f"lost ({put.refusal})")


def refuses_a_second_creation(scratch: Scratch) -> Judged:
    """`If-None-Match: *` where there is an object."""
    scratch.lay("once", b"first")
    passed = scratch.put("once", b"second", Expect.ABSENT) is not None
    stands = scratch.body("once") == b"first"
    return _guarded(not passed and stands, "the second is refused", "the second one overwrites the first")


def refuses_a_stale_version(scratch: Scratch) -> Judged:
    """`If-Match` with a version that was overwritten, or whose object is gone."""
    old, new = scratch.lay("versioned", b"old"), scratch.lay("versioned", b"new")
    passed = scratch.put("versioned", b"stale", old) is not None
    stands = scratch.body("versioned") == b"new"
    gone = not scratch.ask("delete_object", "versioned").code  # else there is nothing to revive
    if gone and scratch.put("versioned", b"revived", new) is not None:
        return ill("a write to a deleted object passes")
    return _guarded(not passed and stands, "a stale one is refused", "a stale one overwrites a newer one")


def takes_the_right_version(scratch: Scratch) -> Judged:
    """`If-Match` with the version that stands: a store that refuses it can never be published to."""
    etag = scratch.lay("right", b"old")
    passed = scratch.put("right", b"new", etag) is not None
    if not passed or scratch.body("right") != b"new":
        return ill("refused, with quotes and without")
    etag = scratch.need("head_object", "right").parsed.get("ETag", "")
    quoted = scratch.ask("put_object", "right", Body=b"newer", IfMatch=etag)
    return well("passes" if not quoted.code else "passes only with the ETag without quotes")


def _guarded(sound: bool, good: str, bad: str) -> Judged:  # noqa: FBT001  the finding itself
    return well(good) if sound else ill(bad)


def one_creates(scratch: Scratch) -> Judged:
    """Of many that create the same object at once one must win."""
    worst = max(_winners(scratch, f"race-{number}", Expect.ABSENT) for number in range(_ROUNDS))
    return Judged(worst == 1, _won(worst))


def one_replaces(scratch: Scratch) -> Judged:
    """Of many that replace the same version at once one must win."""
    worst = 1
    for number in range(_ROUNDS):
        etag = scratch.lay(f"shared-{number}", b"start")
        winners = _winners(scratch, f"shared-{number}", etag)
        worst = winners if winners != 1 else worst
    return Judged(worst == 1, _won(worst))


def _won(winners: int) -> str:
    return f"{winners} of {_AT_ONCE} won" + ("" if winners == 1 else "; what the others wrote is lost")


def _winners(scratch: Scratch, name: str, expect: Expect | ETag) -> int:
    bodies = [f"writer {number}".encode() for number in range(_AT_ONCE)]
    return sum(it is not None for it in scratch.executor.map(lambda body: scratch.put(name, body, expect), bodies))


def deletes(scratch: Scratch) -> Judged:
    """Single deletes, and whether one under a condition is heeded; a run looks before it deletes."""
    scratch.need("put_object", "doomed", Body=b"")
    conditional = scratch.ask("delete_object", "doomed", IfMatch='"00000000000000000000000000000000"')
    heeded = conditional.status == 412  # noqa: PLR2004  HTTP's own number
    gone = scratch.ask("delete_object", "doomed")
    if gone.code:
        return ill(f"refused ({gone.refusal}); files that are switched off would stand")
    still = scratch.ask("head_object", "doomed").status == 200  # noqa: PLR2004
    if still:
        return ill("the object is still there")
    return well("gone at once" + ("; conditions are heeded" if heeded else ""))


def agrees_on_the_time(scratch: Scratch) -> Judged:
    """The store's clock and this machine's."""
    answer = scratch.ask("head_object", "first").parsed
    date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    if not date:
        return noted("the store does not tell the time")
    skew = (parsedate_to_datetime(date) - datetime.now(timezone.utc)).total_seconds()
    return Judged(abs(skew) <= _SKEW_SECONDS, f"{abs(skew):.0f} s {'ahead' if skew > 0 else 'behind'}")


def tells_what_is_missing(scratch: Scratch) -> Judged:
    """404 or 403 for a key that is not there: with 403 the credentials lack the right to list."""
    status = scratch.ask("head_object", "nowhere").status
    if not status or status >= 500:  # noqa: PLR2004  HTTP's own number
        raise NotAsked(f"the store fails ({status})")
    return Judged(status == 404, f"{status}")  # noqa: PLR2004


def shows_the_public(scratch: Scratch) -> Judged:
    """What a reader without keys sees; 403 for what is missing makes pixi fail (docs/providers.md)."""
    there = scratch.ask("get_object", "first", anonymous=True)
    if there.code:
        return noted(f"sees nothing ({there.refusal}): a private channel")
    missing = scratch.ask("get_object", "nowhere", anonymous=True)
    seen = f"reads objects, and gets {missing.status} for one that is missing"
    return Judged(missing.status == 404, seen)  # noqa: PLR2004


# The first one decides whether there is anything to ask the others about.
_WRITE = "write"
PROBES: Mapping[str, Callable[[Scratch], Judged]] = {
    _WRITE: may_write,
    "read after write": reads_what_was_written,
    "metadata": keeps_metadata,
    "ETag": etag_is_md5,
    "SHA-256 checksum": checks_sha256,
    "range": serves_ranges,
    "suffix range": serves_suffixes,
    "If-Match on GET": reads_by_version,
    "list after write": lists_what_was_written,
    "list in pages": lists_in_pages,
    "odd names": keeps_odd_names,
    "create once": refuses_a_second_creation,
    "replace a stale version": refuses_a_stale_version,
    "replace the right version": takes_the_right_version,
    "many create at once": one_creates,
    "many replace at once": one_replaces,
    "delete": deletes,
    "clock": agrees_on_the_time,
    "missing object": tells_what_is_missing,
    "anonymous reader": shows_the_public,
}
GUARDS = frozenset(
    {
        "create once",
        "replace a stale version",
        "replace the right version",
        "many create at once",
        "many replace at once",
    }
)
"""What indexers that run at the same time rest on."""


def examine(scratch: Scratch) -> Iterator[Finding]:
    """Every finding in turn; without the right to write only what can be found by reading."""
    for name, probe in PROBES.items():
        try:
            judged = probe(scratch)
        except NoConditions as error:
            judged = ill(error.reason)
        except (NotAsked, IndexerError) as error:
            # What the probe asks was not answered: another request that it needs was refused.
            judged = noted(f"not asked: {getattr(error, 'reason', error)}")
        yield Finding(name, *judged)
        if name == _WRITE and not judged.sound:
            yield Finding("list", *may_list(scratch))
            return


def may_list(scratch: Scratch) -> Judged:
    """Whether the credentials may list at all."""
    answer = scratch.ask("list_objects_v2", Prefix=scratch.prefix, MaxKeys=1)
    return _guarded(not answer.code, "granted", f"refused ({answer.refusal})")
