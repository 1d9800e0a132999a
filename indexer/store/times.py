"""Times as listings and headers have them: botocore's own reader takes longer than all else of a listing."""

from __future__ import annotations

import contextlib
from datetime import datetime
from email.utils import parsedate_to_datetime

from botocore.utils import parse_timestamp


def time_of(text: str) -> datetime:
    """The time that a text tells.  Raises ValueError."""
    with contextlib.suppress(ValueError, AttributeError):
        return datetime.fromisoformat(text.replace("Z", "+00:00"))
    with contextlib.suppress(ValueError, TypeError):
        return parsedate_to_datetime(text)
    return parse_timestamp(text)  # type: ignore[no-any-return]  # botocore has no types
