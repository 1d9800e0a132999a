"""Compares two indexes of a subdir, field by field, dependency specs by their meaning."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks.parity.indexes import ABSENT, SPEC_FIELDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.parity.indexes import Index


@dataclass(frozen=True)
class Difference:
    """One value of a peer that differs from ours."""

    peer: str
    place: str
    """What is compared: `record`, `repodata.json`, `run_exports.json`, `shard index` or `shard`."""
    key: str
    where: str
    """The `subdir/filename` or `subdir/name`, or the subdir alone."""
    ours: object
    theirs: object
    same_specs: bool = False
    """Whether both mean the same dependency specs, written otherwise."""
    member: str = ""
    """The map of repodata.json that our record is in."""


@dataclass
class Comparison:
    """The differences from one peer and how many values there were to compare."""

    peer: str
    records: int = 0
    differing: set[str] = field(default_factory=set)
    """`subdir/filename` of the records that differ."""
    differences: list[Difference] = field(default_factory=list)


def same(left: object, right: object) -> bool:
    """Whether two values are equal in JSON."""
    # 1 == True == 1.0 in Python, but they are three values in JSON.
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    return type(left) is type(right) and left == right


def parsed(value: object, canonical: Mapping[str, str]) -> object:
    """The value with each spec in rattler's form, so that equal values mean the same specs."""
    if isinstance(value, str):
        return canonical[value]
    if isinstance(value, list):
        return [parsed(item, canonical) for item in value]
    if isinstance(value, dict):
        return {key: parsed(item, canonical) for key, item in value.items()}
    return value


class Comparer:
    """Compares the indexes of one subdir after the other and collects the differences."""

    def __init__(self, peer: str, canonical: Mapping[str, str]) -> None:
        """Compare with this peer; `canonical` has every spec that occurs."""
        self.result = Comparison(peer)
        self._canonical = canonical

    def compare(self, subdir: str, ours: Index, theirs: Index) -> None:
        """Compare all files that the two have of a subdir."""
        self._compare_records(subdir, ours, theirs)
        if not (ours.repodata and theirs.repodata):
            pair = (_there(present=bool(ours.repodata)), _there(present=bool(theirs.repodata)))
            self._compare_value(Difference(self.result.peer, "repodata.json", "(file)", subdir, *pair))
            return
        self._compare_keys("repodata.json", subdir, ours.repodata, theirs.repodata)
        self._compare_run_exports(subdir, ours, theirs)
        self._compare_keys("shard index", subdir, ours.shard_index, theirs.shard_index)
        # By lower case, so that a name in another case is one difference and not two names.
        one, other = ({name.lower(): name for name in index.shard_names} for index in (ours, theirs))
        # A package that only one has is reported as a record already.
        lone = _names(ours) ^ _names(theirs)
        for name in sorted((one.keys() | other.keys()) - lone):
            names = (one.get(name, ABSENT), other.get(name, ABSENT))
            self._compare_value(Difference(self.result.peer, "shard index", "(name)", f"{subdir}/{name}", *names))
        for filename in sorted(ours.shard_run_exports.keys() & theirs.shard_run_exports.keys()):
            values = (ours.shard_run_exports[filename], theirs.shard_run_exports[filename])
            self._compare_specs(Difference(self.result.peer, "shard", "run_exports", f"{subdir}/{filename}", *values))

    def _compare_records(self, subdir: str, ours: Index, theirs: Index) -> None:
        for filename in sorted(ours.records.keys() | theirs.records.keys()):
            where = f"{subdir}/{filename}"
            before = len(self.result.differences)
            self.result.records += 1
            one, other = ours.records.get(filename), theirs.records.get(filename)
            if one is None or other is None:
                pair = (_identity(subdir, one), _identity(subdir, other))
                self._add(Difference(self.result.peer, "record", "(record)", where, *pair))
            else:
                member = ours.members[filename]
                members = (member, theirs.members[filename])
                self._compare_value(Difference(self.result.peer, "record", "(map)", where, *members))
                for key in sorted(one.keys() | other.keys()):
                    values = (one.get(key, ABSENT), other.get(key, ABSENT))
                    result = Difference(self.result.peer, "record", key, where, *values, member=member)
                    self._compare_value(result)
            if len(self.result.differences) > before:
                self.result.differing.add(where)

    def _compare_run_exports(self, subdir: str, ours: Index, theirs: Index) -> None:
        if ours.run_exports is None or theirs.run_exports is None:
            pair = (_there(present=ours.run_exports is not None), _there(present=theirs.run_exports is not None))
            self._compare_value(Difference(self.result.peer, "run_exports.json", "(file)", subdir, *pair))
            return
        # As with shards: a package that only one has is reported as a record already.
        lone = ours.records.keys() ^ theirs.records.keys()
        for filename in sorted((ours.run_exports.keys() | theirs.run_exports.keys()) - lone):
            values = (ours.run_exports.get(filename, ABSENT), theirs.run_exports.get(filename, ABSENT))
            where = f"{subdir}/{filename}"
            self._compare_specs(Difference(self.result.peer, "run_exports.json", "run_exports", where, *values))

    def _compare_keys(self, place: str, subdir: str, ours: Mapping[str, object], theirs: Mapping[str, object]) -> None:
        for key in sorted(ours.keys() | theirs.keys()):
            values = (ours.get(key, ABSENT), theirs.get(key, ABSENT))
            self._compare_value(Difference(self.result.peer, place, key, subdir, *values))

    def _compare_value(self, found: Difference) -> None:
        if found.key in SPEC_FIELDS and found.place == "record":
            meant = parsed(found.ours, self._canonical) == parsed(found.theirs, self._canonical)
            found = Difference(**{**vars(found), "same_specs": meant})
        if not same(found.ours, found.theirs):
            self._add(found)

    def _compare_specs(self, found: Difference) -> None:
        """Compare run exports by the meaning of their specs: no indexer promises their spelling."""
        if parsed(found.ours, self._canonical) != parsed(found.theirs, self._canonical):
            self._add(found)

    def _add(self, found: Difference) -> None:
        self.result.differences.append(found)


def _there(*, present: bool) -> object:
    return "there" if present else ABSENT


def _identity(subdir: str, record: Mapping[str, object] | None) -> object:
    """The place of a package according to its record; the word "unknown" means that the record has none."""
    if record is None:
        return ABSENT
    folder = record.get("subdir", "unknown")
    stem = "-".join(str(record.get(key)) for key in ("name", "version", "build"))
    return f"{subdir if folder == 'unknown' else folder}/{stem}"


def _names(index: Index) -> set[str]:
    return {str(record.get("name")).lower() for record in index.records.values()}
