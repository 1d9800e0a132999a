"""What must never be printed: secrets are noted where they are met, and masked in every text that leaves the program.

This is the second line.  The first is that no message of ours has a secret in it; but libraries quote what they
were given, as http.client does with a session token that ends in a line break.
"""

from __future__ import annotations

import re
from urllib.parse import quote

# Shorter ones are no secrets, and would mask parts of ordinary words.
_SHORTEST = 6
_IN_URL = re.compile(r"(?<=//)[^/\s\"']*(?=@)|(?<=X-Amz-Signature=)\w[^\s&\"']*|(?<=X-Amz-Security-Token=)\w[^\s&\"']*")

_noted: set[str] = set()


def register_secrets(*secrets: str | None) -> None:
    """From now on, mask these."""
    for secret in secrets:
        if secret and len(secret.strip()) >= _SHORTEST:
            # As it is, and as messages and URLs have it.
            _noted.update({secret.strip(), repr(secret.strip())[1:-1], quote(secret.strip(), safe="")})


def masked(said: object) -> str:
    """The text of something without any secret that was noted, and without passwords and signatures in URLs."""
    text = str(said)
    for secret in sorted(_noted, key=len, reverse=True):
        text = text.replace(secret, "***")
    return _IN_URL.sub("***", text)
