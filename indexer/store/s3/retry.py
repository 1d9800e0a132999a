"""Which requests are sent again, and after how long: the lowest of three layers (docs/design.md, section Faults)."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ConnectionError as BotoConnectionError
from botocore.exceptions import HTTPClientError

if TYPE_CHECKING:
    from collections.abc import Callable

ATTEMPTS = 6
"""How often a request is sent at most."""

# A store that never answered is more likely a wrong address than a store at rest.
_FIRST_ATTEMPTS = 3
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 20.0
_TRANSIENT = {429, 500, 502, 503, 504, 509}
_TRANSIENT_CODES = {
    *("RequestTimeout", "BadDigest", "SlowDown", "Throttling", "ThrottlingException"),
    "RequestRateLimitExceeded",  # Wasabi's, with status 400
}


@dataclass(slots=True)
class Retries:
    """What botocore asks after each answer (its event `needs-retry`).

    Sent again are requests that the store did not answer, or answered that it cannot now; never those that it
    refuses.  `jitter` makes a pause in seconds of the longest one allowed.  botocore's own mode is not used: it
    stops all retries of a client after some tens of failures, which the first second of a storm brings about.
    """

    # Full jitter: requests that failed together shall not come back together.
    jitter: Callable[[float], float] = lambda longest: random.uniform(0, longest)  # noqa: S311  no secret
    answered: bool = False

    def __call__(self, *, response: Any, attempts: int, caught_exception: Any, **_: object) -> float | None:
        """How long to wait until the request is sent again, in seconds; None to let it be."""
        self.answered |= response is not None
        if attempts >= (ATTEMPTS if self.answered else _FIRST_ATTEMPTS) or not _passing(response, caught_exception):
            return None
        return self.jitter(min(_FIRST_PAUSE * 2 ** (attempts - 1), _LONGEST_PAUSE))


def _passing(response: Any, error: Any) -> bool:
    """Whether what went wrong may be over in a moment."""
    if response is None:
        return isinstance(error, (BotoConnectionError, HTTPClientError))
    http, parsed = response
    return http.status_code in _TRANSIENT or parsed.get("Error", {}).get("Code") in _TRANSIENT_CODES
