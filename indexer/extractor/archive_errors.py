"""Translates the errors of the archive libraries: errors of damaged bytes become Damaged, errors of own code do not."""

from __future__ import annotations

import tarfile
import zipfile
import zlib
from typing import TYPE_CHECKING, Protocol

import zstandard

from indexer.core.errors import BadPackage, Damaged, IndexerError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

# The errors that the libraries raise for bytes that are not a valid archive.
_DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zstandard.ZstdError,
    EOFError,
    NotImplementedError,  # an unknown zip method
    RuntimeError,  # an encrypted zip member
    zlib.error,  # a damaged compressed member
    OverflowError,
    ValueError,
    OSError,  # bz2 raises OSError for invalid bytes; errors of a store are never OSErrors
)
# Messages of the libraries, and the plain reason for each.
_REASONS = {
    "File is not a zip file": "is incomplete: there is no zip directory at its end (was the upload cut off?)",
    "Compressed file ended before the end-of-stream marker was reached": (
        "is incomplete: its bzip2 stream has no end (was the upload cut off?)"
    ),
    # tarfile raises this if the compressed data ends before the first header.
    "empty file": "is damaged or incomplete: its tar has no end",
    "unexpected end of data": "is damaged or incomplete: its tar has no end",
}


class Source(Protocol):
    """A stream that can be read once, from its start."""

    def read(self, size: int = -1, /) -> bytes:
        """Return at most `size` bytes, and no bytes at the end."""


class _OwnMistake(BaseException):
    """Carries an error of own code through a library that called it: no library catches a BaseException."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


class _OwnCode:
    """The block of `own_code`; contextlib would make a generator for each block, of which a package has some ten."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, IndexerError):
            raise _OwnMistake(error) from error


class _LibraryCall:
    """The block of `library_call`."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, _OwnMistake):
            raise error.error from None
        if isinstance(error, RecursionError):
            raise BadPackage("the archive", "has too many tar headers in a row without a file") from error
        if isinstance(error, _DAMAGED):
            raise Damaged("the archive", _REASONS.get(str(error), f"is damaged ({error})")) from error


_OWN_CODE = _OwnCode()
_LIBRARY_CALL = _LibraryCall()


def own_code() -> AbstractContextManager[None]:
    """Wrap own code that a library calls: `library_call` raises the errors of this code unchanged."""
    return _OWN_CODE


class OwnSource:
    """A source of own code for a library to read: `library_call` raises the errors of the source unchanged."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def read(self, size: int = -1, /) -> bytes:
        """Return the bytes of the source."""
        with own_code():
            return self._source.read(size)


def library_call() -> AbstractContextManager[None]:
    """Wrap calls of an archive library.  Raises Damaged for damaged bytes."""
    return _LIBRARY_CALL
