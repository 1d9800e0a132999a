"""The paths of pixi's and rattler's configuration and credentials on this machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_FILE = "config.toml"
# In this order within a folder; `mojoproject.toml` has pixi's form under another name.
MANIFESTS = ("pixi.toml", "pyproject.toml", "mojoproject.toml")
# As clap's BoolishValueParser reads a variable.
_TRUE = frozenset({"y", "yes", "t", "true", "on", "1"})


class Environment(Value, frozen=True):
    """The facts of this machine that decide in which paths files are searched.  Empty variables count as unset."""

    environ: Mapping[str, str]
    folder: Path
    home: Path | None
    platform: str = "linux"
    system: Path = Path("/etc")

    @classmethod
    def here(cls) -> Environment:
        """The environment of this process."""
        try:
            home = Path.home()
        except RuntimeError:  # a user without a home folder
            home = None
        system = Path("C:/ProgramData" if sys.platform == "win32" else "/etc")
        return cls(os.environ, Path.cwd(), home, sys.platform, system)

    def variable(self, name: str) -> str | None:
        """An environment variable, None if it is empty."""
        return self.environ.get(name) or None

    def path(self, name: str) -> Path | None:
        """The path in a variable, relative to the working folder."""
        value = self.variable(name)
        return self.folder / value if value else None


def config_files(env: Environment) -> list[Path]:
    """The configuration files that count in any folder, the weakest first, whether they exist or not.

    The order is rattler's (`rattler_config::locations`) with pixi as the tool: the machine before the user,
    the files of all tools before pixi's own.  `PIXI_CONFIG_FILE` names the only file, `PIXI_NO_CONFIG` leaves none.
    """
    if (env.variable("PIXI_NO_CONFIG") or "").lower() in _TRUE:
        return []
    only = env.path("PIXI_CONFIG_FILE")
    if only is not None:
        return [only]
    files = [env.system / tool / _FILE for tool in ("rattler", "pixi")]
    for tool in ("rattler", "pixi"):
        folders = [folder / tool for folder in _user_folders(env)]
        home = _tool_home(tool, env)
        files += [folder / _FILE for folder in (*folders, *([home] if home else []))]
    # A file that is there twice counts at its last position.
    return list(reversed(dict.fromkeys(reversed(files))))


def _user_folders(env: Environment) -> Iterator[Path]:
    xdg = env.variable("XDG_CONFIG_HOME")
    folder = Path(xdg) if xdg and Path(xdg).is_absolute() else None
    if env.platform == "win32":
        appdata = env.path("APPDATA")
        yield from [appdata] if appdata else []
        return
    if folder is not None:
        yield folder
    if env.home is not None and (folder is None or env.platform == "darwin"):
        yield env.home / ("Library/Application Support" if env.platform == "darwin" else ".config")


def _tool_home(tool: str, env: Environment) -> Path | None:
    # `~/.rattler` has credentials, and no configuration.
    return env.path(f"{tool.upper()}_HOME") or (env.home / f".{tool}" if env.home and tool == "pixi" else None)


def manifests(env: Environment) -> Iterator[Path]:
    """The manifests of the working folder and of all folders above it, the nearest first; one per folder, as in pixi.

    The last one is the manifest of an activated environment, which counts if there is no other.
    """
    for folder in (env.folder, *env.folder.parents):
        manifest = next((folder / name for name in MANIFESTS if is_file(folder / name)), None)
        if manifest is not None:
            yield manifest
    active = env.path("PIXI_PROJECT_MANIFEST")
    if active is not None:
        yield active


def is_file(path: Path) -> bool:
    """Whether a file exists; a file in a folder without permission counts as missing."""
    try:
        return path.is_file()
    except OSError:
        return False
