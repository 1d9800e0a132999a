"""Repodata patches: instructions of a channel's owner that change records without building the packages again.

They change a few fields of records, revoke packages or remove them, and never change a package (CEP 21 and
`patch_instructions.json` of conda-index; docs/adr/0008-patches.md lists the rules and the indexer each comes from).
"""

from __future__ import annotations

import functools
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from indexer.core.errors import BadPackage, BadPatch
from indexer.core.formats.repodata import section_of
from indexer.core.json_form import dump
from indexer.core.model import UNREADABLE, Index, Raw
from indexer.core.names import CONDA, TAR_BZ2, with_extension
from indexer.core.records.identity import altered
from indexer.core.records.index_json import PATCHABLE, parse_patched_value, parse_run_exports
from indexer.core.records.v3 import is_v3_spec
from indexer.core.specs.matchspec import canonical, universal_fault
from indexer.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

# The highest version of instructions: 2 may patch run exports (CEP 21).
_MAX_VERSION = 2
_RUN_EXPORTS = "run_exports"
_SPECS = ("depends", "constrains")
# A revoked package depends on this package, which does not exist (conda-index).
_REVOKED = "package_has_been_revoked"

NO_INSTRUCTIONS = b'{"packages":{},"packages.conda":{},"patch_instructions_version":1,"remove":[],"revoke":[]}'
"""The content of `patch_instructions.json` after a patch was ended: the file is never deleted."""

_raw_map = msgspec.json.Decoder(dict[str, Raw])
_fields = msgspec.json.Decoder(dict[str, Any])
_names = msgspec.json.Decoder(list[str])


class Instructions(Value, frozen=True):
    """Parsed instructions; `key` is their place in the channel, for errors.

    `legacy` has the patches of each file name in the order of application, `v3` those of records under `v3` by bucket
    and stem; each patch is a JSON object of fields.  `remove` and `revoke` are file names.
    """

    key: str = ""
    version: int = 1
    legacy: Mapping[str, tuple[Raw, ...]] = field(default_factory=dict)
    v3: Mapping[str, Mapping[str, Raw]] = field(default_factory=dict)
    remove: frozenset[str] = frozenset()
    revoke: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.legacy or self.v3 or self.remove or self.revoke)


class Patched(Value, frozen=True):
    """A patched index, and warnings about instructions that were ignored."""

    index: Index
    warnings: tuple[str, ...] = ()


def parse_instructions(data: bytes, key: str) -> Instructions:
    """The instructions in a `patch_instructions.json`; unknown keys are ignored.

    A patch of a `.tar.bz2` is applied to the `.conda` of the same build too, before that one's own patch.
    Raises BadPatch.
    """
    try:
        data.decode()
        top = _raw_map.decode(data) if data.strip() else {}
        if _is_empty_form(top):
            return Instructions(key)
        version = msgspec.json.decode(top.get("patch_instructions_version", b"1"))
        legacy: dict[str, tuple[Raw, ...]] = {}
        for section in ("packages", "packages.conda"):
            for filename, patch in _raw_map.decode(top.get(section, b"{}")).items():
                if section_of(filename) == section:
                    for name in _with_conda(filename):
                        legacy[name] = (*legacy.get(name, ()), patch)
        v3 = {bucket: _raw_map.decode(patches) for bucket, patches in _raw_map.decode(top.get("v3", b"{}")).items()}
        remove = _names.decode(top.get("remove", b"[]"))
        revoke = _names.decode(top.get("revoke", b"[]"))
    except UNREADABLE as error:
        raise _bad(key, f"is not a readable patch_instructions.json ({error})") from error
    if type(version) is not int or version > _MAX_VERSION:
        raise _bad(key, f"has patch_instructions_version {version!r}, and the highest known is {_MAX_VERSION}")
    return Instructions(key, version, legacy, v3, _with_condas(remove), _with_condas(revoke))


def is_empty_form_of_conda_index(data: bytes) -> bool:
    """Whether this is the empty form that conda-index writes if it writes shards and was given no patch.

    conda-index overwrites a published patch with it.
    """
    try:
        return _is_empty_form(_raw_map.decode(data))
    except UNREADABLE:
        return False


def _is_empty_form(top: Mapping[str, Raw]) -> bool:
    """Whether the keys are file names and each of their patches is empty."""
    return all(bytes(value) == b"{}" for value in top.values())


def _with_conda(filename: str) -> tuple[str, ...]:
    """A file name and, for a `.tar.bz2`, the file name of the same build as a `.conda`."""
    return (filename, with_extension(filename, CONDA)) if filename.endswith(TAR_BZ2) else (filename,)


def _with_condas(filenames: Iterable[str]) -> frozenset[str]:
    return frozenset(name for filename in filenames for name in _with_conda(filename))


def _bad(key: str, reason: str) -> BadPatch:
    return BadPatch(key, reason, "nothing was changed: correct the patch, or end it with --no-repodata-patch")


def check_instructions(instructions: Instructions) -> None:
    """Raise BadPatch if a patch could not be applied, even if no such package exists today."""
    for filename, patches in instructions.legacy.items():
        _changes(instructions, filename, patches, v3=False)
    for bucket, stems in instructions.v3.items():
        for stem, patch in stems.items():
            _changes(instructions, f"{stem}.{bucket}", (patch,), v3=True)


def apply_instructions(index: Index, instructions: Instructions) -> Patched:
    """A patched index; records that no instruction names stay the same slice of bytes.

    Only fields in PATCHABLE are changed, and `run_exports` by instructions of version 2; null clears a field.
    Patches of unknown file names are ignored, and patches in the legacy maps of records under `v3`.
    Removed records leave the maps *and* are listed in `removed`, because conda does not read that list.
    Raises BadPatch.
    """
    work = _Patcher(instructions, dict(index.records), dict(index.run_exports))
    for filename, patches in instructions.legacy.items():
        if filename in work.records and filename not in index.v3:
            work.patch(filename, patches)
    rest = {bucket: dict(records) for bucket, records in index.v3_rest.items()}
    for bucket, stems in instructions.v3.items():
        others = rest.get(bucket, {})
        for stem, patch in stems.items():
            filename = f"{stem}.{bucket}"
            if filename in index.v3:
                work.patch(filename, (patch,), v3=True)
            elif stem in others:
                others[stem] = work.changed(filename, others[stem], (patch,), v3=True)
    for filename in instructions.revoke & work.records.keys():
        work.records[filename] = _revoked(work.records[filename])
    patched = replace(index, records=work.records, run_exports=work.run_exports, v3_rest=rest)
    return Patched(withdraw(patched, instructions.remove), (*work.warnings(), *_ignored_patches(index, instructions)))


def _ignored_patches(index: Index, instructions: Instructions) -> Iterator[str]:
    """A warning about records under `v3` that only the legacy maps patch: every indexer ignores such a patch."""
    in_v3 = {f"{stem}.{bucket}" for bucket, stems in instructions.v3.items() for stem in stems}
    if ignored := sorted(instructions.legacy.keys() & index.v3 - in_v3):
        more = f" and {len(ignored) - 1} more" if len(ignored) > 1 else ""
        yield f"does not patch {ignored[0]}{more}, whose record is under v3; add the patch under v3 too"


def withdraw(index: Index, filenames: Iterable[str]) -> Index:
    """An index without some of its records, which are listed in `removed` instead."""
    leaving = index.records.keys() & set(filenames)
    if not leaving:
        return index
    return replace(
        index,
        records={name: record for name, record in index.records.items() if name not in leaving},
        v3=index.v3 - leaving,
        removed=tuple(sorted({*index.removed, *leaving})),
    )


class _Patcher(Struct):
    """The records and run exports of an index while they are patched, and the file names of each `refused` field."""

    instructions: Instructions
    records: dict[str, Raw]
    run_exports: dict[str, Raw]
    refused: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def patch(self, filename: str, patches: tuple[Raw, ...], *, v3: bool = False) -> None:
        self.records[filename] = self.changed(filename, self.records[filename], patches, v3=v3)

    def changed(self, filename: str, record: Raw, patches: tuple[Raw, ...], *, v3: bool) -> Raw:
        changes = _changes(self.instructions, filename, patches, v3=v3)
        for key in changes.refused:
            self.refused[key].append(filename)
        if changes.run_exports is not None:
            self.run_exports[filename] = dump(changes.run_exports)
        return altered(record, changes.fields)

    def warnings(self) -> tuple[str, ...]:
        return tuple(
            f"sets {key} of {min(names)}"
            + (f" and {len(names) - 1} more" if len(names) > 1 else "")
            + ", which no patch may change"
            for key, names in sorted(self.refused.items())
        )


class _Changes(Value, frozen=True):
    """The effect of all patches of one record: new values, None for a field to clear, and fields that are ignored."""

    fields: Mapping[str, object]
    run_exports: Mapping[str, object] | None
    refused: tuple[str, ...]


def _changes(instructions: Instructions, filename: str, patches: tuple[Raw, ...], *, v3: bool) -> _Changes:
    try:
        fields: dict[str, Any] = {}
        for patch in patches:
            fields |= _fields.decode(patch)
        run_exports = _run_exports_in(fields) if instructions.version >= _MAX_VERSION else None
        values = {key: parse_patched_value(key, value) for key, value in fields.items() if key in PATCHABLE}
        if v3:
            values = {key: _canonical(key, value) for key, value in values.items()}
        else:
            _check_specs(values)
    except BadPackage as error:
        raise _bad(instructions.key, f"{error.reason}, for {filename}") from error
    except (*UNREADABLE, TypeError, ValueError) as error:
        raise _bad(instructions.key, f"cannot be applied to {filename}: {error}") from error
    applied = PATCHABLE if run_exports is None else PATCHABLE | {_RUN_EXPORTS}
    return _Changes(values, run_exports, tuple(key for key in fields if key not in applied))


def _run_exports_in(fields: Mapping[str, Any]) -> Mapping[str, object] | None:
    return parse_run_exports(bytes(dump(fields[_RUN_EXPORTS]))) if _RUN_EXPORTS in fields else None


def _canonical(key: str, value: object) -> object:
    """The value of a field with dependencies in the spelling of v3."""
    if key in _SPECS and isinstance(value, list):
        return [canonical(spec) for spec in value]
    if key == "extra_depends" and isinstance(value, dict):
        return {group: [canonical(spec) for spec in specs] for group, specs in value.items()}
    return value


def _check_specs(values: Mapping[str, object]) -> None:
    """Raise ValueError for a dependency that readers of the legacy maps refuse."""
    for key in _SPECS:
        for spec in values.get(key) or ():  # type: ignore[attr-defined]  # validated: a list of texts
            if (reason := _legacy_fault(spec)) is not None:
                raise ValueError(f"{spec!r} in {key} {reason}")


# A patch of a hundred thousand packages has some thousand dependencies.
@functools.lru_cache(maxsize=2**14)
def _legacy_fault(spec: str) -> str | None:
    if is_v3_spec(spec):
        return "has the syntax of revision v3, which readers of this record refuse"
    return universal_fault(spec)


def _revoked(record: Raw) -> Raw:
    depends = _fields_of(record).get("depends")
    depends = depends if isinstance(depends, list) else []
    return altered(record, {"revoked": True, "depends": depends if _REVOKED in depends else [*depends, _REVOKED]})


def _fields_of(record: Raw) -> dict[str, Any]:
    """The fields of a record, none if it cannot be read."""
    try:
        return _fields.decode(record)
    except UNREADABLE:
        return {}


def is_patched(record: Raw, published: Raw) -> bool:
    """Whether a published record differs from that of the same package in a field that a patch may change."""
    if bytes(record) == bytes(published):
        return False
    ours, theirs = _fields_of(record), _fields_of(published)
    same = ours.get("sha256") == theirs.get("sha256")
    return same and any(ours.get(key) != theirs.get(key) for key in (*PATCHABLE, "revoked"))


def filenames_with_patched_run_exports(instructions: Instructions) -> frozenset[str]:
    """The file names whose run exports the instructions patch."""
    if instructions.version < _MAX_VERSION:
        return frozenset()
    patches = dict(instructions.legacy)
    for bucket, stems in instructions.v3.items():
        patches |= {f"{stem}.{bucket}": (patch,) for stem, patch in stems.items()}
    return frozenset(
        filename
        for filename, of_file in patches.items()
        if any(_RUN_EXPORTS in _raw_map.decode(patch) for patch in of_file)
    )
