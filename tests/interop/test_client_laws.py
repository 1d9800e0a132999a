"""Every client finds the same channel by every way and in every format, and nothing that was withdrawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support import conda, laws
from tests.support.buckets import new_bucket

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fixtures.bucket import Bucket
    from tests.support.laws import Client, Place

VISITS = [pytest.param(client, form, id=f"{client.name}, {form}") for client in laws.CLIENTS for form in client.formats]


@pytest.fixture(scope="module", params=laws.WAYS)
def place(
    request: pytest.FixtureRequest, moto_server: Bucket, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    with laws.served(request.param, new_bucket(moto_server), tmp_path_factory.mktemp("laws")) as result:
        yield result


@pytest.mark.parametrize(("client", "form"), VISITS)
def test_a_client_finds_what_it_must_and_nothing_withdrawn(
    place: Place, client: Client, form: str, tmp_path: Path
) -> None:
    try:
        seen = client.visit(place, form, tmp_path / "prefix")
    except conda.MissingError as error:
        pytest.skip(str(error))
    assert laws.verdicts(seen) == laws.expected(client, form)
