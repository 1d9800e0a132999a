"""The reasons for differences, as a table."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from benchmarks.parity.compare import same
from benchmarks.parity.indexes import ABSENT

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.parity.compare import Difference

RATTLER: Final = "rattler-index"
CONDA: Final = "conda-index"

# The folders that rattler-index accepts as subdirs; other folders are not part of a channel.
SUBDIRS = (
    *("noarch", "osx-64", "osx-arm64", "win-32", "win-64", "win-arm64", "emscripten-wasm32", "emscripten-wasm64"),
    *("linux-32", "linux-64", "linux-aarch64", "linux-armv6l", "linux-armv7l", "linux-loongarch64", "linux-ppc64le"),
    *("linux-ppc64", "linux-ppc", "linux-s390x", "linux-riscv32", "linux-riscv64", "wasi-wasm32", "zos-z"),
    *("freebsd-32", "freebsd-64", "freebsd-arm64", "freebsd-ppc64le", "freebsd-ppc64", "ios-arm64"),
    *("iossimulator-arm64", "iossimulator-64", "android-aarch64", "android-armv7a", "android-64", "android-32"),
)
_CONDA_SUBDIRS = frozenset(SUBDIRS) - {
    *("emscripten-wasm64", "linux-loongarch64", "linux-ppc", "linux-riscv32"),
    *("freebsd-32", "freebsd-arm64", "freebsd-ppc64le", "freebsd-ppc64"),
    *("ios-arm64", "iossimulator-arm64", "iossimulator-64"),
    *("android-aarch64", "android-armv7a", "android-64", "android-32"),
}

EXTENSIONS = (".conda", ".tar.bz2")
_RUN_EXPORT_KINDS = frozenset({"weak", "strong", "noarch", "weak_constrains", "strong_constrains"})
_KEPT = frozenset(
    {
        *("name", "version", "build", "build_number", "depends", "constrains", "noarch", "timestamp"),
        *("track_features", "features", "license", "license_family", "purls", "python_site_packages_path"),
        *("extra_depends", "flags", "md5", "sha256", "size", "subdir"),
    }
)


@dataclass(frozen=True)
class Rule:
    """A reason, and the differences that it explains."""

    peer: str
    place: str
    keys: frozenset[str]
    """Which keys; empty means any key."""
    holds: Callable[[Difference], bool]
    reason: str

    def explains(self, difference: Difference) -> bool:
        """Whether this rule explains a difference."""
        return (
            self.peer == difference.peer
            and self.place == difference.place
            and (not self.keys or difference.key in self.keys)
            and self.holds(difference)
        )


def _only_theirs(difference: Difference) -> bool:
    return difference.ours is ABSENT and difference.theirs is not ABSENT


def _only_ours(difference: Difference) -> bool:
    return difference.theirs is ABSENT and difference.ours is not ABSENT


def _values(ours: object, theirs: object) -> Callable[[Difference], bool]:
    def holds(difference: Difference) -> bool:
        return same(difference.ours, ours) and same(difference.theirs, theirs)

    return holds


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
    # "(record)" and "(map)" are not keys of a record.
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
    """Whether unknown kinds, and kinds without a spec, are the only difference."""
    theirs = difference.theirs
    return isinstance(theirs, dict) and difference.ours == {
        kind: specs for kind, specs in theirs.items() if kind in _RUN_EXPORT_KINDS and specs
    }


def _few_dashes(difference: Difference) -> bool:
    return _only_theirs(difference) and difference.where.count("-", difference.where.index("/")) < 2


def _misplaced(difference: Difference) -> bool:
    stems = {difference.where.removesuffix(extension) for extension in EXTENSIONS}
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

# The first rule that applies is the reason. One or two lines each, so that the table can be read.
# fmt: off
RULES: Final = (
    Rule(RATTLER, "record", _keys("arch", "platform"), _only_theirs, "kept there; deprecated (CEP 36)"),
    Rule(RATTLER, "record", _SPECS, _legacy,
         "rewritten there; ours is the text of index.json (CEP 36), same meaning"),
    Rule(RATTLER, "record", _keys("run_exports"), _only_theirs,
         "inline there; ours are in run_exports.json and the shards, for their size (CEP 12)"),
    Rule(RATTLER, "record", _keys("subdir"), partial(_subdir_filled, theirs="unknown"),
         "missing in index.json: the word 'unknown' there, the folder's name here"),
    Rule(RATTLER, "record", _keys("noarch"), _values("generic", theirs=True),
         "the old `true` is written as the 'generic' that it means"),
    Rule(RATTLER, "record", _keys("track_features"), _empty_theirs, "empty: dropped here"),
    Rule(RATTLER, "record", _keys("features"), _empty_theirs, "empty: dropped here"),
    Rule(RATTLER, "record", _keys("(record)"), _misplaced, _MISPLACED),
    Rule(RATTLER, "repodata.json", _keys("removed"), _values([], ABSENT), "left out there when empty"),
    Rule(RATTLER, "repodata.json", _keys("v3"), _values(ABSENT, "empty"), "written there even when empty"),
    Rule(RATTLER, "shard index", _keys("version"), _values(1, ABSENT), "missing there; CEP 16 has it"),
    Rule(RATTLER, "shard", _keys("run_exports"), _tar_bz2,
         "only of .conda there; absent means unknown (CEP 21)"),
    Rule(RATTLER, "shard", _keys("run_exports"), _known_empty,
         "none in the package: absent there, {} here (CEP 21)"),
    Rule(RATTLER, "run_exports.json", _keys("(file)"), _only_ours, "never written there"),
    Rule(CONDA, "record", _ANY, _null, "null: dropped here, as it crashes conda"),
    Rule(CONDA, "record", _ANY, _unknown_key, "kept there; CEP 36: should not be in a record"),
    Rule(CONDA, "record", _keys("depends"), _values([], ABSENT),
         "missing in index.json: ours has an empty list, which means the same"),
    Rule(CONDA, "record", _keys("subdir"), partial(_subdir_filled, theirs=ABSENT),
         "missing in index.json: absent there, the folder's name here"),
    Rule(CONDA, "record", _keys("noarch"), _values("generic", theirs=True),
         "the old `true` is written as the 'generic' that it means"),
    Rule(CONDA, "record", _keys("noarch"), _falsy_noarch, "means nothing: dropped here"),
    Rule(CONDA, "record", _keys("track_features"), _joined_features,
         "a list there; readers expect a string (CEP 34)"),
    Rule(CONDA, "record", _keys("track_features"), _empty_theirs, "empty: dropped here"),
    Rule(CONDA, "record", _keys("constrains", "features", "extra_depends", "flags"), _empty_theirs,
         "empty: dropped here"),
    Rule(CONDA, "record", _keys("timestamp"), _truncated, "a float there; readers expect an integer"),
    Rule(CONDA, "record", _keys("purls"), _reordered, "sorted here"),
    Rule(CONDA, "record", _SPECS, _revised,
         "verbatim there; v3 specs must be canonical (CEP 48), same meaning"),
    Rule(CONDA, "record", _keys("(map)"), _moved_to_v3, _V3_ONLY),
    Rule(CONDA, "record", _keys("(record)"), _few_dashes,
         "a file name that is not name-version-build is indexed there; a reader fails on it"),
    Rule(CONDA, "record", _keys("(record)"), _misplaced, _MISPLACED),
    Rule(CONDA, "record", _keys("(record)"), _foreign_subdir, "a subdir that it does not know"),
    Rule(CONDA, "repodata.json", _keys("(file)"), _foreign_subdir, "a subdir that it does not know"),
    Rule(CONDA, "repodata.json", _keys("v3"), _values("filled", ABSENT), _V3_ONLY),
    Rule(CONDA, "repodata.json", _keys("info.repodata_revisions"), _only_ours, _V3_ONLY),
    Rule(CONDA, "shard index", _keys("info.repodata_revisions"), _only_ours, _V3_ONLY),
    Rule(CONDA, "shard index", _keys("info.shards_base_url"), _values("./shards/", ""),
         "shards beside the packages there, in a folder of their own here"),
    Rule(CONDA, "run_exports.json", _keys("run_exports"), _list_form,
         "a bare list there; it means weak (CEP 34)"),
    Rule(CONDA, "run_exports.json", _keys("run_exports"), _extra_kinds,
         "unknown kinds and empty lists: dropped here"),
    Rule(CONDA, "shard", _keys("run_exports"), _list_form, "a bare list there; it means weak (CEP 34)"),
    Rule(CONDA, "shard", _keys("run_exports"), _extra_kinds, "unknown kinds and empty lists: dropped here"),
    Rule(CONDA, "shard index", _keys("(name)"), _lowered, "upper case kept; readers look up lower case"),
)
# fmt: on


def reason_for(difference: Difference) -> Rule | None:
    """The first rule that explains a difference."""
    return next((rule for rule in RULES if rule.explains(difference)), None)
