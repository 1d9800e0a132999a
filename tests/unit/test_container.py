"""What in a zip CEP 35 forbids is warned of, and rejected where warnings are."""

from __future__ import annotations

import io
import zipfile

import pytest

from indexer.core.model import Extracted, Rejected, Rules
from indexer.extractor.extract import ExtractSpec, read
from tests.support.archives import END, conda, index_json, member, zst
from tests.support.memory import MemoryStore

STEM = "a-1-0"
KEY = f"noarch/{STEM}.conda"
INFO = zst(member("info/index.json", index_json(KEY)) + END)
METADATA = ("metadata.json", b'{"conda_pkg_format_version": 2}')
PKG = (f"pkg-{STEM}.tar.zst", zst(END))
SOUND = (METADATA, PKG, (f"info-{STEM}.tar.zst", INFO))


def packed(*members: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """A zip of these members."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return out.getvalue()


def extracted(body: bytes, *, strict: bool = False) -> Extracted | Rejected:
    """What comes of a package with this content."""
    store = MemoryStore()
    result = read(store, store.upload(KEY, body), ExtractSpec("noarch", Rules(strict=strict), 1_800_000_000_000)).result
    assert isinstance(result, Extracted | Rejected)
    return result


def warnings(body: bytes) -> tuple[str, ...]:
    result = extracted(body)
    assert isinstance(result, Extracted), result
    return result.warnings


@pytest.mark.parametrize("body", [packed(*SOUND), packed(*SOUND[::-1]), conda(STEM, INFO)])
def test_a_conda_of_three_stored_members_is_no_cause_for_a_warning(body: bytes) -> None:
    assert warnings(body) == ()


@pytest.mark.parametrize(
    ("body", "warning"),
    [
        (packed(*SOUND, method=zipfile.ZIP_DEFLATED), "has the compressed member 'metadata.json'"),
        (packed(*SOUND[1:]), "has no metadata.json"),
        (
            packed(("metadata.json", b'{"conda_pkg_format_version": 3}'), *SOUND[1:]),
            "has the conda_pkg_format_version 3",
        ),
        (packed(("metadata.json", b"{}"), *SOUND[1:]), "has a metadata.json that cannot be read"),
        (packed(("metadata.json", b""), *SOUND[1:]), "has a metadata.json that cannot be read"),
        (
            packed(METADATA, PKG, ("info-b-1-0.tar.zst", INFO)),
            "has the member 'info-b-1-0.tar.zst' instead of 'info-a-1-0",
        ),
        (packed(METADATA, ("pkg-b-1-0.tar.zst", PKG[1]), SOUND[2]), "has the member 'pkg-b-1-0.tar.zst' instead of"),
        (
            packed(METADATA, ("pkg-\x1b[2J.tar.zst", PKG[1]), SOUND[2]),
            r"has the member 'pkg-\x1b[2J.tar.zst' instead of",
        ),
    ],
)
def test_what_cep_35_forbids_is_warned_of_and_rejected_by_strict_rules(body: bytes, warning: str) -> None:
    (result,) = warnings(body)
    assert result.startswith(f"the archive {warning}")
    assert result.endswith("(CEP 35)")
    assert isinstance(extracted(body, strict=True), Rejected)


def test_metadata_that_is_not_here_takes_no_request_more() -> None:
    store = MemoryStore()
    large = packed(("metadata.json", b"{}"), PKG, ("filler", bytes(2**19)), SOUND[2])
    store.upload(KEY, large, metadata={"package-sha256": "5" * 64, "package-md5": "d" * 32})
    stat = store.disguise(KEY)
    before = len(store.calls)
    result = read(store, stat, ExtractSpec("noarch", Rules(), 1_800_000_000_000)).result
    assert isinstance(result, Extracted)
    assert result.warnings == ()
    assert len([call for call in store.calls[before:] if call.verb == "GET"]) == 1
