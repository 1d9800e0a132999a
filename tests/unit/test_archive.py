"""Archives that are broken or hostile are refused with a reason that names the fault, in little memory."""

from __future__ import annotations

import io
import json
import re
import tarfile
import tracemalloc
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import fixtures
from indexer.core.errors import BadPackage
from indexer.core.model import Extracted, Rejected, Rules
from indexer.core.records.identity import identity_of
from indexer.extractor.archive import ZIP_WARNINGS, read_conda, read_tar_bz2
from indexer.extractor.extract import ExtractSpec, read
from indexer.extractor.range_file import RangeFile
from indexer.extractor.tar_names import INDEX_JSON, RUN_EXPORTS_JSON
from tests.support.archives import END, MIB, Entry, bz2_of, conda, header, index_json, member, pax, zipped, zst
from tests.support.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER = Path(fixtures.__file__).parent
BROKEN: dict[str, str] = json.loads((FOLDER / "broken" / "reasons.json").read_text())
GOOD = sorted(path.relative_to(FOLDER / "packages").as_posix() for path in FOLDER.glob("packages/*/*"))
NOW_MS = 1_800_000_000_000
STEM = "a-1-0"
KEY = f"noarch/{STEM}.conda"
INDEX = member(INDEX_JSON, index_json(KEY))
# A word of the reason, by kind of fault.
WORDS = {
    "build": "build '1', but the file name has '0'",
    "bomb": "more than",
    "characters": "characters that readers refuse",
    "duplicate": "more than once",
    "empty": "is empty",
    "filename": "name-version-build",
    "garbage": "HTML page",
    "indexless": "no info/index.json",
    "infoless": r"no info-\*\.tar\.zst",
    "missing": "no name|no build_number",
    "name": "name 'warbler', but the file name has 'cuckoo'",
    "nan": "NaN",
    "oversize": "9437273 bytes, more than",
    "run_exports": "run_exports.json",
    "subdir": "subdir '.*', but the folder is",
    "truncated": "incomplete",
    "type": "not a (text|list of texts)|build_number .* whole number",
    "unparsable": "not JSON|not UTF-8|not a JSON object",
    "version": r"version '2\.1', but the file name has '2\.0'",
}


def read_package(key: str, body: bytes) -> object:
    store = MemoryStore()
    stat = store.upload(key, body)
    return read(store, stat, ExtractSpec(key.partition("/")[0], Rules(), NOW_MS)).result


def read_bz2(body: bytes) -> dict[str, bytes]:
    return read_tar_bz2(io.BytesIO(body), len(body))


def window(body: bytes) -> RangeFile:
    store = MemoryStore()
    return RangeFile(store, store.upload(KEY, body), body, 0)


def info_files(tar: bytes) -> dict[str, bytes]:
    return read_conda(window(conda(STEM, zst(tar))))


def peak_of(call: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def refused(call: Callable[[], object], reason: str) -> None:
    with pytest.raises(BadPackage, match=reason):
        call()


@pytest.mark.parametrize(("key", "kind"), BROKEN.items())
def test_each_broken_package_is_rejected_and_the_reason_names_the_fault(key: str, kind: str) -> None:
    result = read_package(key, (FOLDER / "broken" / key).read_bytes())
    assert isinstance(result, Rejected)
    assert result.filename == key.partition("/")[2]
    assert re.search(WORDS[kind], result.reason), result.reason


def test_every_kind_of_fault_has_its_word_and_a_package() -> None:
    assert set(BROKEN.values()) == WORDS.keys()


@pytest.mark.parametrize("key", GOOD)
def test_every_good_package_is_extracted(key: str) -> None:
    result = read_package(key, (FOLDER / "packages" / key).read_bytes())
    assert isinstance(result, Extracted)
    assert identity_of(result.record).name == key.partition("/")[2].rsplit("-", 2)[0]


def test_the_twins_of_a_package_say_the_same() -> None:
    both = [(FOLDER / "packages/noarch" / f"reedbed-data-2026.1-0{ext}").read_bytes() for ext in (".conda", ".tar.bz2")]
    result = read_conda(window(both[0]))
    assert result.pop(ZIP_WARNINGS).startswith(b"the archive has the member")  # it lies under another name here
    assert result == read_bz2(both[1])


# What is odd and good.


def test_both_files_are_found_whichever_comes_first() -> None:
    exports = member(RUN_EXPORTS_JSON, b"{}")
    expected = {INDEX_JSON: index_json(KEY), RUN_EXPORTS_JSON: b"{}"}
    assert info_files(INDEX + member("info/x") + exports + END) == expected
    assert info_files(exports + member("bin/x") + INDEX + END) == expected


def test_names_may_begin_with_a_dot_and_a_slash() -> None:
    assert info_files(member("./info/index.json", b"{}") + END) == {INDEX_JSON: b"{}"}


@pytest.mark.parametrize("info_first", [True, False])
@pytest.mark.parametrize("zip64", [True, False])
def test_a_conda_is_read_with_info_anywhere_and_any_kind_of_sizes(*, info_first: bool, zip64: bool) -> None:
    body = conda(STEM, zst(INDEX + END), b"payload", info_first=info_first, zip64=zip64)
    assert zipfile.ZipFile(io.BytesIO(body)).testzip() is None
    assert read_conda(window(body)) == {INDEX_JSON: index_json(KEY)}


@pytest.mark.parametrize(
    "later",
    [
        pytest.param(member(RUN_EXPORTS_JSON, b"{}"), id="plain"),
        pytest.param(header("run_exports.json", 0)[:345] + b"info" + bytes(163), id="name in two parts"),
        pytest.param(pax({"path": RUN_EXPORTS_JSON}) + member("x", b"{}"), id="pax"),
        pytest.param(member("long", RUN_EXPORTS_JSON.encode(), tarfile.GNUTYPE_LONGNAME) + member("x"), id="GNU"),
    ],
)
def test_run_exports_after_the_record_are_read_in_any_spelling_of_their_name(later: bytes) -> None:
    if later[345:349] == b"info":
        later = with_checksum(later[:257] + b"ustar\x0000" + later[265:])
    result = info_files(member("info/about.json") + INDEX + member("info/x", b"x" * 600) + later + END)
    assert RUN_EXPORTS_JSON in result


def test_a_global_header_before_the_record_names_a_file_after_it() -> None:
    tar = (
        pax({"path": RUN_EXPORTS_JSON}, tarfile.XGLTYPE) + pax({"path": INDEX_JSON}) + member("x", b"{}") + member("y")
    )
    assert info_files(tar + END).keys() == {INDEX_JSON, RUN_EXPORTS_JSON}


def test_a_tar_bz2_is_read_no_further_than_its_block_of_info_files() -> None:
    # What follows is cut off, as whoever reads on would notice.
    cut = bz2_of((INDEX + member("info/files") + header("bin/x", 9 * MIB) + bytes(20_000), 1))
    assert read_bz2(cut) == {INDEX_JSON: index_json(KEY)}
    assert read_bz2(bz2_of((member("bin/x") + INDEX, 1), (END, 1))) == {INDEX_JSON: index_json(KEY)}


# What is hostile.


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
@pytest.mark.parametrize("name", [INDEX_JSON, RUN_EXPORTS_JSON])
def test_only_a_file_may_be_called_like_an_info_file(kind: bytes, name: str) -> None:
    before = b"" if name == INDEX_JSON else INDEX
    refused(
        lambda: info_files(before + member(name, kind=kind, link="/etc/passwd") + END), f"{name} as something other"
    )


def test_an_info_file_may_not_come_twice() -> None:
    refused(lambda: info_files(INDEX + INDEX + END), "info/index.json more than once")
    refused(lambda: info_files(INDEX + member("./info/index.json", b"{}") + END), "info/index.json more than once")


def test_a_conda_has_one_info_part() -> None:
    info = Entry(f"info-{STEM}.tar.zst", zst(INDEX + END))
    other = Entry("info-b-1-0.tar.zst", zst(INDEX + END))
    refused(lambda: read_conda(window(zipped(info, other))), "has 2 info-")
    refused(lambda: read_conda(window(zipped(Entry("metadata.json", b"{}")))), "no info-")


def test_an_encrypted_info_part_is_refused() -> None:
    body = zipped(Entry(f"info-{STEM}.tar.zst", zst(INDEX + END), flags=1))
    refused(lambda: read_conda(window(body)), "encrypted")


def test_a_method_of_compression_that_nobody_knows_is_refused() -> None:
    body = zipped(Entry(f"info-{STEM}.tar.zst", zst(INDEX + END), method=77))
    refused(lambda: read_conda(window(body)), "zip method 77")


def test_an_info_part_that_was_changed_on_the_way_is_refused() -> None:
    good = conda(STEM, zst(INDEX + END))
    at = good.index(zst(INDEX + END)) + 40
    refused(lambda: read_conda(window(good[:at] + b"\0\0\0\0" + good[at + 4 :])), "damaged")


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
def test_a_header_of_gigabytes_is_refused_unread(kind: bytes) -> None:
    tar = header("long", 3 * 1024 * MIB, kind) + bytes(2 * MIB) + INDEX + END
    peak = peak_of(lambda: refused(lambda: info_files(tar), "tar header of 3221225472 bytes"))
    assert peak < 10 * MIB


def test_a_zip_directory_of_megabytes_is_refused_unread() -> None:
    entries = [Entry(f"x{number}", b"", comment=bytes(60_000)) for number in range(40)]
    hostile = window(zipped(Entry(f"info-{STEM}.tar.zst", zst(INDEX + END)), *entries))
    peak = peak_of(lambda: refused(lambda: read_conda(hostile), "zip directory of 2402014 bytes"))
    assert peak < 10 * MIB


def test_more_members_than_a_package_of_this_size_can_have_are_refused() -> None:
    refused(lambda: info_files(member("info/x") * 21_000 + INDEX + END), "more than 200.. files before its info")


def test_the_headers_of_many_members_do_not_pile_up_in_memory() -> None:
    hostile = window(conda(STEM, zst(member("info/x") * 10_000 + INDEX + END)))
    assert peak_of(lambda: read_conda(hostile)) < 3 * MIB


def test_a_zstd_bomb_is_refused_in_little_memory() -> None:
    bomb = (FOLDER / "broken/linux-64/bomb-1.0-0.conda").read_bytes()
    assert peak_of(lambda: refused(lambda: read_conda(window(bomb)), "holds more than .* bytes before")) < 10 * MIB


def test_a_bz2_bomb_is_refused_in_little_memory() -> None:
    bomb = bz2_of((header("zeros", 80 * MIB), 1), (bytes(8 * MIB), 10), (INDEX + END, 1))
    assert len(bomb) < 10_000
    assert peak_of(lambda: refused(lambda: read_bz2(bomb), "holds more than .* bytes before")) < 10 * MIB


def test_much_content_before_info_is_no_bomb_in_a_large_archive() -> None:
    body = bz2_of((header("bin/x", 80 * MIB), 1), (bytes(8 * MIB), 10), (INDEX + END, 1)) + bytes(MIB)
    assert read_bz2(body) == {INDEX_JSON: index_json(KEY)}


def test_an_info_file_of_megabytes_is_refused_unread() -> None:
    hostile = window(conda(STEM, zst(header(INDEX_JSON, 500 * MIB) + bytes(5 * MIB))))
    assert peak_of(lambda: refused(lambda: read_conda(hostile), "524288000 bytes, more than 1048576")) < 10 * MIB


def test_an_info_file_that_is_cut_off_is_refused() -> None:
    refused(lambda: info_files(header(INDEX_JSON, 4000) + b"{" * 1000), "damaged|ends inside")


def test_a_size_below_zero_is_refused() -> None:
    plain = header("info/x", 0)
    tar = with_checksum(plain[:124] + (-1024).to_bytes(12, "big", signed=True) + plain[136:])
    refused(lambda: info_files(tar + INDEX + END), "damaged")


@pytest.mark.parametrize("body", [b"", b"PK", b"PK\5\6" + bytes(18), b"<html>", bytes(100_000)])
def test_what_is_no_archive_is_refused(body: bytes) -> None:
    refused(lambda: read_conda(window(body)), "archive")
    refused(lambda: read_bz2(body), "archive")


@pytest.mark.parametrize("missing", [1, 60, 200])
def test_a_conda_whose_beginning_is_missing_is_refused(missing: int) -> None:
    good = conda(STEM, zst(INDEX + END))
    result = read_package(KEY, good[missing:])
    assert isinstance(result, Extracted | Rejected)  # and not an error, which would end the whole run


@pytest.mark.parametrize(
    "tar",
    [
        pytest.param(header("info/x", 0, tarfile.GNUTYPE_SPARSE)[:482] + b"\1" + bytes(29) + END, id="GNU"),
        pytest.param(
            pax({"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}) + member("info/x", b"9\n1\n2"), id="pax 1.0"
        ),
        pytest.param(pax({"GNU.sparse.map": "1,2," * 1000}) + member("info/x"), id="pax 0.1"),
    ],
)
def test_a_sparse_file_is_refused_before_its_map_is_read(tar: bytes) -> None:
    refused(lambda: info_files(with_checksum(tar) + INDEX + END), "sparse")


def with_checksum(tar: bytes) -> bytes:
    total = sum(tar[:148]) + 8 * 32 + sum(tar[156:512])
    return tar[:148] + b"%06o\0 " % total + tar[156:]


@pytest.mark.parametrize(
    "longest",
    [
        "value",
        "key",
    ],
)
def test_global_headers_do_not_pile_up_in_memory(longest: str) -> None:
    fields = (
        {f"{number}": "x" * 900_000} if longest == "value" else {f"{number}" + "x" * 900_000: ""}
        for number in range(40)
    )
    headers = (pax(field, tarfile.XGLTYPE) + member("info/x") for field in fields)
    hostile = window(conda(STEM, zst(b"".join(headers) + INDEX + END)))

    def attempt() -> None:
        try:
            read_conda(hostile)
        except BadPackage:
            return

    assert peak_of(attempt) < 20 * MIB


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_bomb_of_zip_compression_is_refused_in_little_memory(method: int) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr(f"info-{STEM}.tar.zst", bytes(60 * MIB))
    hostile = window(out.getvalue())
    assert peak_of(lambda: refused(lambda: read_conda(hostile), "archive")) < 10 * MIB
