"""Reads one package and returns its record; reads only a part of the package if its digests are known."""

from __future__ import annotations

import contextlib
import io
import re
from enum import Enum
from typing import TYPE_CHECKING

from msgspec import field

from indexer.core.errors import BadConfig, BadPackage, Conflict, Damaged, Denied, RangeRefused, Unavailable
from indexer.core.json_form import dump
from indexer.core.metadata import Metadata
from indexer.core.model import Extracted, Rejected, Rules, Stat
from indexer.core.names import CONDA
from indexer.core.records.about import metadata_of
from indexer.core.records.dates import FIELD, first_date
from indexer.core.records.index_json import PackageFile, parse_run_exports, run_exports_faults, validate
from indexer.core.usage import Usage
from indexer.core.value import Value
from indexer.extractor.archive import (
    ABOUT_JSON,
    PATHS_JSON,
    RECIPES,
    RUN_EXPORTS_UNKNOWN,
    ZIP_WARNINGS,
    read_conda,
    read_tar_bz2,
)
from indexer.extractor.digests import Digests, Hasher, digests_of
from indexer.extractor.file_kind import START_SIZE, check_file_kind
from indexer.extractor.integrity import BZIP2_TAIL, FullCheck, Tail, ends_as_bzip2, scan_members, unpack_bzip2
from indexer.extractor.range_file import HeldFile, RangeFile
from indexer.extractor.tar_names import INDEX_JSON, RUN_EXPORTS_JSON
from indexer.store.read import ResumingReader
from indexer.store.wrappers import Metered

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from indexer.store import Opened, Store

_KIB = 2**10
_MIB = 2**20
# A package up to this size is read whole in one request: a part of it would not be cheaper.
_SMALL = 256 * _KIB
# A package up to this size is read into memory whole if all its bytes are needed.
_WHOLE = 8 * _MIB
# Bytes requested from the end of a .conda.  In 190 real packages the info part, which builders write last, and the zip
# directory have a median of 1.3 KiB together, and less than this size in 98 of 100 packages.
_TAIL = 64 * _KIB
# Bytes of one read of a package that is not in memory whole.
_STEP = 512 * _KIB
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MD5 = re.compile(r"[0-9a-f]{32}")


class ReadStrategy(Enum):
    """How a package was read (docs/design/packages.md)."""

    WHOLE = "whole"
    TAIL = "tail"
    HEAD = "head"
    STREAM = "stream"
    RECORD = "record"  # the record of another channel was used, and nothing was read


class Vanished(Value, frozen=True):
    """A package that vanished or changed between the listing and the reading: take a new snapshot."""

    filename: str


class ExtractSpec(Value, frozen=True):
    """The options that all readings of a subdir share; `subdir` is empty for packages that are not in a channel yet.

    `undated`: no record of the subdir has a date yet.  `verify_digests`: every byte is hashed, even if the store has
    digests.  `metadata`: the metadata of the packages is read too.  `unpack`, which needs `verify_digests`: every byte
    is decompressed too.
    """

    subdir: str
    rules: Rules
    now_ms: int
    verify_digests: bool = False
    metadata: bool = False
    undated: bool = False
    unpack: bool = False


class Reading(Value, frozen=True):
    """The result of one package, the strategy that read the package, and the requests and bytes."""

    result: Extracted | Rejected | Vanished
    strategy: ReadStrategy
    usage: Usage = field(default_factory=Usage)


class _Content(Value, frozen=True):
    """The content of a package: its info files by name, its digests, and warnings."""

    strategy: ReadStrategy
    info: Mapping[str, bytes] | BadPackage
    digests: Digests
    warnings: tuple[str, ...] = ()


def read(store: Store, stat: Stat, spec: ExtractSpec) -> Reading:
    """Read one package.  A bad package is a result.  Raises the errors of the store, except Conflict and Denied."""
    metered = Metered(store)
    filename = stat.key.rpartition("/")[2]
    strategy = first_strategy(stat, spec)
    result: Extracted | Rejected | Vanished
    try:
        content = _STRATEGIES[strategy](metered, stat, spec)
        strategy = content.strategy
        result = _result_of(content, stat, spec)
    except Conflict:
        result = Vanished(filename)
    except BadPackage as error:
        result = Rejected(filename, stat.etag, f"{error.thing} {error.reason}")
    except Denied as error:
        # A single package may have another owner or encryption key, or be in cold storage: the run continues.
        result = Rejected(filename, stat.etag, error.reason, transient=True)
    return Reading(result, strategy, metered.usage)


def first_strategy(stat: Stat, spec: ExtractSpec) -> ReadStrategy:
    """The strategy with which reading a package begins."""
    if stat.size <= _SMALL:
        return ReadStrategy.WHOLE
    if spec.verify_digests:
        return ReadStrategy.WHOLE if stat.size <= _WHOLE else ReadStrategy.STREAM
    return ReadStrategy.TAIL if stat.key.endswith(CONDA) else ReadStrategy.HEAD


def weight_of(stat: Stat, spec: ExtractSpec) -> int:
    """How many bytes of memory reading a package may take, roughly."""
    if first_strategy(stat, spec) is ReadStrategy.WHOLE:
        return 2 * stat.size + _SMALL
    return 4 * _STEP


def _result_of(content: _Content, stat: Stat, spec: ExtractSpec) -> Extracted | Rejected:
    filename = stat.key.rpartition("/")[2]
    package = PackageFile(spec.subdir, filename, stat.size, content.digests.sha256, content.digests.md5)
    try:
        if isinstance(content.info, BadPackage):
            raise content.info
        validated = validate(content.info[INDEX_JSON], package, spec.rules, spec.now_ms)
        run_exports = parse_run_exports(content.info.get(RUN_EXPORTS_JSON))
    except BadPackage as error:
        reason = f"{error.thing} {error.reason}"
        return Rejected(filename, stat.etag, reason, package.sha256, damaged=isinstance(error, Damaged))
    of_zip = content.info.get(ZIP_WARNINGS, b"").decode().splitlines()
    warnings = (*content.warnings, *of_zip, *validated.warnings, *run_exports_faults(run_exports))
    unknown = RUN_EXPORTS_UNKNOWN in content.info
    if unknown:
        warnings += ("the run exports are unknown, because the archive cannot be read to its end",)
    about = None
    if spec.metadata:
        about, about_warnings = _metadata(content.info, Metadata(sha256=package.sha256, run_exports=run_exports))
        warnings += about_warnings
    if warnings and spec.rules.strict:
        return Rejected(filename, stat.etag, "; ".join(warnings), package.sha256)
    # If the index already has a date for this package, that date replaces this one (CEP 47).
    date = first_date(stat, validated.record.get("timestamp"), spec.now_ms, undated=spec.undated)
    record = dump({**validated.record, FIELD: date})
    md5_matches_etag = stat.md5 == package.md5
    known_exports = None if unknown else dump(run_exports)
    return Extracted(filename, stat.etag, record, known_exports, validated.v3, warnings, about, md5_matches_etag)


def _metadata(info: Mapping[str, bytes], known: Metadata) -> tuple[Metadata, tuple[str, ...]]:
    """The metadata of a package, and warnings about it."""
    recipe = next((info[name] for name in RECIPES if name in info), b"")
    return metadata_of(info.get(ABOUT_JSON), recipe, info.get(PATHS_JSON, b"").decode().split(), known)


def _read_whole(store: Store, stat: Stat, spec: ExtractSpec) -> _Content:
    """Read the package in one request, all of it into memory."""
    with ResumingReader(store, stat, store.open(stat.key, etag=stat.etag)) as stream:
        data = stream.rest()

    def read_info() -> dict[str, bytes]:
        check_file_kind(stat.key, data[:START_SIZE])
        if not stat.key.endswith(CONDA):
            # Decompressing takes fifty times as long as hashing, so only both ends of a large package are checked.
            whole = spec.unpack or stat.size <= _SMALL or not ends_as_bzip2(data)
            return read_tar_bz2(io.BytesIO(data), stat.size, about=spec.metadata, whole=whole)
        check = FullCheck(scan_members(io.BytesIO(data), unpack=spec.unpack), data, spec.unpack)
        return read_conda(HeldFile(stat, data), about=spec.metadata, whole=check)

    digests = digests_of(data)
    return _Content(ReadStrategy.WHOLE, _info(read_info), digests, _digest_warning(stream.opened, digests))


def _info(read: Callable[[], dict[str, bytes]]) -> dict[str, bytes] | BadPackage:
    """The info files of a package, or the error of reading them: the digests are needed in both cases."""
    try:
        return read()
    except BadPackage as error:
        return error


def _read_tail(store: Store, stat: Stat, spec: ExtractSpec) -> _Content:
    """Read the end of a `.conda`, with its directory and info part, if the store has its digests; else read all of it.

    The request has an explicit range, because some stores answer a suffix range wrongly.
    """
    start = max(0, stat.size - _TAIL)
    digests = data = None
    with contextlib.suppress(RangeRefused):
        reader = store.open(stat.key, range=(start, stat.size), etag=stat.etag)
        with ResumingReader(store, stat, reader, (start, stat.size)) as stream:
            digests = stored_digests(stream.opened) if stream.opened.start == start else None
            if digests is None:
                digests = _checksum_digests(store, stream.opened)
            if digests is not None:
                data = stream.rest()
    if digests is None or data is None:
        return _read_stream(store, stat, spec)
    window = RangeFile(store, stat, data, start)
    return _Content(ReadStrategy.TAIL, _info(lambda: read_conda(window, about=spec.metadata)), digests)


def _read_head(store: Store, stat: Stat, spec: ExtractSpec) -> _Content:
    """Read a `.tar.bz2` up to its info files, and its last bytes, if the store has its digests; else read all of it."""
    with ResumingReader(store, stat, store.open(stat.key, etag=stat.etag)) as stream:
        digests = stored_digests(stream.opened) or _checksum_digests(store, stream.opened)
        if digests is None:
            return _stream_tar_bz2(store, stream, stat, spec)
        source = Tail(stream, BZIP2_TAIL)
        info = _info(lambda: read_tar_bz2(source, stat.size, about=spec.metadata))
        if isinstance(info, BadPackage):
            return _Content(ReadStrategy.HEAD, info, digests)
        end = _end_of(store, stat)
        if end is None:
            end = source.rest()
    return _Content(ReadStrategy.HEAD, _checked_end(store, stat, info, end), digests)


def _end_of(store: Store, stat: Stat) -> bytes | None:
    """The last bytes of a package; None if the store serves no ranges."""
    start = stat.size - BZIP2_TAIL
    with contextlib.suppress(RangeRefused):
        reader = store.open(stat.key, range=(start, stat.size), etag=stat.etag)
        with ResumingReader(store, stat, reader, (start, stat.size)) as stream:
            return stream.rest() if stream.opened.start else None
    return None


def _checked_end(
    store: Store, stat: Stat, info: dict[str, bytes] | BadPackage, end: bytes
) -> dict[str, bytes] | BadPackage:
    """The info files of a `.tar.bz2` if its last bytes are the end of a bzip2 stream, or if it can be decompressed.

    Clients accept bytes appended after the stream, so without the end mark the package is read again and decompressed.
    """
    if isinstance(info, BadPackage) or ends_as_bzip2(end):
        return info
    try:
        with ResumingReader(store, stat, store.open(stat.key, etag=stat.etag)) as stream:
            unpack_bzip2(stream, stat.size)
    except BadPackage as error:
        return error
    return info


def _read_stream(store: Store, stat: Stat, spec: ExtractSpec) -> _Content:
    """Read all of a package in one pass and constant memory: hash, check and, for a `.tar.bz2`, parse."""
    with ResumingReader(store, stat, store.open(stat.key, etag=stat.etag)) as stream:
        if not stat.key.endswith(CONDA):
            return _stream_tar_bz2(store, stream, stat, spec)
        with Hasher(stream) as hasher:
            source = Tail(hasher, _STEP)
            whole = FullCheck(scan_members(source, unpack=spec.unpack), None, spec.unpack)
            tail = source.rest()
            digests = hasher.digests()
    window = RangeFile(store, stat, tail, stat.size - len(tail))
    info = _info(lambda: read_conda(window, about=spec.metadata, whole=whole))
    return _Content(ReadStrategy.STREAM, info, digests, _digest_warning(stream.opened, digests))


def _stream_tar_bz2(store: Store, stream: ResumingReader, stat: Stat, spec: ExtractSpec) -> _Content:
    with Hasher(stream) as hasher:
        source = Tail(hasher, BZIP2_TAIL)
        info = _info(lambda: read_tar_bz2(source, stat.size, about=spec.metadata, whole=spec.unpack))
        end = source.rest()
        digests = hasher.digests()
    if not spec.unpack:
        info = _checked_end(store, stat, info, end)
    return _Content(ReadStrategy.STREAM, info, digests, _digest_warning(stream.opened, digests))


_STRATEGIES = {
    ReadStrategy.WHOLE: _read_whole,
    ReadStrategy.TAIL: _read_tail,
    ReadStrategy.HEAD: _read_head,
    ReadStrategy.STREAM: _read_stream,
}


def stored_digests(opened: Opened) -> Digests | None:
    """The digests in the metadata of an object, unless its ETag contradicts them.

    rattler-build and pixi store both digests with each upload.  A user who may set them may also replace the package,
    and clients check the sha256 at every install.
    """
    claimed = _claimed(opened)
    if claimed is None:
        return None
    return claimed if opened.stat.md5 in {None, claimed.md5} else None


def _claimed(opened: Opened) -> Digests | None:
    sha256 = opened.metadata.get("package-sha256", "")
    md5 = opened.metadata.get("package-md5", "")
    return Digests(sha256, md5) if _SHA256.fullmatch(sha256) and _MD5.fullmatch(md5) else None


def _digest_warning(opened: Opened, computed: Digests) -> tuple[str, ...]:
    claimed = _claimed(opened)
    if claimed in {None, computed}:
        return ()
    return (f"the object's metadata has {claimed} but its content has {computed}; the content is used",)


def _checksum_digests(store: Store, opened: Opened) -> Digests | None:
    """The digests of an object that was uploaded in one part with a SHA-256 checksum, which the store verified."""
    stat = opened.stat
    if stat.size <= _WHOLE or stat.md5 is None or _claimed(opened) is not None:
        return None  # too small for a request, no MD5, or contradicting metadata
    try:
        known = store.stat(stat.key, checksum=True)
    except (Unavailable, BadConfig, Denied):
        return None  # some stores refuse this request
    if known is None or known.etag != stat.etag or not known.sha256 or not known.md5:
        return None
    return Digests(known.sha256, known.md5)
