"""Prints all output: each line is without secrets, printable, encodable and not a workflow command.

On a terminal `error:` and `warning:` have a colour.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, TextIO

from msgspec import Struct
from msgspec.structs import asdict

from indexer.core.printable import LONGEST, escaped, one_line, without_commands
from indexer.store.redact import masked

if TYPE_CHECKING:
    from collections.abc import Callable

# A line has our own words and some texts from files or servers.
_LONGEST_LINE = 6 * LONGEST
_COLOURS = {"error": 31, "warning": 33}  # red and yellow
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")


def fit(line: str) -> str:
    """A line that is safe to print."""
    shown = without_commands(escaped(masked(line)))
    return shown if len(shown) <= _LONGEST_LINE else f"{shown[:_LONGEST_LINE]}..."


def out(*lines: str) -> None:
    """Print lines on standard output."""
    _write(sys.stdout, map(fit, lines))


def err(*lines: str) -> None:
    """Print lines on standard error."""
    _write(sys.stderr, [_coloured(fit(line)) for line in lines])


def out_json(value: object) -> None:
    """Print a value as JSON on standard output.

    A program gets every text unchanged; on a terminal each text is one printable line.
    """
    if sys.stdout.isatty():
        text = _dumped(_with_texts(value, one_line))
    else:
        try:
            text = _dumped(value)
        except TypeError:  # a lone surrogate: a file name that is not UTF-8
            text = _dumped(_with_texts(value, _without_surrogates))
    text = masked(text).replace("##[", r"##\u005b")
    if not _can_encode(text, sys.stdout):
        text = _NOT_ASCII.sub(_json_escape, text)
    _write(sys.stdout, [text])


class Formatter(logging.Formatter):
    """Formats a log record and its traceback as lines that are safe to print."""

    def format(self, record: logging.LogRecord) -> str:
        """The text of a record."""
        # A quoted text may have line breaks; only the lines of a traceback are real ones.
        message = logging.makeLogRecord({**record.__dict__, "msg": escaped(record.getMessage()), "args": None})
        return _coloured("\n".join(map(fit, super().format(message).split("\n"))))


def _coloured(text: str) -> str:
    """A text with its first word in colour, if it is `error:` or `warning:` and standard error shows colours."""
    word, colon, rest = text.partition(":")
    if not colon or word not in _COLOURS or not _shows_colours():
        return text
    return f"\x1b[{_COLOURS[word]}m{word}:\x1b[0m{rest}"


def _shows_colours() -> bool:
    """Whether standard error is a terminal with colours, and NO_COLOR is not set (https://no-color.org)."""
    no_colours = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or sys.platform == "win32"
    return not no_colours and sys.stderr.isatty()


def _dumped(value: object) -> str:
    import orjson  # most runs print no JSON

    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def _with_texts(value: object, change: Callable[[str], str]) -> object:
    """A copy of a value with changed texts; values become maps."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Struct):
        value = asdict(value)
    if isinstance(value, Mapping):
        return {change(str(key)): _with_texts(item, change) for key, item in value.items()}
    return [_with_texts(item, change) for item in value] if isinstance(value, list | tuple) else value


def _without_surrogates(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()


def _json_escape(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


def _can_encode(text: str, stream: TextIO) -> bool:
    try:
        text.encode(stream.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _write(stream: TextIO, lines: map[str] | list[str]) -> None:
    """Print lines; a character that the stream cannot encode becomes an escape.  A closed pipe is not an error."""
    encoding = stream.encoding or "utf-8"
    try:
        stream.writelines(line.encode(encoding, "backslashreplace").decode(encoding) + "\n" for line in lines)
        stream.flush()
    except BrokenPipeError:
        # Later output is discarded, also the last flush of the interpreter.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
