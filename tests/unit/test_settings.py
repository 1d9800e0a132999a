"""Each setting comes from the strongest place that has it, tells which one that was, and hides what is secret."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from indexer.core.channel_info import ChannelInfo, ChannelRelations, Revision
from indexer.core.channel_settings import ChannelSettings, outputs_of
from indexer.core.errors import BadConfig
from indexer.core.model import Outputs
from indexer.settings.files import FileValue, Source
from indexer.settings.given import check_settings, given_settings
from indexer.settings.locations import Environment
from indexer.settings.provenance import Kind, Origin, Setting, ending, lines
from indexer.settings.resolve import Resolved, resolve
from indexer.store.target import S3Options, Target

CHANNEL = "s3://reeds/ch"
TABLE = '[s3-options.reeds]\nendpoint-url = "https://file.example"\nregion = "file"\naddressing-style = "path"\n'


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A user without any configuration."""
    return tmp_path


def settled(
    home: Path, given: S3Options | None = None, environ: dict[str, str] | None = None, channel: str = CHANNEL
) -> Resolved:
    env = Environment(environ or {}, home, home, system=home / "nowhere")
    return resolve(channel, given or S3Options(), None, env)


def configure(home: Path, text: str) -> Path:
    path = home / ".pixi" / "config.toml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def log_in(home: Path, entries: dict[str, str]) -> Path:
    """What `pixi auth login` leaves: ids of keys by what they are for."""
    path = home / ".rattler" / "credentials.json"
    path.parent.mkdir()
    keys = {
        name: {"S3Credentials": {"access_key_id": key, "secret_access_key": f"secret-of-{key}", "session_token": None}}
        for name, key in entries.items()
    }
    path.write_text(json.dumps(keys))
    return path


def origins(resolved: Resolved) -> dict[str, str]:
    return {setting.name: str(setting.origin) for setting in resolved.settings}


@pytest.mark.parametrize("name", ["endpoint_url", "region", "addressing_style"])
@pytest.mark.parametrize("there", [set(), {"file"}, {"variable"}, {"file", "variable"}, {"file", "variable", "option"}])
def test_an_option_wins_over_a_variable_and_that_over_a_file(home: Path, name: str, there: set[str]) -> None:
    values = {"endpoint_url": "https://{}.example", "region": "{}", "addressing_style": "path"}
    path = configure(home, TABLE) if "file" in there else None
    options: dict[str, Any] = {name: values[name].format("option")} if "option" in there else {}
    environ = {f"S3_{name.upper()}": values[name].format("variable")} if "variable" in there else {}
    resolved = settled(home, S3Options(**options), environ)
    option = name.replace("_", "-")
    sources = {"option": f"--{option}", "variable": f"S3_{name.upper()}", "file": f"{path} [s3-options.reeds]"}
    strongest = next((place for place in sources if place in there), None)
    assert getattr(resolved.target.s3, name) == (values[name].format(strongest) if strongest else None)
    assert origins(resolved).get(option) == (sources[strongest] if strongest else None)


def test_each_value_stands_on_its_own_and_any_mix_is_allowed(home: Path) -> None:
    path = configure(home, TABLE)
    given = S3Options(access_key_id="id")
    resolved = settled(home, given, {"S3_SECRET_ACCESS_KEY": "secret", "S3_REGION": "variable"})
    assert resolved.target.s3 == S3Options(
        endpoint_url="https://file.example",
        region="variable",
        addressing_style="path",
        access_key_id="id",
        secret_access_key="secret",
    )
    assert origins(resolved) == {
        "endpoint-url": f"{path} [s3-options.reeds]",
        "region": "S3_REGION",
        "addressing-style": f"{path} [s3-options.reeds]",
        "access-key-id": "--access-key-id",
        "secret-access-key": "S3_SECRET_ACCESS_KEY",
    }


def test_an_empty_variable_or_option_counts_as_unset(home: Path) -> None:
    configure(home, TABLE)
    resolved = settled(home, S3Options(region=""), {"S3_REGION": "", "S3_ENDPOINT_URL": ""})
    assert (resolved.target.s3.region, resolved.target.s3.endpoint_url) == ("file", "https://file.example")


@pytest.mark.parametrize(
    ("given", "environ", "said"),
    [
        ({"access_key_id": "i"}, {}, "--access-key-id: is set without --secret-access-key"),
        ({"secret_access_key": "s"}, {}, "--secret-access-key: is set without --access-key-id"),
        ({"session_token": "t"}, {}, "--session-token: is set without --access-key-id"),
        ({}, {"S3_ACCESS_KEY_ID": "i"}, "S3_ACCESS_KEY_ID: is set without S3_SECRET_ACCESS_KEY"),
        ({}, {"S3_SESSION_TOKEN": "t"}, "S3_SESSION_TOKEN: is set without S3_ACCESS_KEY_ID"),
        ({"addressing_style": "round"}, {}, "--addressing-style round: is not virtual-host or path"),
        ({}, {"S3_ADDRESSING_STYLE": "round"}, "S3_ADDRESSING_STYLE round: is not virtual-host or path"),
        ({}, {"S3_ENDPOINT_URL": "nonsense"}, "S3_ENDPOINT_URL: is not a URL of a store"),
        ({}, {"S3_ENDPOINT_URL": "https://a:b@s3.example"}, "S3_ENDPOINT_URL: has a user or a password in it"),
    ],
)
def test_half_a_pair_and_an_invalid_value_are_named_by_their_setting(
    home: Path, given: dict[str, Any], environ: dict[str, str], said: str
) -> None:
    log_in(home, {"reeds": "stored"})
    with pytest.raises(BadConfig) as caught:
        settled(home, S3Options(**given), environ)
    assert str(caught.value).startswith(said)


def test_a_password_in_the_endpoint_of_a_file_is_named_by_the_file(home: Path) -> None:
    path = configure(home, '[s3-options.reeds]\nendpoint-url = "https://ada:hush@s3.example"\n')
    with pytest.raises(BadConfig) as caught:
        settled(home)
    assert str(caught.value).startswith(f"{path} [s3-options.reeds]: endpoint-url: has a user or a password in it")


@pytest.mark.parametrize("environ", [{}, {"AWS_ACCESS_KEY_ID": "aws", "AWS_SECRET_ACCESS_KEY": "hush"}], ids=len)
@pytest.mark.parametrize("by", ["file", "option", "variable"])
def test_rattlers_store_is_asked_where_an_endpoint_is_known(home: Path, by: str, environ: dict[str, str]) -> None:
    path = log_in(home, {"reeds": "stored"})
    endpoint = "https://s3.example"
    if by == "file":
        configure(home, TABLE)
    given = S3Options(endpoint_url=endpoint if by == "option" else None)
    resolved = settled(home, given, {**environ, **({"S3_ENDPOINT_URL": endpoint} if by == "variable" else {})})
    assert (resolved.target.s3.access_key_id, resolved.target.s3.secret_access_key) == ("stored", "secret-of-stored")
    assert origins(resolved)["access-key-id"] == f"{path} [reeds]"
    assert resolved.target.s3.searched == ()


def test_on_aws_itself_rattlers_store_is_not_asked(home: Path) -> None:
    log_in(home, {"reeds": "stored"})
    assert settled(home, environ={"S3_REGION": "eu"}).target.s3 == S3Options(region="eu")


def test_keys_that_are_given_win_over_rattlers_store(home: Path) -> None:
    configure(home, TABLE)
    log_in(home, {"reeds": "stored"})
    environ = {"S3_ACCESS_KEY_ID": "variable", "S3_SECRET_ACCESS_KEY": "hush"}
    assert settled(home, environ=environ).target.s3.access_key_id == "variable"
    profiled = settled(home, S3Options(profile="mine"), environ).target.s3
    assert (profiled.access_key_id, profiled.secret_access_key, profiled.profile) == (None, None, "mine")


def test_nobody_has_no_keys(home: Path) -> None:
    configure(home, TABLE)
    log_in(home, {"reeds": "stored"})
    resolved = settled(home, S3Options(anonymous=True), {"S3_ACCESS_KEY_ID": "i", "S3_SECRET_ACCESS_KEY": "s"})
    assert (resolved.target.s3.anonymous, resolved.target.s3.access_key_id) == (True, None)
    assert origins(resolved)["no-sign-request"] == "--no-sign-request"


def test_without_keys_the_searched_places_are_kept_for_the_message(home: Path) -> None:
    configure(home, f'authentication-override-file = "over.json"\n{TABLE}')
    assert settled(home, environ={"RATTLER_AUTH_FILE": "mine.json"}).target.s3.searched == (
        f"{home}/mine.json (does not exist)",
        f"{home}/over.json (does not exist)",
        "the keyring",
        f"{home}/.rattler/credentials.json (does not exist)",
    )


def test_the_file_that_pixi_is_told_to_read_first_wins(home: Path) -> None:
    configure(home, f'authentication-override-file = "over.json"\n{TABLE}')
    log_in(home, {"reeds": "stored"}).rename(home / "over.json")
    assert settled(home).target.s3.access_key_id == "stored"


def test_what_is_settled_travels_to_other_processes_and_shows_no_secret(home: Path) -> None:
    environ = {"S3_ACCESS_KEY_ID": "some-id", "S3_SECRET_ACCESS_KEY": "canary", "S3_SESSION_TOKEN": "canary"}
    resolved = settled(home, environ=environ)
    assert pickle.loads(pickle.dumps(resolved.target)) == resolved.target
    assert "canary" not in repr(resolved)
    assert "canary" not in "".join(lines(resolved.settings))


def test_a_channel_has_what_files_say_of_it(home: Path) -> None:
    text = '[concurrency]\ndownloads = 3\n[index-config."s3://reeds"]\nwrite-zst = false\n'
    path = configure(home, text)
    resolved = settled(home, channel=f"{CHANNEL}/")
    assert resolved.index == {"write_zst": FileValue(value=False, source=Source(path, 'index-config."s3://reeds"'))}
    assert resolved.downloads == 3
    assert origins(resolved) == {
        "write-zst": f'{path} [index-config."s3://reeds"]',
        "downloads": f"{path} [concurrency]",
    }


def test_a_folder_is_known_by_its_absolute_path(home: Path) -> None:
    (home / "channels" / "ch").mkdir(parents=True)
    (home / "link").symlink_to(home / "channels")
    configure(home, f'[index-config."{home.resolve()}/channels"]\nwrite-zst = false\n')
    for name in ("channels/ch", f"{home}/channels/ch", "link/ch", "channels/../channels/ch/"):
        assert "write_zst" in settled(home, channel=name).index, name
    assert settled(home, channel="other").index == {}
    assert settled(home, channel="other").target.location == "other"


def said(**values: object) -> dict[str, FileValue]:
    source = Source(Path("/c.toml"), "index-config")
    return {name: FileValue(value, source) for name, value in values.items()}


def given(**values: object) -> dict[str, object]:
    """The options of a command line of which nothing was given but this."""
    return {"write_zst": None, "write_shards": None, "base_url": None, "base_url_verbatim": None, **values}


def outputs(options: dict[str, object], files: dict[str, FileValue]) -> Outputs:
    """What a run over a new channel publishes with these options and files."""
    together = given_settings(options, files)
    settings = together.unless_set.changed_by(together.settings)
    check_settings(settings, together.origins)
    return outputs_of(settings)


def test_options_win_over_files_and_files_over_the_defaults() -> None:
    assert outputs(given(), {}) == Outputs()
    assert outputs(given(write_zst=True), said(write_zst=False, write_shards=False)) == Outputs(zst=True, shards=False)
    assert outputs(given(base_url="https://o"), said(base_url="https://f")) == Outputs(base_url="https://o")


def test_the_base_url_of_a_file_is_verbatim_unless_a_setting_says_otherwise() -> None:
    url = said(base_url="https://f")
    assert outputs(given(base_url_verbatim=False), url) == Outputs(base_url="https://f", base_url_verbatim=False)
    assert outputs(given(base_url_verbatim=True), url) == Outputs(base_url="https://f", base_url_verbatim=True)
    assert given_settings(given(), url).unless_set == ChannelSettings(base_url_verbatim=True)
    assert given_settings(given(base_url="https://o"), url).unless_set == ChannelSettings()


def test_the_channel_settings_of_files_are_one_value() -> None:
    relations, revisions = ChannelRelations("../base"), (Revision("v3", "m"),)
    result = outputs(
        given(),
        said(
            channel_relations=relations,
            repodata_revisions=revisions,
            package_revision_assignment="latest",
            virtual_package_detectors={"cuda": ("__cuda",)},
        ),
    )
    assert result.info == ChannelInfo(relations, revisions, "latest", {"cuda": ("__cuda",)})
    assert outputs(given(), {}).info == ChannelInfo()


def test_a_relative_base_url_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    outputs(given(base_url="../packages"), {})
    assert caplog.messages == [
        "base-url ../packages is relative, which conda and mamba do not resolve: use an absolute URL"
    ]


@pytest.mark.parametrize(
    "url", ["ftp://host/ch", "s3://bucket/ch", '"https://host/ch"', "https://host/a b", "../a\nb", "'../x'", "a\\b"]
)
def test_a_base_url_that_no_reader_can_follow_is_refused(url: str) -> None:
    with pytest.raises(BadConfig, match=r"^--base-url: "):
        outputs(given(base_url=url), {})
    with pytest.raises(BadConfig, match=r"^/c.toml \[index-config\] base-url: "):
        outputs(given(base_url_verbatim=True), said(base_url=url))


@pytest.mark.parametrize("url", ["https://host/ch", "http://host:8080/a%20b/", "../packages", "/ch"])
def test_a_base_url_that_readers_can_follow_is_taken(url: str) -> None:
    assert outputs(given(base_url=url), {}).base_url == url


def test_a_run_that_would_publish_nothing_names_the_settings() -> None:
    with pytest.raises(BadConfig, match="--no-monolithic --no-shards: leaves no file to publish"):
        outputs(given(monolithic=False, write_shards=False), {})
    with pytest.raises(BadConfig, match=r"--no-monolithic /c.toml \[index-config\] write-shards: leaves no file"):
        outputs(given(monolithic=False), said(write_shards=False))


# One check for all that goes into a header or a URL

SENT = ("endpoint_url", "region", "access_key_id", "secret_access_key", "session_token")
GOOD: dict[str, Any] = {
    "endpoint_url": "https://s3.example",
    "region": "eu-1",
    "access_key_id": "id",
    "secret_access_key": "secret",
    "session_token": "token",
}


@pytest.mark.parametrize("end", ["\n", "\r\n", " ", "\t \n"])
@pytest.mark.parametrize("place", ["option", "variable", "library"])
def test_white_space_at_the_end_of_a_setting_is_dropped(home: Path, place: str, end: str) -> None:
    values: dict[str, Any] = {name: value + end for name, value in GOOD.items()}
    if place == "library":
        assert S3Options(**values) == S3Options(**GOOD)
        return
    given = S3Options(**values) if place == "option" else None
    environ = {f"S3_{name.upper()}": value for name, value in values.items()} if place == "variable" else None
    resolved = settled(home, given, environ)
    assert resolved.target.s3 == S3Options(**GOOD)
    assert {setting.value for setting in resolved.settings} == set(GOOD.values())


def test_a_setting_of_white_space_alone_counts_as_unset(home: Path) -> None:
    configure(home, TABLE)
    environ = {"S3_REGION": " \n", "S3_ENDPOINT_URL": "\t", "S3_PROVIDER": "\n", "S3_ADDRESSING_STYLE": " "}
    assert origins(settled(home, S3Options(region=" "), environ)).keys() == {
        "endpoint-url",
        "region",
        "addressing-style",
    }


@pytest.mark.parametrize("odd", [" {}", "{}\nX-Evil: yes", "a {}", "\u00e9{}", "{}\x00x", "{}\u200b"])
@pytest.mark.parametrize("name", SENT)
@pytest.mark.parametrize("place", ["option", "variable"])
def test_a_setting_no_request_can_carry_is_refused(home: Path, place: str, name: str, odd: str) -> None:
    values: dict[str, Any] = {**GOOD, name: odd.format(GOOD[name])}
    given = S3Options(**values) if place == "option" else None
    environ = {f"S3_{key.upper()}": value for key, value in values.items()} if place == "variable" else None
    with pytest.raises(BadConfig, match="cannot carry") as refused:
        settled(home, given, environ)
    option = f"--{name.replace('_', '-')}"
    assert refused.value.thing == (option if place == "option" else f"S3_{name.upper()}")
    assert GOOD["secret_access_key"] not in str(refused.value).replace(refused.value.thing, "")


def test_a_setting_of_a_file_no_request_can_carry_names_file_and_key(home: Path) -> None:
    path = configure(home, TABLE.replace('"file"', '"eu\\n-1"'))
    with pytest.raises(BadConfig) as refused:
        settled(home)
    assert refused.value.thing == f"{path} [s3-options.reeds]: region"
    configure(home, TABLE.replace('"file"', '"eu-1\\n"'))
    assert settled(home).target.s3.region == "eu-1"


def test_a_key_of_rattlers_store_is_checked_too(home: Path) -> None:
    configure(home, TABLE)
    path = log_in(home, {"reeds": "an id"})
    with pytest.raises(BadConfig) as refused:
        settled(home)
    assert refused.value.thing == f"{path} [reeds]: access-key-id"
    assert "secret" not in refused.value.reason


@pytest.mark.parametrize("channel", ["s3://reeds/a\nb", "s3://re\neds/ch", "s3://reeds/a\x00b", "s3://reeds/a\x7fb"])
def test_a_channel_with_a_control_character_is_refused(channel: str) -> None:
    with pytest.raises(BadConfig, match="control character"):
        assert Target(channel).bucket_and_prefix


def test_white_space_at_the_end_of_a_channel_is_dropped(tmp_path: Path) -> None:
    assert Target("s3://reeds/ch\n") == Target("s3://reeds/ch")
    assert Target("s3://reeds/my ch").bucket_and_prefix == ("reeds", "my ch/")
    assert Target(f"{tmp_path} ").location == f"{tmp_path} "  # a folder may be called so


@pytest.mark.parametrize(
    ("secret", "shown"),
    [
        ("", "***"),
        ("short", "***"),
        ("fifteen-letters", "***"),
        ("sixteen--letters", "…ters"),
        ("AKIAIOSFODNN7EXAMPLE", "AKIA…MPLE"),
        ("ASIAIOSFODNN7EXAMPLE", "ASIA…MPLE"),
        ("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "…EKEY"),
    ],
)
def test_at_most_four_characters_of_a_secret_are_shown(secret: str, shown: str) -> None:
    assert ending(secret) == shown


def test_settings_are_lines_of_name_value_and_origin() -> None:
    settings = [
        Setting("region", "eu", Origin(Kind.VARIABLE, "S3_REGION")),
        Setting("secret-access-key", "x" * 40, Origin(Kind.BOTO3, "sso"), secret=True),
        Setting("write-zst", value=False, origin=Origin(Kind.FILE, "/c.toml", "index-config")),
        Setting("addressing-style", "auto", Origin(Kind.DEFAULT)),
    ]
    assert lines(settings) == [
        "region             eu     S3_REGION",
        "secret-access-key  …xxxx  boto3 (sso)",
        "write-zst          false  /c.toml [index-config]",
        "addressing-style   auto   default",
    ]


def test_detectors_are_warned_of_if_old_readers_can_read_them(caplog: pytest.LogCaptureFixture) -> None:
    detectors = said(virtual_package_detectors={"cuda": ("__cuda",)})
    outputs(given(monolithic=False), detectors)
    outputs(given(), said(virtual_package_detectors={}))
    assert caplog.messages == []
    outputs(given(), detectors)
    (result,) = caplog.messages
    assert "virtual-package-detectors: libsolv's reader (the only one of mamba 1.x) crashes on this key" in result
