"""Parts of a listing, asked for at once, are the whole of it, on every kind of store."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import pytest

from indexer.core.errors import Unavailable
from indexer.lister.listing import listed
from tests.contract.test_provider_wire import at
from tests.support.fake_s3 import Behavior
from tests.support.memory_channel import Inline

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Executor

    from tests.support.fake_s3 import FakeS3, Request, Server

NAMES = [f"p{letter}-1-{build}.conda" for letter in "abcdefgh" for build in range(3)]
CUTS = ["pb-1-1.conda", "pd-1-9.conda", "pg-1-0.conda"]
FOLDERS = ["attic/", "pc/", "shards/"]
OTHERS = [".indexer.json.zst", "repodata.json"]
ALL = {*NAMES, *OTHERS}


@pytest.fixture
def threads() -> Iterator[Executor]:
    with ThreadPoolExecutor(4) as executor:
        yield executor


def filled(fake: FakeS3) -> None:
    for name in (*NAMES, *OTHERS):
        fake.upload(f"noarch/{name}", b"x")
    for folder in FOLDERS:
        for number in range(3):
            fake.upload(f"noarch/{folder}{number}", b"x")


def asked(fake: FakeS3, parameter: str) -> list[str]:
    """The values of a parameter in all listings."""
    found = (parse_qs(it.query).get(parameter) for it in fake.requests if not it.key)
    return [values[0] for values in found if values]


@pytest.mark.parametrize("page", [1, 2, 5, 1000])
def test_each_part_begins_after_its_first_bound_and_ends_with_its_last(
    served: Server, threads: Executor, page: int
) -> None:
    store = at(served, Behavior(page=page), "minio")
    filled(served.fake)
    assert {it.key for it in listed(store, "noarch/", CUTS, threads, list) if not it.key.endswith("/")} == ALL
    assert {*asked(served.fake, "start-after")} == {f"ch/noarch/{cut}" for cut in CUTS}
    pages = len(served.fake.requests)
    assert pages <= -(-(len(ALL) + len(FOLDERS)) // page) + 2 * len(CUTS)


ODD = {
    "StartAfter ignored": Behavior(starts_after=False, page=3),
    "no order": Behavior(order=lambda name: name[::-1], page=3),
    "folders first": Behavior(order=lambda name: (not name.endswith("/"), name), page=3),
    "folders last": Behavior(order=lambda name: (name.endswith("/"), name), page=3),
    "folders as in SeaweedFS": Behavior(order=lambda name: name.rstrip("/"), page=3),
    "first form": Behavior(first_form_only=True, page=3),
    "first form, no markers": Behavior(first_form_only=True, told_marker=False, page=3),
    "second form refused": Behavior(second_form_refused=True, page=3),
}


@pytest.mark.parametrize("behavior", ODD.values(), ids=ODD.keys())
@pytest.mark.parametrize("cuts", [CUTS, NAMES, ["a-1-0.conda"], ["z-1-0.conda"]])
def test_a_store_without_start_after_or_order_is_listed_as_a_whole(
    served: Server, threads: Executor, behavior: Behavior, cuts: list[str]
) -> None:
    store = at(served, behavior, "minio")
    filled(served.fake)
    assert {it.key for it in listed(store, "noarch/", cuts, threads, list) if not it.key.endswith("/")} == ALL


def test_a_part_that_fails_fails_the_listing(served: Server) -> None:
    store = at(served, Behavior(page=2), "minio")
    filled(served.fake)

    def refuse(asked: Request) -> None:
        served.fake.behavior = Behavior(second_form_refused="token=ch%2Fnoarch%2Fpe-1-1" in asked.query, page=2)

    served.fake.hook = refuse
    with pytest.raises(Unavailable, match="501"):
        listed(store, "noarch/", CUTS, Inline(), list)
