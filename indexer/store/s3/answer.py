"""Sends one request with a boto3 client and returns errors as values: the doctor examines the answers themselves."""

from __future__ import annotations

from typing import Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from indexer.store.redact import masked

_DENIED = {401, 403}
_FAILS = 500
_NOT_IMPLEMENTED = 501


class Answer(NamedTuple):
    """An answer of a store: the HTTP status, the error code or an empty text, and the answer as botocore parsed it."""

    status: int
    code: str
    parsed: dict[str, Any]

    @property
    def refusal(self) -> str:
        """The answer in words, if it is an error."""
        return f"{self.status} {self.code}".strip()

    @property
    def denied(self) -> bool:
        """Whether the store refused the request for its credentials, failed, or did not answer."""
        if self.code == "SignatureDoesNotMatch":  # some stores refuse unusual names like this
            return False
        failed = self.status >= _FAILS and self.status != _NOT_IMPLEMENTED
        return failed or self.status in {0, *_DENIED}


def send(client: Any, operation: str, **parameters: Any) -> Answer:
    """The answer to an operation of a client; a missing answer has the status 0 and the error as its code."""
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
