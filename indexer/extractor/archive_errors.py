"""Translates the errors of the archive libraries: errors of damaged bytes become Damaged, errors of own code do not."""

from __future__ import annotations

import contextlib
import tarfile
import zipfile
import zlib
from typing import TYPE_CHECKING, Protocol

import zstandard

from indexer.core.errors import BadPackage, Damaged, IndexerError

if TYPE_CHECKING:
    from collections.abc import Iterator

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


@contextlib.contextmanager
def own_code() -> Iterator[None]:
    """Wrap own code that a library calls: `library_call` raises the errors of this code unchanged."""
    try:
        yield
    except IndexerError:
        raise
    except Exception as error:
        raise _OwnMistake(error) from error


class OwnSource:
    """A source of own code for a library to read: `library_call` raises the errors of the source unchanged."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def read(self, size: int = -1, /) -> bytes:
        """Return the bytes of the source."""
        with own_code():
            return self._source.read(size)


@contextlib.contextmanager
def library_call() -> Iterator[None]:
    """Wrap calls of an archive library.  Raises Damaged for damaged bytes."""
    try:
        yield
    except _OwnMistake as mistake:
        raise mistake.error from None
    except RecursionError as error:
        raise BadPackage("the archive", "has too many tar headers in a row without a file") from error
    except _DAMAGED as error:
        raise Damaged("the archive", _REASONS.get(str(error), f"is damaged ({error})")) from error
