"""`indexer settings`, and the options that are settings, as a user calls them; docs/settings.md shows real output."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING

import pytest
from typer.main import get_command

from indexer import ChannelSettings, change_settings, get_settings
from indexer.cli.app import app
from indexer.commands.doctor.policies import policies
from indexer.core.channel_settings import KEYS, option_name
from indexer.core.names import SETTINGS
from tests.support.channels import FEW, lay_up, objects
from tests.support.command import ROOT, invoke
from tests.support.console_blocks import comparable, with_real_output

if TYPE_CHECKING:
    from pathlib import Path

    from fixtures.bucket import Bucket

PAGE = ROOT / "docs" / "settings.md"
# Keys that are tables or lists have no option; those of the rules of retention are options of `prune`.
_WITHOUT_OPTION = {
    "repodata_revisions",
    "package_revision_assignment",
    "notices",
    "channel_relations",
    "virtual_package_detectors",
    "keep_newest",
    "keep_newer_than",
    "keep",
}


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """The channel of docs/settings.md, not indexed."""
    channel = tmp_path / "channel"
    shutil.copytree(ROOT / "fixtures" / "packages" / "noarch", channel / "noarch")
    for path in channel.rglob("*.tar.bz2"):
        path.unlink()
    return channel


def test_the_page_shows_what_the_commands_print(small: Path) -> None:
    page = PAGE.read_text()
    assert comparable(with_real_output(page, small.parent)) == comparable(page)


@pytest.mark.parametrize("command", ["s3", "fs", "status"])
def test_each_setting_is_an_option_of_each_command_that_indexes(command: str) -> None:
    options = {name for option in get_command(app).commands[command].params for name in option.opts}  # type: ignore[attr-defined]
    assert {option_name(name) for name in KEYS if name not in _WITHOUT_OPTION} < options


def test_the_page_lists_each_setting() -> None:
    assert all(re.search(rf"^  {key} ", PAGE.read_text(), re.MULTILINE) for key in KEYS.values())


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--set", "htm=true"], "error: --set htm: unknown key; use html"),
        (["--set", "html"], "error: --set html: is not of the form KEY=VALUE; write it like html=true"),
        (["--set", "html=on"], "error: --set html: expected true or false, got a text; set true or false"),
        (["--set", "zst-level=40"], "error: --set zst-level: expected a number <= 22; set a number from 1 to 22"),
        (["--set", "public-url=a b"], "error: --set public-url: has a blank, a quote or a bracket in it: a b"),
        (["--set", "keep-newer-than=soon"], "error: --set keep-newer-than soon: is not an age; give one such as 30m"),
        (["--set", 'keep=["foo >>1"]'], "error: --set keep foo >>1: is not a spec; give one such as"),
        (["--unset", "base_url"], "error: --unset base_url: unknown key; use base-url"),
        (["--set", "strict=true", "--set", "lenient=true"], "error: --set strict --set lenient: contradict each other"),
    ],
)
def test_a_wrong_setting_is_refused_and_nothing_is_changed(small: Path, words: list[str], error: str) -> None:
    invoke("fs", small, "--bz2")
    before = (small / SETTINGS).read_bytes()
    done = invoke("settings", small, *words)
    assert done.code == 2
    assert done.error.startswith(error)
    assert (small / SETTINGS).read_bytes() == before


def test_a_wrong_target_has_no_settings(tmp_path: Path) -> None:
    done = invoke("settings", tmp_path, "--set", "html=true")
    assert done.code == 2
    assert "nothing was changed" in done.error
    assert list(tmp_path.iterdir()) == []


def test_settings_for_scripts_and_the_next_plain_run_in_a_bucket(bucket: Bucket) -> None:
    url = lay_up(bucket, "settled", FEW)
    env = bucket.environment()
    invoke("s3", url, env=env)
    times = "created_at=2026-01-01T00:00:00Z, expires_at=2027-01-01T00:00:00Z"
    text = f'notices=[{{id="n", message="m", level="info", {times}}}]'
    done = invoke("settings", url, "--set", "html=true", "--set", text, "--json", env=env)
    assert (done.code, done.err) == (0, "")
    assert done.json["settings"]["html"] == {"value": True, "origin": "channel"}
    assert done.json["settings"]["bz2"] == {"value": False, "origin": "default"}
    assert [change["key"] for change in done.json["changes"]] == ["html", "notices"]
    assert done.json["outcome"] == "published"
    assert invoke("settings", url, "--json", env=env).json["outcome"] == "unchanged"
    done = invoke("s3", url, "--json", env=env)
    assert done.json["settings"] == []
    assert {"index.html", "notices.json", "noarch/index.html", SETTINGS} <= objects(bucket, "settled").keys()


def test_a_plan_counts_settings_that_would_be_saved_as_work(small: Path) -> None:
    invoke("fs", small)
    assert invoke("status", small, "--exit-code").code == 0
    done = invoke("status", small, "--fail-on", "new", "--exit-code", "--json")
    assert done.code == 7
    assert done.json["settings"] == [
        {"key": "fail-on", "before": "any", "after": "new", "reason": "--fail-on new", "saved": True}
    ]
    assert not (small / SETTINGS).exists()


def test_a_key_of_a_configuration_file_is_saved_with_its_place(small: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("[index-config]\nrss = true\nhtml = true\n")
    shown = invoke("settings", small, "--config", config).out
    assert re.search(rf"^  rss +on +{re.escape(str(config))} \[index-config\] rss$", shown, re.MULTILINE)
    done = invoke("fs", small, "--config", config, "--no-html")
    assert f"  rss: off -> on ({config} [index-config] rss)\n" in done.out
    assert json.loads((small / SETTINGS).read_bytes())["settings"] == {"rss": True}
    assert (small / "rss.xml").exists()


def test_settings_from_python(small: Path) -> None:
    invoke("fs", small)
    report = change_settings(small, ChannelSettings(html=True), unset=["bz2"])
    assert [(one.key, one.after) for one in report.changes] == [("html", True)]
    assert {row.key: row.origin for row in get_settings(small).settings if row.origin != "default"} == {
        "html": "channel"
    }


def test_the_least_rights_of_an_indexer_have_the_file_of_settings() -> None:
    policy = next(policy for policy in policies("aws", "b", "ch/") if policy.user == "indexer")
    assert f"arn:aws:s3:::b/ch/{SETTINGS}" in policy.text
