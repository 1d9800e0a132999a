"""The one door for all output: each line has no secret, is printable, begins no workflow command, can be encoded."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, TextIO

from indexer.core.printable import LONGEST, escaped, one_line, without_commands
from indexer.store.redact import masked

if TYPE_CHECKING:
    from collections.abc import Callable

# A line is made of some texts of strangers and of our own words.
_LONGEST_LINE = 6 * LONGEST
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")


def fit(line: str) -> str:
    """A line as it may be printed."""
    shown = without_commands(escaped(masked(line)))
    return shown if len(shown) <= _LONGEST_LINE else f"{shown[:_LONGEST_LINE]}..."


def out(*lines: str) -> None:
    """Print lines on standard output."""
    _write(sys.stdout, map(fit, lines))


def err(*lines: str) -> None:
    """Print lines on standard error."""
    _write(sys.stderr, map(fit, lines))


def out_json(value: object) -> None:
    """Print a value as JSON on standard output.

    A program reads every text as it is; on a terminal each is one printable line.
    """
    if sys.stdout.isatty():
        text = _dumped(_with_texts(value, one_line))
    else:
        try:
            text = _dumped(value)
        except TypeError:  # a lone surrogate: the name of a file that is no UTF-8
            text = _dumped(_with_texts(value, _without_surrogates))
    text = masked(text).replace("##[", r"##\u005b")
    if not _can_encode(text, sys.stdout):
        text = _NOT_ASCII.sub(_json_escape, text)
    _write(sys.stdout, [text])


class Formatter(logging.Formatter):
    """Formats a log record, its traceback too, as lines that may be printed."""

    def format(self, record: logging.LogRecord) -> str:
        """The text of a record."""
        # What a message quotes may have line breaks; only a traceback has lines of its own.
        message = logging.makeLogRecord({**record.__dict__, "msg": escaped(record.getMessage()), "args": None})
        return "\n".join(map(fit, super().format(message).split("\n")))


def _dumped(value: object) -> str:
    import orjson  # most runs print no JSON

    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def _with_texts(value: object, change: Callable[[str], str]) -> object:
    """The same value with other texts, its dataclasses as maps."""
    if isinstance(value, str):
        return change(value)
    if is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Mapping):
        return {change(str(key)): _with_texts(item, change) for key, item in value.items()}
    return [_with_texts(item, change) for item in value] if isinstance(value, list | tuple) else value


def _without_surrogates(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()


def _json_escape(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


def _can_encode(text: str, stream: TextIO) -> bool:
    try:
        text.encode(stream.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _write(stream: TextIO, lines: map[str] | list[str]) -> None:
    """Print lines; a character that the stream cannot encode becomes an escape.  A reader who left is no error."""
    encoding = stream.encoding or "utf-8"
    try:
        stream.writelines(line.encode(encoding, "backslashreplace").decode(encoding) + "\n" for line in lines)
        stream.flush()
    except BrokenPipeError:
        # All that follows goes nowhere, the last flush of the interpreter too.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
