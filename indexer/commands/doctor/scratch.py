"""The place where a doctor asks: requests under a prefix of its own, which is cleared again."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from indexer.core.errors import BadConfig, Conflict, Denied, IndexerError, Unavailable
from indexer.store import Expect
from indexer.store.s3.answer import Answer, send

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from indexer.core.model import ETag
    from indexer.store import Store

# Cloudflare R2 and Google take one write a second and key.
_TOO_FAST = {429, 503}
_PAUSE = 1.1
_PATIENCE = 4
_REFUSED = range(400, 500)


class NotAsked(Exception):
    """A probe has no verdict: a request that it needs, and that is not its question, was refused."""


@dataclass(frozen=True)
class Scratch:
    """Where is asked: a client of boto3, and a store as runs have it, both under a prefix of the probes' own.

    `anonymous` asks without keys.  `left` has the keys that may be there and are to be removed.
    """

    client: Any
    store: Store
    bucket: str
    prefix: str
    executor: Executor
    anonymous: Any
    sleep: Callable[[float], None]
    left: set[str] = field(default_factory=set)

    def ask(self, operation: str, name: str | None = None, *, anonymous: bool = False, **more: Any) -> Answer:
        """One request about an object, or about the bucket where no name is given; again where it came too fast."""
        if name is not None:
            more["Key"] = self.prefix + name
        client = self.anonymous if anonymous else self.client
        for _ in range(_PATIENCE):
            answer = send(client, operation, Bucket=self.bucket, **more)
            if answer.status not in _TOO_FAST:
                break
            self.sleep(_PAUSE)
        if operation == "put_object" and name is not None and answer.status not in _REFUSED:
            self.left.add(name)
        return answer

    def need(self, operation: str, name: str, **more: Any) -> Answer:
        """A request that a probe needs and that is not its question.  Raises NotAsked where it is refused."""
        answer = self.ask(operation, name, **more)
        if answer.code:
            raise NotAsked(f"{operation.replace('_object', '')} is refused ({answer.refusal})")
        return answer

    def put(self, name: str, body: bytes, expect: Expect | ETag = Expect.ANYTHING) -> ETag | None:
        """Write as runs do; None where somebody else was faster, or was there before.

        Raises NotAsked where the store refuses the write itself, and NoConditions.
        """
        try:
            etag = self.store.put(name, body, expect=expect)
        except Conflict:
            return None
        except (Denied, BadConfig) as error:
            raise NotAsked(f"put is refused: {error.reason}") from error
        except Unavailable as error:
            self.left.add(name)  # it may have been written all the same
            raise NotAsked(f"put failed: {error.reason}") from error
        self.left.add(name)
        return etag

    def lay(self, name: str, body: bytes) -> ETag:
        """Write without a condition, as a probe needs it.  Raises NotAsked."""
        etag = self.put(name, body)
        if etag is None:
            raise NotAsked("put is refused, although it has no condition")
        return etag

    def body(self, name: str, **more: Any) -> bytes | None:
        """What an object holds, None where it is not there.  Raises NotAsked where it may not be read."""
        answer = self.ask("get_object", name, **more)
        if answer.denied:
            raise NotAsked(f"get is refused ({answer.refusal})")
        if answer.code or not answer.parsed:
            return None
        with contextlib.closing(answer.parsed["Body"]) as body:
            data: bytes = body.read()
        return data

    def listed(self, **more: Any) -> list[str] | None:
        """The names that ListObjectsV2 shows of the scratch prefix, page by page; None where it is not known.

        Raises NotAsked where it is refused.
        """
        found: list[str] = []
        while True:
            answer = self.ask("list_objects_v2", Prefix=self.prefix, **more)
            if answer.denied:
                raise NotAsked(f"list is refused ({answer.refusal})")
            more_to_come = answer.parsed.get("IsTruncated")
            if answer.code or (more_to_come and "NextContinuationToken" not in answer.parsed):
                return None
            found += [entry["Key"][len(self.prefix) :] for entry in answer.parsed.get("Contents", ())]
            if not more_to_come:
                return found
            more.pop("StartAfter", None)
            more["ContinuationToken"] = answer.parsed["NextContinuationToken"]

    def clear(self) -> list[str]:
        """Remove what the probes have put; the keys that could not be removed."""
        kept = []
        with contextlib.suppress(IndexerError):
            self.left.update(stat.key for stat in self.store.list(""))
        for name in sorted(self.left):
            answer = self.ask("delete_object", name)
            if answer.status not in {200, 204, 404}:
                kept.append(self.prefix + name)
        self.left.clear()
        return kept
