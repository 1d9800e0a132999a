"""Writes that depend on the ETag of the object that is replaced: compare-and-swap, in the way of each provider."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

from indexer.core import names
from indexer.core.errors import BadConfig, BadCredentials, Conflict, Denied, Missing, NoConditions
from indexer.core.stream import Stream
from indexer.store import CHANGED, Expect
from indexer.store.s3.body_digests import content_md5, md5_of, with_digests
from indexer.store.s3.composing import Compositions
from indexer.store.s3.copying import Copies
from indexer.store.s3.deletes import ConditionalDeletes
from indexer.store.s3.errors import is_mismatch
from indexer.store.s3.gcs import generation_of
from indexer.store.s3.multipart import LIMITS, LargeWrite, Limits, sending
from indexer.store.s3.providers import GOOGLE_MATCH, Conditions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from indexer.core.model import ETag, Stat
    from indexer.core.stream import Content
    from indexer.store.s3.bucket import Bucket

# An ETag that no object has.  The same in each probe, so that a repeated probe changes nothing.
_NO_ETAG = "0" * 32
_NONE = "the store has no conditional writes"
_UNSAFE = "so this cannot be done safely there"
_RIGHTS = "give them the permissions that `indexer doctor --policy` prints, or use other credentials"


class ConditionalWrites:
    """Writes and deletes objects of a bucket.  `conditions` changes if the store turns out to have none."""

    def __init__(self, bucket: Bucket, conditions: Conditions, limits: Limits = LIMITS) -> None:
        self.conditions = conditions
        self.limits = limits
        self.copies = Copies(bucket)
        self.compositions = Compositions(bucket)
        self._bucket = bucket
        # Ceph RGW 16 compares If-Match with the quotes, and so refuses the form of the standard.
        self._bare_etags = False
        self._deletes = ConditionalDeletes(bucket)
        self._proving = threading.Lock()
        self.passed = False

    def put(self, key: str, body: Content, headers: Mapping[str, str], expect: Expect | ETag) -> ETag:
        """Write an object and return its ETag, with its MD5 so that the store refuses a damaged body.

        Raises Conflict if the object is not what is expected, and NoConditions.
        """
        if len(body) > self.limits.one_put and self.conditions is not Conditions.GENERATION:
            condition = self._condition(key, expect)
            return LargeWrite(self._bucket, key, headers, self.limits, sending(body)).write(condition, expect)
        composed = self._composed(key, body, headers, expect)
        if composed is not None:
            return composed
        body = with_digests(body)
        md5 = md5_of(body)
        headers = {**headers, "Content-MD5": content_md5(md5)}
        try:
            return self._send(key, body, {**headers, **self._condition(key, expect)})
        except Conflict as conflict:
            if expect is Expect.NEW:
                raise
            # If an answer was lost, the request is sent again, and the second one meets the object of the
            # first one: its digest is ours.
            existing = self._bucket.stat(key)
            if existing is not None and existing.md5 == md5.hex():
                return existing.etag
            if not self._compares_wrongly(conflict, existing, expect):
                raise
        return self._put_bare(key, body, headers, str(expect))

    def _composed(self, key: str, body: Content, headers: Mapping[str, str], expect: Expect | ETag) -> ETag | None:
        """The ETag of an object that the store has put together, None if a put must write it."""
        composition = body.composition if isinstance(body, Stream) else None
        if composition is None or composition.base != expect or len(body) < self.limits.worth:
            return None
        condition = self._condition(key, expect)
        if self.conditions is not Conditions.ETAG or self._bare_etags:
            return None
        return self.compositions.put(key, headers, composition, condition, self.limits)

    def _send(self, key: str, body: Content, headers: Mapping[str, str]) -> ETag:
        try:
            return self._bucket.put(key, body, headers)
        except NoConditions:
            self.conditions = Conditions.NONE
            raise

    def _condition(self, key: str, expect: Expect | ETag) -> dict[str, str]:
        """The header that makes a PUT depend on the existing object.  Raises NoConditions, and Conflict."""
        if expect is Expect.ANYTHING:
            return {}
        if self.conditions is Conditions.UNPROVEN:
            self._prove()
        if self.conditions is Conditions.NONE:
            raise NoConditions(self._bucket.url(key), _NONE, _UNSAFE)
        if self.conditions is Conditions.GENERATION:
            return {GOOGLE_MATCH: "0" if isinstance(expect, Expect) else self._generation(key, expect)}
        if isinstance(expect, Expect):
            return {"If-None-Match": "*"}
        return {"If-Match": expect if self._bare_etags else f'"{expect}"'}

    def _prove(self) -> None:
        """Find out whether a store heeds conditions: a store that does not would answer 200 to all.

        One object of our own is created, and then the store must neither create it again nor replace it.
        """
        with self._proving:
            if self.conditions is not Conditions.UNPROVEN:
                return
            absent = {"If-None-Match": "*"}
            ignored = (self._passes(absent) and self._passes(absent)) or self._passes({"If-Match": f'"{_NO_ETAG}"'})
            self.conditions = Conditions.NONE if ignored else Conditions.ETAG
            self.passed = not ignored

    def _passes(self, condition: Mapping[str, str]) -> bool:
        try:
            self._send(names.PROBE, b"", {**condition, "Content-MD5": content_md5(md5_of(b""))})
        except Conflict:
            return False
        except BadCredentials:
            raise
        except Denied as error:
            raise Denied(self._bucket.url(""), f"these credentials may not write: {error.reason}", _RIGHTS) from error
        return True

    def _generation(self, key: str, expect: ETag) -> str:
        """The generation of an object that has the expected ETag.  Raises Conflict."""
        stat, headers = self._bucket.head(key)
        if stat.etag != expect:
            raise Conflict(self._bucket.url(key), CHANGED)
        generation = generation_of(headers)
        if generation is None:
            raise BadConfig(self._bucket.url(key), "has no x-goog-generation", "set the right --provider")
        return generation

    def _compares_wrongly(self, conflict: Conflict, existing: Stat | None, expect: Expect | ETag) -> bool:
        """Whether a store has refused the very ETag of the existing object, because of the quotes around it."""
        if self.conditions is not Conditions.ETAG or self._bare_etags or not is_mismatch(conflict):
            return False
        return existing is not None and existing.etag == expect

    def _put_bare(self, key: str, body: Content, headers: Mapping[str, str], etag: str) -> ETag:
        """Write with an ETag without quotes, and remember that the store wants them so."""
        url = self._bucket.url(key)
        try:
            with contextlib.suppress(Conflict):
                # A store that cannot read the ETag may take it for no condition: then a wrong ETag passes, too.
                self._send(key, body, {**headers, "If-Match": _NO_ETAG})
                self.conditions = Conditions.NONE
                raise NoConditions(url, "the store refuses every ETag with quotes, and ignores an ETag without quotes")
            written = self._send(key, body, {**headers, "If-Match": etag})
        except BadConfig as error:  # a store that compares rightly after all, and wants quotes
            raise Conflict(url, CHANGED) from error
        self._bare_etags = True
        return written

    def delete(self, key: str, expect: Expect | ETag) -> None:
        """Delete an object if it exists.  Raises Conflict if it is not what is expected, and NoConditions."""
        if expect is Expect.ANYTHING:
            self._bucket.delete(key)
        elif self.conditions is Conditions.NONE:
            raise NoConditions(self._bucket.url(key), _NONE, _UNSAFE)
        elif self.conditions is Conditions.GENERATION and not isinstance(expect, Expect):
            with contextlib.suppress(Missing):
                self._bucket.delete(key, {GOOGLE_MATCH: self._generation(key, expect)})
        else:
            self._deletes.delete(key, expect)
