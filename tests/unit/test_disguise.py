"""What a file with the name of a package is instead is said in plain words."""

from __future__ import annotations

import bz2
import gzip
import lzma

import pytest
import zstandard

from indexer.core.model import Rejected, Rules
from indexer.extractor.extract import ExtractSpec, read
from tests.support.archives import END, conda, index_json, member, zst
from tests.support.memory import MemoryStore

INFO = member("info/index.json", index_json("noarch/a-1-0.conda"))
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 12345\n"
OTHER = {
    "an LFS pointer": (LFS, "is a Git LFS pointer"),
    "nothing": (b"", "is empty"),
    "a page": (b"\n <!DOCTYPE html>\n<html><title>Sign in</title></html>", "is an HTML page"),
    "a page with a byte order mark": (b"\xef\xbb\xbf<html>", "is an HTML page"),
    "the error of a store": (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "is an XML document"),
    "JSON": (b'{"detail": "Not Found"}', "is a JSON document"),
    "zeros": (bytes(5000), "begins with zero bytes"),
    "gzip": (gzip.compress(b"x"), "is compressed by gzip"),
    "xz": (lzma.compress(b"x"), "is compressed by xz"),
    "zstd": (zstandard.compress(b"x"), "is compressed by zstd"),
    "a plain tar": (INFO + END, "is an uncompressed tar"),
    "text": (b"hello", "archive"),
}


def reason_of(filename: str, body: bytes) -> str:
    store = MemoryStore()
    result = read(store, store.upload(f"noarch/{filename}", body), ExtractSpec("noarch", Rules(), 0)).result
    assert isinstance(result, Rejected)
    assert result.damaged
    return result.reason


@pytest.mark.parametrize("extension", [".conda", ".tar.bz2"])
@pytest.mark.parametrize("kind", OTHER)
def test_what_is_no_package_is_called_what_it_is(kind: str, extension: str) -> None:
    body, reason = OTHER[kind]
    assert reason in reason_of(f"a-1-0{extension}", body)


def test_a_package_with_the_extension_of_the_other_kind_is_called_so() -> None:
    assert "is a zip archive, so it is not a .tar.bz2" in reason_of("a-1-0.tar.bz2", conda("a-1-0", zst(INFO + END)))
    assert "is a bzip2 archive, so it is not a .conda" in reason_of("a-1-0.conda", bz2.compress(INFO + END))


def test_a_download_that_was_cut_off_is_called_so() -> None:
    assert "was the upload cut off?" in reason_of("a-1-0.conda", conda("a-1-0", zst(INFO + END))[:-40])
    assert "was the upload cut off?" in reason_of("a-1-0.tar.bz2", bz2.compress(INFO + END)[:-4])


def test_an_index_json_without_a_build_number_is_called_so() -> None:
    tar = member("info/index.json", b'{"name":"a","version":"1","build":"0"}') + END
    store = MemoryStore()
    stat = store.upload("noarch/a-1-0.conda", conda("a-1-0", zst(tar)))
    result = read(store, stat, ExtractSpec("noarch", Rules(), 0)).result
    assert isinstance(result, Rejected)
    assert result.reason == "info/index.json has no build_number"
