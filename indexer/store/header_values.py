"""The check of every setting that goes into a header or a URL of a request.

Files and variables often end in a line break, so white space at the end is dropped.  Any other invalid character is
refused here: http.client would quote it in an error, and urllib would drop it silently.
"""

from __future__ import annotations

import re
from typing import Any

from indexer.core.errors import BadConfig

_REFUSED = re.compile(r"[^!-~]")
REASON = "has white space or another character in it that a request cannot carry"
STEP = "remove the character"


def trimmed(value: Any) -> Any:
    """A text without the white space at its end, None if nothing is left; any other value unchanged."""
    return (value.rstrip() or None) if isinstance(value, str) else value


def is_sendable(value: str | None) -> bool:
    """Whether a value is None, or has only printable ASCII and no blank."""
    return value is None or not _REFUSED.search(value)


def refuse_unsendable(thing: str, value: str | None) -> None:
    """Raise BadConfig with the name of the setting; its value may be secret."""
    if not is_sendable(value):
        raise BadConfig(thing, REASON, STEP)
