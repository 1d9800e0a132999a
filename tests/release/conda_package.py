"""Renders the conda recipe, builds it, and runs its tests, with a channel of stand-ins instead of conda-forge.

Only pip asks a server. The stand-in for Python is the interpreter of this check with all dependencies in it; the
stand-in for a dependency is an empty package with the version that pip found.
"""

from __future__ import annotations

import importlib.metadata
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import rattler
import rattler_build

from indexer.core.release import __version__
from tests.release.called import CheckFailed, call, expect
from tests.support.command import ROOT
from tests.support.memory_channel import package

if TYPE_CHECKING:
    from collections.abc import Iterator

RECIPE = ROOT / "recipe" / "recipe.yaml"
_SERIES = f"{sys.version_info.major}.{sys.version_info.minor}"


def check(folder: Path) -> Iterator[str]:
    """A line for each step that passed.  Raises CheckFailed."""
    (oldest,) = _rendered(rattler_build.VariantConfig.from_file(str(RECIPE.with_name("variants.yaml"))))
    expect(oldest.recipe.package.version == __version__, "the recipe has another version")
    yield f"the recipe is rendered for {', '.join(oldest.recipe.requirements.to_dict()['host'])}"
    channel = _stand_ins(folder / "stand-ins")
    (variant,) = _rendered(rattler_build.VariantConfig({"python_min": [_SERIES]}))
    tools = rattler_build.ToolConfiguration(test_strategy="native", use_sharded=True)
    try:
        built = variant.run_build(tools, output_dir=folder / "conda", channels=[channel.as_uri()], no_build_id=True)
    except rattler_build.RattlerBuildError as error:
        raise CheckFailed(f"rattler-build: {error}") from error
    (path,) = built.packages
    yield f"rattler-build built {Path(path).name} and ran its tests"
    published = folder / "published"
    published.mkdir()
    call(sys.executable, "-m", "indexer", "publish", published, path, "--create", folder=ROOT)
    yield "indexer publishes its own package"


def _rendered(variants: rattler_build.VariantConfig) -> Any:
    recipe = rattler_build.Stage0Recipe.from_file(str(RECIPE))
    return recipe.render(variants, rattler_build.RenderConfig())


def _stand_ins(channel: Path) -> Path:
    """A channel with Python and everything that the recipe wants."""
    prefix = channel.with_name("prefix")
    site = prefix / "lib" / f"python{_SERIES}" / "site-packages"
    project = msgspec.toml.decode((ROOT / "pyproject.toml").read_bytes(), type=dict[str, Any])
    wanted = [re.split(";", dependency)[0] for dependency in project["project"]["dependencies"]]
    wanted += [*project["build-system"]["requires"], "pip"]
    call(sys.executable, "-m", "pip", "install", "--quiet", "--target", site, *wanted, folder=ROOT)
    for found in importlib.metadata.distributions(path=[str(site)]):
        name = re.sub(r"[-_.]+", "-", found.name).lower()
        for each in {name, name.replace("-", "_")}:
            key = f"noarch/{each}-{found.version}-0.conda"
            (channel / "noarch").mkdir(parents=True, exist_ok=True)
            (channel / key).write_bytes(package(key, noarch="generic", paths={"paths": [], "paths_version": 1}))
    _interpreter(prefix)
    (channel / _platform()).mkdir()
    rattler_build.assemble_package(
        "python", ".".join(map(str, sys.version_info[:3])), _platform(), "0", channel / _platform(), files_dir=prefix
    )
    call(sys.executable, "-m", "indexer", "fs", channel, "--quiet", folder=ROOT)
    return channel


def _platform() -> str:
    return str(rattler.Platform.current())


def _interpreter(prefix: Path) -> None:
    """Lay out links to the interpreter of this process, which takes the prefix for an environment of its own."""
    real = Path(sys.executable).resolve()
    (prefix / "bin").mkdir()
    for name in ("python", "python3", f"python{_SERIES}"):
        (prefix / "bin" / name).symlink_to(real)
    (prefix / "pyvenv.cfg").write_text(f"home = {real.parent}\ninclude-system-site-packages = false\n")
