"""Finds the files of a record in a small tar by their names: to read the headers of all other files takes more time.

A name is in a tar as it is, in one piece after its last slash.  If the bytes before or after a place do not contain the
name of a file, the file is not there.
"""

from __future__ import annotations

import tarfile

INDEX_JSON = "info/index.json"
RUN_EXPORTS_JSON = "info/run_exports.json"
RECORD_FILES = (INDEX_JSON, RUN_EXPORTS_JSON)

_HEADER_NAME = INDEX_JSON.encode() + b"\0"
_FOLDER = len("info/")
_BASENAMES = tuple(name.removeprefix("info/").encode() for name in RECORD_FILES)
_END = bytes(2 * tarfile.BLOCKSIZE)
# Where a header has the size and the type of a file, and the magic value (POSIX, pax Interchange Format).
_SIZE, _TYPE, _MAGIC = 124, 156, 257
_USUAL_TYPES = b"".join((tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE))
_BINARY = 0x80


def start_of_record(tar: bytes) -> int:
    """Where reading can begin: at the header of `info/index.json`, or at 0 if anything before it can matter.

    That is another file of a record, a header that changes the names of others, or one that a package must not have.
    """
    at = tar.find(_HEADER_NAME)
    if at < 0 or at % tarfile.BLOCKSIZE or not _is_header(tar, at) or not tar.endswith(_END):
        return 0
    if any(tar.find(name, 0, at + _FOLDER + len(name) - 1) >= 0 for name in _BASENAMES):
        return 0
    headers = (start for start in range(0, at, tarfile.BLOCKSIZE) if _is_header(tar, start))
    return at if all(_is_usual(tar, start) for start in headers) else 0


def is_last(tar: bytes, member: tarfile.TarInfo) -> bool:
    """Whether no file of a record follows the `info/index.json` of a tar whose end is there."""
    if member.name != INDEX_JSON or not tar.endswith(_END):
        return False
    end = member.offset_data + member.size
    return all(tar.find(name, end) < 0 for name in _BASENAMES)


def _is_header(tar: bytes, start: int) -> bool:
    return tar.startswith(b"ustar", start + _MAGIC)


def _is_usual(tar: bytes, start: int) -> bool:
    """Whether a header is one of a file or a folder, with a size in digits: a binary size can be below zero."""
    return tar[start + _TYPE] in _USUAL_TYPES and tar[start + _SIZE] < _BINARY
