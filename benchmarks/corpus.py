"""A channel of small valid packages, whose every byte follows from a seed and a number.

    python -m benchmarks.corpus --count 2000 --seed 1 --output DIR [--large COUNT:MIB]

Package `number` of a seed is the same whatever else is made (with the same zstd and bz2 libraries), so that a
benchmark can add package 2001 to a channel of 2000. Info parts are as large as those of real packages (8 to 20 KiB
unpacked, some far more); the package parts are kept small, since an indexer of a folder only hashes them.
"""

from __future__ import annotations

import argparse
import bz2
import contextlib
import hashlib
import io
import json
import random
import sys
import tarfile
import zipfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import zstandard

if TYPE_CHECKING:
    from collections.abc import Iterable

_MIB = 1024 * 1024
_NAMES = 500
_NOARCH_SHARE = 0.4
_CONDA_SHARE = 0.8
_RUN_EXPORTS_SHARE = 0.3
_RECIPE_SHARE = 0.6
_MANY_FILES_SHARE = 0.03
_EPOCH_SECONDS = 1_600_000_000
_ZIP_DATE = (2020, 9, 13, 0, 0, 0)
_LICENSES = ("MIT", "BSD-3-Clause", "Apache-2.0", "GPL-3.0-or-later", "MPL-2.0", "LGPL-2.1-only")
_WORDS = ("array", "binding", "cache", "data", "engine", "fast", "graph", "index", "library", "model", "network")


@dataclass(frozen=True)
class _Identity:
    """Who a package is: what its file name and its index.json say alike."""

    name: str
    version: str
    build: str
    build_number: int
    subdir: str

    @property
    def stem(self) -> str:
        return f"{self.name}-{self.version}-{self.build}"


def make(folder: Path, seed: int, numbers: Iterable[int]) -> list[Path]:
    """Write the packages of these numbers into the channel folder, on all cores."""
    with ProcessPoolExecutor() as pool:
        return list(pool.map(partial(_make_one, folder, seed), numbers, chunksize=32))


def make_large(folder: Path, seed: int, count: int, mib: int) -> list[Path]:
    """Write `count` packages with `mib` MiB of content that does not compress."""
    with ProcessPoolExecutor() as pool:
        return list(pool.map(partial(_make_large, folder, seed, mib), range(count)))


def _make_one(folder: Path, seed: int, number: int) -> Path:
    draw = random.Random(f"{seed}/{number}")
    name_number, release = number % _NAMES, number // _NAMES
    # The name alone decides about the subdir, as in a real channel.
    noarch = random.Random(f"{seed}/name/{name_number}").random() < _NOARCH_SHARE
    build_number = draw.randrange(3)
    who = _Identity(
        name=f"sample-{_WORDS[name_number % len(_WORDS)]}-{name_number}",
        # Name and release tell the packages apart; the patch number is only there to vary.
        version=f"{release // 10}.{release % 10}.{draw.randrange(20)}",
        build=f"{'pyh' if noarch else 'py311h'}{draw.randbytes(4).hex()[:7]}_{build_number}",
        build_number=build_number,
        subdir="noarch" if noarch else "linux-64",
    )
    files = _content(draw, who.name)
    info = _info(draw, who, files, number)
    (folder / who.subdir).mkdir(parents=True, exist_ok=True)
    if draw.random() < _CONDA_SHARE:
        path = folder / who.subdir / f"{who.stem}.conda"
        path.write_bytes(_conda(who.stem, _tar(info), _tar(files)))
    else:
        path = folder / who.subdir / f"{who.stem}.tar.bz2"
        path.write_bytes(bz2.compress(_tar({**info, **files})))
    return path


def _content(draw: random.Random, name: str) -> dict[str, bytes]:
    """The installed files: few as a rule, now and then hundreds."""
    count = (
        draw.randrange(150, 500) if draw.random() < _MANY_FILES_SHARE else min(80, int(draw.lognormvariate(2.3, 0.9)))
    )
    module = name.replace("-", "_")
    return {
        f"site-packages/{module}/part_{place}.py": draw.randbytes(draw.randrange(40, 400)).hex().encode()
        for place in range(count + 1)
    }


def _info(draw: random.Random, who: _Identity, files: dict[str, bytes], number: int) -> dict[str, bytes]:
    """The members of info/: everything a package of conda-build has, with text of a usual length."""
    index = _index_json(draw, who, number)
    paths = [
        {"_path": path, "path_type": "hardlink", "sha256": hashlib.sha256(data).hexdigest(), "size_in_bytes": len(data)}
        for path, data in files.items()
    ]
    members = {
        "info/about.json": _json(
            {"home": f"https://{who.name}.example", "license": index["license"], "summary": _text(draw, 12)}
        ),
        "info/files": "".join(f"{path}\n" for path in files).encode(),
        "info/hash_input.json": _json({"channel_targets": "sample main", "python": "3.11.* *_cpython"}),
        "info/index.json": _json(index),
        "info/licenses/LICENSE": _text(draw, draw.randrange(150, 400)).encode(),
        "info/paths.json": _json({"paths": paths, "paths_version": 1}),
        "info/test/run_test.py": f"import {who.name.replace('-', '_')}\n".encode(),
    }
    if who.subdir == "noarch":
        members["info/link.json"] = _json({"noarch": {"type": "python"}, "package_metadata_version": 1})
    elif draw.random() < _RUN_EXPORTS_SHARE:
        weak = f"{who.name} >={who.version},<{int(who.version.split('.')[0]) + 1}.0a0"
        members["info/run_exports.json"] = _json({"weak": [weak]})
    if draw.random() < _RECIPE_SHARE:
        recipe = f"package:\n  name: {who.name}\n  version: {who.version}\nabout:\n  description: {_text(draw, 200)}\n"
        members["info/recipe/meta.yaml"] = recipe.encode()
        members["info/recipe/conda_build_config.yaml"] = _text(draw, draw.randrange(100, 600)).encode()
    return dict(sorted(members.items()))


def _index_json(draw: random.Random, who: _Identity, number: int) -> dict[str, object]:
    names = [draw.randrange(_NAMES) for _ in range(draw.randrange(9))]
    needs = [f"sample-{_WORDS[name % len(_WORDS)]}-{name} >={draw.randrange(3)}.{draw.randrange(10)}" for name in names]
    index: dict[str, object] = {
        "build": who.build,
        "build_number": who.build_number,
        "depends": sorted({"python >=3.11,<3.12.0a0", *needs}),
        "license": draw.choice(_LICENSES),
        "name": who.name,
        "subdir": who.subdir,
        "timestamp": (_EPOCH_SECONDS + 60 * number) * 1000,
        "version": who.version,
    }
    if who.subdir == "noarch":
        return {**index, "noarch": "python"}
    if number % 10 == 0:
        index["constrains"] = [f"sample-extra-{number % _NAMES} <{draw.randrange(1, 9)}"]
    return {**index, "arch": "x86_64", "license_family": "OTHER", "platform": "linux"}


def _make_large(folder: Path, seed: int, mib: int, number: int) -> Path:
    """Write one big .conda; its content is streamed, so that any size fits into memory."""
    draw = random.Random(f"{seed}/large/{number}")
    build = f"h{draw.randbytes(4).hex()[:7]}_0"
    who = _Identity(f"sample-large-{number}", f"1.{mib}", build, 0, "linux-64")
    info = _info(draw, who, {}, number)
    (folder / who.subdir).mkdir(parents=True, exist_ok=True)
    path = folder / who.subdir / f"{who.stem}.conda"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        _put(archive, "metadata.json", _json({"conda_pkg_format_version": 2}))
        member = zipfile.ZipInfo(f"pkg-{who.stem}.tar.zst", _ZIP_DATE)
        with contextlib.ExitStack() as stack:
            plain = stack.enter_context(archive.open(member, "w", force_zip64=True))
            packed = stack.enter_context(zstandard.ZstdCompressor(level=1).stream_writer(plain))
            tar = stack.enter_context(tarfile.open(fileobj=packed, mode="w|"))
            for piece in range(mib):
                _add(tar, f"share/{who.name}/{piece}.bin", draw.randbytes(_MIB))
        _put(archive, f"info-{who.stem}.tar.zst", _zstd(_tar(info)))
    return path


def _conda(stem: str, info: bytes, package: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        _put(archive, "metadata.json", _json({"conda_pkg_format_version": 2}))
        _put(archive, f"pkg-{stem}.tar.zst", _zstd(package))
        _put(archive, f"info-{stem}.tar.zst", _zstd(info))
    return buffer.getvalue()


def _put(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    # A fixed date: zipfile would take the clock's.
    archive.writestr(zipfile.ZipInfo(name, _ZIP_DATE), data)


def _tar(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in members.items():
            _add(tar, name, data)
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mtime = len(data), _EPOCH_SECONDS
    tar.addfile(member, io.BytesIO(data))


def _zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=3).compress(data)


def _json(value: object) -> bytes:
    return json.dumps(value, indent=2, sort_keys=True).encode()


def _text(draw: random.Random, words: int) -> str:
    return " ".join(draw.choices(_WORDS, k=words))


def _large_option(text: str) -> tuple[int, int]:
    count, _, mib = text.partition(":")
    return int(count), int(mib)


def main() -> int:
    """Make a corpus as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--large", type=_large_option, default=(0, 0), metavar="COUNT:MIB")
    options = parser.parse_args()
    paths = make(options.output, options.seed, range(options.count))
    paths += make_large(options.output, options.seed, *options.large)
    total = sum(path.stat().st_size for path in paths)
    sys.stdout.write(f"{len(paths)} packages, {total / _MIB:.1f} MiB\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
