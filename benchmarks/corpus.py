"""Channels of valid packages, whose every byte follows from the channel's size and a package's number.

    python -m benchmarks.corpus --count 2000 --output DIR

Package `number` is the same whatever else is made (with the same zstd and bz2 libraries), so that a benchmark can add
package 2,000 to a channel of 2,000; its second edition has the same file name and other bytes. Records are as large as
those of conda-forge, and info parts have what rattler-build writes; the package parts are small, since an indexer does
no more than hash them. Mostly there is one subdir, since its size is what costs. All file names begin with `sample-`.
"""

from __future__ import annotations

import argparse
import bz2
import contextlib
import dataclasses
import hashlib
import io
import json
import os
import random
import sys
import tarfile
import zipfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import zstandard

if TYPE_CHECKING:
    from collections.abc import Iterable

SUBDIR = "linux-64"
PREFIX = "sample-"
EXTENSIONS = (".conda", ".tar.bz2")
SIX = "6-subdirs"
"""The title of a channel of six subdirs with 50 packages each; packages are added to the first one."""
OTHER_SUBDIRS = ("linux-aarch64", "noarch", "osx-64", "osx-arm64", "win-64")
LARGE_MIB = (*[100] * 20, 1024)
"""The packages of a channel of large ones."""

_MIB = 1024 * 1024
_FEWEST_NAMES = 500
_PACKAGES_A_NAME = 40  # about as many as conda-forge has in linux-64
_CONDA_SHARE = 0.8
_RUN_EXPORTS_SHARE = 0.3
_EPOCH_SECONDS = 1_600_000_000
_ZIP_DATE = (2020, 9, 13, 0, 0, 0)
_LICENSES = ("MIT", "BSD-3-Clause", "Apache-2.0", "GPL-3.0-or-later", "MPL-2.0", "LGPL-2.1-only")
_WORDS = ("array", "binding", "cache", "data", "engine", "fast", "graph", "index", "library", "model", "network")
_compressor = zstandard.ZstdCompressor(level=3)


@dataclass(frozen=True)
class Corpus:
    """A channel of `count` packages in each subdir; `large` ones, with digests in object metadata if `vouched`."""

    count: int
    large: bool = False
    vouched: bool = True
    others: tuple[str, ...] = ()
    """The subdirs beside `SUBDIR`; no benchmark changes them."""

    @property
    def subdirs(self) -> tuple[str, ...]:
        """All subdirs."""
        return (SUBDIR, *self.others)

    @property
    def title(self) -> str:
        """The name of the corpus on the command line and in results."""
        if self.others:
            return SIX
        return f"large{'' if self.vouched else '-unvouched'}" if self.large else str(self.count)

    @cached_property
    def names(self) -> int:
        """The number of package names."""
        return max(_FEWEST_NAMES, self.count // _PACKAGES_A_NAME)

    def make(self, channel: Path) -> None:
        """Write all packages on all cores, unless they are there; an incomplete channel is written again."""
        if channel.exists():
            return
        part = channel.with_name(f"{channel.name}.part")
        with ProcessPoolExecutor() as pool:
            for subdir in self.subdirs:
                (part / subdir).mkdir(parents=True, exist_ok=True)
                # Only the last result is needed; half a million paths are not held.
                chunks = _chunks(self.count, 1 if self.large else 500)
                for _ in pool.map(partial(_write_some, self, part / subdir), chunks):
                    pass
        part.rename(channel)

    def write(self, subdir: Path, number: int, edition: int = 0) -> Path:
        """Write one package into a subdir, completely or not at all."""
        who = dataclasses.replace(self._identity(number), subdir=subdir.name)
        path = subdir / who.filename
        part = path.with_name(f".{path.name}.part")
        with part.open("wb") as file:
            if self.large:
                mib = LARGE_MIB[number] if number < len(LARGE_MIB) else LARGE_MIB[0]
                _write_large(file, who, mib, edition)
            else:
                file.write(_small(who, edition))
        part.rename(path)
        return path

    def filename(self, number: int) -> str:
        """The file name of a package."""
        return self._identity(number).filename

    def _identity(self, number: int) -> _Identity:
        draw = random.Random(f"{self.title}/{number}")
        name_number, release = number % self.names, number // self.names
        build_number = draw.randrange(3)
        return _Identity(
            number=number,
            name=_name(name_number),
            # Name and release distinguish the packages; the patch number only varies.
            version=f"{release // 10}.{release % 10}.{draw.randrange(20)}",
            build=f"py311h{draw.randbytes(4).hex()[:7]}_{build_number}",
            build_number=build_number,
            extension=EXTENSIONS[0] if self.large or draw.random() < _CONDA_SHARE else EXTENSIONS[1],
            neighbors=self.names,
        )


@dataclass(frozen=True)
class _Identity:
    """The fields that are in both the file name and the index.json of a package."""

    number: int
    name: str
    version: str
    build: str
    build_number: int
    extension: str
    neighbors: int
    """How many names it can depend on."""
    subdir: str = SUBDIR

    @property
    def stem(self) -> str:
        return f"{self.name}-{self.version}-{self.build}"

    @property
    def filename(self) -> str:
        return self.stem + self.extension


def of(title: str) -> Corpus:
    """The channel of a title.  Raises an error for a title that is neither a number nor known."""
    if title.startswith("large"):
        known = [Corpus(len(LARGE_MIB), large=True, vouched=vouched) for vouched in (True, False)]
        return {corpus.title: corpus for corpus in known}[title]
    return Corpus(50, others=OTHER_SUBDIRS) if title == SIX else Corpus(int(title))


def _chunks(count: int, size: int) -> Iterable[range]:
    return (range(start, min(count, start + size)) for start in range(0, count, size))


def _write_some(corpus: Corpus, subdir: Path, numbers: range) -> None:
    for number in numbers:
        corpus.write(subdir, number)


def _small(who: _Identity, edition: int) -> bytes:
    draw = random.Random(f"{who.stem}/{edition}")
    module = who.name.replace("-", "_")
    files = {
        f"site-packages/{module}/part_{place}.py": draw.randbytes(draw.randrange(40, 200)).hex().encode()
        for place in range(2)
    }
    info = _info(draw, who, files)
    if who.extension != EXTENSIONS[0]:
        # Level 1: higher levels need a millisecond of set-up and gain nothing.
        return bz2.compress(_tar({**info, **files}), 1)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        _put(archive, "metadata.json", _json({"conda_pkg_format_version": 2}))
        _put(archive, f"pkg-{who.stem}.tar.zst", _compressor.compress(_tar(files)))
        _put(archive, f"info-{who.stem}.tar.zst", _compressor.compress(_tar(info)))
    return buffer.getvalue()


def _write_large(file: io.BufferedWriter, who: _Identity, mib: int, edition: int) -> None:
    """Write one big .conda; its content is streamed, so any size fits into memory."""
    draw = random.Random(f"{who.stem}/{edition}")
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        _put(archive, "metadata.json", _json({"conda_pkg_format_version": 2}))
        member = zipfile.ZipInfo(f"pkg-{who.stem}.tar.zst", _ZIP_DATE)
        with contextlib.ExitStack() as stack:
            plain = stack.enter_context(archive.open(member, "w", force_zip64=True))
            packed = stack.enter_context(zstandard.ZstdCompressor(level=1).stream_writer(plain))
            for piece in range(mib):
                packed.write(_member(f"share/{who.name}/{piece}.bin", draw.randbytes(_MIB)))
            packed.write(bytes(2 * tarfile.BLOCKSIZE))
        _put(archive, f"info-{who.stem}.tar.zst", _compressor.compress(_tar(_info(draw, who, {}))))


def _info(draw: random.Random, who: _Identity, files: dict[str, bytes]) -> dict[str, bytes]:
    """The members of info/, as in a package of rattler-build."""
    index = _index_json(draw, who)
    paths = [
        {"_path": path, "path_type": "hardlink", "sha256": hashlib.sha256(data).hexdigest(), "size_in_bytes": len(data)}
        for path, data in files.items()
    ]
    about = {"home": f"https://{who.name}.example", "license": index["license"], "summary": _text(draw, 12)}
    members = {
        "info/about.json": _json(about),
        "info/hash_input.json": _json({"channel_targets": "sample main", "python": "3.11.* *_cpython"}),
        "info/index.json": _json(index),
        "info/licenses/LICENSE": _text(draw, 60).encode(),
        "info/paths.json": _json({"paths": paths, "paths_version": 1}),
        "info/tests/tests.yaml": f"- python:\n    imports:\n    - {who.name.replace('-', '_')}\n".encode(),
    }
    if draw.random() < _RUN_EXPORTS_SHARE:
        weak = f"{who.name} >={who.version},<{int(who.version.split('.')[0]) + 1}.0a0"
        members["info/run_exports.json"] = _json({"weak": [weak]})
    return members


def _index_json(draw: random.Random, who: _Identity) -> dict[str, object]:
    names = [draw.randrange(who.neighbors) for _ in range(draw.randrange(9))]
    needs = [f"{_name(name)} >={draw.randrange(3)}.{draw.randrange(10)}" for name in names]
    index: dict[str, object] = {
        "arch": "x86_64",
        "build": who.build,
        "build_number": who.build_number,
        "depends": sorted({"__glibc >=2.17,<3.0.a0", "python >=3.11,<3.12.0a0", "python_abi 3.11.* *_cp311", *needs}),
        "license": draw.choice(_LICENSES),
        "name": who.name,
        "platform": "linux",
        "subdir": who.subdir,
        "timestamp": (_EPOCH_SECONDS + 60 * who.number) * 1000,
        "version": who.version,
    }
    if who.number % 10 == 0:
        index["constrains"] = [f"sample-extra-{who.number % who.neighbors} <{draw.randrange(1, 9)}"]
    return index


def _name(number: int) -> str:
    return f"{PREFIX}{_WORDS[number % len(_WORDS)]}-{number}"


def _put(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    # A fixed date: zipfile would take the clock.
    archive.writestr(zipfile.ZipInfo(name, _ZIP_DATE), data)


def _tar(members: dict[str, bytes]) -> bytes:
    return b"".join(_member(name, data) for name, data in members.items()) + bytes(2 * tarfile.BLOCKSIZE)


def _member(name: str, data: bytes) -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.mtime = len(data), _EPOCH_SECONDS
    return member.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % tarfile.BLOCKSIZE)


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _text(draw: random.Random, words: int) -> str:
    return " ".join(draw.choices(_WORDS, k=words))


def main() -> int:
    """Make a channel as the command line describes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    options = parser.parse_args()
    Corpus(options.count).make(options.output)
    with os.scandir(options.output / SUBDIR) as entries:
        total = sum(entry.stat().st_size for entry in entries)
    sys.stdout.write(f"{options.count:,} packages, {total / _MIB:.1f} MiB\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
