"""One request of a boto3 client whose errors are values: the doctor looks at the answers themselves."""

from __future__ import annotations

from typing import Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from indexer.store.redact import masked

_DENIED = {401, 403}
_FAILS = 500
_NOT_IMPLEMENTED = 501


class Answer(NamedTuple):
    """What the store said: the HTTP status, the error's code or an empty text, and what botocore made of it."""

    status: int
    code: str
    said: dict[str, Any]

    @property
    def refusal(self) -> str:
        """The answer in words, for one that is no success."""
        return f"{self.status} {self.code}".strip()

    @property
    def denied(self) -> bool:
        """Whether the store answered nothing but that these credentials may not ask, or did not answer at all."""
        if self.code == "SignatureDoesNotMatch":  # how some stores refuse odd names
            return False
        failed = self.status >= _FAILS and self.status != _NOT_IMPLEMENTED
        return failed or self.status in {0, *_DENIED}


def send(client: Any, operation: str, **parameters: Any) -> Answer:
    """Call an operation of a client; no answer at all has the status 0 and the error as its code."""
    try:
        values = getattr(client, operation)(**parameters)
    except ClientError as error:
        response = error.response
        return Answer(
            response["ResponseMetadata"].get("HTTPStatusCode", 0), response["Error"].get("Code", ""), response
        )
    except BotoCoreError as error:
        return Answer(0, masked(error), {})
    return Answer(values["ResponseMetadata"]["HTTPStatusCode"], "", values)
