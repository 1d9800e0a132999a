"""One package to one record, reading as little of it as its digests allow."""

from __future__ import annotations

import contextlib
import io
import re
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from indexer.archive import (
    ABOUT_JSON,
    INDEX_JSON,
    PATHS_JSON,
    RECIPES,
    RUN_EXPORTS_JSON,
    Source,
    read_conda,
    read_tar_bz2,
)
from indexer.core.about import About, about_of
from indexer.core.dating import FIELD, first_date
from indexer.core.model import Extracted, Rejected, Rules, Stat
from indexer.core.names import CONDA
from indexer.core.objects import dump
from indexer.core.records import PackageFile, judge, judge_run_exports, run_exports_faults
from indexer.digests import Digests, Hasher, digests_of
from indexer.errors import BadConfig, BadPackage, Conflict, Denied, RangeRefused, Unavailable
from indexer.store import Usage
from indexer.store.wrappers import Metered
from indexer.window import Onward, Window

if TYPE_CHECKING:
    from collections.abc import Mapping

    from indexer.store import Opened, Store

_KIB = 2**10
_MIB = 2**20
# A package up to this size is read whole in one request: a part of it would not be cheaper.
_SMALL = 256 * _KIB
# A package up to this size may be in memory whole where all of it must be read.
_WHOLE = 8 * _MIB
# How much of a .conda's end is asked for.  Of 190 real packages the info part, which builders write
# last, and the zip directory have 1.3 KiB in the median and less than this in 98 of 100.
_TAIL = 64 * _KIB
# What is read at once of a package that is not in memory whole.
_STEP = 512 * _KIB
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MD5 = re.compile(r"[0-9a-f]{32}")


class Way(Enum):
    """How a package was read (docs/design.md, section Reading)."""

    WHOLE = "whole"
    TAIL = "tail"
    HEAD = "head"
    STREAM = "stream"


@dataclass(frozen=True, slots=True)
class Gone:
    """A package that vanished or changed between the listing and the reading: look again."""

    filename: str


@dataclass(frozen=True, slots=True)
class Spec:
    """What all readings of a run share.

    `undated` says that nothing in the subdir was dated before.  With `verify_digests` every byte is hashed, even where
    the store vouches for the digests.  With `about` it is also read what the packages say of themselves.
    """

    subdir: str
    rules: Rules
    now_ms: int
    verify_digests: bool = False
    about: bool = False
    undated: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of one package, the way it was read, and what that took."""

    result: Extracted | Rejected | Gone
    way: Way
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True)
class _Content:
    """What was read of a package: its info files by name, its digests, and what was odd."""

    way: Way
    info: Mapping[str, bytes] | BadPackage
    digests: Digests
    warnings: tuple[str, ...] = ()


def read(store: Store, stat: Stat, spec: Spec) -> Reading:
    """Read one package.  A bad one is a result; raises only what the store raises, save Conflict."""
    metered = Metered(store)
    filename = stat.key.rpartition("/")[2]
    way = first_way(stat, spec)
    result: Extracted | Rejected | Gone
    try:
        content = _WAYS[way](metered, stat, spec)
        way = content.way
        result = _judged(content, stat, spec)
    except Conflict:
        result = Gone(filename)
    except BadPackage as error:
        result = Rejected(filename, stat.version, f"{error.thing} {error.reason}")
    except Denied as error:
        # One package of another owner, another key or in cold storage is no reason to stop.
        result = Rejected(filename, stat.version, error.reason, passing=True)
    return Reading(result, way, metered.usage)


def first_way(stat: Stat, spec: Spec) -> Way:
    """The way that a package is tried to be read at first."""
    if stat.size <= _SMALL:
        return Way.WHOLE
    if spec.verify_digests:
        return Way.WHOLE if stat.size <= _WHOLE else Way.STREAM
    return Way.TAIL if stat.key.endswith(CONDA) else Way.HEAD


def weight_of(stat: Stat, spec: Spec) -> int:
    """How many bytes of memory reading a package may take, roughly."""
    if first_way(stat, spec) is Way.WHOLE:
        return 2 * stat.size + _SMALL
    return 4 * _STEP


def _judged(content: _Content, stat: Stat, spec: Spec) -> Extracted | Rejected:
    filename = stat.key.rpartition("/")[2]
    package = PackageFile(spec.subdir, filename, stat.size, content.digests.sha256, content.digests.md5)
    try:
        if isinstance(content.info, BadPackage):
            raise content.info
        judged = judge(content.info[INDEX_JSON], package, spec.rules, spec.now_ms)
        run_exports = judge_run_exports(content.info.get(RUN_EXPORTS_JSON))
    except BadPackage as error:
        return Rejected(filename, stat.version, f"{error.thing} {error.reason}", package.sha256)
    warnings = (*content.warnings, *judged.warnings, *run_exports_faults(run_exports))
    about = None
    if spec.about:
        about, odd = _about(content.info, About(sha256=package.sha256, run_exports=run_exports))
        warnings += odd
    if warnings and spec.rules.strict:
        return Rejected(filename, stat.version, "; ".join(warnings), package.sha256)
    # Where the index knows a date of this artifact, that is put in its place (CEP 47).
    date = first_date(stat, judged.record.get("timestamp"), spec.now_ms, undated=spec.undated)
    record = dump({**judged.record, FIELD: date})
    told = stat.md5 == package.md5
    return Extracted(filename, stat.version, record, dump(run_exports), judged.v3, warnings, about, told)


def _about(info: Mapping[str, bytes], known: About) -> tuple[About, tuple[str, ...]]:
    """What a package says of itself, and what is odd about that."""
    recipe = next((info[name] for name in RECIPES if name in info), b"")
    return about_of(info.get(ABOUT_JSON), recipe, info.get(PATHS_JSON, b"").decode().split(), known)


def _whole(store: Store, stat: Stat, spec: Spec) -> _Content:
    """One request, all of it in memory."""
    with Onward(store, stat, store.open(stat.key, version=stat.version)) as onward:
        data = onward.rest()
    digests = digests_of(data)
    info = _info(Window(store, stat, data, 0) if stat.key.endswith(CONDA) else io.BytesIO(data), stat, spec)
    return _Content(Way.WHOLE, info, digests, _contradiction(onward.opened, digests))


def _info(file: Window | Source, stat: Stat, spec: Spec) -> dict[str, bytes] | BadPackage:
    """The info files of a package, or why there are none: its digests are worth knowing all the same."""
    try:
        if isinstance(file, Window):
            return read_conda(file, about=spec.about)
        return read_tar_bz2(file, stat.size, about=spec.about)
    except BadPackage as error:
        return error


def _tail(store: Store, stat: Stat, spec: Spec) -> _Content:
    """The end of a `.conda`, where its directory and its info part lie, if its digests are vouched for.

    The range is an explicit one, for the size is known: some stores answer a suffix range wrongly.
    """
    start = max(0, stat.size - _TAIL)
    digests = data = None
    with contextlib.suppress(RangeRefused):
        reader = store.open(stat.key, range=(start, stat.size), version=stat.version)
        with Onward(store, stat, reader, (start, stat.size)) as onward:
            digests = vouched(onward.opened) if onward.opened.start == start else None
            if digests is None:
                digests = _checksum(store, onward.opened)
            if digests is not None:
                data = onward.rest()
    if digests is None or data is None:
        return _stream(store, stat, spec)
    return _Content(Way.TAIL, _info(Window(store, stat, data, start), stat, spec), digests)


def _head(store: Store, stat: Stat, spec: Spec) -> _Content:
    """A `.tar.bz2` up to its info files if its digests are vouched for, else to its end: one request."""
    with Onward(store, stat, store.open(stat.key, version=stat.version)) as onward:
        digests = vouched(onward.opened) or _checksum(store, onward.opened)
        if digests is None:
            return _drain(onward, stat, spec)
        return _Content(Way.HEAD, _info(onward, stat, spec), digests)


def _stream(store: Store, stat: Stat, spec: Spec) -> _Content:
    """One pass over all of it in constant memory: hash and, of a `.tar.bz2`, parse on the fly."""
    with Onward(store, stat, store.open(stat.key, version=stat.version)) as onward:
        if not stat.key.endswith(CONDA):
            return _drain(onward, stat, spec)
        tail = b""
        with Hasher(onward) as hasher:
            while step := hasher.read(_STEP):
                tail = (tail + step)[-_STEP:] if len(step) < _STEP else step
            digests = hasher.digests()
    info = _info(Window(store, stat, tail, stat.size - len(tail)), stat, spec)
    return _Content(Way.STREAM, info, digests, _contradiction(onward.opened, digests))


def _drain(onward: Onward, stat: Stat, spec: Spec) -> _Content:
    with Hasher(onward) as hasher:
        info = _info(hasher, stat, spec)
        while hasher.read(_STEP):
            pass
        digests = hasher.digests()
    way = Way.WHOLE if stat.size <= _SMALL else Way.STREAM
    return _Content(way, info, digests, _contradiction(onward.opened, digests))


_WAYS = {Way.WHOLE: _whole, Way.TAIL: _tail, Way.HEAD: _head, Way.STREAM: _stream}


def vouched(opened: Opened) -> Digests | None:
    """The digests that came with an object and that nothing contradicts.

    rattler-build and pixi store both with each upload.  Whoever may set them may also put the
    package, and clients check the sha256 at every install.
    """
    claimed = _claimed(opened)
    if claimed is None:
        return None
    return claimed if opened.stat.md5 in {None, claimed.md5} else None


def _claimed(opened: Opened) -> Digests | None:
    sha256 = opened.metadata.get("package-sha256", "")
    md5 = opened.metadata.get("package-md5", "")
    return Digests(sha256, md5) if _SHA256.fullmatch(sha256) and _MD5.fullmatch(md5) else None


def _contradiction(opened: Opened, computed: Digests) -> tuple[str, ...]:
    claimed = _claimed(opened)
    if claimed in {None, computed}:
        return ()
    return (f"the object's metadata says {claimed} where its content has {computed}; the content wins",)


def _checksum(store: Store, opened: Opened) -> Digests | None:
    """The digests of an object that was put in one part with a SHA-256 checksum that the store checked."""
    stat = opened.stat
    if stat.size <= _WHOLE or stat.md5 is None or _claimed(opened) is not None:
        return None  # not worth a request, no MD5 to be had, or contradicted already
    try:
        found = store.stat(stat.key, checksum=True)
    except (Unavailable, BadConfig, Denied):
        return None  # some stores refuse the question
    if found is None or found.version != stat.version or not found.sha256 or not found.md5:
        return None
    return Digests(found.sha256, found.md5)
