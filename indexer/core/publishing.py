"""Decides about each package of `publish`, and reports on it and on `promote`: sent, already there, and so on."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from indexer.core.attestations import SUFFIX
from indexer.core.errors import BadConfig
from indexer.core.exit_codes import ExitCode, worst_code
from indexer.core.report import Note, Outcome, Report, worst_outcome
from indexer.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from indexer.core.model import ETag


class PublishRequest(Value, frozen=True):
    """What `publish` may do: with `partial` send the valid files although others are rejected; with `replace` replace
    a package that has other bytes in the channel.
    """

    partial: bool = False
    replace: bool = False


class Attestations(Value, frozen=True):
    """The attestations beside a package: the bytes of its `.sigs`, and their sha256 (hex)."""

    content: bytes
    sha256: str


class LocalPackage(Value, frozen=True):
    """A valid package file: its name as the user gave it, its key in the channel, size in bytes and digests (hex)."""

    file: str
    key: str
    size: int
    sha256: str
    md5: str
    attestations: Attestations | None = None

    @property
    def headers(self) -> dict[str, str]:
        """The headers of its object, as `rattler-build upload s3` sets them."""
        return {
            "Content-Disposition": f"attachment; filename={self.key.rpartition('/')[2]}",
            "x-amz-meta-package-md5": self.md5,
            "x-amz-meta-package-sha256": self.sha256,
        }

    @property
    def sidecars(self) -> tuple[str, ...]:
        """The keys of its attestations in the order of writing: a reader of the second finds the first."""
        if self.attestations is None:
            return ()
        alias = self.key + SUFFIX
        return f"{alias}.{self.attestations.sha256}", alias


class Existing(Value, frozen=True):
    """An object under the key of a package: its ETag, and whether it has the same bytes."""

    etag: ETag
    is_same: bool


class Sending(Enum):
    """What happened to a package, or would happen."""

    SENT = "sent"
    PROMOTED = "promoted"
    REPLACED = "replaced"
    THERE = "already there"
    WOULD_SEND = "would send"
    WOULD_PROMOTE = "would promote"
    WOULD_REPLACE = "would replace"
    DIFFERENT = "different"
    REJECTED = "rejected"
    NOT_SENT = "not sent"

    @property
    def is_in_channel(self) -> bool:
        """Whether the channel has the package now, so that it is to be indexed."""
        return self in {Sending.SENT, Sending.PROMOTED, Sending.REPLACED, Sending.THERE}

    @property
    def replaces(self) -> bool:
        """Whether other bytes of the channel are replaced."""
        return self in {Sending.REPLACED, Sending.WOULD_REPLACE}


_OUTCOMES = {
    Sending.SENT: Outcome.PUBLISHED,
    Sending.PROMOTED: Outcome.PUBLISHED,
    Sending.REPLACED: Outcome.PUBLISHED,
    Sending.THERE: Outcome.UNCHANGED,
    Sending.WOULD_SEND: Outcome.PLANNED,
    Sending.WOULD_PROMOTE: Outcome.PLANNED,
    Sending.WOULD_REPLACE: Outcome.PLANNED,
    Sending.DIFFERENT: Outcome.REFUSED,
    Sending.REJECTED: Outcome.FAILED,
    Sending.NOT_SENT: Outcome.UNCHANGED,
}
_EXIT_CODES = {Outcome.FAILED: ExitCode.FAILED, Outcome.REFUSED: ExitCode.REFUSED, Outcome.PARTIAL: ExitCode.PARTIAL}


class PackageResult(Value, frozen=True):
    """What happened to a file, with its key, size in bytes, and the reason if it was not sent, or a warning.

    The key is empty, and the size 0, if the file is no valid package.  `attestations` is true if it has some.
    """

    file: str
    result: Sending
    key: str = ""
    size: int = 0
    reason: str = ""
    attestations: bool = False


def result_of(package: LocalPackage, result: Sending, reason: str = "") -> PackageResult:
    """The result for a valid package."""
    attested = package.attestations is not None
    return PackageResult(package.file, result, package.key, package.size, reason, attested)


def with_snapshot_warning(result: PackageResult, frozen: Mapping[str, frozenset[str]]) -> PackageResult:
    """The result of a replacement, with a warning if a named snapshot has the package; `frozen` has those by subdir."""
    subdir, _, filename = result.key.partition("/")
    if not result.result.replaces or filename not in frozen.get(subdir, ()):
        return result
    verb = "is" if result.result is Sending.REPLACED else "would be"
    return replace(result, reason=f"{verb} replaced, so installs of it from a snapshot fail")


def planned(existing: Existing | None, request: PublishRequest, new: Sending = Sending.WOULD_SEND) -> Sending:
    """What would be done with a package, by the object under its key; `new` is what is done without an object."""
    if existing is None:
        return new
    if existing.is_same:
        return Sending.THERE
    return Sending.WOULD_REPLACE if request.replace else Sending.DIFFERENT


def check_distinct(packages: Iterable[LocalPackage]) -> None:
    """Raise BadConfig if two files are for one place in the channel."""
    files: dict[str, str] = {}
    for package in packages:
        other = files.setdefault(package.key, package.file)
        if other != package.file:
            raise BadConfig(package.file, f"is {package.key}, as {other} is", "nothing was changed: name one of them")


class PublishReport(Report, frozen=True):
    """The result of `publish`: of each file, and of the run over the packages that the channel has now."""

    packages: tuple[PackageResult, ...] = ()
    partial: bool = False

    @property
    def _outcomes(self) -> tuple[Outcome, ...]:
        return tuple(
            Outcome.PARTIAL if self.partial and package.result is Sending.REJECTED else _OUTCOMES[package.result]
            for package in self.packages
        )

    @property
    def outcome(self) -> Outcome:
        """The worst outcome of a file, of a subdir, or of the files at the root."""
        return worst_outcome([*self._outcomes, *(part.outcome for part in self._parts)])

    @property
    def exit_code(self) -> ExitCode:
        """The code that the command ends with."""
        of_files = (_EXIT_CODES.get(outcome, ExitCode.OK) for outcome in self._outcomes)
        return worst_code([*of_files, *(part.exit_code for part in self._parts)])

    def as_json(self) -> dict[str, object]:
        """The object that `--json` prints: that of a run, and `packages`."""
        packages: list[dict[str, Any]] = msgspec.to_builtins(self.packages)
        return {**super().as_json(), "packages": packages}


class PromoteReport(PublishReport, frozen=True):
    """The result of `promote`: of each package, by its key, and of the run over those that the channel has now.

    `source` is the name of the channel that they were copied from.  `notes` are remarks on packages by their key.
    """

    source: str = ""
    notes: tuple[Note, ...] = ()

    def as_json(self) -> dict[str, object]:
        """The object that `--json` prints: that of `publish`, `from` and `notes`."""
        notes: list[dict[str, Any]] = msgspec.to_builtins(self.notes)
        return {**super().as_json(), "from": self.source, "notes": notes}
