"""Calls of the archive libraries: what they raise for damaged bytes becomes Damaged, our own mistakes do not."""

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

# All that the libraries raise for bytes that are no archive of their kind.
_DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zstandard.ZstdError,
    EOFError,
    NotImplementedError,  # a zip method that Python does not know
    RuntimeError,  # an encrypted zip member
    zlib.error,  # a compressed one that is damaged
    OverflowError,
    ValueError,
    OSError,  # bz2 raises it for bytes that are no bzip2; errors of a store are never OSErrors
)
# What the libraries say, and what it means.
_REASONS = {
    "File is not a zip file": "is not whole: there is no zip directory at its end (was the upload cut off?)",
    "Compressed file ended before the end-of-stream marker was reached": (
        "is not whole: its bzip2 stream has no end (was the upload cut off?)"
    ),
    # tarfile calls it an empty file if the compressed data ends before the first header.
    "empty file": "is damaged or not whole: its tar has no end",
    "unexpected end of data": "is damaged or not whole: its tar has no end",
}


class Source(Protocol):
    """What can be read from the start."""

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes, none at the end."""


class _OwnMistake(BaseException):
    """An exception of our own code that a library called; no library catches a BaseException."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


class Ours:
    """A source of ours in the hands of a library: what it raises leaves `foreign` as it was raised."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def read(self, size: int = -1, /) -> bytes:
        """What the source gives."""
        try:
            return self._source.read(size)
        except IndexerError:
            raise
        except Exception as error:
            raise _OwnMistake(error) from error


@contextlib.contextmanager
def foreign() -> Iterator[None]:
    """Around a call of an archive library, and of nothing else.  Raises Damaged for damaged bytes."""
    try:
        yield
    except _OwnMistake as mistake:
        raise mistake.error from None
    except RecursionError as error:
        raise BadPackage("the archive", "has tar headers upon tar headers without a file") from error
    except _DAMAGED as error:
        raise Damaged("the archive", _REASONS.get(str(error), f"is damaged ({error})")) from error
