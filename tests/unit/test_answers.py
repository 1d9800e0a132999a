"""Errors of a store become ours, and mistakes of ours stay what they are."""

from __future__ import annotations

from typing import Any

import pytest
from botocore import credentials

from indexer.core.errors import Denied, Unavailable
from indexer.store.s3.chain import renewed
from indexer.store.s3.errors import errors, etag_of, opened_stat
from indexer.store.s3.strict import BadAnswer, field_of


@pytest.mark.parametrize("mistake", [RuntimeError("no"), KeyError("ETag"), ValueError("no")])
def test_a_mistake_of_ours_is_not_an_answer_of_the_store(mistake: Exception) -> None:
    namespace: dict[str, Any] = {"__name__": "indexer.store.somewhere"}
    exec("def wrong(error): raise error", namespace)
    with pytest.raises(type(mistake)) as caught, errors("s3://b/k"):
        namespace["wrong"](mistake)
    assert caught.value is mistake


def test_credentials_that_are_renewed_and_expired_are_named() -> None:
    expired = {"access_key": "a", "secret_key": "b", "token": "c", "expiry_time": "2020-01-01T00:00:00Z"}
    found = credentials.RefreshableCredentials.create_from_metadata(expired, lambda: expired, "a-test")
    with pytest.raises(Denied, match="no valid credentials"), errors("s3://b/k"):
        renewed(found)


def test_a_line_break_at_the_end_of_a_renewed_token_is_dropped() -> None:
    fresh = {"access_key": "a", "secret_key": "b", "token": "a-session-token\n", "expiry_time": "2999-01-01T00:00:00Z"}
    found = credentials.RefreshableCredentials.create_from_metadata(fresh, lambda: fresh, "a-test")
    assert renewed(found).token == "a-session-token"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"last-modified": ""}, "invalid response: it has no 'ETag'"),
        ({"etag": '"a"'}, "invalid response: it has no 'Last-Modified'"),
        ({"etag": '""', "last-modified": "Thu, 01 Jan 2026 00:00:00 GMT"}, "invalid response: an ETag of ''"),
    ],
)
def test_a_missing_or_invalid_field_of_an_answer_is_named(answer: dict[str, Any], said: str) -> None:
    with pytest.raises(Unavailable, match=said), errors("s3://b/k"):
        opened_stat("k", answer, 1)


def test_a_bad_answer_is_told_from_other_errors() -> None:
    with pytest.raises(BadAnswer):
        etag_of("")
    with pytest.raises(BadAnswer):
        field_of({}, "ETag")
