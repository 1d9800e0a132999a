"""What is read from a small tar does not depend on where the reading begins."""

from __future__ import annotations

import bz2
import io
import tarfile
from typing import TYPE_CHECKING

from hypothesis import example, given
from hypothesis import strategies as st

from indexer.core.errors import BadPackage
from indexer.extractor.archive import read_tar_bz2
from indexer.extractor.tar_names import INDEX_JSON, RUN_EXPORTS_JSON, start_of_record

if TYPE_CHECKING:
    from collections.abc import Sequence

NAMES = (f"./{INDEX_JSON}", RUN_EXPORTS_JSON, "info/about.json", "info/files", "lib/index.json", "info/x/" * 20)
CONTENTS = (b"{}", b"", b"y" * 2000, INDEX_JSON.encode() + b"\0", INDEX_JSON.encode() + b"\0" * 600)
KINDS = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE)
FORMATS = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)
OTHERS = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(CONTENTS), st.sampled_from(KINDS)), max_size=3)
# The headers of a tar for all files after it, and those of each file.
GLOBAL = st.sampled_from(({}, {}, {"comment": "c"}, {"path": RUN_EXPORTS_JSON}))
OF_FILE = st.sampled_from(({}, {}, {"comment": "c"}, {"path": INDEX_JSON}))
# After the end of a tar; a tar that is not small is read from its start.
NOT_SMALL = bytes(2**17)
RECORD = (INDEX_JSON, b"{}", tarfile.REGTYPE)


def tar_of(
    members: Sequence[tuple[str, bytes, bytes]], form: int, of_all: dict[str, str], of_file: dict[str, str]
) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=form, pax_headers=of_all) as tar:
        for name, data, kind in members:
            member = tarfile.TarInfo(name)
            member.type, member.pax_headers = kind, of_file
            member.linkname = "target" if kind == tarfile.SYMTYPE else ""
            member.size = len(data) if kind in {tarfile.REGTYPE, tarfile.AREGTYPE} else 0
            tar.addfile(member, io.BytesIO(data))
    return content.getvalue()


def read(tar: bytes) -> tuple[bytes | None, bytes | None] | None:
    """The two files of a record, None if the package is refused."""
    packed = bz2.compress(tar)
    try:
        files = read_tar_bz2(io.BytesIO(packed), len(packed), whole=True)
    except BadPackage:
        return None
    return files.get(INDEX_JSON), files.get(RUN_EXPORTS_JSON)


@example([("info/files", CONTENTS[-1], tarfile.REGTYPE)], [], tarfile.USTAR_FORMAT, {}, {})
@given(OTHERS, OTHERS, st.sampled_from(FORMATS), GLOBAL, OF_FILE)
def test_the_files_are_those_of_a_reading_from_the_start(
    before: list[tuple[str, bytes, bytes]],
    after: list[tuple[str, bytes, bytes]],
    form: int,
    of_all: dict[str, str],
    of_file: dict[str, str],
) -> None:
    tar = tar_of([*before, RECORD, *after], form, of_all, of_file)
    assert read(tar) == read(tar + NOT_SMALL)


def test_the_files_before_the_record_are_not_read() -> None:
    tar = tar_of([("info/about.json", b"{}", tarfile.REGTYPE), RECORD], FORMATS[0], {}, {})
    assert start_of_record(tar) == 1024
