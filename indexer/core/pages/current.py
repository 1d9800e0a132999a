"""`current_repodata.json`: the newest version of each package and what these need, for conda's classic solver.

The rules are conda-index's; records under `v3` are not for the clients that read this file.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec

from indexer.core.formats.repodata import encode_repodata
from indexer.core.names import CONDA, TAR_BZ2
from indexer.core.records.identity import identity_of
from indexer.core.specs.matchspec import parts_of
from indexer.core.specs.version import Version, constraint_of, matches_glob

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from indexer.core.model import Index, Raw
    from indexer.core.stream import Stream

_MAX_SECONDS = 253402300799
_FIELD = re.compile(r"""(\w+)\s*=\s*("[^"]*"|'[^']*'|[^,\s]+)""")


class _Fields(msgspec.Struct, frozen=True):
    """What the choice depends on."""

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


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A record that may be chosen."""

    filename: str
    version: Version
    fields: _Fields

    @property
    def age(self) -> tuple[Version, int, float, str]:
        """A key that puts the newest last."""
        time = self.fields.timestamp or 0
        seconds = time / 1000 if time > _MAX_SECONDS else float(time)
        return self.version, self.fields.build_number, seconds, self.fields.build

    @property
    def featured(self) -> bool:
        """Whether the solver avoids it."""
        return bool(self.fields.track_features or self.fields.features)


_Groups = dict[str, list[_Candidate]]


def encode_current_repodata(index: Index, info: Mapping[str, object]) -> Stream:
    """The content of a `current_repodata.json`, in the form of `repodata.json`.  `info` is its whole `info` key.

    A `.conda` has the `legacy_bz2_md5` of the `.tar.bz2` of the same stem, where there is one.
    """
    records: dict[str, Raw] = {}
    for filename in current_filenames(index):
        record = index.records[filename]
        twin = index.records.get(filename.removesuffix(CONDA) + TAR_BZ2)
        if twin is not None and filename.endswith(CONDA) and (md5 := identity_of(twin).md5):
            with_md5 = {**_record.decode(record), "legacy_bz2_md5": md5}
            record = msgspec.Raw(msgspec.json.encode(with_md5, order="deterministic"))
        records[filename] = record
    old = {key: value for key, value in info.items() if key != "repodata_revisions"}
    return encode_repodata(replace(index, records=records, v3=frozenset(), v3_rest={}), old)


def current_filenames(index: Index) -> frozenset[str]:
    """The file names of the records that the file has."""
    whole = _grouped(_candidates(index))
    newest = {
        name: _matching(whole, f"{name}={group[0].version.text}")
        for name, group in whole.items()
        # conda looks names up in lower case, so it never finds another one.
        if name == name.lower()
    }
    kept = _with_needed(_grouped(it for group in newest.values() for it in group), whole)
    kept = _with_featureless(kept, whole)
    return frozenset(it.filename for group in kept.values() for it in group)


def _candidates(index: Index) -> Iterable[_Candidate]:
    """The records of an index, of two of the same stem only the `.conda`; odd ones are passed over."""
    legacy = index.records.keys() - index.v3
    twins = {filename.removesuffix(CONDA) + TAR_BZ2 for filename in legacy if filename.endswith(CONDA)}
    for filename in sorted(legacy - twins):
        try:
            fields = _fields.decode(index.records[filename])
            yield _Candidate(filename, Version(fields.version), fields)
        except ValueError:  # msgspec's is one too
            continue


def _grouped(candidates: Iterable[_Candidate]) -> _Groups:
    """By name, the newest first."""
    groups: _Groups = {}
    for candidate in candidates:
        groups.setdefault(candidate.fields.name, []).append(candidate)
    return {name: sorted(group, key=lambda it: it.age, reverse=True) for name, group in groups.items()}


def _with_needed(kept: _Groups, whole: _Groups) -> _Groups:
    """Add what a kept record depends on and no kept one satisfies: the newest version that does.

    What these depend on is not looked at, as conda-index has it.
    """
    found = {name: {it.filename: it for it in group} for name, group in kept.items()}
    for spec in sorted({spec for group in kept.values() for it in group for spec in it.fields.depends}):
        if not _matching(kept, spec) and (matches := _matching(whole, spec)):
            name = matches[0].fields.name
            added = _matching(whole, f"{name}={matches[0].version.text}")
            found.setdefault(name, {}).update({it.filename: it for it in added})
    return _grouped(it for group in found.values() for it in group.values())


def _with_featureless(kept: _Groups, whole: _Groups) -> _Groups:
    """Where a kept record has features, add the newest one without that is no newer than the latest."""
    found = dict(kept)
    for name, group in kept.items():
        if any(it.featured for it in group):
            plain = (it for it in whole[name] if it.version <= group[0].version and not it.featured)
            found[name] = list({it.filename: it for it in (*group, *itertools.islice(plain, 1))}.values())
    return found


def _matching(groups: _Groups, spec: str) -> list[_Candidate]:
    """Those that a dependency asks for; none for one that is not understood."""
    parts = parts_of(spec)
    if parts is None:
        return []
    group = groups.get(parts.name.lower(), [])
    if not group:
        return []
    version, build = parts.version, parts.build
    for key, value in _FIELD.findall(parts.brackets or ""):
        if key == "version":
            version = value.strip("\"'")
        elif key == "build":
            build = value.strip("\"'")
        else:
            return []
    try:
        fits: Callable[[Version], bool] = constraint_of(version) if version else lambda _: True
    except ValueError:
        return []
    return [it for it in group if fits(it.version) and (build is None or matches_glob(build, it.fields.build))]
