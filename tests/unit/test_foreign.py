"""What a library says of damaged bytes is a bad package; a mistake of our own is not, and ends the run."""

from __future__ import annotations

import bz2
import io
import zipfile
from typing import TYPE_CHECKING

import pytest

from indexer.core.errors import Damaged, Unavailable
from indexer.extractor.archive import read_conda, read_tar_bz2
from indexer.extractor.archive_errors import library_call
from indexer.extractor.range_file import RangeFile
from tests.support.archives import END, conda, index_json, member, zst
from tests.support.memory import MemoryReader, MemoryStore

if TYPE_CHECKING:
    from indexer.core.model import ETag
    from indexer.store import Range

INFO = member("info/index.json", index_json("noarch/a-1-0.conda"))
MISTAKES = [ValueError("ours"), RuntimeError("ours"), OSError("ours"), KeyError("ours"), NotImplementedError("ours")]


class Broken:
    """A source of ours with a mistake in it."""

    def __init__(self, error: Exception, good: bytes = b"") -> None:
        self.error = error
        self.good = io.BytesIO(good)

    def read(self, size: int = -1, /) -> bytes:
        if data := self.good.read(size):
            return data
        raise self.error


class BrokenStore(MemoryStore):
    """A store of ours with a mistake in it."""

    error: Exception

    def open(self, key: str, *, range: Range | None = None, etag: ETag | None = None) -> MemoryReader:
        raise self.error


@pytest.mark.parametrize("error", [*MISTAKES, Unavailable("x", "y")], ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("good", [b"", bz2.compress(INFO + bytes(2_000_000))[:-20]], ids=["at once", "later"])
def test_a_mistake_of_our_own_is_no_damaged_tar_bz2(error: Exception, good: bytes) -> None:
    with pytest.raises(type(error)) as raised:
        read_tar_bz2(Broken(error, good), 1000, whole=True)
    assert raised.value is error


@pytest.mark.parametrize("error", MISTAKES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("held", [0, 250], ids=["at once", "later"])
def test_a_mistake_of_our_own_is_no_damaged_conda(error: Exception, held: int) -> None:
    store = BrokenStore()
    store.error = error
    body = conda("a-1-0", zst(INFO + END))
    stat = store.upload("noarch/a-1-0.conda", body)
    with pytest.raises(type(error)) as raised:
        read_conda(RangeFile(store, stat, body[stat.size - held :], stat.size - held))
    assert raised.value is error


@pytest.mark.parametrize(
    "error", [ValueError("x"), OSError("x"), RuntimeError("x"), EOFError("x"), zipfile.BadZipFile("x")]
)
def test_what_a_library_raises_is_a_damaged_package(error: Exception) -> None:
    with pytest.raises(Damaged, match="x"), library_call():
        raise error
