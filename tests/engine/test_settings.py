"""The settings of a channel stay until somebody changes them, whoever indexes, and cost a quiet run no request."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from indexer.commands.channel_settings import SettingsRequest, settings_of_channel
from indexer.commands.with_settings import index_with_settings
from indexer.commands.yank import YankRequest, withdraw
from indexer.core import names
from indexer.core.channel_settings import ChannelSettings, KnownSettings
from indexer.core.errors import BadConfig
from indexer.core.model import Outputs, Rules
from indexer.core.options import Options
from indexer.core.report import Outcome
from indexer.lister.snapshot import load_state
from indexer.settings.channel_file import encode_settings
from tests.support.interfering_store import Crash, InterferingStore, crash_at
from tests.support.memory_channel import (
    changes,
    channel,
    fake_context,
    fill,
    index,
    keys,
    package,
    published,
    with_outputs,
)
from tests.support.turns import run_counted
from tests.support.unconditional_store import UnconditionalStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from indexer.core.report import Report
    from indexer.store import Store
    from tests.support.memory import Call, MemoryStore

PACKAGES = (*keys(2), *keys(2, "noarch"))
NEW = "linux-64/new-1.0-0.conda"
FAST = ChannelSettings(zst_level=1)


def run(store: Store, given: ChannelSettings | None = None, **options: Any) -> Report:
    """A run with the settings of the channel and those that are given."""
    return index_with_settings(store, Options(settings=given or ChannelSettings(), **options), fake_context())


def fresh(given: ChannelSettings = FAST) -> MemoryStore:
    store = channel(*PACKAGES)
    run(store, given)
    return store


def settings(store: MemoryStore) -> dict[str, Any]:
    """The settings in the file of the channel; none without a file."""
    data = store.bodies().get(names.SETTINGS)
    result: dict[str, Any] = json.loads(data)["settings"] if data else {}
    return result


def changed(report: Report) -> list[tuple[str, object, object, str, bool]]:
    return [(one.key, one.before, one.after, one.reason, one.saved) for one in report.settings]


def files(store: MemoryStore, subdir: str = "linux-64") -> set[str]:
    return {key.partition("/")[2] for key in published(store) if key.startswith(f"{subdir}/") and "shards/" not in key}


def test_two_jobs_with_different_options_do_not_undo_each_other() -> None:
    store = fresh()
    run(store, ChannelSettings(html=True, bz2=True, channeldata=True))
    before = published(store)
    report = run(store)
    assert (report.outcome, report.settings) == (Outcome.UNCHANGED, ())
    assert published(store) == before
    run(store, ChannelSettings(rss=True))
    assert before.keys() <= published(store).keys()
    assert settings(store) == {"bz2": True, "channeldata": True, "html": True, "rss": True, "zst-level": 1}


@pytest.mark.parametrize("subdirs", [(), ("linux-64",)])
@pytest.mark.parametrize("named", [frozenset[str](), frozenset({NEW})])
def test_each_kind_of_run_follows_the_settings(subdirs: tuple[str, ...], named: frozenset[str]) -> None:
    store = fresh(replace(FAST, html=True, bz2=True))
    fill(store, NEW)
    if subdirs or named:
        options = {"subdirs": subdirs} if subdirs else {"packages": named, "may_be_gone": named}
        report = run(store, **options)
        assert not any(sub.deleted for sub in report.subdirs.values())
        assert report.channel_files is not None
        assert report.channel_files.written == ("index.html", "packages/new.html")
        assert {"index.html", "repodata.json.bz2"} <= files(store)
    run(store)
    whole = fresh(replace(FAST, html=True, bz2=True))
    run(fill(whole, NEW))
    assert {key: body for key, body in published(store).items() if "indexer" not in key}.keys() == {
        key for key in published(whole) if "indexer" not in key
    }


def test_a_yank_follows_the_settings() -> None:
    store = fresh(replace(FAST, bz2=True))
    before = files(store)
    withdraw(store, YankRequest(frozenset({PACKAGES[0]}), "bad"), Options(), fake_context())
    assert files(store) == before | {names.YANKS, names.FROM_PACKAGES, names.FROM_PACKAGES_ZST}


def test_a_run_on_a_new_channel_writes_no_settings_without_options() -> None:
    store = channel(*PACKAGES)
    run(store)
    run(store, ChannelSettings(write_zst=True, html=False, zst_level=16))  # these hold already
    assert names.SETTINGS not in store.bodies()


@pytest.mark.parametrize("given", [ChannelSettings(), replace(FAST, html=True, fail_on="new")])
def test_a_quiet_run_makes_no_request_for_settings(given: ChannelSettings) -> None:
    store = fresh(given)
    run(store)
    first = len(store.calls)
    assert run(store).outcome is Outcome.UNCHANGED
    with_settings = sorted((call.verb, call.key) for call in store.calls[first:])
    assert not any(key == names.SETTINGS for _, key in with_settings)
    plain = Options(
        outputs=Outputs(zst_level=given.zst_level or 16, html=bool(given.html)), known_settings=_known(store)
    )
    assert _known(store).etag == _etag(store)
    first = len(store.calls)
    assert index(store, plain).outcome is Outcome.UNCHANGED
    assert with_settings == sorted((call.verb, call.key) for call in store.calls[first:])


def _etag(store: MemoryStore) -> str:
    stat = store.stat(names.SETTINGS)
    return stat.etag if stat else ""


def _known(store: MemoryStore) -> KnownSettings:
    state = load_state(store, f"noarch/{names.STATE_FILE}").state
    assert state is not None
    assert state.settings is not None
    return state.settings


@pytest.mark.parametrize("given", [ChannelSettings(), replace(FAST, bz2=True)])
def test_a_quiet_run_waits_for_no_more_requests_in_a_row(given: ChannelSettings) -> None:
    store = fresh(given)
    run(store)
    report, turns = run_counted(store, Options(), run=index_with_settings)
    assert report.outcome is Outcome.UNCHANGED
    assert turns.now == 3, str(turns)


def test_a_change_of_a_setting_without_files_is_remembered_too() -> None:
    store = fresh()
    run(store, ChannelSettings(fail_on="new"))
    run(store)
    assert _known(store) == KnownSettings(_etag(store), ChannelSettings(zst_level=1, fail_on="new"))


def test_settings_for_one_run_only_are_not_saved_and_the_next_run_undoes_them() -> None:
    store = fresh()
    before, saved = published(store), settings(store)
    report = run(store, ChannelSettings(html=True, bz2=True), this_run_only=True)
    assert changed(report) == [
        ("bz2", False, True, "the calling program", False),
        ("html", False, True, "the calling program", False),
    ]
    assert {"index.html", "linux-64/index.html", "noarch/repodata.json.bz2"} <= published(store).keys()
    assert settings(store) == saved
    assert run(store).outcome is Outcome.PUBLISHED
    assert published(store) == before
    assert run(store).outcome is Outcome.UNCHANGED


def test_a_channel_without_settings_undoes_a_run_with_settings_of_its_own() -> None:
    store = channel(*PACKAGES)
    run(store)
    before = published(store)
    run(store, ChannelSettings(bz2=True), this_run_only=True)
    assert published(store).keys() > before.keys()
    run(store, packages=frozenset({PACKAGES[0]}))
    run(store)
    assert published(store) == before


def test_a_plan_shows_what_would_be_saved_and_saves_nothing() -> None:
    store = fresh()
    before = store.bodies()
    report = run(store, ChannelSettings(html=True), dry_run=True)
    assert changed(report) == [("html", False, True, "the calling program", True)]
    assert report.has_work
    assert store.bodies() == before


def test_values_of_a_program_that_are_not_the_defaults_are_settings_too() -> None:
    store = channel(*PACKAGES)
    given = Options(outputs=Outputs(bz2=True, zst_level=1), rules=Rules(lenient=True), notices=(), fail_on_new=True)
    index_with_settings(store, given, fake_context())
    assert settings(store) == {"bz2": True, "fail-on": "new", "lenient": True, "notices": [], "zst-level": 1}
    run(store, ChannelSettings(bz2=False))
    assert "repodata.json.bz2" not in files(store)


def test_a_file_s_base_url_is_verbatim_unless_the_channel_says_otherwise(caplog: pytest.LogCaptureFixture) -> None:
    of_file = {
        "unless_set": ChannelSettings(base_url_verbatim=True),
        "origins": (("base_url", "/c.toml [index-config] base-url"),),
    }
    store = fresh()
    run(store, ChannelSettings(base_url="https://f"), **of_file)
    assert settings(store) == {"base-url": "https://f", "base-url-verbatim": True, "zst-level": 1}
    (message,) = caplog.messages
    assert message.startswith("/c.toml [index-config] base-url is written unchanged into every subdir")
    store = fresh(replace(FAST, base_url_verbatim=False))
    run(store, ChannelSettings(base_url="https://f", base_url_verbatim=False), **of_file)
    assert "base-url-verbatim" not in settings(store)
    assert len(caplog.messages) == 1


# Two writers


def _before_put_of_settings(do: Callable[[], object]) -> Callable[[int, Call], None]:
    done: list[object] = []

    def interfere(_number: int, call: Call) -> None:
        if (call.verb, call.key) == ("PUT", names.SETTINGS) and not done:
            done.append(call)
            do()

    return interfere


@pytest.mark.parametrize("exists", [True, False])
def test_two_writers_of_settings_lose_no_setting(exists: bool) -> None:  # noqa: FBT001
    store = fresh(FAST if exists else ChannelSettings())
    other = _before_put_of_settings(lambda: run(store, ChannelSettings(bz2=True)))
    run(InterferingStore(store, before=other), ChannelSettings(html=True))
    assert settings(store) == {"bz2": True, "html": True, **({"zst-level": 1} if exists else {})}
    assert {"index.html", "repodata.json.bz2"} <= files(store)


def test_a_writer_whose_settings_contradict_newer_ones_is_refused() -> None:
    store = fresh()
    other = _before_put_of_settings(lambda: run(store, ChannelSettings(lenient=True)))
    with pytest.raises(BadConfig, match="contradict each other"):
        run(InterferingStore(store, before=other), ChannelSettings(strict=True))
    assert settings(store) == {"lenient": True, "zst-level": 1}


def test_without_conditional_writes_settings_are_saved_under_a_lease() -> None:
    store = channel(*PACKAGES)
    run(UnconditionalStore(store), replace(FAST, bz2=True))
    assert settings(store) == {"bz2": True, "zst-level": 1}
    assert not any(names.LEASE in key for key in store.bodies())


@pytest.mark.parametrize("moment", ["before", "after"])
def test_after_a_crash_at_any_call_a_plain_run_follows_what_was_saved(moment: str) -> None:
    given = ChannelSettings(html=True, bz2=True, write_shards=False)
    whole = InterferingStore(fresh())
    run(whole, given)
    for at in range(1, len(whole.calls) + 1):
        store = fresh()
        plain = published(store)
        crash: Any = {moment: crash_at(at)}
        with pytest.raises(Crash):
            run(InterferingStore(store, **crash), given)
        saved = "html" in settings(store)
        run(store)
        wanted = published(whole.store) if saved else plain  # type: ignore[arg-type]
        assert published(store).keys() - _shards(store) == wanted.keys() - _shards(store), at
        run(store, given)
        assert run(store).outcome is Outcome.UNCHANGED


def _shards(store: MemoryStore) -> set[str]:
    return {key for key in store.bodies() if "/shards/" in key}


# The file


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "is not a readable file of settings"),
        (b"", "is not a readable file of settings"),
        (b'{"version":2,"settings":{}}', "is of version 2, which this release does not know; .*update the indexer"),
        (b'{"version":1,"settings":{"htm":true}}', r"htm: unknown key; use html"),
        (b'{"version":1,"settings":{"html":"on"}}', r"html: expected true or false, got a text; set true or false"),
    ],
)
@pytest.mark.parametrize("options", [{}, {"packages": frozenset({PACKAGES[0]})}])
def test_a_damaged_or_newer_file_is_refused_and_stays(content: bytes, message: str, options: dict[str, Any]) -> None:
    store = fresh()
    store.upload(names.SETTINGS, content)
    before = store.bodies()
    for given in (ChannelSettings(), ChannelSettings(html=True)):
        with pytest.raises(BadConfig, match=message) as caught:
            run(store, given, **options)
        assert names.SETTINGS in str(caught.value)
    with pytest.raises(BadConfig, match=message):
        settings_of_channel(store, SettingsRequest(ChannelSettings(html=True)), fake_context())
    assert store.bodies() == before


def test_a_deleted_file_of_settings_is_written_again() -> None:
    store = fresh(replace(FAST, bz2=True))
    before = published(store)
    store.remove(names.SETTINGS)
    assert [one.key for one in run(store).settings] == ["bz2", "zst-level"]
    assert published(store) == before


def test_the_file_has_the_same_bytes_for_the_same_settings() -> None:
    one, other = fresh(replace(FAST, html=True)), fresh()
    run(other, ChannelSettings(html=True))
    assert (
        one.bodies()[names.SETTINGS]
        == other.bodies()[names.SETTINGS]
        == encode_settings(ChannelSettings(html=True, zst_level=1))
    )


# Channels of earlier releases and of other indexers


@pytest.mark.parametrize("last", [PACKAGES[0], PACKAGES[-1]])
def test_a_channel_of_an_earlier_release_keeps_every_published_format(last: str) -> None:
    store = channel(*PACKAGES)
    index(store, with_outputs(bz2=True, html=True))
    index(store, replace(with_outputs(html=False, bz2=True), packages=frozenset({last})))
    before = published(store).keys()
    report = run(store)
    assert ("html", False, True, "published by the last run", True) in changed(report)
    assert settings(store) == {"bz2": True, "html": True, "zst-level": 1}
    assert published(store).keys() >= before
    assert run(store).settings == ()


@pytest.mark.parametrize("last", [PACKAGES[0], PACKAGES[-1]])
@pytest.mark.parametrize("named", [PACKAGES[0], PACKAGES[-1]])
def test_the_first_run_with_settings_over_one_package_keeps_all_formats(last: str, named: str) -> None:
    store = channel(*PACKAGES)
    index(store, with_outputs(bz2=True))
    index(store, replace(with_outputs(), packages=frozenset({last})))
    run(store, packages=frozenset({named}))
    assert settings(store) == {"bz2": True, "zst-level": 1}


def test_a_channel_of_an_earlier_release_without_special_formats_gets_no_file() -> None:
    store = channel(*PACKAGES)
    index(store, Options())
    run(store)
    assert names.SETTINGS not in store.bodies()
    first = len(store.calls)
    run(store)
    assert len(store.calls) - first == 5


def test_a_channel_of_another_indexer_is_taken_over_with_the_defaults() -> None:
    store = channel(*PACKAGES)
    for name in ("repodata.json.bz2", "current_repodata.json", "index.html"):
        store.upload(f"linux-64/{name}", b"of conda-index")
    for subdir in ("linux-64", "noarch"):
        store.upload(f"{subdir}/repodata.json", b'{"info":{},"packages":{},"packages.conda":{}}')
    run(store)
    other = channel(*PACKAGES)
    run(other)
    assert files(store) == files(other) | {"index.html"}  # a page of somebody else is not touched
    assert names.SETTINGS not in store.bodies()


def test_a_new_subdir_follows_the_settings() -> None:
    store = fresh(replace(FAST, bz2=True))
    store.upload("osx-arm64/a-1.0-0.conda", package("osx-arm64/a-1.0-0.conda"))
    run(store, packages=frozenset({"osx-arm64/a-1.0-0.conda"}))
    assert "repodata.json.bz2" in files(store, "osx-arm64")


# The verb


def test_settings_are_set_and_unset_and_the_next_run_follows() -> None:
    store = fresh()
    request = SettingsRequest(ChannelSettings(html=True, base_url="https://x"))
    report = settings_of_channel(store, request, fake_context())
    assert [(one.key, one.reason) for one in report.changes] == [("html", "--set html"), ("base-url", "--set base-url")]
    assert {row.key: row.origin for row in report.settings if row.origin != "default"} == {
        "base-url": "channel",
        "html": "channel",
        "zst-level": "channel",
    }
    first = len(store.calls)
    assert run(store).outcome is Outcome.PUBLISHED
    assert changes(store.calls, first)
    assert b"https://x" in store.bodies()["noarch/repodata.json"]
    settings_of_channel(store, SettingsRequest(unset=("html", "base_url", "rss")), fake_context())
    assert settings(store) == {"base-url": "", "zst-level": 1}
    run(store)
    assert "index.html" not in files(store)
    assert b"https://x" not in store.bodies()["noarch/repodata.json"]


def test_settings_that_are_only_shown_write_nothing() -> None:
    store = fresh()
    before = store.bodies()
    report = settings_of_channel(
        store,
        SettingsRequest(from_files=ChannelSettings(rss=True), origins={"rss": "/c.toml [index-config] rss"}),
        fake_context(),
    )
    rows = {row.key: (row.value, row.origin) for row in report.settings}
    assert rows["rss"] == (True, "/c.toml [index-config] rss")
    assert rows["zst-level"] == (1, "channel")
    assert rows["html"] == (False, "default")
    assert store.bodies() == before


def test_a_contradiction_of_settings_is_refused_before_anything_is_changed() -> None:
    store = fresh()
    run(store, ChannelSettings(lenient=True))
    before = store.bodies()
    with pytest.raises(BadConfig, match=r"--set strict lenient of the channel: .*also use --no-lenient"):
        settings_of_channel(store, SettingsRequest(ChannelSettings(strict=True)), fake_context())
    with pytest.raises(BadConfig, match="contradict each other"):
        run(store, ChannelSettings(strict=True))
    assert store.bodies() == before


def test_a_run_that_began_before_a_change_of_settings_is_corrected_by_the_next_one() -> None:
    store = fresh()
    fill(store, NEW)
    done: list[object] = []

    def change(_number: int, call: Call) -> None:
        if (call.verb, call.key) == ("LIST", "linux-64/") and not done:
            done.append(call)
            run(store, ChannelSettings(bz2=True, html=True))

    run(InterferingStore(store, before=change))
    run(store)
    wanted = fresh(replace(FAST, bz2=True, html=True))
    run(fill(wanted, NEW))
    assert published(store).keys() - _shards(store) == published(wanted).keys() - _shards(wanted)
    assert run(store).outcome is Outcome.UNCHANGED
