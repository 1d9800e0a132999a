"""The channels on which the tools are tried, made of the fixtures: one with all outputs, some with odd files."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks import peers
from benchmarks.parity.rules import CONDA, RATTLER
from fixtures import golden, pack, tree
from fixtures.golden import PACKAGES
from fixtures.tree import Written

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.measure import Outcome
    from benchmarks.peers import CondaIndex

OURS: Final = "indexer"
SUBDIRS: Final = ("linux-64", "noarch", "osx-arm64")
REEDBED: Final = "noarch/reedbed-1.1.0-0.conda"
LIBREED: Final = "linux-64/libreed-2.3.1-h0a1_0.conda"
LIST_FORM: Final = "linux-64/rush-0.1-0.conda"
BROKEN: Final = PACKAGES.parent / "broken"
_CONFIG: Final = """\
[index-config]
base-url = "https://packages.example/ch/"
repodata-revisions = [{ revision = "v3", message = "update your client" }]
[index-config.channel-relations]
base = "../conda-forge"
[[index-config.notices]]
id = "n1"
message = "moving house"
level = "info"
created_at = "2026-01-01T00:00:00Z"
expires_at = "2027-01-01T00:00:00Z"
"""
_BUNDLES: Final = b'[{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"}]'
# rattler-index ends the whole run on the first two, and conda-index on the third if it writes current_repodata.json.
_APART: Final = frozenset({LIST_FORM, "linux-64/mist-1.0-0.conda", "linux-64/sundew-1.0-1.conda"})


_QUIET_SECONDS = 2.0


@dataclass(frozen=True)
class Tool:
    """An indexer: `plain` runs it by its defaults, with zst and shards, `full` with all outputs that it has."""

    name: str
    plain: Callable[[Path], Outcome]
    full: Callable[[Path, Path], Outcome]


def tools(conda_index: CondaIndex) -> tuple[Tool, ...]:
    """The three; `full` takes the folder and a configuration file."""
    patch = Path(golden.PATCH).name
    people = ("--current-repodata", "--channeldata", "--bz2")

    def ours(folder: Path, config: Path) -> Outcome:
        more = (*people, "--html", "--rss", "--config", str(config), "--repodata-patch", patch)
        return peers.ours(folder, *more)

    def theirs(folder: Path, _: Path) -> Outcome:
        more = (*people, "--rss", "--base-url", "https://packages.example/ch/")
        return conda_index.run(folder, comparable=True, patch=folder / golden.PATCH, more=more)

    return (
        Tool(OURS, peers.ours, ours),
        Tool(RATTLER, peers.rattler_folder, lambda folder, config: peers.rattler_folder(folder, patch, config)),
        Tool(CONDA, lambda folder: conda_index.run(folder, comparable=True), theirs),
    )


def published(tool: Tool, folder: Path) -> Path:
    """A channel with all outputs of the tool."""
    kept = [f"{path.parent.name}/{path.name}" for path in sorted(PACKAGES.glob("*/*"))]
    lay(folder, *(key for key in kept if key not in _APART))
    pack.write(golden.patch_package(), folder / golden.PATCH)
    for name in (f"{REEDBED}.sigs", f"{REEDBED}.sigs.{hashlib.sha256(_BUNDLES).hexdigest()}"):
        (folder / name).write_bytes(_BUNDLES)
    _grow_old(folder)
    _demand(tool.full(folder, _configured(folder)), tool)
    return folder


def _configured(folder: Path) -> Path:
    config = folder.with_suffix(".toml")
    config.write_text(_CONFIG)
    return config


def _demand(outcome: Outcome, tool: Tool) -> None:
    if not outcome.ok:
        message = f"{tool.name} failed ({outcome.state}):\n{outcome.output}"
        raise RuntimeError(message)


def lay(folder: Path, *keys: str) -> Path:
    """Copy packages of the fixtures, with old times."""
    for key in keys:
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(PACKAGES / key, folder / key)
    _grow_old(folder)
    return folder


def _grow_old(folder: Path) -> None:
    for path in folder.glob("*/*"):
        os.utime(path, (pack.CLOCK, pack.CLOCK))


def repodata(folder: Path, subdir: str) -> dict[str, Any]:
    """The content of a subdir's repodata.json; empty if there is none."""
    path = folder / subdir / "repodata.json"
    result: dict[str, Any] = json.loads(path.read_bytes()) if path.is_file() else {}
    return result


def records(folder: Path, subdir: str) -> Mapping[str, Any]:
    """The records of a subdir by file name, including those under v3."""
    result = repodata(folder, subdir)
    revised = result.get("v3", {}).items()
    under_v3 = {f"{stem}.{ext}": record for ext, its in revised for stem, record in its.items()}
    return {**result.get("packages", {}), **result.get("packages.conda", {}), **under_v3}


def notices_replaced(tool: Tool, folder: Path) -> bool:
    """Whether a package that was uploaded again with another content is indexed again, without an option."""
    key = "linux-64/dew-1.0-0.conda"
    lay(folder, key, LIBREED)
    tool.plain(folder)
    other = golden.CHANNELS / "incremental" / "packages" / key
    shutil.copyfile(other, folder / key)
    tool.plain(folder)
    return bool(records(folder, "linux-64")["dew-1.0-0.conda"]["sha256"] == sha256_of(other))


def sha256_of(path: Path) -> str:
    """The digest of a file (hex)."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def drops_deleted(tool: Tool, folder: Path) -> bool:
    """Whether a deleted package leaves the index."""
    lay(folder, REEDBED, LIBREED, "noarch/mire-1.0-0.conda")
    tool.plain(folder)
    (folder / REEDBED).unlink()
    tool.plain(folder)
    return records(folder, "noarch").keys() == {"mire-1.0-0.conda"}


def goes_on(tool: Tool, folder: Path, *extra: Path) -> bool:
    """Whether all other packages are published if one file in the subdir is odd."""
    lay(folder, REEDBED, LIBREED)
    for path in extra:
        shutil.copyfile(path, folder / "linux-64" / path.name)
    tool.plain(folder)
    return LIBREED.partition("/")[2] in records(folder, "linux-64")


def survives_damage(tool: Tool, folder: Path) -> bool:
    """Whether all other packages are published if one is damaged."""
    return goes_on(tool, folder, BROKEN / "linux-64" / "half-1.0-0.conda")


def says_so(tool: Tool, folder: Path) -> bool:
    """Whether a damaged package changes the exit code."""
    lay(folder, LIBREED)
    shutil.copyfile(BROKEN / "linux-64" / "half-1.0-0.conda", folder / "linux-64" / "half-1.0-0.conda")
    return not tool.plain(folder).ok


def survives_wheel(tool: Tool, folder: Path) -> bool:
    """Whether all packages are published if there is a wheel."""
    wheel = folder.parent / "wheel-1.0-py3-none-any.whl"
    wheel.parent.mkdir(parents=True)
    wheel.write_bytes(b"a wheel")
    return goes_on(tool, folder, wheel)


def survives_null(tool: Tool, folder: Path) -> bool:
    """Whether a package with null for `features` is published, with all outputs on."""
    lay(folder, LIBREED, "linux-64/sundew-1.0-1.conda")
    pack.write(golden.patch_package(), folder / golden.PATCH)
    outcome = tool.full(folder, _configured(folder))
    return outcome.ok and len(records(folder, "linux-64")) == 2


def takes_list_form(tool: Tool, folder: Path) -> bool:
    """Whether run exports of the oldest form, a bare list, are published as weak ones."""
    lay(folder, LIST_FORM)
    tool.plain(folder)
    path = folder / "linux-64" / "run_exports.json"
    name = LIST_FORM.partition("/")[2]
    result = json.loads(path.read_bytes())["packages.conda"].get(name, {}) if path.is_file() else {}
    return result.get("run_exports") == {"weak": ["rush >=0.1"]}


def stays_quiet(tool: Tool, folder: Path) -> bool:
    """Whether runs over an unchanged channel write no file, even after the second of the files' times is over."""
    lay(folder, REEDBED, LIBREED)
    tool.plain(folder)
    tool.plain(folder)  # the first run may have left work for the second
    before, began = _written(folder), time.monotonic()
    while time.monotonic() - began < _QUIET_SECONDS:
        tool.plain(folder)
    return _written(folder) == before


def _written(folder: Path) -> dict[str, int]:
    kept = (path for path in folder.glob("*/*") if path.is_file())
    return {str(path): path.stat().st_mtime_ns for path in kept}


def keeps_patch(tool: Tool, folder: Path) -> bool:
    """Whether a patch stays in force, and its removed packages stay out, in two later runs without the option."""
    published(tool, folder)
    for name in ("new", "newer"):
        key = f"noarch/{name}-1.0-0.conda"
        pack.write(tree.files(Written(key, "one more")), folder / key)
        tool.plain(folder)
    result = records(folder, "noarch")
    return result["reedbed-1.1.0-0.conda"]["depends"][0] == "mire" and "reedbed-1.0.0-0.conda" not in result
