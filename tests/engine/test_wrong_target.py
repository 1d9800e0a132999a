"""A wrong target publishes nothing: a subdir taken for a channel, a typo, a folder of channels, an unknown subdir."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from indexer.commands.gc import GcRequest, collect
from indexer.commands.index import index_channel
from indexer.core import names
from indexer.core.errors import BadConfig
from indexer.core.options import Options
from indexer.core.report import Outcome, Report
from indexer.core.state import CHANNEL, decode_state
from tests.support.memory import MemoryStore
from tests.support.memory_channel import (
    PLAIN,
    changes,
    channel,
    fake_context,
    index,
    keys,
    only,
    package,
    packages_read,
    records,
)

CREATE = replace(PLAIN, create=True)


def index_at(store: MemoryStore, name: str, options: Options = PLAIN) -> Report:
    return index_channel(store, options, replace(fake_context(), channel=name))


def as_subdir(*filenames: str) -> MemoryStore:
    """What a store shows whose target is a subdir of an indexed channel."""
    if not filenames:
        return MemoryStore()
    whole = channel(*(f"linux-64/{name}" for name in filenames))
    index(whole)
    inner = MemoryStore()
    for key, body in whole.bodies("linux-64/").items():
        inner.upload(key.removeprefix("linux-64/"), body)
    return inner


@pytest.mark.parametrize("options", [PLAIN, CREATE, replace(PLAIN, force=True), replace(PLAIN, dry_run=True)])
@pytest.mark.parametrize("files", [("p-1-0.conda",), ()])
def test_a_subdir_taken_for_a_channel_is_refused(options: Options, files: tuple[str, ...]) -> None:
    store = as_subdir(*files)
    if not files:
        store.upload("repodata.json", b"{}")
    before = store.bodies()
    with pytest.raises(BadConfig, match=r"s3://conda/prod/linux-64: is a subdir.*name its parent s3://conda/prod$"):
        index_at(store, "s3://conda/prod/linux-64", options)
    assert store.bodies() == before
    assert changes(store.calls) == []


def test_a_subdir_with_a_channel_inside_that_a_mistake_made_is_refused() -> None:
    store = as_subdir("p-1-0.conda")
    store.upload("noarch/repodata.json", b"{}")
    with pytest.raises(BadConfig, match="is a subdir, not a channel"):
        index_at(store, "/srv/conda/linux-64")


@pytest.mark.parametrize("options", [PLAIN, CREATE])
def test_a_folder_with_packages_and_no_subdir_is_refused(options: Options) -> None:
    store = MemoryStore()
    store.upload("p-1-0.conda", package("noarch/p-1-0.conda"))
    with pytest.raises(BadConfig, match=r"s3://conda/prod/old: has packages \(such as p-1-0.conda\) and no subdir"):
        index_at(store, "s3://conda/prod/old", options)
    assert changes(store.calls) == []


def test_a_target_where_nothing_is_is_refused_unless_created() -> None:
    store = MemoryStore()
    with pytest.raises(BadConfig, match=r"s3://conda/prd: has no subdir.*check the name, or create a channel"):
        index_at(store, "s3://conda/prd")
    assert changes(store.calls) == []
    assert index_at(store, "s3://conda/prd", CREATE).outcome is Outcome.PUBLISHED
    assert "noarch/repodata.json" in store.bodies()
    assert index_at(store, "s3://conda/prd").outcome is Outcome.UNCHANGED


def test_a_folder_of_channels_is_refused_and_names_one() -> None:
    store = channel("dev/noarch/p-1-0.conda", "prod/noarch/p-1-0.conda")
    with pytest.raises(BadConfig, match=r"only other folders \(dev, prod\).*for example s3://conda/dev"):
        index_at(store, "s3://conda")
    assert changes(store.calls) == []


@pytest.mark.parametrize("key", ["linux-64/p-1-0.conda", "noarch/p-1-0.conda"])
def test_a_named_package_in_a_channel_that_is_not_there_creates_nothing(key: str) -> None:
    store = MemoryStore()
    done = None
    try:
        done = index_at(store, "s3://conda/prd", replace(PLAIN, packages=frozenset({key})))
    except BadConfig as error:
        assert "check the name" in error.next_step  # noqa: PT017
    assert done is None or done.exit_code == 2
    assert changes(store.calls) == []


@pytest.mark.parametrize("subdirs", [(), ("noarch",)])
def test_gc_of_a_target_where_nothing_is_is_refused(subdirs: tuple[str, ...]) -> None:
    store, run = MemoryStore(), replace(fake_context(), channel="s3://conda/prd")
    with pytest.raises(BadConfig, match=r"s3://conda/prd: has no subdir.*check the name") as refused:
        collect(store, GcRequest(delete=True, subdirs=subdirs), run)
    assert refused.value.exit_code == 2
    assert changes(store.calls) == []


def test_an_unknown_subdir_is_refused_with_the_nearest_name() -> None:
    store = channel(*keys(1))
    with pytest.raises(BadConfig, match=r"linux-63: is not a known subdir.*did you mean linux-64\?"):
        index(store, replace(PLAIN, subdirs=("linux-63",)))
    assert changes(store.calls) == []
    index(store, replace(CREATE, subdirs=("linux-63",)))
    assert "linux-63/repodata.json" in store.bodies()


def test_a_named_package_that_is_nowhere_is_missing_and_the_rest_is_done() -> None:
    store = channel(*keys(1))
    index(store)
    store.upload("linux-64/new-1.0-0.conda", package("linux-64/new-1.0-0.conda"))
    named = frozenset({"linux-64/new-1.0-0.conda", "linux-64/not-there-1.0-0.conda"})
    report = index(store, replace(PLAIN, packages=named))
    assert (report.exit_code, only(report).missing) == (3, ("not-there-1.0-0.conda",))
    assert "new-1.0-0.conda" in records(store)
    of_event = index(store, replace(PLAIN, packages=named, may_be_gone=named))
    assert (of_event.exit_code, only(of_event).missing) == (0, ())


@pytest.mark.parametrize("of_event", [False, True])
def test_a_missing_package_publishes_no_subdir_that_has_nothing(*, of_event: bool) -> None:
    store = channel(*keys(1), "osx-64/other-1.0-0.conda")
    index(store, replace(PLAIN, subdirs=("linux-64",)))
    named = frozenset({"osx-arm64/p-1.0-0.conda", "osx-64/p-1.0-0.conda"})
    gone = named if of_event else frozenset()
    before = store.bodies()
    report = index(store, replace(PLAIN, packages=named, may_be_gone=gone))
    assert report.exit_code == (0 if of_event else 3)
    for subdir in ("osx-arm64", "osx-64"):
        assert report.subdirs[subdir].missing == (() if of_event else ("p-1.0-0.conda",))
        assert report.subdirs[subdir].written == ()
    assert store.bodies() == before
    report = index(store, replace(CREATE, packages=named))
    assert report.exit_code == 3
    assert "osx-arm64/repodata.json" in store.bodies()
    assert "osx-arm64/repodata.json" not in before


def test_a_missing_package_of_noarch_publishes_noarch() -> None:
    store = channel("linux-64/p-1.0-0.conda")
    report = index(store, replace(PLAIN, packages=frozenset({"noarch/p-1.0-0.conda"})))
    assert (report.exit_code, report.subdirs["noarch"].missing) == (3, ("p-1.0-0.conda",))
    assert "noarch/repodata.json" in store.bodies()


def test_the_state_says_whose_it_is() -> None:
    store = channel(*keys(1))
    index(store, Options(replace(PLAIN.outputs, html=True)))
    places = {key: decode_state(body) for key, body in store.bodies().items() if key.endswith(names.STATE_FILE)}
    results = {key: value.place for key, value in places.items() if value}
    assert results == {
        names.STATE_FILE: CHANNEL,
        f"linux-64/{names.STATE_FILE}": "linux-64",
        f"noarch/{names.STATE_FILE}": "noarch",
    }


def test_a_channel_taken_for_a_subdir_is_refused() -> None:
    inner = channel(*keys(1))
    index(inner, Options(replace(PLAIN.outputs, html=True)))
    store = channel("noarch/p-1-0.conda")
    for key, body in inner.bodies().items():
        store.upload(f"linux-64/{key}", body)
    report = index(store)
    assert report.subdirs["linux-64"].exit_code == 2
    assert "is a channel, not a subdir" in (report.subdirs["linux-64"].error or "")
    assert report.subdirs["noarch"].exit_code == 0


def test_packages_where_no_run_looks_are_named_with_the_reason() -> None:
    store = channel(*keys(1), "espidf-xtensa/p-1-0.conda", "linux-64/old/p-1-0.conda")
    store.upload("loose-1-0.conda", b"x")
    store.upload(".cache/cache.db", b"x")  # a hidden folder of any tool
    store.upload("/noarch/p-1-0.conda", b"x")
    store.upload("noarch//p-1-0.conda", b"x")
    report = index(store)
    reasons = {note.filename: note.reason for note in report.not_indexed}
    assert reasons.keys() == {"/", "espidf-xtensa/", "loose-1-0.conda"}
    assert "empty part" in reasons["/"]
    assert "--subdir" in reasons["espidf-xtensa/"]
    assert "beside the subdirs" in reasons["loose-1-0.conda"]
    assert [note.filename for note in only(report).warnings] == ["old/"]
    assert [note.filename for note in report.subdirs["noarch"].warnings] == ["/"]
    assert index(store).not_indexed == report.not_indexed


def test_an_unknown_subdir_that_a_person_indexes_is_not_noted_any_more() -> None:
    store = channel(*keys(1), "espidf-xtensa/p-1-0.conda", "espidf-riscv/p-1-0.conda")
    index(store, replace(PLAIN, subdirs=("espidf-xtensa",)))
    assert [note.filename for note in index(store).not_indexed] == ["espidf-riscv/"]


def test_an_unknown_subdir_that_is_indexed_stays_in_the_pages() -> None:
    store = channel(*keys(1), "espidf-xtensa/p-1-0.conda", "espidf-riscv/p-1-0.conda")
    html = Options(replace(PLAIN.outputs, html=True))
    index(store, html)
    index(store, replace(html, subdirs=("espidf-xtensa",)))
    before = store.bodies()
    assert b"espidf-xtensa" in before["index.html"]
    assert b"espidf-riscv" not in before["index.html"]
    index(store, html)
    assert store.bodies() == before


def test_an_event_of_an_unknown_subdir_does_not_stop_the_others() -> None:
    store = channel("noarch/n-1.0-0.conda")
    of_event = frozenset({"old-64/x-1.0-0.conda", "noarch/n-1.0-0.conda"})
    report = index(store, replace(PLAIN, packages=of_event, may_be_gone=of_event))
    assert (list(report.subdirs), report.exit_code) == (["noarch"], 0)
    assert "n-1.0-0.conda" in records(store, "noarch")
    with pytest.raises(BadConfig, match="old-64"):
        index(store, replace(PLAIN, packages=of_event))


def test_without_run_exports_a_new_package_alone_is_read() -> None:
    store = channel(*keys(3))
    without = Options(replace(PLAIN.outputs, run_exports=False))
    index(store, without)
    store.upload("linux-64/new-1.0-0.conda", package("linux-64/new-1.0-0.conda"))
    first = len(store.calls)
    index(store, without)
    assert packages_read(store.calls, first) == ["linux-64/new-1.0-0.conda"]
