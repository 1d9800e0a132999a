"""Makes untrusted texts printable: one line, without hidden characters."""

from __future__ import annotations

import re

LONGEST = 400
# Characters without width, or that change the direction of the text, though some count as printable: soft hyphen,
# fillers, direction marks, joiners, variation selectors, tags.
_HIDDEN = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff9-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_hidden = re.compile(f"[{_HIDDEN}]")
# Control characters, ends of lines and paragraphs, lone surrogates, and characters that XML forbids.
_breaks = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]+")
# A GitHub runner reads these as commands: the first at the beginning of a line, the second anywhere in it.
_COMMAND, _OLD_COMMAND = "::", "##["


def one_line(text: str) -> str:
    """A text as one printable line of at most 400 characters; other characters are escaped."""
    cut = text[: LONGEST + 1]
    shown = escaped(cut)
    return shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 3]}..."


def escaped(text: str) -> str:
    """A text with an escape for each character that is not printable or not visible."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escape(c) if _hidden.match(c) or not c.isprintable() else c for c in text)


def without_commands(line: str) -> str:
    """A line that a GitHub workflow does not read as a command (`::error::`, `##[error]`)."""
    line = line.replace(_OLD_COMMAND, r"##\x5b")
    return rf"\x3a{line.lstrip()[1:]}" if line.lstrip().startswith(_COMMAND) else line


def clean(text: str) -> str:
    """A text for a page or a feed: in one line, without forbidden characters, hidden characters escaped.

    The set of these characters does not depend on the Unicode version of the interpreter.
    """
    return " ".join(_hidden.sub(lambda match: _escape(match[0]), _breaks.sub(" ", text)).split())


def _escape(character: str) -> str:
    return repr(character)[1:-1] if not character.isprintable() else ascii(character)[1:-1]
