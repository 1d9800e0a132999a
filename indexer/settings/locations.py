"""Where pixi and rattler keep configuration and credentials on this machine."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_FILE = "config.toml"
# In this order within a folder; `mojoproject.toml` has pixi's form under another name.
MANIFESTS = ("pixi.toml", "pyproject.toml", "mojoproject.toml")
# As clap's BoolishValueParser reads a variable.
_TRUE = frozenset({"y", "yes", "t", "true", "on", "1"})


@dataclass(frozen=True, slots=True)
class Environment:
    """What of this machine decides where files are looked for.  Empty variables count as unset."""

    environ: Mapping[str, str]
    folder: Path
    home: Path | None
    platform: str = "linux"
    system: Path = Path("/etc")

    @classmethod
    def here(cls) -> Environment:
        """Those of this process."""
        try:
            home = Path.home()
        except RuntimeError:  # a user without one
            home = None
        system = Path("C:/ProgramData" if sys.platform == "win32" else "/etc")
        return cls(os.environ, Path.cwd(), home, sys.platform, system)

    def variable(self, name: str) -> str | None:
        """An environment variable, None where it is empty."""
        return self.environ.get(name) or None

    def path(self, name: str) -> Path | None:
        """The path that a variable holds, as seen from the working folder."""
        value = self.variable(name)
        return self.folder / value if value else None


def config_files(around: Environment) -> list[Path]:
    """The files that any folder's configuration may come from, the weakest first, whether they are there or not.

    The order is rattler's (`rattler_config::locations`) with pixi as the tool: the machine before the user,
    what all tools share before pixi's own.  `PIXI_CONFIG_FILE` names the only one, `PIXI_NO_CONFIG` leaves none.
    """
    if (around.variable("PIXI_NO_CONFIG") or "").lower() in _TRUE:
        return []
    only = around.path("PIXI_CONFIG_FILE")
    if only is not None:
        return [only]
    files = [around.system / tool / _FILE for tool in ("rattler", "pixi")]
    for tool in ("rattler", "pixi"):
        files += [folder / tool / _FILE for folder in _user_folders(around)]
        home = _tool_home(tool, around)
        files += [home / _FILE] if home else []
    last = {path: at for at, path in enumerate(files)}  # a file that is named twice counts where it wins
    return [path for at, path in enumerate(files) if last[path] == at]


def _user_folders(around: Environment) -> Iterator[Path]:
    xdg = around.variable("XDG_CONFIG_HOME")
    named = Path(xdg) if xdg and Path(xdg).is_absolute() else None
    if around.platform == "win32":
        appdata = around.path("APPDATA")
        yield from [appdata] if appdata else []
        return
    if named is not None:
        yield named
    if around.home is not None and (named is None or around.platform == "darwin"):
        yield around.home / ("Library/Application Support" if around.platform == "darwin" else ".config")


def _tool_home(tool: str, around: Environment) -> Path | None:
    # `~/.rattler` has credentials, and no configuration.
    named = around.path(f"{tool.upper()}_HOME")
    return named or (around.home / f".{tool}" if around.home and tool == "pixi" else None)


def manifests(around: Environment) -> Iterator[Path]:
    """The manifests of the working folder and of all folders above it, the nearest first: one a folder, as pixi does.

    Last comes the one that an activated environment names, for where there is no other.
    """
    for folder in (around.folder, *around.folder.parents):
        found = next((folder / name for name in MANIFESTS if is_file(folder / name)), None)
        if found is not None:
            yield found
    active = around.path("PIXI_PROJECT_MANIFEST")
    if active is not None:
        yield active


def is_file(path: Path) -> bool:
    """Whether a file is there; one in a folder that may not be entered counts as none."""
    try:
        return path.is_file()
    except OSError:
        return False
