"""What may stand in a header or a URL of a request: one check for every setting that goes there.

Files and variables often end in a line break, so white space at the end is dropped.  Anything else is refused here:
http.client would quote it, and urllib would drop it without a word.
"""

from __future__ import annotations

import re
from typing import Any

from indexer.core.errors import BadConfig

_REFUSED = re.compile(r"[^!-~]")
REASON = "has white space or another character in it that a request cannot carry"
STEP = "give it without that character"


def trimmed(value: Any) -> Any:
    """A text without the white space at its end; None if nothing is left.  What is no text stays as it is."""
    return (value.rstrip() or None) if isinstance(value, str) else value


def is_sendable(value: str | None) -> bool:
    """Whether a value has only printable ASCII in it, and no blank."""
    return value is None or not _REFUSED.search(value)


def refuse_unsendable(thing: str, value: str | None) -> None:
    """Raise BadConfig, which names the setting and not the value: it may be a secret."""
    if not is_sendable(value):
        raise BadConfig(thing, REASON, STEP)
