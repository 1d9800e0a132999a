"""Reads package files on this machine by the rules of the index, before anything is sent."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from indexer.core.attestations import MAX_SIZE, SUFFIX, bundles_digest
from indexer.core.errors import BadConfig
from indexer.core.model import Extracted, Rejected
from indexer.core.names import extension_of, is_subdir
from indexer.core.publishing import Attestations, LocalPackage, PackageResult, Sending, result_of
from indexer.core.value import Value
from indexer.extractor.extract import ExtractSpec, read
from indexer.store.content import content_of
from indexer.store.fs import FolderStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from indexer.core.model import Rules, Stat
    from indexer.core.stream import Stream


class _Identity(msgspec.Struct):
    subdir: str
    sha256: str
    md5: str


_identity = msgspec.json.Decoder(_Identity)


class ValidFile(Value, frozen=True):
    """A valid package file: the package, and the place that it is read from."""

    package: LocalPackage
    folder: FolderStore
    stat: Stat

    def content(self, check: Callable[[], None]) -> Stream:
        """Its bytes; `check` is called before each chunk, and raises an error if no more may be sent."""
        return content_of(self.folder, self.stat, self.package.sha256, self.package.md5, check)


def read_file(file: Path, rules: Rules, now_ms: int) -> ValidFile | PackageResult:
    """A package file by the rules of the index; the result if it is rejected.  A link is followed.

    Raises BadConfig if there is no such file, or if it does not end like a package.
    """
    real = Path(os.path.realpath(file))
    folder, stat = _located(file, real)
    result = read(folder, stat, ExtractSpec("", rules, now_ms, verify_digests=True)).result
    if isinstance(result, Extracted):
        return _valid(file, ValidFile(_package(file, stat, result), folder, stat))
    reason = result.reason if isinstance(result, Rejected) else "changed while it was read"
    return PackageResult(str(file), Sending.REJECTED, reason=reason)


def _located(file: Path, real: Path) -> tuple[FolderStore, Stat]:
    if extension_of(real.name) is None:
        reason = "is a folder" if real.is_dir() else "does not end in .conda or .tar.bz2, as a package does"
        raise BadConfig(str(file), reason, "nothing was changed: name package files, such as output/*/*.conda")
    stat = None
    if real.parent.is_dir():
        folder = FolderStore(real.parent)
        stat = folder.stat(real.name)
    if stat is None:
        raise BadConfig(str(file), "is not a file, or does not exist", "nothing was changed: check the name")
    return folder, stat


def _package(file: Path, stat: Stat, result: Extracted) -> LocalPackage:
    identity = _identity.decode(result.record)
    return LocalPackage(str(file), f"{identity.subdir}/{stat.key}", stat.size, identity.sha256, identity.md5)


def _valid(file: Path, found: ValidFile) -> ValidFile | PackageResult:
    """The file with its attestations; the result if its subdir or its attestations are invalid."""
    package = found.package
    subdir = package.key.partition("/")[0]
    if not is_subdir(subdir):
        wrong = f"has the subdir {subdir!r}, which no channel can have" if subdir else "has no subdir"
        reason = f"info/index.json {wrong}, so its place in the channel is unknown"
        return PackageResult(package.file, Sending.REJECTED, size=package.size, reason=reason)
    try:
        attestations = _attestations(file.with_name(file.name + SUFFIX))
    except ValueError as error:
        return result_of(package, Sending.REJECTED, f"{file.name}{SUFFIX} {error}")
    return msgspec.structs.replace(found, package=msgspec.structs.replace(package, attestations=attestations))


def _attestations(file: Path) -> Attestations | None:
    """The attestations in a file, None if there is no such file.  Raises ValueError if readers could not use them."""
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_SIZE + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror})") from error
    if len(content) > MAX_SIZE:
        raise ValueError(f"has more than {MAX_SIZE} bytes")
    return Attestations(content, bundles_digest(content))
