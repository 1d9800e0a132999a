"""Decides which requests are sent again, and when: the lowest of three layers (docs/design/faults.md)."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from indexer.core.value import Mutable

if TYPE_CHECKING:
    from collections.abc import Callable

    from indexer.store.s3.answers import Response

ATTEMPTS = 6
"""The largest number of times that a request is sent."""

# If a store has never answered, its address is probably wrong.
_FIRST_ATTEMPTS = 3
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 20.0
_TRANSIENT = {429, 500, 502, 503, 504, 509}
_TRANSIENT_CODES = {
    *("RequestTimeout", "BadDigest", "SlowDown", "Throttling", "ThrottlingException"),
    "RequestRateLimitExceeded",  # Wasabi's, with status 400
}


class Retries(Mutable):
    """The pauses between the attempts of a request.

    A request is sent again if the store did not answer, or answered that it cannot serve now; never if it refused the
    request.  `jitter` makes a pause from the longest one allowed (seconds).  botocore's own mode is not used: it stops
    all retries of a client after some tens of failures, which an outage causes in its first second (ADR 7).
    """

    # Full jitter, so that requests that failed together are not sent together again.
    jitter: Callable[[float], float] = lambda longest: random.uniform(0, longest)  # noqa: S311  no secret
    sleep: Callable[[float], None] = time.sleep
    answered: bool = False

    def pause(self, attempts: int, response: Response | None) -> float | None:
        """The pause in seconds before the request is sent again; None if it is not sent again.

        `attempts` is how often it was sent.  No `response` is a connection that was not made, or that broke.
        """
        self.answered |= response is not None
        if response is not None and not _is_temporary(response):
            return None
        if attempts >= (ATTEMPTS if self.answered else _FIRST_ATTEMPTS):
            return None
        return self.jitter(min(_FIRST_PAUSE * 2 ** (attempts - 1), _LONGEST_PAUSE))


def _is_temporary(response: Response) -> bool:
    """Whether an error is probably temporary."""
    return response.status in _TRANSIENT or response.code in _TRANSIENT_CODES
