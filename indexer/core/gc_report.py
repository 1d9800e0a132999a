"""The report of a gc on the unused files of each subdir, and its form as JSON."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003  the JSON Schema is made from the annotations
from typing import Any

from msgspec.structs import asdict

from indexer.core.exit_codes import ExitCode, worst_code
from indexer.core.report import ChannelReport, Outcome, without_null_error
from indexer.core.value import Value


class SubdirGc(Value, frozen=True):
    """The unused files of one subdir, deleted or not, with their size in `bytes`.

    `restored` were referenced again while a gc deleted them, so the gc wrote them again.  `missing_shards` are in the
    index, and not in the channel.
    """

    unused: tuple[str, ...] = ()
    bytes: int = 0
    restored: tuple[str, ...] = ()
    missing_shards: tuple[str, ...] = ()
    error: str | None = None
    exit_code: ExitCode = ExitCode.OK


class GcObject(Value, frozen=True, kw_only=True):
    """The JSON form of a SubdirGc: files that a gc would delete have another key than those it has deleted."""

    deleted: tuple[str, ...] = ()
    would_delete: tuple[str, ...] = ()
    bytes: int = 0
    restored: tuple[str, ...] = ()
    missing_shards: tuple[str, ...] = ()
    error: str | None = None
    exit_code: ExitCode = ExitCode.OK


class GcReport(ChannelReport, frozen=True):
    """The result of a gc; `deleted` is false if the unused files were only listed."""

    subdirs: Mapping[str, SubdirGc]
    deleted: bool = False

    @property
    def outcome(self) -> Outcome:
        """FAILED, UNCHANGED if there are no unused files, else PLANNED or COLLECTED."""
        if any(sub.exit_code for sub in self.subdirs.values()):
            return Outcome.FAILED
        if not any(sub.unused for sub in self.subdirs.values()):
            return Outcome.UNCHANGED
        return Outcome.COLLECTED if self.deleted else Outcome.PLANNED

    @property
    def exit_code(self) -> ExitCode:
        """The code that the command ends with."""
        return worst_code(sub.exit_code for sub in self.subdirs.values())

    def as_json(self) -> dict[str, object]:
        """The object that `--json` prints."""
        subdirs = {name: self._subdir(sub) for name, sub in sorted(self.subdirs.items())}
        return self._as_json(self.outcome, self.exit_code, subdirs=subdirs)

    def _subdir(self, sub: SubdirGc) -> dict[str, Any]:
        done, would = (sub.unused, ()) if self.deleted else ((), sub.unused)
        fields = asdict(sub)
        fields.pop("unused")
        return without_null_error(GcObject(deleted=done, would_delete=would, **fields))
