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
    found: Mapping[str, Any] = trials.records(folder, subdir).get(name, {})
    return found


def _info(key: str) -> Callable[[Path], bool]:
    return lambda folder: key in trials.repodata(folder, "noarch").get("info", {})


def _in_v3(folder: Path) -> bool:
    return "warbler-3.0.0-h3_0" in trials.repodata(folder, "linux-64").get("v3", {}).get("conda", {})


def _shards_apart(folder: Path) -> bool:
    return (folder / "noarch" / "shards").is_dir()


def _tar_bz2_exports(folder: Path) -> bool:
    told = read_index(folder / "linux-64").shard_run_exports.get("libreed-2.3.0-h0a1_0.tar.bz2", ABSENT)
    return told is not ABSENT


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
    "a package that needs it stands under `v3` (CEP 48)": _in_v3,
    "`repodata_revisions` (CEP 48)": _info("repodata_revisions"),
    "the date of first indexing (CEP 47)": lambda folder: "indexed_timestamp" in _record(folder, trials.REEDBED),
    "attestations are named by the record": lambda folder: "attestations_sha256" in _record(folder, trials.REEDBED),
    "a patch changes dependencies": lambda folder: _record(folder, trials.REEDBED)["depends"][0] == "mire",
    "what a patch removes is offered to nobody": _withdrawn,
    "what only an indexer may say is not taken from packages": _nothing_forged,
}
"""What is looked for in a channel that was published with everything switched on."""

TRIED: Final[dict[str, Callable[[Tool, Path], bool]]] = {
    "a patch stays in force in later runs that do not name it": trials.keeps_patch,
    "a package that was replaced is noticed": trials.notices_replaced,
    "a package that is gone leaves the index": trials.drops_deleted,
    "a damaged package keeps no other one out": trials.survives_damage,
    "a damaged package shows in the exit code": trials.says_so,
    "a wheel in the folder keeps no package out": trials.survives_wheel,
    "`features: null` in a package keeps none out": trials.survives_null,
    "run exports that are a bare list are published as weak ones": trials.takes_list_form,
    "runs over an unchanged channel write nothing": trials.stays_quiet,
}

REMARKS: Final = {
    "a package that needs it stands under `v3` (CEP 48)": "conda-index: `--repodata-next` moves all of them",
    "`repodata_revisions` (CEP 48)": "conda-index: with `--repodata-next`, dated by `timestamp`",
    "a patch stays in force in later runs that do not name it": "conda-index: without shards it does",
    "`features: null` in a package keeps none out": "conda-index: it crashes where `current_repodata.json` is wanted",
    "runs over an unchanged channel write nothing": "conda-index: only what tells the time of the run",
}
"""What a word alone would tell wrongly."""

STATED: Final = (
    ("a bucket, without a copy of it", "yes", "yes", "no", "conda-index reaches S3 from Python alone, through fsspec"),
    ("writes under conditions, so that several may run", "yes", "yes", "no", "conda-index took its locks out in 0.11"),
    ("stores without conditional writes", "under a lease", "unsafe, if told", "no", "docs/providers.md"),
    ("reads the end of a large package only", "yes", "no", "no", "where its digests are vouched for"),
    ("yank, with a reason; unyank", "yes", "no", "no", "both others only by a patch"),
    ("check, gc of shards, doctor", "yes", "no", "no", ""),
    ("virtual package detectors", "yes", "yes", "no", "in no CEP yet"),
    ("wheels under `v3.whl` by URL", "kept", "deleted when it indexes", "deleted when it indexes", "none makes them"),
    ("shards alone", "yes", "no", "yes", ""),
    ("patches as a Python function", "no", "no", "yes", "no code of a channel is run here"),
    ("more versions in `current_repodata.json` (`-m`)", "no", "no", "yes", "nobody asked"),
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
