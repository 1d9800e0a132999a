"""Every difference between our index and a peer's has a written reason, or the comparison fails.

    python -m benchmarks.parity PACKAGES_DIR --conda-source DIR --peer-python PYTHON > docs/parity.md

PACKAGES_DIR is laid out as a channel. Its packages are copied into three scratch folders, which are indexed by this
project, by rattler-index and by conda-index. Then each record of ours is compared with the peer's, field by field,
dependency specs by what they mean. `RULES` is the table of reasons; their numbers are those of the rows ("row 9") and
paragraphs ("D1") of formats.md. Exit code 1 if a difference has no reason, 2 if the comparison could not be made.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import zstandard

from benchmarks import peers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from benchmarks.peers import CondaIndex, Outcome

RATTLER: Final = "rattler-index"
CONDA: Final = "conda-index"

# What rattler-index takes for a subdir; other folders are no part of a channel (row 33).
_SUBDIRS = (
    *("noarch", "osx-64", "osx-arm64", "win-32", "win-64", "win-arm64", "emscripten-wasm32", "emscripten-wasm64"),
    *("linux-32", "linux-64", "linux-aarch64", "linux-armv6l", "linux-armv7l", "linux-loongarch64", "linux-ppc64le"),
    *("linux-ppc64", "linux-ppc", "linux-s390x", "linux-riscv32", "linux-riscv64", "wasi-wasm32", "zos-z"),
    *("freebsd-32", "freebsd-64", "freebsd-arm64", "freebsd-ppc64le", "freebsd-ppc64", "ios-arm64"),
    *("iossimulator-arm64", "iossimulator-64", "android-aarch64", "android-armv7a", "android-64", "android-32"),
)
_CONDA_SUBDIRS = frozenset(_SUBDIRS) - {
    *("emscripten-wasm64", "linux-loongarch64", "linux-ppc", "linux-riscv32"),
    *("freebsd-32", "freebsd-arm64", "freebsd-ppc64le", "freebsd-ppc64"),
    *("ios-arm64", "iossimulator-arm64", "iossimulator-64"),
    *("android-aarch64", "android-armv7a", "android-64", "android-32"),
}
_EXTENSIONS = (".conda", ".tar.bz2")
_RUN_EXPORT_KINDS = frozenset({"weak", "strong", "noarch", "weak_constrains", "strong_constrains"})
_KEPT = frozenset(
    {
        *("name", "version", "build", "build_number", "depends", "constrains", "noarch", "timestamp"),
        *("track_features", "features", "license", "license_family", "purls", "python_site_packages_path"),
        *("extra_depends", "flags", "md5", "sha256", "size", "subdir"),
    }
)
# Which values mean dependency specs: compared parsed.
_SPEC_FIELDS = frozenset({"depends", "constrains", "extra_depends", "run_exports"})
# Times of the run itself: two runs never agree on them.
_RECORD_TIMES = frozenset({"indexed_timestamp"})
_INDEX_TIMES = frozenset({"created_at"})
_REVISION_TIMES = frozenset({"oldest", "newest"})

_EXAMPLE_CHARACTERS = 90
_INTRODUCTION = (
    "Made by `python -m benchmarks.parity` from a channel of {packages} packages of other people, indexed by this "
    f"project, by rattler-index 0.33.5 (py-rattler {peers.RATTLER_VERSION}) and by conda-index "
    f"{peers.CONDA_INDEX_VERSION} (with zst, shards and run exports switched on). Each record of ours is compared "
    "with the peer's, field by field. Dependency specs are parsed and compared by what they mean; where only their "
    "spelling differs, that is counted as a difference too, and explained. `indexed_timestamp` and other times of "
    "the run are left out. Rules are rows of section 12 or paragraphs of formats.md."
)


class _Absent:
    """The value of a field that is not there; null is a value."""

    def __repr__(self) -> str:
        return "(absent)"


ABSENT: Final = _Absent()


@dataclass
class Index:
    """What one tool wrote of one subdir, in a shape that can be compared."""

    records: dict[str, dict[str, object]] = field(default_factory=dict)
    members: dict[str, str] = field(default_factory=dict)
    """File name to the map that the record is in: `packages`, `packages.conda`, `v3.conda` ..."""
    repodata: dict[str, object] = field(default_factory=dict)
    """Top-level keys and those of `info`, without the maps of records."""
    shard_index: dict[str, object] = field(default_factory=dict)
    shard_names: set[str] = field(default_factory=set)
    shard_run_exports: dict[str, object] = field(default_factory=dict)
    run_exports: dict[str, object] | None = None
    """By file name, of run_exports.json; none if the tool doesn't write the file."""


@dataclass(frozen=True)
class Difference:
    """One value that a peer has otherwise than we."""

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


@dataclass(frozen=True)
class Rule:
    """A reason, and which differences it is a reason for."""

    peer: str
    place: str
    keys: frozenset[str]
    """Which keys; empty means any key."""
    holds: Callable[[Difference], bool]
    reason: str
    number: str

    def explains(self, difference: Difference) -> bool:
        """Whether this is the reason for that difference."""
        return (
            self.peer == difference.peer
            and self.place == difference.place
            and (not self.keys or difference.key in self.keys)
            and self.holds(difference)
        )


@dataclass
class Comparison:
    """The differences from one peer and how many values there were to compare."""

    peer: str
    records: int = 0
    differing: set[str] = field(default_factory=set)
    """`subdir/filename` of the records that differ."""
    differences: list[Difference] = field(default_factory=list)


def _only_theirs(difference: Difference) -> bool:
    return difference.ours is ABSENT and difference.theirs is not ABSENT


def _only_ours(difference: Difference) -> bool:
    return difference.theirs is ABSENT and difference.ours is not ABSENT


def _values(ours: object, theirs: object) -> Callable[[Difference], bool]:
    def holds(difference: Difference) -> bool:
        return _same(difference.ours, ours) and _same(difference.theirs, theirs)

    return holds


def _same(left: object, right: object) -> bool:
    # 1 == True == 1.0 in Python, yet three values in JSON.
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    return type(left) is type(right) and left == right


def _legacy(difference: Difference) -> bool:
    return difference.same_specs and not difference.member.startswith("v3")


def _revised(difference: Difference) -> bool:
    return difference.same_specs and difference.member.startswith("v3")


def _empty_theirs(difference: Difference) -> bool:
    return difference.ours is ABSENT and difference.theirs in ("", [], {})


def _falsy_noarch(difference: Difference) -> bool:
    return difference.ours is ABSENT and difference.theirs in (False, "", None)


def _subdir_filled(difference: Difference, theirs: object) -> bool:
    return difference.ours == difference.where.partition("/")[0] and difference.theirs == theirs


def _joined_features(difference: Difference) -> bool:
    return isinstance(difference.theirs, list) and difference.ours == " ".join(map(str, difference.theirs))


def _truncated(difference: Difference) -> bool:
    return isinstance(difference.theirs, float) and difference.ours == int(difference.theirs)


def _reordered(difference: Difference) -> bool:
    return isinstance(difference.theirs, list) and difference.ours == sorted(set(difference.theirs))


def _unknown_key(difference: Difference) -> bool:
    # "(record)" and "(map)" are no keys of a record.
    return _only_theirs(difference) and difference.key not in _KEPT and not difference.key.startswith("(")


def _null(difference: Difference) -> bool:
    return difference.ours is ABSENT and difference.theirs is None


def _moved_to_v3(difference: Difference) -> bool:
    return str(difference.ours).startswith("v3.") and str(difference.theirs).startswith("packages")


def _tar_bz2(difference: Difference) -> bool:
    return _only_ours(difference) and difference.where.endswith(".tar.bz2")


def _known_empty(difference: Difference) -> bool:
    return difference.ours == {} and difference.theirs is ABSENT


def _list_form(difference: Difference) -> bool:
    return isinstance(difference.theirs, list) and difference.ours == {"weak": difference.theirs}


def _extra_kinds(difference: Difference) -> bool:
    """Whether only kinds that nobody knows, and kinds without a spec, make the difference."""
    theirs = difference.theirs
    return isinstance(theirs, dict) and difference.ours == {
        kind: specs for kind, specs in theirs.items() if kind in _RUN_EXPORT_KINDS and specs
    }


def _few_dashes(difference: Difference) -> bool:
    return _only_theirs(difference) and difference.where.count("-", difference.where.index("/")) < 2


def _misplaced(difference: Difference) -> bool:
    stems = {difference.where.removesuffix(extension) for extension in _EXTENSIONS}
    return _only_theirs(difference) and difference.theirs not in stems


def _foreign_subdir(difference: Difference) -> bool:
    return _only_ours(difference) and difference.where.partition("/")[0] not in _CONDA_SUBDIRS


def _lowered(difference: Difference) -> bool:
    return str(difference.theirs).lower() == difference.ours


def _keys(*keys: str) -> frozenset[str]:
    return frozenset(keys)


_ANY: Final[frozenset[str]] = frozenset()
_SPECS: Final = _keys("depends", "constrains", "extra_depends")
_MISPLACED: Final = "index.json disagrees with file name or folder: rejected here, as readers find it by those"
_V3_ONLY: Final = "no v3 there: it keeps every package in the legacy maps, where old clients misread new syntax"

# The first rule that holds is the reason. One or two lines each: this is a table to be read.
# fmt: off
RULES: Final = (
    Rule(RATTLER, "record", _keys("arch", "platform"), _only_theirs, "kept there; deprecated (CEP 36)", "row 9"),
    Rule(RATTLER, "record", _SPECS, _legacy,
         "rewritten there; ours is what index.json says (CEP 36), same meaning", "row 6"),
    Rule(RATTLER, "record", _keys("run_exports"), _only_theirs,
         "inline there; ours are in run_exports.json and the shards, for their size (CEP 12)", "row 12"),
    Rule(RATTLER, "record", _keys("subdir"), partial(_subdir_filled, theirs="unknown"),
         "missing in index.json: the word 'unknown' there, the folder's name here", "row 29"),
    Rule(RATTLER, "record", _keys("noarch"), _values("generic", theirs=True),
         "the old `true` is written as the 'generic' that it means", "2.4"),
    Rule(RATTLER, "record", _keys("track_features"), _empty_theirs, "empty: dropped here", "row 10"),
    Rule(RATTLER, "record", _keys("features"), _empty_theirs, "empty: dropped here", "2.4"),
    Rule(RATTLER, "record", _keys("(record)"), _misplaced, _MISPLACED, "L8"),
    Rule(RATTLER, "repodata.json", _keys("removed"), _values([], ABSENT), "left out there when empty", "row 30"),
    Rule(RATTLER, "repodata.json", _keys("v3"), _values(ABSENT, "empty"), "written there even when empty", "row 30"),
    Rule(RATTLER, "shard index", _keys("version"), _values(1, ABSENT), "missing there; CEP 16 has it", "row 21"),
    Rule(RATTLER, "shard", _keys("run_exports"), _tar_bz2,
         "only of .conda there; absent means unknown (CEP 21)", "row 13"),
    Rule(RATTLER, "shard", _keys("run_exports"), _known_empty,
         "none in the package: absent there, {} here (CEP 21)", "row 13"),
    Rule(RATTLER, "run_exports.json", _keys("(file)"), _only_ours, "never written there", "row 14"),
    Rule(CONDA, "record", _ANY, _null, "null: dropped here, as it crashes conda", "row 8"),
    Rule(CONDA, "record", _ANY, _unknown_key, "kept there; CEP 36: should not be in a record", "row 7"),
    Rule(CONDA, "record", _keys("depends"), _values([], ABSENT),
         "missing in index.json: ours has the empty list that it means", "2.4"),
    Rule(CONDA, "record", _keys("subdir"), partial(_subdir_filled, theirs=ABSENT),
         "missing in index.json: absent there, the folder's name here", "row 29"),
    Rule(CONDA, "record", _keys("noarch"), _values("generic", theirs=True),
         "the old `true` is written as the 'generic' that it means", "2.4"),
    Rule(CONDA, "record", _keys("noarch"), _falsy_noarch, "means nothing: dropped here", "2.4"),
    Rule(CONDA, "record", _keys("track_features"), _joined_features,
         "a list there; readers expect a string (CEP 34)", "row 10"),
    Rule(CONDA, "record", _keys("track_features"), _empty_theirs, "empty: dropped here", "row 10"),
    Rule(CONDA, "record", _keys("constrains", "features", "extra_depends", "flags"), _empty_theirs,
         "empty: dropped here", "2.4"),
    Rule(CONDA, "record", _keys("timestamp"), _truncated, "a float there; readers expect an integer", "2.4"),
    Rule(CONDA, "record", _keys("purls"), _reordered, "sorted here", "2.4"),
    Rule(CONDA, "record", _SPECS, _revised,
         "verbatim there; v3 specs must be canonical (CEP 48), same meaning", "row 28"),
    Rule(CONDA, "record", _keys("(map)"), _moved_to_v3, _V3_ONLY, "row 26"),
    Rule(CONDA, "record", _keys("(record)"), _few_dashes,
         "a file name that is not name-version-build is indexed there; a reader fails on it", "L7"),
    Rule(CONDA, "record", _keys("(record)"), _misplaced, _MISPLACED, "L8"),
    Rule(CONDA, "record", _keys("(record)"), _foreign_subdir, "a subdir that it does not know", "row 33"),
    Rule(CONDA, "repodata.json", _keys("(file)"), _foreign_subdir, "a subdir that it does not know", "row 33"),
    Rule(CONDA, "repodata.json", _keys("v3"), _values("filled", ABSENT), _V3_ONLY, "row 26"),
    Rule(CONDA, "repodata.json", _keys("info.repodata_revisions"), _only_ours, _V3_ONLY, "row 26"),
    Rule(CONDA, "shard index", _keys("info.repodata_revisions"), _only_ours, _V3_ONLY, "row 26"),
    Rule(CONDA, "shard index", _keys("info.shards_base_url"), _values("./shards/", ""),
         "shards beside the packages there, in a folder of their own here", "row 20"),
    Rule(CONDA, "run_exports.json", _keys("run_exports"), _list_form,
         "a bare list there; it means weak (CEP 34)", "row 15"),
    Rule(CONDA, "run_exports.json", _keys("run_exports"), _extra_kinds,
         "unknown kinds and empty lists: dropped here", "X4"),
    Rule(CONDA, "shard", _keys("run_exports"), _list_form, "a bare list there; it means weak (CEP 34)", "row 15"),
    Rule(CONDA, "shard", _keys("run_exports"), _extra_kinds, "unknown kinds and empty lists: dropped here", "X4"),
    Rule(CONDA, "shard index", _keys("(name)"), _lowered, "upper case kept; readers look up lower case", "row 22"),
)
# fmt: on


def read_index(folder: Path) -> Index:
    """Read what a tool wrote of one subdir."""
    index = Index()
    path = folder / "repodata.json"
    if not path.is_file():
        return index
    for key, value in _mapping(json.loads(path.read_bytes())).items():
        if key == "info":
            index.repodata.update(_info(_mapping(value)))
        elif key == "v3":
            index.repodata[key] = "filled" if any(_mapping(value).values()) else "empty"
        elif not key.startswith("packages"):
            index.repodata[key] = value
        else:
            index.repodata[key] = "a map"
    for member, filename, record in _records(_mapping(json.loads(path.read_bytes()))):
        index.records[filename] = {name: value for name, value in record.items() if name not in _RECORD_TIMES}
        index.members[filename] = member
    run_exports = folder / "run_exports.json"
    if run_exports.is_file():
        content = _mapping(json.loads(run_exports.read_bytes()))
        index.run_exports = {filename: record.get("run_exports", ABSENT) for _, filename, record in _records(content)}
    _read_shards(folder, index)
    return index


def _read_shards(folder: Path, index: Index) -> None:
    path = folder / "repodata_shards.msgpack.zst"
    if not path.is_file():
        return
    content = _unpack(path)
    info = _mapping(content["info"])
    index.shard_index = {key: value for key, value in content.items() if key not in {"info", "shards"}}
    index.shard_index.update(_info(info))
    shards = folder / str(info["shards_base_url"])
    for name, digest in _mapping(content["shards"]).items():
        index.shard_names.add(name)
        if not isinstance(digest, bytes):
            message = f"the shard index has no bytes for {name}"
            raise TypeError(message)
        for _, filename, record in _records(_unpack(shards / f"{digest.hex()}.msgpack.zst")):
            index.shard_run_exports[filename] = record.get("run_exports", ABSENT)


def _records(content: Mapping[str, object]) -> Iterator[tuple[str, str, Mapping[str, object]]]:
    """Each record with the map that it is in and its whole file name (v3 keys have no extension)."""
    for member in ("packages", "packages.conda"):
        for filename, record in _mapping(content.get(member, {})).items():
            yield member, filename, _mapping(record)
    for extension, records in _mapping(content.get("v3", {})).items():
        for stem, record in _mapping(records).items():
            yield f"v3.{extension}", f"{stem}.{extension}", _mapping(record)


def _info(info: Mapping[str, object]) -> dict[str, object]:
    flat: dict[str, object] = {f"info.{key}": value for key, value in info.items() if key not in _INDEX_TIMES}
    if "repodata_revisions" in info:
        flat["info.repodata_revisions"] = {
            revision: {key: value for key, value in _mapping(facts).items() if key not in _REVISION_TIMES}
            for revision, facts in _mapping(info["repodata_revisions"]).items()
        }
    return flat


def _unpack(path: Path) -> Mapping[str, object]:
    # Rattler-index writes no content size, so the one-call decompression cannot be used.
    with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(path.read_bytes())) as stream:
        return _mapping(msgspec.msgpack.decode(stream.read()))


def _mapping(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        message = f"expected a map, found {type(value).__name__}"
        raise TypeError(message)
    return value


def _spec_strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _spec_strings(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _spec_strings(item)


def _parsed(value: object, canonical: Mapping[str, str]) -> object:
    """The value with each spec in it in rattler's form, so that equal means: the same specs."""
    if isinstance(value, str):
        return canonical[value]
    if isinstance(value, list):
        return [_parsed(item, canonical) for item in value]
    if isinstance(value, dict):
        return {key: _parsed(item, canonical) for key, item in value.items()}
    return value


class Comparer:
    """Compares the indexes of one subdir after the other and gathers the differences."""

    def __init__(self, peer: str, canonical: Mapping[str, str]) -> None:
        """Compare with this peer; `canonical` has every spec that occurs."""
        self.result = Comparison(peer)
        self._canonical = canonical

    def compare(self, subdir: str, ours: Index, theirs: Index) -> None:
        """Compare all that the two have of a subdir."""
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
                    found = Difference(self.result.peer, "record", key, where, *values, member=member)
                    self._compare_value(found)
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
        if found.key in _SPEC_FIELDS and found.place == "record":
            same = _parsed(found.ours, self._canonical) == _parsed(found.theirs, self._canonical)
            found = Difference(**{**vars(found), "same_specs": same})
        if not _same(found.ours, found.theirs):
            self._add(found)

    def _compare_specs(self, found: Difference) -> None:
        """Compare run exports: by what the specs mean alone, as nobody promises their spelling."""
        if _parsed(found.ours, self._canonical) != _parsed(found.theirs, self._canonical):
            self._add(found)

    def _add(self, found: Difference) -> None:
        self.result.differences.append(found)


def _there(*, present: bool) -> object:
    return "there" if present else ABSENT


def _identity(subdir: str, record: Mapping[str, object] | None) -> object:
    """Where a record says that its package lies; the word "unknown" stands for a record that doesn't say."""
    if record is None:
        return ABSENT
    folder = record.get("subdir", "unknown")
    stem = "-".join(str(record.get(key)) for key in ("name", "version", "build"))
    return f"{subdir if folder == 'unknown' else folder}/{stem}"


def _names(index: Index) -> set[str]:
    return {str(record.get("name")).lower() for record in index.records.values()}


def reason_for(difference: Difference) -> Rule | None:
    """The first rule that explains a difference."""
    return next((rule for rule in RULES if rule.explains(difference)), None)


def _cell(value: object) -> str:
    text = repr(value) if value is ABSENT else json.dumps(value, ensure_ascii=False, sort_keys=True)
    if len(text) > _EXAMPLE_CHARACTERS:
        text = f"{text[:_EXAMPLE_CHARACTERS]} ..."
    return f"`{text}`".replace("|", "\\|")


def _example(difference: Difference) -> str:
    return f"{difference.where}: ours {_cell(difference.ours)}, theirs {_cell(difference.theirs)}"


def _reasons_table(comparisons: list[Comparison]) -> Iterator[str]:
    groups: dict[tuple[Rule, str], list[Difference]] = {}
    for comparison in comparisons:
        for difference in comparison.differences:
            rule = reason_for(difference)
            if rule is not None:
                groups.setdefault((rule, difference.key), []).append(difference)
    yield "| peer | where | key | count | why | rule | example |"
    yield "|---|---|---|---:|---|---|---|"
    place_of = {id(rule): place for place, rule in enumerate(RULES)}
    for rule, key in sorted(groups, key=lambda group: (place_of[id(group[0])], group[1])):
        found = groups[rule, key]
        example = _example(found[0])
        yield f"| {rule.peer} | {rule.place} | `{key}` | {len(found)} | {rule.reason} | {rule.number} | {example} |"


def _totals_table(comparisons: list[Comparison]) -> Iterator[str]:
    yield "| peer | records compared | equal | equal but for what is explained | not explained |"
    yield "|---|---:|---:|---:|---:|"
    for comparison in comparisons:
        bad = {item.where for item in comparison.differences if reason_for(item) is None and item.place == "record"}
        equal = comparison.records - len(comparison.differing)
        explained = len(comparison.differing - bad)
        yield f"| {comparison.peer} | {comparison.records} | {equal} | {explained} | {len(bad)} |"


def _unexplained(comparisons: list[Comparison]) -> list[Difference]:
    return [item for comparison in comparisons for item in comparison.differences if reason_for(item) is None]


def report(comparisons: list[Comparison], packages: int) -> str:
    """The page, the same whenever the packages and the tools are the same."""
    unexplained = _unexplained(comparisons)
    kinds = Counter((item.peer, item.place, item.key) for item in unexplained)
    lines = [
        "# Parity with rattler-index and conda-index",
        "",
        _INTRODUCTION.format(packages=packages),
        "",
        "## Totals",
        "",
        *_totals_table(comparisons),
        "",
        "## What differs, and why",
        "",
        "Ours has the first value of an example, the peer the second.",
        "",
        *_reasons_table(comparisons),
        "",
        "## Unexplained",
        "",
        *(f"- {peer}, {place}, `{key}`: {count}" for (peer, place, key), count in sorted(kinds.items())),
        *(f"  - {item.peer}, {item.place}, `{item.key}`, {_example(item)}" for item in unexplained),
    ]
    return "\n".join([*lines, *([] if unexplained else ["None."])]) + "\n"


def _packages(source: Path) -> list[Path]:
    """The packages of known subdirs, and none of the index files that may lie beside them."""
    found = (path for subdir in sorted(_SUBDIRS) for path in sorted((source / subdir).glob("*")))
    return [path for path in found if path.is_file() and path.name.endswith(_EXTENSIONS)]


def _index_all(packages: list[Path], scratch: Path, conda_index: CondaIndex) -> dict[str, Path]:
    tools: dict[str, Callable[[Path], Outcome]] = {
        "indexer": peers.ours,
        RATTLER: peers.rattler_folder,
        CONDA: partial(conda_index.run, comparable=True),
    }
    folders = {name: scratch / name for name in tools}
    for name, tool in tools.items():
        for package in packages:
            place = folders[name] / package.parent.name / package.name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(package, place)
        outcome = tool(folders[name])
        # Ours says by exit code 3 that it rejected packages: those are then missing, which is a difference.
        if outcome.state not in {"ok", "exit 3" if name == "indexer" else "ok"}:
            message = f"{name} failed ({outcome.state}):\n{outcome.output}"
            raise RuntimeError(message)
    return folders


def compare_folders(folders: Mapping[str, Path]) -> list[Comparison]:
    """Compare the indexed folder of each peer with ours."""
    indexes = {
        name: {subdir: read_index(folder / subdir) for subdir in sorted(_SUBDIRS) if (folder / subdir).is_dir()}
        for name, folder in folders.items()
    }
    specs = {spec for subdirs in indexes.values() for index in subdirs.values() for spec in _specs_of(index)}
    canonical = peers.canonical_specs(specs)
    comparisons = []
    for peer in (RATTLER, CONDA):
        comparer = Comparer(peer, canonical)
        for subdir in sorted(indexes["indexer"].keys() | indexes[peer].keys()):
            ours, theirs = (indexes[name].get(subdir, Index()) for name in ("indexer", peer))
            comparer.compare(subdir, ours, theirs)
        comparisons.append(comparer.result)
    return comparisons


def _specs_of(index: Index) -> Iterator[str]:
    for record in index.records.values():
        for key in sorted(_SPEC_FIELDS):
            yield from _spec_strings(record.get(key))
    for values in (index.run_exports or {}, index.shard_run_exports):
        yield from _spec_strings(values)


def main() -> int:
    """Index, compare, print the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", type=Path, metavar="PACKAGES_DIR", help="a folder laid out as a channel")
    peers.add_arguments(parser)
    options = parser.parse_args()
    packages = _packages(options.packages)
    if not packages:
        parser.error("no packages in the known subdirs of that folder")
    try:
        peers.demand_rattler()
        conda_index = peers.conda_index_of(options)
        with tempfile.TemporaryDirectory() as scratch:
            folders = _index_all(packages, Path(scratch), conda_index)
            comparisons = compare_folders(folders)
    except (peers.PeerMissingError, RuntimeError) as error:
        sys.stderr.write(f"benchmarks.parity: {error}\n")
        return 2
    sys.stdout.write(report(comparisons, len(packages)))
    return 1 if _unexplained(comparisons) else 0


if __name__ == "__main__":
    sys.exit(main())
