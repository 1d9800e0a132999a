"""The help texts of the command line, and how few modules they load."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

import indexer
from docs.configuration import PAGE, page
from indexer.cli.app import app
from indexer.cli.options import CONNECTION, HEADINGS, SAFETY
from indexer.core.channel_settings import ChannelSettings
from indexer.settings.schema import BucketOptions, Concurrency, keys
from tests.support.command import ROOT, invoke, run, spawn

# Runs the command line, then says which of the slow modules it has loaded.
LOADED = """
import sys
from indexer.__main__ import main
SLOW = {"asyncio", "boto3", "botocore", "multiprocessing", "ssl", "tqdm", "yaml"}
try:
    main()
finally:
    print("\\nloaded:", *sorted({name.partition(".")[0] for name in sys.modules} & SLOW))
"""


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["s3", "--help"], ["fs", "--help"], ["status", "-h"]])
def test_help_and_version_import_neither_boto3_nor_botocore(words: list[str]) -> None:
    done = run([sys.executable, "-c", LOADED, *words])
    assert done.code == 0
    assert done.out.splitlines()[-1] == "loaded:"


def test_a_run_on_a_bucket_loads_botocore() -> None:
    done = run([sys.executable, "-c", LOADED, "s3", "s3://some-bucket", "--profile", "nobodys"])
    assert {"boto3", "botocore", "ssl"} <= {*done.out.splitlines()[-1].split()}


def test_an_unchanged_folder_loads_no_slow_module(channel: Path) -> None:
    indexer.index(str(channel))
    done = run([sys.executable, "-c", LOADED, "fs", str(channel)])
    assert done.out.startswith(f"{channel}: unchanged")
    assert done.out.splitlines()[-1] == "loaded:"


def test_version_is_one_line_with_name_and_number() -> None:
    done = spawn("--version")
    assert re.fullmatch(r"indexer \d+\.\d+\.\d+\n", done.out)
    assert (done.out, done.err, done.code) == (f"indexer {indexer.__version__}\n", "", 0)


def test_the_page_on_the_command_line_is_up_to_date() -> None:
    done = run([sys.executable, "docs/cli.py"])
    assert done.code == 0
    assert (ROOT / "docs" / "cli.md").read_text() == done.out


def test_the_page_on_configuration_has_every_key_that_the_code_reads() -> None:
    written = PAGE.read_text()
    assert page() == written
    for table in (BucketOptions, ChannelSettings, Concurrency):
        for key in keys(table):
            assert f"\n| `{key.name}` | {key.holds} | {key.meaning}" in written


def test_help_names_every_command() -> None:
    done = invoke("--help")
    assert done.code == 0
    assert {line.split()[0] for line in done.out.splitlines() if line.startswith("  ")} >= {"s3", "fs", "status"}


def test_help_shows_each_command_with_a_whole_sentence() -> None:
    assert "..." not in invoke("--help").out.partition("Commands:")[2]


@pytest.mark.parametrize("command", sorted(app.names))
def test_help_says_what_each_argument_is(command: str) -> None:
    arguments = invoke(command, "--help").out.partition("Arguments:\n")[2].partition("\n\n")[0]
    assert arguments
    assert "<str>" not in arguments
    assert not re.search(r"^  \S+ +\[required\]", arguments, re.MULTILINE)


@pytest.mark.parametrize("command", ["s3", "fs", "status"])
def test_help_shows_each_default_except_off(command: str) -> None:
    shown = " ".join(invoke(command, "--help", env={"COLUMNS": "100", "TERMINAL_WIDTH": "100"}).out.split())
    for default in ("[default: 16]", "[default: public, max-age=300]", "[default: zst]", "[default: monolithic]"):
        assert default in shown, default


@pytest.mark.parametrize("command", ["s3", "status"])
def test_help_names_the_variable_of_each_option_of_a_bucket(command: str) -> None:
    shown = invoke(command, "--help").out
    names = ("ENDPOINT_URL", "REGION", "ADDRESSING_STYLE", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN")
    for variable in (*(f"S3_{name}" for name in names), "AWS_PROFILE"):
        assert f"[env var: {variable}]" in " ".join(shown.split()), variable


def test_each_option_of_a_run_is_under_a_heading() -> None:
    sections = re.split(r"\n\n(?=\S)", invoke("s3", "--help").out.strip())
    options = {heading: text for heading, _, text in (section.partition(":\n") for section in sections[1:])}
    assert [*options] == ["Arguments", "Options", *HEADINGS]
    assert options["Options"].split() == ["-h,", "--help", "Show", "this", "message", "and", "exit."]
    assert "--dry-run" in options[SAFETY]
    assert "--endpoint-url" in options[CONNECTION]


@pytest.mark.parametrize("words", [["-V"], ["--version"]])
def test_two_options_print_the_version(words: list[str]) -> None:
    assert invoke(*words).out == f"indexer {indexer.__version__}\n"


@pytest.mark.parametrize(
    ("typed", "suggested"),
    [("indexer sta", {"status"}), ("indexer fs --dry", {"--dry-run"}), ("indexer s3 x --js", {"--json"})],
)
def test_a_shell_completes_commands_and_options(typed: str, suggested: set[str]) -> None:
    place = str(len(typed.split()) - 1)
    done = spawn(env={"_INDEXER_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": place})
    assert {*done.out.split()} == suggested
    assert done.code == 0


def test_a_shell_gets_a_script_for_completion() -> None:
    done = spawn(env={"_INDEXER_COMPLETE": "source_bash"})
    assert "complete" in done.out
    assert "indexer" in done.out


def test_no_words_at_all_show_the_help() -> None:
    done = spawn()
    assert "Usage: " in done.out
    assert "status" in done.out


def test_the_installed_command_is_the_module() -> None:
    script = Path(sys.executable).with_name("indexer")
    if not script.exists():
        pytest.skip("the package is not installed, so there is no command")
    assert run([str(script), "--version"]).out == spawn("--version").out
