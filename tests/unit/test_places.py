"""The files are looked for where pixi and rattler look, in their order."""

from __future__ import annotations

from pathlib import Path

import pytest

from indexer.settings.locations import Environment, config_files, manifests

HOME = Path("/home/ada")
WORK = Path("/home/project")


def files(environ: dict[str, str] | None = None, *, platform: str = "linux", home: Path | None = HOME) -> list[str]:
    return [path.as_posix() for path in config_files(Environment(environ or {}, WORK, home, platform))]


def test_machine_files_come_before_user_files_and_shared_before_pixis() -> None:
    assert files() == [
        "/etc/rattler/config.toml",
        "/etc/pixi/config.toml",
        "/home/ada/.config/rattler/config.toml",
        "/home/ada/.config/pixi/config.toml",
        "/home/ada/.pixi/config.toml",
    ]


def test_xdg_and_tool_homes_replace_the_default_folders() -> None:
    assert files({"XDG_CONFIG_HOME": "/xdg", "PIXI_HOME": "/pixi", "RATTLER_HOME": "/rattler"})[2:] == [
        "/xdg/rattler/config.toml",
        "/rattler/config.toml",
        "/xdg/pixi/config.toml",
        "/pixi/config.toml",
    ]


def test_a_mac_has_its_own_folder_and_xdg_only_where_it_is_named() -> None:
    assert files(platform="darwin")[3:] == [
        "/home/ada/Library/Application Support/pixi/config.toml",
        "/home/ada/.pixi/config.toml",
    ]
    assert files({"XDG_CONFIG_HOME": "/xdg"}, platform="darwin")[4:6] == [
        "/xdg/pixi/config.toml",
        "/home/ada/Library/Application Support/pixi/config.toml",
    ]


def test_windows_has_its_own_folders() -> None:
    result = files({"APPDATA": "/roaming", "XDG_CONFIG_HOME": "/xdg"}, platform="win32")
    assert result[2:4] == ["/roaming/rattler/config.toml", "/roaming/pixi/config.toml"]


def test_a_file_that_is_named_twice_counts_where_it_wins() -> None:
    assert files({"PIXI_HOME": "/etc/pixi"}) == [
        "/etc/rattler/config.toml",
        "/home/ada/.config/rattler/config.toml",
        "/home/ada/.config/pixi/config.toml",
        "/etc/pixi/config.toml",
    ]


@pytest.mark.parametrize("name", ["XDG_CONFIG_HOME", "PIXI_HOME", "RATTLER_HOME", "PIXI_CONFIG_FILE", "PIXI_NO_CONFIG"])
def test_an_empty_variable_counts_as_unset(name: str) -> None:
    assert files({name: ""}) == files()


def test_a_relative_xdg_folder_counts_as_unset_as_its_standard_has_it() -> None:
    assert files({"XDG_CONFIG_HOME": "xdg"}) == files()


def test_pixis_own_variables_name_the_only_file_or_none() -> None:
    assert files({"PIXI_CONFIG_FILE": "mine.toml"}) == ["/home/project/mine.toml"]
    assert files({"PIXI_NO_CONFIG": "True"}) == []
    assert files({"PIXI_NO_CONFIG": "0"}) == files()


def test_a_user_without_a_home_has_the_files_of_the_machine() -> None:
    assert files(home=None) == ["/etc/rattler/config.toml", "/etc/pixi/config.toml"]


def names(folder: Path, active: str = "") -> list[Path]:
    return list(manifests(Environment({"PIXI_PROJECT_MANIFEST": active}, folder, None)))


def test_manifests_are_searched_upwards_one_per_folder_pixi_toml_first(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b" / "c"
    deep.mkdir(parents=True)
    for name in ("pixi.toml", "pyproject.toml", "a/pyproject.toml", "a/mojoproject.toml", "a/b/mojoproject.toml"):
        (tmp_path / name).touch()
    (deep / "pixi.toml").mkdir()
    nearest = ["a/b/mojoproject.toml", "a/pyproject.toml", "pixi.toml"]
    assert names(deep)[:3] == [tmp_path / name for name in nearest]


def test_the_manifest_of_an_activated_environment_comes_last(tmp_path: Path) -> None:
    (tmp_path / "pixi.toml").touch()
    result = names(tmp_path, "/else/pixi.toml")
    assert (result[0], result[-1]) == (tmp_path / "pixi.toml", Path("/else/pixi.toml"))
