"""Masks secrets in every text that leaves the program.

This is the second line of defence.  The first one is that no message of ours has a secret in it; but libraries quote
their input, as http.client does with a session token that ends in a line break.
"""

from __future__ import annotations

import re
from urllib.parse import quote

# Shorter texts are not secrets, and would mask parts of ordinary words.
_SHORTEST = 6
_IN_URL = re.compile(r"(?<=//)[^/\s\"']*(?=@)|(?<=X-Amz-Signature=)\w[^\s&\"']*|(?<=X-Amz-Security-Token=)\w[^\s&\"']*")

_secrets: set[str] = set()


def register_secrets(*secrets: str | None) -> None:
    """Mask these texts from now on."""
    for secret in secrets:
        if secret and len(secret.strip()) >= _SHORTEST:
            # In the forms that it has in texts, in quotes of Python, and in URLs.
            _secrets.update({secret.strip(), repr(secret.strip())[1:-1], quote(secret.strip(), safe="")})


def masked(value: object) -> str:
    """The text of a value without registered secrets, and without passwords and signatures in URLs."""
    text = str(value)
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return _IN_URL.sub("***", text)
