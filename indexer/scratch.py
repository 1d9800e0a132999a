"""The place where a doctor asks: requests under a prefix of its own, which is cleared again."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from indexer.errors import Conflict, IndexerError
from indexer.secrets import masked
from indexer.store import Expect

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Executor

    from indexer.core.model import Version
    from indexer.store import Store

# Cloudflare R2 and Google take one write a second and key.
_TOO_FAST = {429, 503}
_PAUSE = 1.1
_PATIENCE = 4


class Answer(NamedTuple):
    """What the store said: the HTTP status, the error's code or an empty text, and what botocore made of it."""

    status: int
    code: str
    said: dict[str, Any]

    @property
    def refusal(self) -> str:
        """The answer in words, for one that is no success."""
        return f"{self.status} {self.code}".strip()


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
        if operation == "put_object" and name is not None:
            self.left.add(name)
        client = self.anonymous if anonymous else self.client
        for _ in range(_PATIENCE):
            answer = self._ask(client, operation, more)
            if answer.status not in _TOO_FAST:
                break
            self.sleep(_PAUSE)
        return answer

    def _ask(self, client: Any, operation: str, more: Mapping[str, Any]) -> Answer:
        try:
            said = getattr(client, operation)(Bucket=self.bucket, **more)
        except ClientError as error:
            answer = error.response
            return Answer(answer["ResponseMetadata"].get("HTTPStatusCode", 0), answer["Error"].get("Code", ""), answer)
        except BotoCoreError as error:
            return Answer(0, masked(error), {})
        return Answer(said["ResponseMetadata"]["HTTPStatusCode"], "", said)

    def put(self, name: str, body: bytes, expect: Expect | Version = Expect.ANYTHING) -> Version | None:
        """Write as runs do; None where somebody else was faster, or was there before."""
        self.left.add(name)
        try:
            return self.store.put(name, body, expect=expect)
        except Conflict:
            return None

    def body(self, name: str, **more: Any) -> bytes | None:
        """What an object holds, None for a refusal."""
        answer = self.ask("get_object", name, **more)
        if answer.code or not answer.said:
            return None
        with contextlib.closing(answer.said["Body"]) as body:
            data: bytes = body.read()
        return data

    def listed(self, **more: Any) -> list[str] | None:
        """The names that ListObjectsV2 shows of the scratch prefix, page by page; None where it is not known."""
        found: list[str] = []
        while True:
            answer = self.ask("list_objects_v2", Prefix=self.prefix, **more)
            more_to_come = answer.said.get("IsTruncated")
            if answer.code or (more_to_come and "NextContinuationToken" not in answer.said):
                return None
            found += [entry["Key"][len(self.prefix) :] for entry in answer.said.get("Contents", ())]
            if not more_to_come:
                return found
            more.pop("StartAfter", None)
            more["ContinuationToken"] = answer.said["NextContinuationToken"]

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
