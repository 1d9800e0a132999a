"""What a channel says of itself: written where it is configured, left where it is not, the same in every format."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from indexer.core import names
from indexer.core.channel_info import ChannelInfo, ChannelRelations, Notice, Revision
from indexer.core.formats.shards import decode_index
from indexer.core.report import Outcome
from tests.support.memory_channel import (
    DAY_MS,
    NOW_MS,
    PLAIN,
    changes,
    channel,
    index,
    keys,
    only,
    package,
    packages_read,
    with_outputs,
)

if TYPE_CHECKING:
    from indexer.core.options import Options
    from tests.support.memory import MemoryStore

V3 = (Revision("v3", "Update your client"),)
ALL_V3 = ChannelInfo(revisions=V3, assignment="latest")
NOTICE = Notice(
    id="n",
    message="Moving house",
    level="info",
    created_at=datetime(2026, 1, 1, tzinfo=timezone.utc),
    expires_at=datetime(2027, 1, 1, tzinfo=timezone.utc),
)
SINGER = "linux-64/singer-1.0-0.conda"


def saying(**info: Any) -> Options:
    return with_outputs(info=ChannelInfo(**info))


def repodata(store: MemoryStore) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(store.bodies()["linux-64/repodata.json"])
    return result


def singing() -> MemoryStore:
    store = channel(*keys(2))
    store.upload(SINGER, package(SINGER, depends=["python 3.12.* *_cp", "numpy >=1"]))
    return store


@pytest.mark.parametrize(
    ("key", "info", "written", "nothing"),
    [
        (
            "channel_relations",
            {"relations": ChannelRelations("../base")},
            {"base": "../base"},
            {"relations": ChannelRelations()},
        ),
        ("virtual_package_detectors", {"detectors": {"d": ("__x",)}}, {"d": ["__x"]}, {"detectors": {}}),
    ],
)
def test_what_is_said_stays_until_it_is_taken_back(
    key: str, info: dict[str, Any], written: object, nothing: dict[str, Any]
) -> None:
    store = channel(*keys(2))
    index(store, saying(**info))
    for options in (saying(**info), PLAIN):
        index(store, options)
        assert repodata(store)["info"][key] == written
        shards = decode_index(store.bodies()[f"linux-64/{names.SHARD_INDEX}"], "")
        assert shards.info[key] == written
    since = len(store.calls)
    assert only(index(store, saying(**nothing))).outcome is Outcome.PUBLISHED
    assert packages_read(store.calls, since) == []
    assert key not in repodata(store)["info"]


def test_a_configured_revision_is_told_of_before_anything_stands_in_it() -> None:
    store = channel(*keys(2))
    index(store, saying(revisions=V3))
    result = repodata(store)
    assert result["info"]["repodata_revisions"] == {"v3": {"message": "Update your client", "n_packages": 0}}
    assert result["v3"] == {}
    index(store, saying(revisions=()))
    assert "repodata_revisions" not in repodata(store)["info"]
    assert "v3" not in repodata(store)


def test_all_packages_can_move_to_the_latest_revision_and_back() -> None:
    store = singing()
    index(store)
    before = store.bodies()["linux-64/repodata.json"]
    since = len(store.calls)
    index(store, with_outputs(info=ALL_V3))
    assert packages_read(store.calls, since) == []
    result = repodata(store)
    assert (result["packages"], result["packages.conda"]) == ({}, {})
    assert result["info"]["repodata_revisions"]["v3"]["n_packages"] == 3
    assert result["v3"]["conda"]["singer-1.0-0"]["depends"] == [
        'python[version="3.12.*",build="*_cp"]',
        'numpy[version=">=1"]',
    ]
    assert only(index(store, with_outputs(info=ALL_V3))).outcome is Outcome.UNCHANGED
    index(store, saying(revisions=()), now_ms=NOW_MS + DAY_MS)
    assert store.bodies()["linux-64/repodata.json"] == before
    since = len(store.calls)
    index(store, saying(revisions=()))
    assert packages_read(store.calls, since) == [], "once is enough"


def test_a_run_over_one_package_remembers_that_others_must_move_back() -> None:
    store = singing()
    index(store)
    before = store.bodies()["linux-64/repodata.json"]
    index(store, with_outputs(info=ALL_V3))
    back = saying(revisions=())
    index(store, replace(back, packages=frozenset({SINGER})))
    index(store, back)
    assert store.bodies()["linux-64/repodata.json"] == before


def test_without_a_revision_there_is_no_latest_one() -> None:
    store = singing()
    index(store, saying(assignment="latest"))
    assert len(repodata(store)["packages.conda"]) == 3


def test_notices_come_last_and_are_put_only_when_they_changed() -> None:
    store = channel(*keys(2))
    result = replace(PLAIN, notices=(NOTICE,))
    index(store, result)
    written = [key for _, key in changes(store.calls)]
    assert written[-2:] == [names.NOTICES, names.STATE_FILE]
    assert json.loads(store.bodies()[names.NOTICES])["notices"][0]["expires_at"] == "2027-01-01T00:00:00Z"
    since = len(store.calls)
    index(store, result)
    assert changes(store.calls, since) == []
    since = len(store.calls)
    index(store, replace(result, notices=(NOTICE, replace_id(NOTICE))))
    assert names.NOTICES in [key for _, key in changes(store.calls, since)]
    assert not any("repodata" in key for _, key in changes(store.calls, since))


def test_notices_stay_unless_they_are_configured() -> None:
    store = channel(*keys(2))
    store.upload(names.NOTICES, b'{"notices": [{"id": "theirs"}]}')
    for options in (PLAIN, with_outputs(channeldata=True)):
        index(store, options)
        assert store.bodies()[names.NOTICES] == b'{"notices": [{"id": "theirs"}]}'
    index(store, replace(PLAIN, notices=()))
    assert store.bodies()[names.NOTICES] == b'{"notices":[]}'
    index(store)
    assert store.bodies()[names.NOTICES] == b'{"notices":[]}'


def replace_id(notice: Notice) -> Notice:
    fields = {name: getattr(notice, name) for name in notice.__struct_fields__}
    return Notice(**{**fields, "id": "another"})
