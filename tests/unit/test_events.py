"""Events of every store, in every envelope, name the packages they are about."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.core import events
from indexer.core.errors import BadConfig
from indexer.core.events import EventObject
from tests.support import notifications as sent
from tests.support.notifications import BUCKET

KEY = "some/channel/linux-64/reed-1!2.0+local-h1_0.conda"
OTHER = "some/channel/noarch/rush-1.0-0.tar.bz2"

FORMS = {
    "S3": sent.s3(KEY),
    "a deletion": sent.s3(KEY, event="ObjectRemoved:Delete"),
    "MinIO": sent.minio(KEY),
    "EventBridge": sent.event_bridge(KEY),
    "R2": sent.r2(KEY),
    "Pub/Sub": sent.pub_sub(KEY),
    "Pub/Sub pulled": [{"ackId": "EXAMPLE", "message": sent.pub_sub(KEY)["message"]}],
    "S3 in SQS for Lambda": sent.in_sqs(sent.s3(KEY)),
    "S3 in SQS as received": sent.received(sent.s3(KEY)),
    "one message of SQS": sent.in_sqs(sent.s3(KEY))["Records"][0],
    "EventBridge in SQS": sent.in_sqs(sent.event_bridge(KEY)),
    "S3 in SNS": sent.in_sns(sent.s3(KEY)),
    "S3 in SNS for Lambda": sent.sns_to_lambda(sent.s3(KEY)),
    "S3 in SNS in SQS": sent.in_sqs(sent.in_sns(sent.s3(KEY))),
    "S3 in SNS in SQS as received": sent.received(sent.in_sns(sent.s3(KEY))),
}


def packages(document: Any, prefix: str = "some/channel/") -> events.NamedPackages:
    return events.packages_of(events.objects_of(json.dumps(document)), BUCKET, prefix)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_names_the_object(form: str) -> None:
    assert events.objects_of(json.dumps(FORMS[form]).encode()) == [EventObject(BUCKET, KEY)]
    assert packages(FORMS[form]) == events.NamedPackages(frozenset({"linux-64/reed-1!2.0+local-h1_0.conda"}), 0)


def test_a_batch_names_every_object_once() -> None:
    batch = sent.in_sqs(sent.s3(KEY, OTHER), sent.test_event(), sent.s3(KEY), sent.event_bridge(OTHER))
    assert packages(batch) == events.NamedPackages(
        frozenset({"linux-64/reed-1!2.0+local-h1_0.conda", "noarch/rush-1.0-0.tar.bz2"}), 0
    )


@pytest.mark.parametrize("envelope", [sent.in_sqs, sent.in_sns, sent.received, lambda event: event])
def test_the_test_event_names_nothing(envelope: Any) -> None:
    assert packages(envelope(sent.test_event())) == events.NamedPackages(frozenset(), 0)


@pytest.mark.parametrize(
    "key",
    [
        "some/channel/linux-64/repodata.json",
        "some/channel/linux-64/shards/reed-1.0-0.conda",
        "some/channel/reed-1.0-0.conda",
        "some/channel/My Folder/reed-1.0-0.conda",
        "some/channel/linux-64/reed-1.0.conda",
        "some/channel/linux-64/",
        "some/channels/linux-64/reed-1.0-0.conda",
        "linux-64/reed-1.0-0.conda",
    ],
)
def test_other_objects_are_counted_and_passed_over(key: str) -> None:
    assert packages(sent.s3(key, KEY)) == events.NamedPackages(frozenset({"linux-64/reed-1!2.0+local-h1_0.conda"}), 1)


REFUSED = {
    "a NUL": "noarch/reed-1.0-\0.conda",
    "a line break": "noarch/reed-1.0-0\n::add-mask::x-1-0.conda",
    "a backslash": "noarch/reed-1.0-..\\0.conda",
    "no ASCII": "noarch/r\u00e9ed-1.0-0.conda",
    "300 characters": f"noarch/{'r' * 300}-1.0-0.conda",
}


@pytest.mark.parametrize("key", REFUSED.values(), ids=REFUSED)
def test_a_name_that_readers_refuse_is_named_and_keeps_no_other_out(key: str) -> None:
    result = packages(sent.event_bridge(f"some/channel/{key}"))
    assert result.packages == frozenset()
    assert list(result.refused) == [key]
    assert "the file name has" in result.refused[key]
    batch = packages(sent.in_sqs(sent.event_bridge(f"some/channel/{key}"), sent.s3(KEY)))
    assert batch.packages == {"linux-64/reed-1!2.0+local-h1_0.conda"}
    assert list(batch.refused) == [key]


def test_another_bucket_is_passed_over() -> None:
    assert packages(sent.s3(KEY, bucket="other")) == events.NamedPackages(frozenset(), 1)


def test_a_channel_may_be_the_whole_bucket() -> None:
    assert packages(sent.s3("linux-64/reed-1.0-0.conda"), "").packages == {"linux-64/reed-1.0-0.conda"}


def test_a_channel_may_have_a_space_in_its_prefix() -> None:
    assert packages(sent.s3("my channel/noarch/reed-1.0-0.conda"), "my channel/").packages == {
        "noarch/reed-1.0-0.conda"
    }


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ('{"a":' * 100_000, "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[" * 50 + "]" * 50, "too many envelopes"),
        ('"text"', "instead of an event"),
        ("7", "instead of an event"),
        ("[null]", "instead of an event"),
        ("{}", "none of the known forms"),
        ('{"Records": 3}', "none of the known forms"),
        ('{"Records": [{"s3": {"bucket": {"name": "b"}}}]}', "without bucket and key"),
        ('{"Records": [{"s3": {"bucket": {"name": 3}, "object": {"key": "k"}}}]}', "without bucket and key"),
        ('{"detail": []}', "without bucket and key"),
        ('{"Message": "no JSON"}', "is not JSON"),
        ('{"body": "7"}', "instead of an event"),
    ],
)
def test_what_is_no_event_is_said_to_be_none(document: str, reason: str) -> None:
    with pytest.raises(BadConfig, match=f"^the event: .*{reason}"):
        events.objects_of(document)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["Records", "Messages", "message", "Sns", "Message", "body", "s3", "bucket", "object", "key", "name"]
            )
            | st.sampled_from(["detail", "attributes", "bucketId", "objectId", "Event"]),
            inner,
            max_size=4,
        )
    ),
)


@settings(max_examples=50, deadline=None)
@given(JSON)
def test_whatever_comes_is_read_or_refused(document: object) -> None:
    try:
        result = events.objects_of(json.dumps(document))
    except BadConfig:
        return
    assert {type(part) for place in result for part in place} <= {str}
