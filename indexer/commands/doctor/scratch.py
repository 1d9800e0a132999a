"""The temporary prefix of the doctor: requests under the prefix, and the deletion of its objects."""

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

# Cloudflare R2 and Google accept one write per second and key.
_THROTTLED = {429, 503}
_PAUSE = 1.1
_ATTEMPTS = 4
_REFUSED = range(400, 500)


class NotTested(Exception):
    """A probe has no result, because a request that the probe needs and does not test was refused."""


@dataclass(slots=True)
class Scratch:
    """A temporary prefix: the bucket through a client of boto3, and the prefix as a store like that of a run.

    `anonymous` is a client without keys.  `created` has the names of objects that may exist and must be deleted.
    """

    client: Any
    store: Store
    bucket: str
    prefix: str
    executor: Executor
    anonymous: Any
    sleep: Callable[[float], None]
    created: set[str] = field(default_factory=set)

    def request(self, operation: str, name: str | None = None, *, anonymous: bool = False, **more: Any) -> Answer:
        """The answer to a request for an object, or for the bucket if there is no name; retries if throttled."""
        if name is not None:
            more["Key"] = self.prefix + name
        client = self.anonymous if anonymous else self.client
        for _ in range(_ATTEMPTS):
            answer = send(client, operation, Bucket=self.bucket, **more)
            if answer.status not in _THROTTLED:
                break
            self.sleep(_PAUSE)
        if operation == "put_object" and name is not None and answer.status not in _REFUSED:
            self.created.add(name)
        return answer

    def require(self, operation: str, name: str, **more: Any) -> Answer:
        """The answer to a request that a probe needs and does not test.  Raises NotTested if it is refused."""
        answer = self.request(operation, name, **more)
        if answer.code:
            raise NotTested(f"{operation.replace('_object', '')} is refused ({answer.refusal})")
        return answer

    def put(self, name: str, body: bytes, expect: Expect | ETag = Expect.ANYTHING) -> ETag | None:
        """The ETag of an object that is written as a run writes; None on a conflict.

        Raises NotTested if the store refuses every write, and NoConditions.
        """
        try:
            etag = self.store.put(name, body, expect=expect)
        except Conflict:
            return None
        except (Denied, BadConfig) as error:
            raise NotTested(f"put is refused: {error.reason}") from error
        except Unavailable as error:
            self.created.add(name)  # the object may exist nevertheless
            raise NotTested(f"put failed: {error.reason}") from error
        self.created.add(name)
        return etag

    def overwrite(self, name: str, body: bytes) -> ETag:
        """The ETag of an object that is written without a condition.  Raises NotTested."""
        etag = self.put(name, body)
        if etag is None:
            raise NotTested("put without a condition is refused")
        return etag

    def read(self, name: str, **more: Any) -> bytes | None:
        """The content of an object, None if it does not exist.  Raises NotTested if reading is refused."""
        answer = self.request("get_object", name, **more)
        if answer.denied:
            raise NotTested(f"get is refused ({answer.refusal})")
        if answer.code or not answer.parsed:
            return None
        with contextlib.closing(answer.parsed["Body"]) as body:
            data: bytes = body.read()
        return data

    def list_names(self, **more: Any) -> list[str] | None:
        """The names that ListObjectsV2 lists under the prefix, page by page; None if the store does not have it.

        Raises NotTested if the store refuses it.
        """
        listed: list[str] = []
        while True:
            answer = self.request("list_objects_v2", Prefix=self.prefix, **more)
            if answer.denied:
                raise NotTested(f"list is refused ({answer.refusal})")
            more_to_come = answer.parsed.get("IsTruncated")
            if answer.code or (more_to_come and "NextContinuationToken" not in answer.parsed):
                return None
            listed += [entry["Key"][len(self.prefix) :] for entry in answer.parsed.get("Contents", ())]
            if not more_to_come:
                return listed
            more.pop("StartAfter", None)
            more["ContinuationToken"] = answer.parsed["NextContinuationToken"]

    def clear(self) -> list[str]:
        """Delete all objects under the prefix, and return the keys that could not be deleted."""
        remaining = []
        with contextlib.suppress(IndexerError):
            self.created.update(stat.key for stat in self.store.list(""))
        for name in sorted(self.created):
            answer = self.request("delete_object", name)
            if answer.status not in {200, 204, 404}:
                remaining.append(self.prefix + name)
        self.created.clear()
        return remaining
