"""Times as listings and headers have them: botocore's own reader takes longer than all else of a listing."""

from __future__ import annotations

import contextlib
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

from botocore.utils import parse_timestamp

from indexer.store.s3.strict import unreadable


def time_of(text: str) -> datetime:
    """The time that a text tells, in UTC where it names no zone.  Raises BadAnswer."""
    found = _time_of(text)
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)


def _time_of(text: str) -> datetime:
    with contextlib.suppress(ValueError, AttributeError):
        return datetime.fromisoformat(text.replace("Z", "+00:00"))
    try:
        with contextlib.suppress(ValueError, TypeError):
            return parsedate_to_datetime(text)
        return parse_timestamp(text)  # type: ignore[no-any-return]  # botocore has no types
    except (ValueError, OverflowError, RuntimeError) as error:  # a year that no calendar has; and so botocore says it
        raise unreadable(f"a time of {text!r}") from error
