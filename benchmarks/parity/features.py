"""The features of each tool, a row for each: tried on the same packages if possible, else stated."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.parity import trials
from benchmarks.parity.indexes import ABSENT, read_index

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from benchmarks.parity.trials import Tool


def _file(name: str) -> Callable[[Path], bool]:
    return lambda folder: (folder / name).is_file()


def _record(folder: Path, key: str) -> Mapping[str, Any]:
    subdir, _, name = key.partition("/")
    result: Mapping[str, Any] = trials.records(folder, subdir).get(name, {})
    return result


def _info(key: str) -> Callable[[Path], bool]:
    return lambda folder: key in trials.repodata(folder, "noarch").get("info", {})


def _in_v3(folder: Path) -> bool:
    return "warbler-3.0.0-h3_0" in trials.repodata(folder, "linux-64").get("v3", {}).get("conda", {})


def _shards_apart(folder: Path) -> bool:
    return (folder / "noarch" / "shards").is_dir()


def _tar_bz2_exports(folder: Path) -> bool:
    result = read_index(folder / "linux-64").shard_run_exports.get("libreed-2.3.0-h0a1_0.tar.bz2", ABSENT)
    return result is not ABSENT


def _withdrawn(folder: Path) -> bool:
    return "reedbed-1.0.0-0.conda" not in trials.records(folder, "noarch")


def _nothing_forged(folder: Path) -> bool:
    forged = _record(folder, "osx-arm64/teal-1.0-0.conda")
    return bool(forged) and forged.get("indexed_timestamp") != 1 and not {"url", "revoked"} & forged.keys()


PUBLISHED: Final[dict[str, Callable[[Path], bool]]] = {
    "`repodata.json`": _file("noarch/repodata.json"),
    "`repodata.json.zst`": _file("noarch/repodata.json.zst"),
    "`repodata.json.bz2`": _file("noarch/repodata.json.bz2"),
    "sharded repodata (CEP 16)": _file("noarch/repodata_shards.msgpack.zst"),
    "shards in a folder of their own": _shards_apart,
    "`run_exports.json` (CEP 12)": _file("linux-64/run_exports.json"),
    "run exports of a `.tar.bz2` in its shard (CEP 21)": _tar_bz2_exports,
    "`current_repodata.json`": _file("linux-64/current_repodata.json"),
    "`channeldata.json` (CEP 38)": _file("channeldata.json"),
    "`rss.xml`": _file("rss.xml"),
    "a page for the channel": _file("index.html"),
    "a page for each subdir": _file("noarch/index.html"),
    "`notices.json` (CEP 6)": _file("notices.json"),
    "`base_url` (CEP 15)": _info("base_url"),
    "channel relations (CEP 42)": _info("channel_relations"),
    "a package that needs `v3` is listed there (CEP 48)": _in_v3,
    "`repodata_revisions` (CEP 48)": _info("repodata_revisions"),
    "the date of first indexing (CEP 47)": lambda folder: "indexed_timestamp" in _record(folder, trials.REEDBED),
    "attestations are named by the record": lambda folder: "attestations_sha256" in _record(folder, trials.REEDBED),
    "a patch changes dependencies": lambda folder: _record(folder, trials.REEDBED)["depends"][0] == "mire",
    "clients do not see packages that a patch removes": _withdrawn,
    "fields that only an indexer may set are not read from packages": _nothing_forged,
}
"""What is looked for in a channel that was published with everything switched on."""

TRIED: Final[dict[str, Callable[[Tool, Path], bool]]] = {
    "a patch stays in force in later runs without the option": trials.keeps_patch,
    "a replaced package is noticed": trials.notices_replaced,
    "a deleted package leaves the index": trials.drops_deleted,
    "a damaged package does not keep out others": trials.survives_damage,
    "a damaged package shows in the exit code": trials.says_so,
    "a wheel in the folder keeps no package out": trials.survives_wheel,
    "`features: null` in a package keeps none out": trials.survives_null,
    "run exports that are a bare list are published as weak ones": trials.takes_list_form,
    "runs over an unchanged channel write nothing": trials.stays_quiet,
}

REMARKS: Final = {
    "a package that needs `v3` is listed there (CEP 48)": "conda-index: `--repodata-next` moves all packages",
    "`repodata_revisions` (CEP 48)": "conda-index: with `--repodata-next`, dated by `timestamp`",
    "a patch stays in force in later runs without the option": "conda-index: yes without shards",
    "`features: null` in a package keeps none out": "conda-index: it crashes if `current_repodata.json` is switched on",
    "runs over an unchanged channel write nothing": "conda-index: only files with the time of the run",
}
"""What a word alone would tell wrongly."""

STATED: Final = (
    ("a bucket, without a local copy", "yes", "yes", "no", "conda-index reaches S3 only from Python, through fsspec"),
    (
        "conditional writes, so runs may overlap",
        "yes",
        "yes",
        "no",
        "conda-index removed its locks in 0.11",
    ),
    ("stores without conditional writes", "under a lease", "unsafe, with an option", "no", "docs/providers.md"),
    ("reads the end of a large package only", "yes", "no", "no", "if its digests are stored"),
    ("yank, with a reason; unyank", "yes", "no", "no", "the others only by a patch"),
    ("check, gc of shards, doctor", "yes", "no", "no", ""),
    ("virtual package detectors", "yes", "yes", "no", "in no CEP yet"),
    (
        "wheels under `v3.whl` by URL",
        "kept",
        "deleted when it indexes",
        "deleted when it indexes",
        "no tool makes them",
    ),
    ("shards only", "yes", "no", "yes", ""),
    ("patches as a Python function", "no", "no", "yes", "`indexer` runs no code of a channel"),
    ("more versions in `current_repodata.json` (`-m`)", "no", "no", "yes", "no demand so far"),
    ("unknown keys of `index.json` are kept", "no", "no", "yes", "CEP 36: they should not be in a record"),
    ("a database of packages outside the channel", "no", "no", "SQLite or PostgreSQL", "the channel is the truth"),
)
"""What was read in documents and sources and not tried here: ours, rattler-index's, conda-index's, and a remark."""


def features_table(tools: tuple[Tool, ...], channels: Mapping[str, Path]) -> Iterator[str]:
    """The rows; each cell except for stated ones is the result of a trial.  `channels` are full ones, by tool."""
    yield f"| feature | {' | '.join(tool.name for tool in tools)} | |"
    yield f"|---|{'---|' * len(tools)}---|"
    with tempfile.TemporaryDirectory() as scratch:
        for name, holds in PUBLISHED.items():
            words = [_word(holds(channels[tool.name])) for tool in tools]
            yield _row(name, words, REMARKS.get(name, ""))
        for number, (name, tried) in enumerate(TRIED.items()):
            folders = [Path(scratch, tool.name, str(number), "channel") for tool in tools]
            words = [_word(tried(tool, folder)) for tool, folder in zip(tools, folders, strict=True)]
            yield _row(name, words, REMARKS.get(name, ""))
    for name, ours, rattler, conda, remark in STATED:
        yield _row(name, [ours, rattler, conda], f"stated{': ' if remark else ''}{remark}")


def _word(holds: bool) -> str:  # noqa: FBT001  the answer of a trial
    return "yes" if holds else "no"


def _row(name: str, cells: list[str], remark: str = "") -> str:
    return f"| {name} | {' | '.join(cells)} | {remark} |"
