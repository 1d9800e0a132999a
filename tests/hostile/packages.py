"""Hostile packages, made on the fly: each is a key, its bytes, and a word of the reason that it is refused with."""

from __future__ import annotations

import bz2
import io
import json
import tarfile
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

import zstandard

from tests.support.archives import END, MIB, Entry, bz2_of, conda, header, index_json, member, pax, zipped, zst

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

STEM = "reed-1.0-0"
CONDA = f"noarch/{STEM}.conda"
BZ2 = f"noarch/{STEM}.tar.bz2"
_INDEX = member("info/index.json", index_json(CONDA))
_INFO = f"info-{STEM}.tar.zst"
# As much as an index.json may have.
_FULL = MIB


@dataclass(frozen=True)
class Hostile:
    """One package: where it lies, how it is made, and what its rejection says; no reason for one that is only odd."""

    make: Callable[[], bytes]
    reason: str | None
    key: str = CONDA


def _stream(parts: Iterable[bytes], **shape: int) -> bytes:
    """Compress without holding what is compressed."""
    out = io.BytesIO()
    parameters = zstandard.ZstdCompressionParameters.from_level(1, **shape)
    with zstandard.ZstdCompressor(compression_params=parameters).stream_writer(out, closefd=False) as writer:
        for part in parts:
            writer.write(part)
    return out.getvalue()


def _tar(*parts: bytes) -> bytes:
    return conda(STEM, zst(b"".join(parts)))


def _index(body: bytes) -> bytes:
    return _tar(member("info/index.json", body), END)


def _said(**fields: object) -> bytes:
    return _index(index_json(CONDA, **fields))


def _plain(more: bytes) -> bytes:
    return index_json(CONDA).rstrip(b"}") + b"," + more


def _filled(start: bytes, part: bytes, end: bytes) -> bytes:
    """An index.json as long as may be: a good one that goes on with so many parts."""
    good = _plain(start)
    return _index(good + part * ((_FULL - len(good) - len(end)) // len(part)) + end)


def _numbered(form: str, end: str) -> bytes:
    """An index.json with as many different keys as fit."""
    text = index_json(CONDA).decode().rstrip("}")
    size = len(form.format(10**6))
    return _index((text + "".join(form.format(n) for n in range((_FULL - len(text) - 99) // size)) + end).encode())


def _specs(spec: str) -> bytes:
    """As many dependencies as fit, of a kind that v3 spells anew."""
    return _said(repodata_revision=3, depends=[spec] * ((_FULL - 999) // (len(json.dumps(spec)) + 2)))


def _deflated_bomb() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(_INFO, _stream([header("info/zeros", 2**31), *[bytes(8 * MIB)] * 16]))
    return out.getvalue()


def _lying_zip64(size: int, offset: int) -> bytes:
    body = bytearray(conda(STEM, zst(_INDEX + END), zip64=True))
    at = body.rindex(b"PK\1\2") + 46 + len(_INFO) + 4
    body[at : at + 24] = size.to_bytes(8, "little") * 2 + offset.to_bytes(8, "little")
    return bytes(body)


def _overlapping() -> bytes:
    """Two members that the directory says to lie at the same place."""
    body = bytearray(zipped(Entry(_INFO, zst(_INDEX + END)), Entry("pkg-x.tar.zst", b"x")))
    at = body.index(b"PK\1\2", body.index(b"PK\1\2") + 4) + 42
    body[at : at + 4] = bytes(4)
    return bytes(body)


def _many_pax(kind: bytes) -> bytes:
    """Headers of a megabyte, each full of the smallest records there are."""
    records = b"6 a=b\n" * (MIB // 6 - 1)
    one = member("pax", records, kind) + member("info/x")
    return conda(STEM, _stream([*[one] * 60, _INDEX, END]))


def _million(part: bytes) -> bytes:
    return conda(STEM, _stream([part * 10_000] * 100))


PACKAGES: Mapping[str, Hostile] = {
    # Bombs.
    "zstd bomb": Hostile(lambda: conda(STEM, _stream([header("info/z", 2**31), *[bytes(8 * MIB)] * 16])), "more than"),
    "zstd bomb in a deflated zip": Hostile(_deflated_bomb, "more than"),
    "bz2 bomb": Hostile(lambda: bz2_of((header("z", 2**31), 1), (bytes(8 * MIB), 16)), "more than", BZ2),
    "a million members": Hostile(lambda: _million(member("info/x")), "more than"),
    "a million members in bz2": Hostile(lambda: bz2_of((member("info/x") * 10_000, 100)), "more than", BZ2),
    "a million directories": Hostile(lambda: _million(member("x/", kind=tarfile.DIRTYPE)), "more than"),
    "pax headers of tiny records": Hostile(lambda: _many_pax(tarfile.XHDTYPE), "extended tar headers"),
    "global pax headers of tiny records": Hostile(lambda: _many_pax(tarfile.XGLTYPE), "extended tar headers"),
    "long names without end": Hostile(
        lambda: conda(STEM, _stream([member("x", b"a" * 900_000, tarfile.GNUTYPE_LONGNAME)] * 70)),
        "extended tar headers",
    ),
    "headers upon headers": Hostile(
        lambda: _million(member("x", b"a", tarfile.GNUTYPE_LONGNAME)), "too many tar headers in a row"
    ),
    "a large window that is filled": Hostile(
        lambda: conda(STEM, _stream([header("info/z", 2**31), *[bytes(8 * MIB)] * 9], window_log=27)), "more than"
    ),
    "a large window after a small one": Hostile(
        lambda: conda(STEM, zst(header("info/z", 2**31)) + _stream([bytes(8 * MIB)] * 20, window_log=27)), "memory"
    ),
    "a gigabyte of index.json": Hostile(
        lambda: conda(STEM, _stream([header("info/index.json", 2**30), *[b" " * (8 * MIB)] * 8])), "1073741824 bytes"
    ),
    "empty zstd frames": Hostile(lambda: conda(STEM, zst(b"") * 400_000 + zst(_INDEX + END)), None),
    "skippable zstd frames": Hostile(lambda: conda(STEM, b"\x50\x2a\x4d\x18\0\0\0\0" * 400_000), "damaged"),
    "empty bz2 streams": Hostile(lambda: bz2.compress(b"") * 300_000, "incomplete", BZ2),
    "a window of two gigabytes": Hostile(
        lambda: conda(STEM, _stream([_INDEX, END], window_log=31, enable_ldm=1)), "damaged"
    ),
    # An index.json that is hard to parse or to judge.
    "brackets": Hostile(lambda: _index(b"[" * _FULL), "nested too deeply"),
    "objects in objects": Hostile(lambda: _index(b'{"a":' * (_FULL // 5)), "nested too deeply"),
    "empty objects": Hostile(lambda: _filled(b'"x":[', b"{},", b"{}]}"), None),
    "empty lists as dependencies": Hostile(lambda: _filled(b'"constrains":[', b"[],", b"[]]}"), "not a list of texts"),
    "half a million different keys": Hostile(lambda: _numbered(',"{:07}":0', "}"), None),
    "a key that comes twice at the very end": Hostile(
        lambda: _numbered(',"{:07}":0', ',"z":1,"z":2}'), "more than once"
    ),
    "an integer of a million digits": Hostile(lambda: _filled(b'"x":', b"9", b"}"), "not JSON"),
    "a number beyond all": Hostile(lambda: _index(_plain(b'"timestamp":1e999}')), None),
    "long text beyond the basic plane": Hostile(lambda: _filled(b'"features":"', "\U0001f6a9".encode(), b'"}'), None),
    "escapes": Hostile(lambda: _filled(b'"features":"', b"\\ud83d\\udea9", b'"}'), None),
    "a long name": Hostile(lambda: _said(name="a" * (_FULL - 999)), "a name of"),
    "a long name of separators": Hostile(lambda: _said(name="a_" * 100_000), "a name of"),
    "a long version": Hostile(lambda: _said(version="1." * 400_000 + "!"), "a version of"),
    "a long noarch": Hostile(lambda: _said(noarch="x" * 1_000_000), "noarch"),
    "many wrong dependencies": Hostile(lambda: _said(depends=[" "] * 200_000), "not a dependency"),
    "specs of operators": Hostile(lambda: _specs("a" + "=" * 1000 + "("), None),
    "specs of spaces": Hostile(lambda: _specs(f"a{' ' * 300}x{' ' * 300}x{' ' * 300}("), None),
    "specs of commas": Hostile(lambda: _specs("a" + " 1 ," * 240 + "("), None),
    "specs of brackets": Hostile(lambda: _specs("a" + "[ " * 500), None),
    "run exports in brackets": Hostile(
        lambda: _tar(_INDEX, member("info/run_exports.json", b"[" * _FULL), END), "nested too deeply"
    ),
    # What lies about itself.
    "a damaged member in a deflated zip": Hostile(
        lambda: zipped(Entry(_INFO, b"PK\1\2\x14\0\x14\0", method=8)), "damaged"
    ),
    "zip64 sizes that lie": Hostile(lambda: _lying_zip64(2**62, 0), "archive"),
    "a zip64 offset that lies": Hostile(lambda: _lying_zip64(100, 2**62), "archive"),
    "zip members that overlap": Hostile(_overlapping, "overlap"),
    "a bz2 as the info part": Hostile(lambda: conda(STEM, bz2_of((_INDEX + END, 1))), "damaged"),
    "a zip as the info part": Hostile(lambda: conda(STEM, conda(STEM, zst(_INDEX + END))), "damaged"),
    "a pax size below zero": Hostile(lambda: _tar(pax({"size": "-1024"}), _INDEX, END), "ends inside"),
    "a pax size beyond all": Hostile(lambda: _tar(pax({"size": "9" * 4000}), _INDEX, END), "with 9999"),
    "a pax path": Hostile(lambda: _tar(pax({"path": "../../etc/passwd"}), _INDEX, END), "no info/index.json"),
    "a path that climbs": Hostile(lambda: _tar(member("info/../info/index.json", b"{}"), END), "no info/index.json"),
    "an absolute path": Hostile(lambda: _tar(member("/info/index.json", b"{}"), END), "no info/index.json"),
    # Words.
    "markup as the name": Hostile(lambda: _said(name="<script>"), "readers cannot parse"),
    "a name that climbs": Hostile(lambda: _said(name="../../etc"), "characters that readers refuse"),
    "bidirectional dependencies": Hostile(lambda: _said(depends=["reed \u202e0.1"]), "not a dependency"),
    "control characters in a version": Hostile(lambda: _said(version="1.0\x1b[2J"), "characters that readers refuse"),
}
