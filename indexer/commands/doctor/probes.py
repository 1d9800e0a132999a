"""Tests the real behavior of a store, under a temporary prefix: each probe is one test with one result.

docs/providers.md has the background.  indexer.commands.doctor.doctor derives the advice from the results.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, NamedTuple

from indexer.commands.doctor.scratch import NotTested, body_of
from indexer.core import names
from indexer.core.errors import IndexerError, NoConditions
from indexer.store import Expect
from indexer.store.s3.bucket import Bucket
from indexer.store.s3.client import Request
from indexer.store.s3.composing import Compositions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from indexer.commands.doctor.scratch import Scratch
    from indexer.core.model import ETag

# Writers at once, and rounds: a store that compares first and writes later accepts two writers only sometimes.
_AT_ONCE = 8
_ROUNDS = 3
# Stores refuse signatures that are off by more than 15 minutes; a lease tolerates two seconds (docs/design/runs.md).
_SKEW_SECONDS = 60
_BODY = b"0123456789"
_HEADERS = {"Cache-Control": "public, max-age=300", "Content-Type": "application/json"}
_METADATA = {"x-amz-meta-package-md5": "a", "x-amz-meta-package-sha256": "b"}
_WRONG_ETAG = f'"{"0" * 32}"'
_SPECIAL_NAME = "odd +!~é-1!2.0+local-0.conda"


class Result(NamedTuple):
    """The result of a probe: whether it passed (None if both answers are fine), and the details in words."""

    passed: bool | None
    detail: str


def passed(detail: str) -> Result:
    """A result that is as required."""
    return Result(True, detail)  # noqa: FBT003  see Result


def failed(detail: str) -> Result:
    """A result that is a fault."""
    return Result(False, detail)  # noqa: FBT003  see Result


def info(detail: str) -> Result:
    """A result that is neither required nor a fault."""
    return Result(None, detail)


class Finding(NamedTuple):
    """A result with the name of its probe."""

    probe: str
    passed: bool | None
    detail: str


def may_write(scratch: Scratch) -> Result:
    """Whether the credentials may write, with the Content-MD5 that every put has."""
    answer = scratch.request(Request("PUT", "first", {**_METADATA, **_HEADERS}, body=_BODY))
    if answer.code:
        return failed(f"refused ({answer.refusal})")
    return passed("an object with Content-MD5 is accepted")


def reads_what_was_written(scratch: Scratch) -> Result:
    """Whether a read returns the new content after a write and after an overwrite."""
    answer = scratch.request(Request("GET", "first"))
    if answer.code:
        return failed(f"refused ({answer.refusal})")
    answer.body.close()
    scratch.require(Request("PUT", "again", body=b"old"))
    scratch.read("again")
    scratch.require(Request("PUT", "again", body=b"new"))
    first, again = scratch.read("first"), scratch.read("again")
    is_fresh = (first, again) == (_BODY, b"new")
    return Result(is_fresh, "the new content at once" if is_fresh else "old content after a write")


def keeps_metadata(scratch: Scratch) -> Result:
    """Whether the store keeps the digests in metadata and the headers for caches."""
    kept = scratch.require(Request("HEAD", "first")).headers
    lost = [name.removeprefix("x-amz-meta-") for name in _METADATA if name not in kept]
    lost += [name for name, value in _HEADERS.items() if kept.get(name.lower()) != value]
    return Result(not lost, f"lost: {', '.join(lost)}" if lost else "digests and headers are kept")


def etag_is_md5(scratch: Scratch) -> Result:
    """Whether the ETag is the MD5 of the content, so that the ETag alone identifies a package."""
    etag = scratch.require(Request("HEAD", "first")).headers.get("etag", "").strip('"')
    is_md5 = etag == hashlib.md5(_BODY, usedforsecurity=False).hexdigest()
    return info("the MD5 of the content" if is_md5 else "not the MD5; the ETags are kept in the state")


def checks_sha256(scratch: Scratch) -> Result:
    """Whether the store keeps and returns the SHA-256 checksum of an upload."""
    digest = b64encode(hashlib.sha256(_BODY).digest()).decode()
    put = scratch.request(Request("PUT", "checked", {"x-amz-checksum-sha256": digest}, body=_BODY))
    if put.code:
        return info(f"refused on upload ({put.refusal})")
    head = scratch.request(Request("HEAD", "checked", {"x-amz-checksum-mode": "ENABLED"}))
    if head.code:
        return info(f"refused on download ({head.refusal})")
    kept = head.headers.get("x-amz-checksum-sha256") == digest
    return info("kept and returned" if kept else "not returned")


def serves_ranges(scratch: Scratch) -> Result:
    """Whether the store serves a range in the middle with the right Content-Range: a run reads the end of packages."""
    answer = scratch.request(Request("GET", "first", {"Range": "bytes=2-5"}))
    if answer.denied:
        raise NotTested(f"get is refused ({answer.refusal})")
    if answer.code:
        return info(f"refused ({answer.refusal}); packages are read whole")
    body, content_range = body_of(answer), answer.headers.get("content-range")
    if (body, content_range) == (_BODY[2:6], "bytes 2-5/10"):
        return passed("the requested part")
    if body == _BODY:
        return info("ignored; packages are read whole")
    return failed(f"a wrong part: {content_range}, {len(body)} bytes")


def serves_suffixes(scratch: Scratch) -> Result:
    """Whether the store serves the last bytes, which only clients request: some stores answer wrongly."""
    body = scratch.read("first", Range="bytes=-3")
    return info("served" if body == _BODY[-3:] else "wrong or refused; runs never request a suffix range")


def checks_if_match_on_get(scratch: Scratch) -> Result:
    """Whether the store supports If-Match on GET; a run also compares the ETag of the answer."""
    etag = scratch.require(Request("HEAD", "first")).headers.get("etag", "")
    right = scratch.request(Request("GET", "first", {"If-Match": etag}))
    wrong = scratch.request(Request("GET", "first", {"If-Match": _WRONG_ETAG}))
    if (right.status, wrong.status) == (200, 412):
        return info("supported")
    return info(f"not supported (right ETag {right.status}, wrong ETag {wrong.status}); runs compare the ETags")


def lists_what_was_written(scratch: Scratch) -> Result:
    """Whether a list has a new object: a package that is not listed would be removed from the index."""
    scratch.require(Request("PUT", "late", body=b""))
    missing = {"first", "late"} - {stat.key for stat in scratch.store.list("")}
    return _result(not missing, "a new object is listed", f"not listed: {', '.join(sorted(missing))}")


def lists_in_pages(scratch: Scratch) -> Result:
    """Whether ListObjectsV2 has complete pages and StartAfter; without ListObjectsV2 a run uses the first form."""
    everything, paged = scratch.list_names(), scratch.list_names(**{"max-keys": "1"})
    if everything is None or paged is None:
        return info("ListObjectsV2 is unknown; runs use the first form")
    if paged != everything:
        return failed("the pages together are not complete")
    after = scratch.list_names(**{"start-after": f"{scratch.prefix}first"})
    is_right = after == [name for name in everything if name > "first"]
    return info("complete; StartAfter is " + ("supported" if is_right else "ignored"))


def keeps_special_characters(scratch: Scratch) -> Result:
    """Whether keys may have characters such as `!` and `+`, which versions have."""
    put = scratch.request(Request("PUT", _SPECIAL_NAME, body=_BODY))
    if put.denied:
        raise NotTested(f"put is refused ({put.refusal})")
    listed = {stat.key for stat in scratch.store.list("")}
    is_kept = not put.code and _SPECIAL_NAME in listed and scratch.read(_SPECIAL_NAME) == _BODY
    return Result(is_kept, "kept" if is_kept else f"lost ({put.refusal})")


def refuses_a_second_creation(scratch: Scratch) -> Result:
    """Whether the store refuses `If-None-Match: *` if the object exists."""
    scratch.overwrite("once", b"first")
    is_refused = scratch.put("once", b"second", Expect.ABSENT) is None
    is_kept = scratch.read("once") == b"first"
    return _result(is_refused and is_kept, "a second creation is refused", "a second creation overwrites the first")


def refuses_a_stale_etag(scratch: Scratch) -> Result:
    """Whether the store refuses `If-Match` with the ETag of an overwritten or deleted object."""
    old, new = scratch.overwrite("replaced", b"old"), scratch.overwrite("replaced", b"new")
    is_refused = scratch.put("replaced", b"stale", old) is None
    is_kept = scratch.read("replaced") == b"new"
    is_deleted = not scratch.request(Request("DELETE", "replaced")).code
    if is_deleted and scratch.put("replaced", b"restored", new) is not None:
        return failed("If-Match on a deleted object is accepted")
    return _result(
        is_refused and is_kept, "a stale ETag is refused", "a write with a stale ETag overwrites a newer object"
    )


def accepts_the_current_etag(scratch: Scratch) -> Result:
    """Whether the store accepts `If-Match` with the current ETag; otherwise no run can publish."""
    etag = scratch.overwrite("right", b"old")
    is_accepted = scratch.put("right", b"new", etag) is not None
    if not is_accepted or scratch.read("right") != b"new":
        return failed("refused, with and without quotes")
    now = scratch.require(Request("HEAD", "right")).headers.get("etag", "")
    quoted = scratch.request(Request("PUT", "right", {"If-Match": now}, body=b"newer"))
    return passed("accepted" if not quoted.code else "accepted only without quotes")


def _result(is_right: bool, good: str, bad: str) -> Result:  # noqa: FBT001  the result itself
    return passed(good) if is_right else failed(bad)


def one_creates(scratch: Scratch) -> Result:
    """Whether exactly one of several concurrent creations of an object succeeds."""
    worst = max(_winners(scratch, f"race-{number}", Expect.ABSENT) for number in range(_ROUNDS))
    return Result(worst == 1, _succeeded(worst))


def one_replaces(scratch: Scratch) -> Result:
    """Whether exactly one of several concurrent replacements of an object succeeds."""
    worst = 1
    for number in range(_ROUNDS):
        etag = scratch.overwrite(f"shared-{number}", b"start")
        winners = _winners(scratch, f"shared-{number}", etag)
        worst = winners if winners != 1 else worst
    return Result(worst == 1, _succeeded(worst))


def _succeeded(winners: int) -> str:
    return f"{winners} of {_AT_ONCE} succeeded" + ("" if winners == 1 else "; the writes of the others are lost")


def _winners(scratch: Scratch, name: str, expect: Expect | ETag) -> int:
    bodies = [f"writer {number}".encode() for number in range(_AT_ONCE)]
    etags = scratch.executor.map(lambda body: scratch.put(name, body, expect), bodies)
    return sum(etag is not None for etag in etags)


def composes(scratch: Scratch) -> Result:
    """Whether the store can put a large object together from its old version under both conditions."""
    bucket = scratch.store.place
    supported = False
    if isinstance(bucket, Bucket) and scratch.client.endpoint.provider.composes:
        scratch.created.add(names.PROBE)
        supported = Compositions(bucket).are_supported()
    if supported:
        return info("supported: of a large file only what changed is sent")
    return info("not supported: large files are sent whole")


def deletes(scratch: Scratch) -> Result:
    """Whether objects can be deleted, and whether deletes support If-Match; a run does not rely on the latter."""
    scratch.require(Request("PUT", "deleted", body=b""))
    conditional = scratch.request(Request("DELETE", "deleted", {"If-Match": _WRONG_ETAG}))
    is_conditional = conditional.status == 412  # noqa: PLR2004  HTTP's own number
    answer = scratch.request(Request("DELETE", "deleted"))
    if answer.code:
        return failed(f"refused ({answer.refusal}); files of disabled outputs would stay")
    exists = scratch.request(Request("HEAD", "deleted")).status == 200  # noqa: PLR2004
    if exists:
        return failed("the object still exists")
    return passed("deleted at once" + ("; If-Match is supported" if is_conditional else ""))


def has_the_same_time(scratch: Scratch) -> Result:
    """Whether the clocks of the store and of this machine differ by at most one minute."""
    date = scratch.request(Request("HEAD", "first")).headers.get("date")
    if not date:
        return info("the store sends no date")
    skew = (parsedate_to_datetime(date) - datetime.now(timezone.utc)).total_seconds()
    return Result(abs(skew) <= _SKEW_SECONDS, f"{abs(skew):.0f} s {'ahead' if skew > 0 else 'behind'}")


def answers_404_if_missing(scratch: Scratch) -> Result:
    """Whether the answer for a missing key is 404; with 403 the credentials lack the right to list."""
    status = scratch.request(Request("HEAD", "nowhere")).status
    if not status or status >= 500:  # noqa: PLR2004  HTTP's own number
        raise NotTested(f"the store fails ({status})")
    return Result(status == 404, f"{status}")  # noqa: PLR2004


def allows_public_reads(scratch: Scratch) -> Result:
    """Whether a client without keys can read; pixi fails on 403 for a missing file (docs/providers.md)."""
    existing = scratch.request(Request("GET", "first"), anonymous=True)
    if existing.code:
        return info(f"refused ({existing.refusal}): a private channel")
    existing.body.close()
    missing = scratch.request(Request("GET", "nowhere"), anonymous=True)
    detail = f"reads objects; the answer for a missing object is {missing.status}"
    return Result(missing.status == 404, detail)  # noqa: PLR2004


# Without the right to write, the other probes cannot be tested.
_WRITE = "write"
PROBES: Mapping[str, Callable[[Scratch], Result]] = {
    _WRITE: may_write,
    "read after write": reads_what_was_written,
    "metadata": keeps_metadata,
    "ETag": etag_is_md5,
    "SHA-256 checksum": checks_sha256,
    "range": serves_ranges,
    "suffix range": serves_suffixes,
    "If-Match on GET": checks_if_match_on_get,
    "list after write": lists_what_was_written,
    "list in pages": lists_in_pages,
    "special characters": keeps_special_characters,
    "create once": refuses_a_second_creation,
    "replace with a stale ETag": refuses_a_stale_etag,
    "replace with the current ETag": accepts_the_current_etag,
    "many create at once": one_creates,
    "many replace at once": one_replaces,
    "compose": composes,
    "delete": deletes,
    "clock": has_the_same_time,
    "missing object": answers_404_if_missing,
    "anonymous reader": allows_public_reads,
}
CONCURRENCY_PROBES = frozenset(
    {
        "create once",
        "replace with a stale ETag",
        "replace with the current ETag",
        "many create at once",
        "many replace at once",
    }
)
"""The probes that must pass if several indexers run at the same time."""


def run_probes(scratch: Scratch) -> Iterator[Finding]:
    """The findings of all probes; without the right to write only those of `write` and `list`."""
    for name, probe in PROBES.items():
        try:
            result = probe(scratch)
        except NoConditions as error:
            result = failed(error.reason)
        except (NotTested, IndexerError) as error:
            # A request that the probe needs, and does not test, was refused.
            result = info(f"not tested: {getattr(error, 'reason', error)}")
        yield Finding(name, *result)
        if name == _WRITE and not result.passed:
            yield Finding("list", *may_list(scratch))
            return


def may_list(scratch: Scratch) -> Result:
    """Whether the credentials may list."""
    answer = scratch.request(Request("GET", query={"list-type": "2", "prefix": scratch.prefix, "max-keys": "1"}))
    return _result(not answer.code, "granted", f"refused ({answer.refusal})")
