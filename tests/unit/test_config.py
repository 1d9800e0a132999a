"""What configuration files say, what is refused in them, and which of them wins."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from indexer.core.channel_info import ChannelRelations, Notice, Revision
from indexer.core.errors import BadConfig
from indexer.settings.files import Config, FileValue, Source, load
from indexer.settings.locations import Environment
from indexer.settings.schema import BucketOptions

BUCKET = '[s3-options.reeds]\nendpoint-url = "https://s3.example"\nregion = "eu"\nforce-path-style = true\n'


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def environment_in(folder: Path, home: Path | None = None) -> Environment:
    """A machine that has no configuration of its own."""
    return Environment({}, folder, home, system=folder / "nowhere")


def read(tmp_path: Path, text: str, name: str = "config.toml") -> Config:
    """What a named file says."""
    return load(write(tmp_path / name, text), environment_in(tmp_path))


def complaint(tmp_path: Path, text: str, name: str = "config.toml") -> str:
    with pytest.raises(BadConfig) as caught:
        read(tmp_path, text, name)
    assert str(caught.value).startswith(str(tmp_path / name))
    return str(caught.value).removeprefix(str(tmp_path / name))


def region(config: Config) -> str:
    """The region of the bucket that the tests are about."""
    result = config.bucket("reeds")
    assert result is not None
    return str(result.value.region)


def test_the_options_of_a_bucket_are_read_as_pixi_has_them(tmp_path: Path) -> None:
    config = read(tmp_path, BUCKET)
    source = Source(tmp_path / "config.toml", "s3-options.reeds")
    assert config.bucket("reeds") == FileValue(BucketOptions("https://s3.example", "eu", force_path_style=True), source)
    assert str(source) == f"{tmp_path}/config.toml [s3-options.reeds]"
    assert config.bucket("others") is None


@pytest.mark.parametrize(
    ("options", "style"),
    [
        ({}, None),
        ({"force_path_style": True}, "path"),
        ({"force_path_style": False}, "virtual-host"),
        ({"addressing_style": "path"}, "path"),
        ({"addressing_style": "path", "force_path_style": True}, "path"),
    ],
)
def test_either_key_has_the_addressing_style_and_none_is_needed(options: dict[str, Any], style: str | None) -> None:
    assert BucketOptions(**options).style == style


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("pixi.toml", "workspace"),
        ("pixi.toml", "project"),
        ("mojoproject.toml", "workspace"),
        ("pyproject.toml", "tool.pixi.workspace"),
        ("pyproject.toml", "tool.pixi.project"),
    ],
)
def test_a_manifest_has_the_options_within_its_workspace(tmp_path: Path, name: str, table: str) -> None:
    config = read(tmp_path, f'[{table}]\nname = "pond"\n{BUCKET.replace("s3-options", f"{table}.s3-options")}', name)
    assert region(config) == "eu"
    assert config.bucket("reeds").source.table == f"{table}.s3-options.reeds"  # type: ignore[union-attr]


def test_all_keys_of_a_channel_are_read(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        """
        [index-config."s3://reeds/ch"]
        write-zst = false
        write-shards = true
        base-url = "https://cdn.example/ch/"
        repodata-revisions = ["v3"]
        package-revision-assignment = "latest"
        channel-relations = { base = "../conda-forge", overrides = "../old" }
        virtual-package-detectors = { cuda = ["__cuda", "__cuda_arch"] }
        [[index-config."s3://reeds/ch".notices]]
        id = "n1"
        message = "look"
        level = "warning"
        created_at = "2025-01-01T12:00:00Z"
        expires_at = 2026-01-01T12:00:00Z
        """,
    )
    found = {name: value.value for name, value in config.index("s3://reeds/ch").items()}
    when = datetime(2025, 1, 1, 12, tzinfo=timezone.utc)
    assert found == {
        "write_zst": False,
        "write_shards": True,
        "base_url": "https://cdn.example/ch/",
        "repodata_revisions": (Revision("v3"),),
        "package_revision_assignment": "latest",
        "channel_relations": ChannelRelations("../conda-forge", "../old"),
        "virtual_package_detectors": {"cuda": ("__cuda", "__cuda_arch")},
        "notices": (
            Notice(id="n1", message="look", level="warning", created_at=when, expires_at=when.replace(year=2026)),
        ),
    }


def test_a_revision_may_have_a_message(tmp_path: Path) -> None:
    config = read(tmp_path, '[index-config]\nrepodata-revisions = [{ revision = "v3", message = "m" }]\n')
    assert config.index("/any")["repodata_revisions"].value == (Revision("v3", "m"),)


def test_downloads_and_the_file_of_credentials_are_read(tmp_path: Path) -> None:
    config = read(tmp_path, 'authentication-override-file = "keys.json"\n[concurrency]\ndownloads = 3\nsolves = 2\n')
    assert config.downloads() is not None
    assert config.downloads().value == 3  # type: ignore[union-attr]
    assert config.auth_file().value == Path("keys.json")  # type: ignore[union-attr]
    assert read(tmp_path, 'authentication_override_file = "keys.json"\n').auth_file() is not None


def test_other_tables_are_ignored(tmp_path: Path) -> None:
    text = 'default-channels = 7\n[repodata-config]\nwhatever = true\n[pypi-config]\nindex-url = "x"\n'
    assert read(tmp_path, text).index("s3://reeds") == {}


MISTAKES = {
    "[s3-options.reeds]\nendpoint-ur = 'x'": (" [s3-options.reeds] endpoint-ur: unknown key; use endpoint-url"),
    "[s3-options.reeds]\nforce_path_style = true": (
        " [s3-options.reeds] force_path_style: unknown key; use force-path-style"
    ),
    "[s3-options.reeds]\nzzz = 1": (
        " [s3-options.reeds] zzz: unknown key; use one of endpoint-url, region, force-path-style, addressing-style"
    ),
    "[s3-options]\nregion = 'eu'": (" [s3-options] region: is not in the table of a bucket; write [s3-options.BUCKET]"),
    "s3-options = 1": " s3-options: is not a table; write [s3-options]",
    "[s3-options.reeds]\nregion = ''": " [s3-options.reeds] region: expected a text of length >= 1; set a text",
    "[s3-options.reeds]\nregion = 1": " [s3-options.reeds] region: expected a text, got a number; set a text",
    "[s3-options.reeds]\naddressing-style = 'round'": (
        " [s3-options.reeds] addressing-style: invalid enum value 'round'; set virtual-host or path"
    ),
    "[s3-options.reeds]\nforce-path-style = false\naddressing-style = 'path'": (
        " [s3-options.reeds]: force-path-style and addressing-style contradict each other; correct it"
    ),
    "[index-config]\nwrite-zstd = true": " [index-config] write-zstd: unknown key; use write-zst",
    "[index-config.chanel-relations]\nbase = '../x'": (
        " [index-config] chanel-relations: unknown key; use channel-relations"
    ),
    "[index-config.'s3://reeds']\nbaseurl = 'x'": (' [index-config."s3://reeds"] baseurl: unknown key; use base-url'),
    "[index-config]\n's3://reeds' = 3": (
        ' [index-config."s3://reeds"]: is not a table; write keys in it, such as write-zst'
    ),
    "[index-config]\nrepodata-revisions = ['v4']": (
        " [index-config] repodata-revisions[0].revision: invalid enum value 'v4'; "
        "set a list, each a table of revision, message"
    ),
    "[index-config]\nrepodata-revisions = ['v3', 'v3']": (
        " [index-config]: repodata-revisions lists v3 more than once; correct it"
    ),
    "[index-config]\nchannel-relations = { basis = '../x' }": (
        " [index-config] channel-relations basis: unknown key; use base"
    ),
    "[[index-config.notices]]\nid = 'n'": (
        " [index-config] notices[0]: object missing required field message; "
        "set a list, each a table of id, message, level, created_at, expires_at, interval"
    ),
    "[[index-config.notices]]\nid = 'n'\ncreated-at = 1": (
        " [index-config] notices created-at: unknown key; use created_at"
    ),
    "[concurrency]\ndownloads = 0": " [concurrency] downloads: expected a number >= 1; set a number from 1",
    "[concurrency]\ndownload = 1": " [concurrency] download: unknown key; use downloads",
    "authentication-override-file = 1": (
        " authentication-override-file: is not a path; set the path of a file of credentials"
    ),
    "x = \n": ": is not valid TOML (Invalid value (at line 1, column 5)); correct the file",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_names_the_file_the_key_and_the_right_value(tmp_path: Path, text: str) -> None:
    assert complaint(tmp_path, text) == MISTAKES[text]


def test_a_mistake_in_a_manifest_names_the_whole_table(tmp_path: Path) -> None:
    result = complaint(tmp_path, "[tool.pixi.workspace.s3-options.reeds]\nregio = 'eu'\n", "pyproject.toml")
    assert result == " [tool.pixi.workspace.s3-options.reeds] regio: unknown key; use region"


@pytest.mark.parametrize(
    ("relations", "complaint_about"),
    [
        ({"base": "conda-forge"}, "is not a relative path"),
        ({"base": "https://x.example/ch"}, "is not a relative path"),
        ({"overrides": "../"}, "is not a relative path"),
        ({"base": "../a\\b"}, "is not a relative path"),
        ({"base": "../a//b"}, "is not a relative path"),
        ({"base": "../a?b"}, "is not a relative path"),
        ({"base": "../a#b"}, "is not a relative path"),
        ({"base": "../a b"}, "is not a relative path"),
        ({"base": "../a%2fb"}, "is not a relative path"),
        ({"base": "../.a"}, "is not a relative path"),
        ({"base": "../a\n"}, "is not a relative path"),
        ({"base": "../" + 129 * "a"}, "is not a relative path"),
        ({"base": "../a", "overrides": "../b/../a/"}, "name the same channel"),
    ],
)
def test_a_relation_is_a_path_from_the_channel_to_another_one(relations: dict[str, str], complaint_about: str) -> None:
    with pytest.raises(ValueError, match=complaint_about):
        ChannelRelations(**relations)


@pytest.mark.parametrize("reference", ["../..", "../../main", "../conda-forge", "../a/label/Dev_1.0", "../a/"])
def test_the_references_of_cep_42_are_accepted(reference: str) -> None:
    assert ChannelRelations(overrides=reference).overrides == reference


def notice(created_at: datetime, expires_at: datetime) -> Notice:
    return Notice(id="n", message="m", level="info", created_at=created_at, expires_at=expires_at)


def test_a_notice_has_moments_in_the_right_order() -> None:
    moment = datetime(2025, 1, 1, tzinfo=timezone.utc)
    assert notice(moment, moment).interval is None
    with pytest.raises(ValueError, match="time zone"):
        notice(moment.replace(tzinfo=None), moment)
    with pytest.raises(ValueError, match="before"):
        notice(moment, moment.replace(year=2024))


def test_the_message_of_a_revision_has_at_most_8192_bytes() -> None:
    assert Revision("v3", "é" * 4096).message
    with pytest.raises(ValueError, match="8192"):
        Revision("v3", "é" * 4096 + "x")


@pytest.mark.parametrize("name", ["nobody.toml", "."])
def test_a_named_file_must_be_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadConfig, match="name a TOML file"):
        load(tmp_path / name, environment_in(tmp_path))


def test_a_named_manifest_must_have_a_workspace(tmp_path: Path) -> None:
    assert "has no workspace" in complaint(tmp_path, "[package]\nname = 'x'\n", "pixi.toml")


def test_a_named_file_is_the_only_one(tmp_path: Path) -> None:
    write(tmp_path / "pixi.toml", BUCKET.replace("s3-options", "workspace.s3-options"))
    assert read(tmp_path, "[concurrency]\ndownloads = 3\n").bucket("reeds") is None


def test_the_manifest_wins_over_workspace_files_and_these_over_user_files(tmp_path: Path) -> None:
    machine = environment_in(tmp_path / "project" / "src", tmp_path / "home")
    machine.folder.mkdir(parents=True)
    write(tmp_path / "project" / "pixi.toml", "[workspace]\n")
    for path, table in (
        ("home/.config/rattler/config.toml", "s3-options"),
        ("home/.config/pixi/config.toml", "s3-options"),
        ("home/.pixi/config.toml", "s3-options"),
        ("project/.pixi/config.toml", "s3-options"),
        ("project/pixi.toml", "workspace.s3-options"),
    ):
        write(tmp_path / path, f"[{table}.reeds]\nregion = '{path}'\n")
        assert region(load(None, machine)) == path


def test_the_nearest_manifest_with_a_workspace_counts(tmp_path: Path) -> None:
    write(tmp_path / "pixi.toml", "[workspace.s3-options.reeds]\nregion = 'far'\n")
    write(tmp_path / "a" / "pyproject.toml", "[tool.pixi.workspace.s3-options.reeds]\nregion = 'near'\n")
    write(tmp_path / "a" / "b" / "pixi.toml", "[package]\nname = 'a package of the workspace'\n")
    write(tmp_path / "a" / "b" / "c" / "pyproject.toml", "this is not even TOML")
    assert region(load(None, environment_in(tmp_path / "a" / "b" / "c"))) == "near"


def test_without_any_file_the_configuration_is_empty(tmp_path: Path) -> None:
    config = load(None, environment_in(tmp_path))
    assert (config.bucket("reeds"), config.index("/x"), config.downloads(), config.auth_file()) == (
        None,
        {},
        None,
        None,
    )


def test_a_bucket_is_taken_whole_from_the_strongest_file_that_has_it(tmp_path: Path) -> None:
    write(tmp_path / ".pixi" / "config.toml", BUCKET)
    write(tmp_path / "pixi.toml", '[workspace.s3-options.reeds]\nendpoint-url = "https://other.example"\n')
    result = load(None, environment_in(tmp_path)).bucket("reeds")
    assert result is not None
    assert result.value == BucketOptions("https://other.example")
