"""Makes docs/report.schema.json, the JSON Schema of what `--json` prints, from the values of the reports."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from indexer.core.channel_settings import SettingChange
from indexer.core.exit_codes import ExitCode
from indexer.core.gc_report import GcObject
from indexer.core.pruning import JudgedPackage
from indexer.core.publishing import PackageResult
from indexer.core.report import Note, Outcome, SubdirObject
from indexer.core.rollback import SubdirRollback
from indexer.core.snapshot_report import SnapshotInfo

PAGE = Path(__file__).with_name("report.schema.json")


class Store(Struct):
    """Requests by verb, and bytes of bodies."""

    requests: dict[str, int]
    bytes_read: int
    bytes_written: int


class Report(Struct, kw_only=True):
    """What each report on a channel has; `error` is there if the command failed for the channel as a whole."""

    schema_version: Literal[1]
    channel: str
    outcome: Outcome
    exit_code: ExitCode
    seconds: float
    store: Store
    error: str | UnsetType = UNSET


class ChannelFiles(Struct):
    """The files at the root of a channel."""

    package_names: int
    outcome: Outcome
    attempts: int
    written: list[str]
    deleted: list[str]
    would_write: list[str]
    would_delete: list[str]
    exit_code: ExitCode
    error: str | UnsetType = UNSET


class Run(Report, kw_only=True):
    """s3, fs, status, yank, unyank, ignore, unignore; each command that fails as a whole, also for wrong usage."""

    subdirs: dict[str, SubdirObject]
    not_indexed: list[Note]
    settings: list[SettingChange]
    channel_files: ChannelFiles | UnsetType = UNSET


class Publish(Run, kw_only=True):
    """publish."""

    packages: list[PackageResult]


class Promote(Publish, kw_only=True):
    """promote; `from` is the channel that packages are copied from, the `filename` of a note is `SUBDIR/FILENAME`."""

    from_: str = msgspec.field(name="from")
    notes: list[Note]


class Prune(Run, kw_only=True):
    """prune."""

    packages: list[JudgedPackage]
    errors: list[str]


class OwnFiles(Struct):
    """The keys of the files that only indexer reads."""

    deleted: list[str]
    would_delete: list[str]


class Remove(Run, kw_only=True):
    """remove."""

    successor: str
    own_files: OwnFiles


class Fault(Struct):
    """An error in a published file: the key in the channel, the reason, the next step."""

    key: str
    reason: str
    next_step: str


class CheckedSubdir(Struct):
    """A subdir that was checked."""

    packages: int
    shards: int
    packages_read: int


class Check(Report, kw_only=True):
    """check."""

    faults: list[Fault]
    hints: list[Fault]
    subdirs: dict[str, CheckedSubdir]


class Gc(Report, kw_only=True):
    """gc."""

    subdirs: dict[str, GcObject]


class SettingValue(Struct):
    """The value of a setting, and its origin."""

    value: Any
    origin: str


class Settings(Report, kw_only=True):
    """settings."""

    settings: dict[str, SettingValue]
    changes: list[SettingChange]


class Finding(Struct):
    """The result of a probe; `passed` is null if the probe only informs."""

    probe: str
    passed: bool | None
    detail: str


class Doctor(Struct):
    """doctor."""

    schema_version: Literal[1]
    channel: str
    outcome: str
    exit_code: ExitCode
    provider: str
    findings: list[Finding]
    advice: list[str]
    flags: list[str]
    s3_options: str
    not_deleted: list[str]


class Policy(Struct):
    """One policy: the user it is for, where to put it, and its text."""

    user: str
    where: str
    text: str


class DoctorPolicy(Struct):
    """doctor --policy."""

    schema_version: Literal[1]
    channel: str
    provider: str
    policies: list[Policy]


class ShownSetting(Struct):
    """A setting with its value, in which secrets are masked, and its origin."""

    name: str
    value: str | None
    origin: str


class DoctorShowConfig(Struct):
    """doctor --show-config."""

    schema_version: Literal[1]
    channel: str
    settings: list[ShownSetting]


class Snapshots(Report, kw_only=True):
    """snapshot."""

    snapshots: list[SnapshotInfo]


class Rollback(Run, kw_only=True):
    """rollback."""

    snapshot: str
    applied: bool
    rollback: dict[str, SubdirRollback]


FORMS = {
    **dict.fromkeys(("s3", "fs", "status", "yank", "unyank", "ignore", "unignore"), Run),
    "publish": Publish,
    "promote": Promote,
    "remove": Remove,
    "prune": Prune,
    "check": Check,
    "gc": Gc,
    "snapshot": Snapshots,
    "rollback": Rollback,
    "settings": Settings,
    "doctor": Doctor,
    "doctor --policy": DoctorPolicy,
    "doctor --show-config": DoctorShowConfig,
}
"""The form of the report of each command."""


def schema() -> dict[str, Any]:
    """The whole schema.  A report has all keys of its form, except `error` and `channel_files`."""
    forms, definitions = msgspec.json.schema_components(dict.fromkeys(FORMS.values()), ref_template="#/$defs/{name}")
    for definition in definitions.values():
        if "description" in definition:  # msgspec up to 0.22 keeps the indentation of docstrings
            definition["description"] = inspect.cleandoc(definition["description"])
        properties = definition.get("properties", {})
        if properties:
            optional = {"error", "channel_files"}
            definition["required"] = [key for key in properties if key not in optional]
        for value in properties.values():
            value.pop("default", None)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What `indexer COMMAND --json` prints",
        "anyOf": list(forms),
        "$defs": definitions,
    }


def page() -> str:
    """The text of the file."""
    return msgspec.json.format(msgspec.json.encode(schema()), indent=2).decode() + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
