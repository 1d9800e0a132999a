"""What a file with the name of a package is, if it does not begin as a package does."""

from __future__ import annotations

from typing import NamedTuple

from indexer.core.errors import Damaged
from indexer.core.names import CONDA


class _Form(NamedTuple):
    """How a kind of file begins, in lower case, after blanks."""

    starts: tuple[bytes, ...]
    reason: str


_ZIP = b"PK"
_BZIP2 = b"BZh"
_TAR_MAGIC = slice(257, 262)
_FORMS = (
    _Form(
        (b"version https://git-lfs.github.com/", b"version https://hawser.github.com/"),
        "is a Git LFS pointer and not the package itself",
    ),
    _Form((b"<!doctype html", b"<html", b"<head", b"<body", b"<title"), "is an HTML page (a login or an error page?)"),
    _Form((b"<?xml", b"<error"), "is an XML document (the error message of a store?)"),
    _Form((b"{", b"["), "is a JSON document"),
    _Form((_ZIP.lower(),), "is a zip archive, so it is no .tar.bz2 (is it a .conda with a wrong name?)"),
    _Form((_BZIP2.lower(),), "is a bzip2 archive, so it is no .conda (is it a .tar.bz2 with a wrong name?)"),
    _Form((b"\x1f\x8b",), "is compressed by gzip"),
    _Form((b"\xfd7zxz",), "is compressed by xz"),
    _Form((b"\x28\xb5\x2f\xfd",), "is compressed by zstd"),
)
# Enough for each of these.
START = 512


def unmask(filename: str, start: bytes) -> None:
    """Raise Damaged for a file whose first bytes (`START` of them) are not those of its kind of package.

    Without the check a reader can only say that a Git LFS pointer or an HTML page is a damaged archive.
    """
    if start.startswith(_ZIP if filename.endswith(CONDA) else _BZIP2):
        return
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    reason = next((form.reason for form in _FORMS if text.startswith(form.starts)), "")
    if not start:
        reason = "is empty: it has no bytes"
    elif not start.strip(b"\0"):
        reason = "begins with zero bytes (was it copied only in part?)"
    elif start[_TAR_MAGIC] == b"ustar":
        reason = "is a tar that is not compressed"
    elif not reason:
        reason = f"is no {'zip' if filename.endswith(CONDA) else 'bzip2'} archive"
    raise Damaged("the file", reason)
