"""The instructions in a patch package, which is as hostile as any other."""

from __future__ import annotations

import bz2
import io
import tarfile
import zipfile

import pytest
import zstandard

from indexer.core.errors import BadPackage, BadPatch
from indexer.core.names import PATCH_INSTRUCTIONS
from indexer.extractor.archive import read_patches
from indexer.extractor.patch_package import load
from indexer.extractor.range_file import RangeFile
from tests.support.memory import MemoryStore
from tests.support.memory_channel import archive

INFO = {"info/index.json": b"{}"}
LINUX = f"linux-64/{PATCH_INSTRUCTIONS}"


def patches_of(package: bytes, filename: str) -> dict[str, bytes]:
    store = MemoryStore()
    return read_patches(RangeFile(store, store.upload(f"noarch/{filename}", package), package, 0))


@pytest.mark.parametrize("filename", ["patch-1-0.conda", "patch-1-0.tar.bz2"])
def test_instructions_of_each_subdir_are_read_and_other_files_ignored(filename: str) -> None:
    files = {
        LINUX: b"{}",
        f"./noarch/{PATCH_INSTRUCTIONS}": b"[]",
        "README.md": b"x",
        f"a/b/{PATCH_INSTRUCTIONS}": b"x",
        "linux-64/other.json": b"x",
    }
    assert patches_of(archive(filename, INFO, files), filename) == {"linux-64": b"{}", "noarch": b"[]"}


@pytest.mark.parametrize("filename", ["patch-1-0.conda", "patch-1-0.tar.bz2"])
@pytest.mark.parametrize("package", [b"", b"PK", b"x" * 1000])
def test_what_is_no_archive_is_an_error(filename: str, package: bytes) -> None:
    with pytest.raises(BadPackage):
        patches_of(package, filename)


def _tar(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for member, data in members:
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return content.getvalue()


def test_a_link_in_place_of_instructions_is_an_error() -> None:
    member = tarfile.TarInfo(LINUX)
    member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
    with pytest.raises(BadPackage, match="as something other than a file"):
        patches_of(bz2.compress(_tar((member, b""))), "patch-1-0.tar.bz2")


def test_the_same_file_twice_is_an_error() -> None:
    twice = _tar((tarfile.TarInfo(LINUX), b"{}"), (tarfile.TarInfo(LINUX), b"[]"))
    with pytest.raises(BadPackage, match="more than once"):
        patches_of(bz2.compress(twice), "patch-1-0.tar.bz2")


def test_a_file_that_claims_to_be_without_end_is_an_error_and_not_read() -> None:
    member = tarfile.TarInfo(LINUX)
    member.size = 2**40
    with pytest.raises(BadPackage, match="1099511627776 bytes, more than"):
        patches_of(bz2.compress(member.tobuf()), "patch-1-0.tar.bz2")


def test_two_parts_or_none_are_an_error() -> None:
    for count, reason in ((0, "has no pkg"), (2, "has 2 pkg")):
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as zipped:
            zipped.writestr("metadata.json", b"{}")
            for number in range(count):
                zipped.writestr(f"pkg-{number}.tar.zst", zstandard.compress(_tar()))
        with pytest.raises(BadPackage, match=reason):
            patches_of(content.getvalue(), "patch-1-0.conda")


def test_a_package_that_is_no_patch_package_is_named() -> None:
    store = MemoryStore()
    store.upload("noarch/other-1-0.conda", archive("other-1-0.conda", INFO, {"README.md": b""}))
    store.upload("noarch/half-1-0.conda", b"PK")
    with pytest.raises(BadPatch, match=r"noarch/other-1-0.conda: holds no SUBDIR/patch_instructions.json"):
        load(store, "other-1-0.conda")
    with pytest.raises(BadPatch, match=r"noarch/half-1-0.conda: the archive is incomplete"):
        load(store, "half-1-0.conda")
