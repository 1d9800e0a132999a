"""`current_repodata.json`: the newest version of each package and its dependencies, for conda's classic solver.

The rules are conda-index's.  Records under `v3` are left out: the clients that read this file cannot use them.
"""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from indexer.core.formats.repodata import encode_repodata
from indexer.core.names import CONDA, TAR_BZ2, prefer_conda, with_extension
from indexer.core.records.dates import built_ms
from indexer.core.records.identity import identity_of
from indexer.core.specs.matchspec import parts_of
from indexer.core.specs.version import Version, constraint_of, matches_glob
from indexer.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from indexer.core.model import Index, Raw
    from indexer.core.specs.matchspec import Parts
    from indexer.core.stream import Stream

_FIELD = re.compile(r"""(\w+)\s*=\s*("[^"]*"|'[^']*'|[^,\s]+)""")


class _Fields(msgspec.Struct, frozen=True):
    """The fields of a record on which the choice depends."""

    name: str
    version: str
    build: str
    build_number: int = 0
    timestamp: int | float | None = None
    depends: list[str] = []
    track_features: str | list[str] | None = None
    features: str | list[str] | None = None


_fields = msgspec.json.Decoder(_Fields)
_record = msgspec.json.Decoder(dict[str, msgspec.Raw])


class _Candidate(Value, frozen=True):
    """A record that may be chosen."""

    filename: str
    version: Version
    fields: _Fields

    @property
    def age(self) -> tuple[Version, int, int, str]:
        """A sort key; the newest candidate is the last."""
        return self.version, self.fields.build_number, built_ms(self.fields.timestamp), self.fields.build

    @property
    def has_features(self) -> bool:
        """Whether the solver avoids the package because of its features."""
        return bool(self.fields.track_features or self.fields.features)


_Groups = dict[str, list[_Candidate]]


def encode_current_repodata(index: Index, info: Mapping[str, object]) -> Stream:
    """The content of a `current_repodata.json`, in the format of `repodata.json`.  `info` is its whole `info` key.

    A `.conda` has the `legacy_bz2_md5` of the `.tar.bz2` of the same build, if there is one.
    """
    records = {filename: _with_legacy_md5(filename, index.records) for filename in current_filenames(index)}
    legacy_info = {key: value for key, value in info.items() if key != "repodata_revisions"}
    return encode_repodata(replace(index, records=records, v3=frozenset(), v3_rest={}), legacy_info)


def _with_legacy_md5(filename: str, records: Mapping[str, Raw]) -> Raw:
    record = records[filename]
    older = records.get(with_extension(filename, TAR_BZ2)) if filename.endswith(CONDA) else None
    md5 = None if older is None else identity_of(older).md5
    if not md5:
        return record
    fields = {**_record.decode(record), "legacy_bz2_md5": md5}
    return msgspec.Raw(msgspec.json.encode(fields, order="deterministic"))


def current_filenames(index: Index) -> frozenset[str]:
    """The file names of the records in a `current_repodata.json`."""
    all_groups = _grouped(_candidates(index))
    newest = {
        name: _matching(all_groups, f"{name}={group[0].version.text}")
        for name, group in all_groups.items()
        # conda looks names up in lower case, so it never finds any other name.
        if name == name.lower()
    }
    chosen = _with_dependencies(_grouped(itertools.chain.from_iterable(newest.values())), all_groups)
    chosen = _with_featureless(chosen, all_groups)
    return frozenset(candidate.filename for group in chosen.values() for candidate in group)


def _candidates(index: Index) -> Iterable[_Candidate]:
    """The legacy records of an index, of two of the same build only the `.conda`; invalid records are skipped."""
    for filename in prefer_conda(index.records.keys() - index.v3):
        try:
            fields = _fields.decode(index.records[filename])
            yield _Candidate(filename, Version(fields.version), fields)
        except ValueError:  # msgspec's error is a ValueError too
            continue


def _grouped(candidates: Iterable[_Candidate]) -> _Groups:
    """Candidates by name, the newest first."""
    groups: _Groups = {}
    for candidate in candidates:
        groups.setdefault(candidate.fields.name, []).append(candidate)
    return {name: sorted(group, key=lambda candidate: candidate.age, reverse=True) for name, group in groups.items()}


def _with_dependencies(chosen: _Groups, all_groups: _Groups) -> _Groups:
    """The chosen candidates, and the newest version for each of their dependencies that no chosen one satisfies.

    Dependencies of the added candidates are ignored, as in conda-index.
    """
    groups = {name: {candidate.filename: candidate for candidate in group} for name, group in chosen.items()}
    depends = {spec for group in chosen.values() for candidate in group for spec in candidate.fields.depends}
    for spec in sorted(depends):
        if not _matching(chosen, spec) and (matches := _matching(all_groups, spec)):
            name = matches[0].fields.name
            added = _matching(all_groups, f"{name}={matches[0].version.text}")
            groups.setdefault(name, {}).update({candidate.filename: candidate for candidate in added})
    return _grouped(candidate for group in groups.values() for candidate in group.values())


def _with_featureless(chosen: _Groups, all_groups: _Groups) -> _Groups:
    """The chosen candidates; if one has features, also the newest one without, which is not newer than the latest."""
    groups = dict(chosen)
    for name, group in chosen.items():
        if any(candidate.has_features for candidate in group):
            latest = group[0].version
            plain = (one for one in all_groups[name] if one.version <= latest and not one.has_features)
            groups[name] = list({one.filename: one for one in (*group, *itertools.islice(plain, 1))}.values())
    return groups


def _matching(groups: _Groups, spec: str) -> list[_Candidate]:
    """The candidates that satisfy a dependency; none if the dependency is not understood."""
    parts = parts_of(spec)
    group = groups.get(parts.name.lower()) if parts else None
    if not parts or not group:
        return []
    try:
        satisfies = _condition_of(parts)
    except ValueError:
        return []
    return [candidate for candidate in group if satisfies(candidate)]


def _condition_of(parts: Parts) -> Callable[[_Candidate], bool]:
    """A function that returns whether a candidate of the name satisfies a dependency.

    Raises ValueError if the dependency has a version that is not a constraint, or brackets with other keys.
    """
    values = {"version": parts.version, "build": parts.build}
    for key, value in _FIELD.findall(parts.brackets or ""):
        if key not in values:
            raise ValueError(f"the key {key} is not known")
        values[key] = value.strip("\"'")
    of_version: Callable[[Version], bool] = constraint_of(values["version"]) if values["version"] else lambda _: True
    build = values["build"]
    return lambda candidate: (
        of_version(candidate.version) and (build is None or matches_glob(build, candidate.fields.build))
    )
