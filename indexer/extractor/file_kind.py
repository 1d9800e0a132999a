"""Recognizes files of another kind that have the name of a package, by their first bytes."""

from __future__ import annotations

from typing import NamedTuple

from indexer.core.errors import Damaged
from indexer.core.names import CONDA


class _FileKind(NamedTuple):
    """A kind of file: its first bytes in lower case, after white space, and the reason for the message."""

    starts: tuple[bytes, ...]
    reason: str


_ZIP = b"PK"
_BZIP2 = b"BZh"
_TAR_MAGIC = slice(257, 262)
_FILE_KINDS = (
    _FileKind(
        (b"version https://git-lfs.github.com/", b"version https://hawser.github.com/"),
        "is a Git LFS pointer, not the package",
    ),
    _FileKind(
        (b"<!doctype html", b"<html", b"<head", b"<body", b"<title"), "is an HTML page (a login or an error page?)"
    ),
    _FileKind((b"<?xml", b"<error"), "is an XML document (the error message of a store?)"),
    _FileKind((b"{", b"["), "is a JSON document"),
    _FileKind((_ZIP.lower(),), "is a zip archive, so it is not a .tar.bz2 (is it a .conda with a wrong name?)"),
    _FileKind((_BZIP2.lower(),), "is a bzip2 archive, so it is not a .conda (is it a .tar.bz2 with a wrong name?)"),
    _FileKind((b"\x1f\x8b",), "is compressed by gzip"),
    _FileKind((b"\xfd7zxz",), "is compressed by xz"),
    _FileKind((b"\x28\xb5\x2f\xfd",), "is compressed by zstd"),
)
# The number of bytes that all checks need.
START_SIZE = 512


def check_file_kind(filename: str, start: bytes) -> None:
    """Raise Damaged if the first `START_SIZE` bytes of a file do not match its extension.

    Without this check, the message for a Git LFS pointer or an HTML page could only be "damaged archive".
    """
    if start.startswith(_ZIP if filename.endswith(CONDA) else _BZIP2):
        return
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    reason = next((form.reason for form in _FILE_KINDS if text.startswith(form.starts)), "")
    if not start:
        reason = "is empty: it has no bytes"
    elif not start.strip(b"\0"):
        reason = "begins with zero bytes (was it copied only in part?)"
    elif start[_TAR_MAGIC] == b"ustar":
        reason = "is an uncompressed tar"
    elif not reason:
        reason = f"is not a {'zip' if filename.endswith(CONDA) else 'bzip2'} archive"
    raise Damaged("the file", reason)
