"""The syntax that readers accept in records: one record with another syntax fails the queries for its name, or all.

The forms were compared with py-rattler 0.28, on which pixi is built, for some fifty thousand short texts.
"""

from __future__ import annotations

import functools
import re
from urllib.parse import unquote_to_bytes

NAME = re.compile(r"[0-9A-Za-z._-]+")

# Epoch, parts, local parts; each number must fit into 64 bits.
_PART = r"[0-9a-z]+([._][0-9a-z]+)*(\._|_{0,2})"
VERSION = re.compile(rf"(?!.*[0-9]{{19}})([0-9]+!)?{_PART}(\+{_PART})?", re.IGNORECASE | re.ASCII)


# Many packages have the same version.
@functools.lru_cache(maxsize=2**14)
def parses_version(text: str) -> bool:
    """Whether readers parse a version.  They read a dash as an underscore, although no file name has a dash there."""
    return VERSION.fullmatch(text.replace("-", "_")) is not None


_WORD = r"([\w.~+:!-]|%[2-7][0-9A-Fa-f])"
PURL = re.compile(
    rf"pkg:[A-Za-z][A-Za-z0-9.-]*(/{_WORD}+)+(@{_WORD}*)?(\?(?!checksum)[A-Za-z][\w.-]*=[\w./~+:-]*)?", re.ASCII
)
"""Somewhat narrower than the syntax that readers parse: at most one qualifier, and only ASCII in escapes."""

_PURL_TYPE = re.compile(r"pkg:/*([A-Za-z][A-Za-z0-9.+-]*)/+", re.ASCII)
_QUALIFIER = re.compile(
    r"checksum=[\w-]+:([0-9a-f]{2})+(,[\w-]+:([0-9a-f]{2})+)*|(?!checksum=)[a-z][\w.-]*=.*",
    re.ASCII | re.DOTALL | re.IGNORECASE,
)


def parses_purl(text: str) -> bool:
    """Whether readers parse a package URL.

    This accepts more URLs than PURL, because records of other indexers are published unchanged.
    """
    if PURL.fullmatch(text):
        return True
    kind = _PURL_TYPE.match(text)
    if kind is None:
        return False
    path, _, qualifiers = text[kind.end() :].partition("#")[0].partition("?")
    name = path.partition("@")[0].rpartition("/")[2]
    pairs = qualifiers.split("&") if "?" in text else []
    try:
        unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        return False
    keys = {pair.partition("=")[0].lower() for pair in pairs}
    return bool(name) and len(keys) == len(pairs) and all(map(_QUALIFIER.fullmatch, pairs))


LAST_MS = 253402207200000
"""The last time in milliseconds since 1970: the end of the year 9999 in every zone."""

UNSAFE = re.compile(r"[^!-.0-\[\]-~]")
"""A character that no part of a file name may have: any character that is not visible ASCII, and both slashes."""

# C0, C1, line separators, and characters that change the direction of the text after them.
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

CONTROL_IN_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""The same for text for people, without line breaks and tabs: real licenses have them."""

# In bytes: no file system has longer names.
_MAX_FILENAME = 255


def filename_fault(filename: str) -> str:
    """The reason why readers refuse a file name, whatever is in the file; empty for a name that readers accept.

    No request may have a refused name: a store or a file system may answer with an error that ends the run.
    """
    if UNSAFE.search(filename):
        return "the file name has characters that readers refuse"
    if len(filename) > _MAX_FILENAME:
        return f"the file name has {len(filename)} characters, more than the {_MAX_FILENAME} of a file system"
    return ""
