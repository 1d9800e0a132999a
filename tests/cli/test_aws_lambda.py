"""The Lambda handler: what an event names is indexed, what could not be comes again, the rest does not."""

from __future__ import annotations

import bz2
import json
import logging
from typing import TYPE_CHECKING

import pytest

from fixtures.bucket import ACCESS_KEY, REGION, SECRET_KEY
from indexer import ChannelSettings, Options, S3Options, Target, index
from indexer.commands.aws_lambda import handler, handler_for
from indexer.core.errors import BadConfig, IndexerError
from indexer.core.model import Outputs
from indexer.core.names import SETTINGS
from tests.support import notifications as sent
from tests.support.channels import objects
from tests.support.memory_channel import package

if TYPE_CHECKING:
    from fixtures.bucket import Bucket

REED, RUSH = "linux-64/reed-1.0-0.conda", "noarch/rush-1.0-0.conda"
NEW = "linux-64/new-1.0-0.conda"
FAST = Options(outputs=Outputs(zst_level=1))


def channel(bucket: Bucket) -> Target:
    options = S3Options(bucket.endpoint, REGION, "path", ACCESS_KEY, SECRET_KEY)
    return Target(f"s3://{bucket.bucket}/some/channel", options)


def upload(bucket: Bucket, *keys: str) -> None:
    for key in keys:
        bucket.client.put_object(Bucket=bucket.bucket, Key=f"some/channel/{key}", Body=package(key))


def event(bucket: Bucket, *keys: str) -> dict[str, object]:
    return sent.s3(*(f"some/channel/{key}" for key in keys), bucket=bucket.bucket)


def indexed(bucket: Bucket, subdir: str) -> set[str]:
    answer = bucket.client.get_object(Bucket=bucket.bucket, Key=f"some/channel/{subdir}/repodata.json")
    return set(json.loads(answer["Body"].read())["packages.conda"])


def test_a_batch_of_messages_is_indexed_in_one_run(bucket: Bucket) -> None:
    upload(bucket, REED, RUSH)
    batch = sent.in_sqs(event(bucket, REED), event(bucket, RUSH), event(bucket, REED), sent.test_event())
    assert handler_for(channel(bucket), FAST)(batch, None) == {"batchItemFailures": []}
    assert indexed(bucket, "linux-64") == {"reed-1.0-0.conda"}
    assert indexed(bucket, "noarch") == {"rush-1.0-0.conda"}


def test_a_deleted_package_leaves_the_index(bucket: Bucket) -> None:
    upload(bucket, RUSH)
    handle = handler_for(channel(bucket), FAST)
    handle(sent.in_sqs(event(bucket, RUSH)), None)
    bucket.client.delete_object(Bucket=bucket.bucket, Key=f"some/channel/{RUSH}")
    handle(sent.in_sqs(event(bucket, RUSH)), None)
    assert indexed(bucket, "noarch") == set()


def test_only_messages_whose_subdir_failed_come_again(bucket: Bucket, caplog: pytest.LogCaptureFixture) -> None:
    upload(bucket, REED, RUSH)
    bucket.client.put_object(Bucket=bucket.bucket, Key="some/channel/linux-64/repodata.json", Body=b"{broken")
    batch = sent.in_sqs(event(bucket, RUSH), event(bucket, REED), "no event", event(bucket, RUSH, REED))
    with caplog.at_level(logging.ERROR):
        answer = handler_for(channel(bucket), FAST)(batch, None)
    assert answer == {"batchItemFailures": [{"itemIdentifier": name} for name in ("m1", "m2", "m3")]}
    assert indexed(bucket, "noarch") == {"rush-1.0-0.conda"}
    assert "m1: linux-64/repodata.json: is not a readable repodata.json" in caplog.text
    assert "m2: the event: is not JSON" in caplog.text


def test_a_run_with_defaults_follows_the_settings_and_deletes_no_format(bucket: Bucket) -> None:
    upload(bucket, REED, RUSH)
    index(channel(bucket), Options(settings=ChannelSettings(html=True, bz2=True, zst_level=1)))
    before = objects(bucket, "some/channel")
    assert {"linux-64/index.html", "linux-64/repodata.json.bz2", "index.html"} <= before.keys()
    upload(bucket, NEW)
    assert handler_for(channel(bucket))(sent.in_sqs(event(bucket, NEW)), None) == {"batchItemFailures": []}
    after = objects(bucket, "some/channel")
    assert before.keys() <= after.keys()
    assert after[SETTINGS] == before[SETTINGS]
    assert b"new-1.0-0.conda" in bz2.decompress(after["linux-64/repodata.json.bz2"])
    assert b"new-1.0-0.conda" in after["linux-64/index.html"]


def test_a_bad_package_does_not_come_again_and_again(bucket: Bucket) -> None:
    bucket.client.put_object(Bucket=bucket.bucket, Key=f"some/channel/{RUSH}", Body=b"no package")
    assert handler_for(channel(bucket), FAST)(sent.in_sqs(event(bucket, RUSH)), None) == {"batchItemFailures": []}


def test_every_message_is_retried_if_the_bucket_is_not_reachable(bucket: Bucket) -> None:
    nowhere = Target("s3://nowhere", channel(bucket).s3)
    named = sent.in_sqs(sent.s3(REED, bucket="nowhere"), sent.s3("other.txt", bucket="nowhere"))
    assert handler_for(nowhere, FAST)(named, None) == {"batchItemFailures": [{"itemIdentifier": "m0"}]}


def test_an_event_without_packages_of_the_channel_sends_no_request(bucket: Bucket) -> None:
    before = len(bucket.requests)
    handler_for(channel(bucket), FAST)(sent.in_sqs(event(bucket, "linux-64/repodata.json"), sent.test_event()), None)
    assert len(bucket.requests) == before


def test_an_event_without_a_queue_raises_so_that_lambda_calls_again(bucket: Bucket) -> None:
    upload(bucket, RUSH)
    handle = handler_for(channel(bucket), FAST)
    handle(sent.sns_to_lambda(event(bucket, RUSH)), None)
    assert indexed(bucket, "noarch") == {"rush-1.0-0.conda"}
    bucket.client.put_object(Bucket=bucket.bucket, Key="some/channel/noarch/repodata.json", Body=b"{broken")
    with pytest.raises(IndexerError, match=r"is not a readable repodata\.json"):
        handle(event(bucket, RUSH), None)


def test_the_channel_comes_from_the_environment(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadConfig, match=r"^INDEXER_CHANNEL: is not set"):
        handler(sent.in_sqs())
    monkeypatch.setenv("INDEXER_CHANNEL", f"s3://{bucket.bucket}/some/channel")
    assert handler(sent.in_sqs(event(bucket, "linux-64/repodata.json"))) == {"batchItemFailures": []}


def test_a_name_that_readers_refuse_is_named_and_the_others_are_indexed(
    bucket: Bucket, caplog: pytest.LogCaptureFixture
) -> None:
    upload(bucket, REED)
    batch = sent.in_sqs(event(bucket, "linux-64/bad\0-1.0-0.conda"), event(bucket, REED))
    assert handler_for(channel(bucket), FAST)(batch, None) == {"batchItemFailures": []}
    assert indexed(bucket, "linux-64") == {"reed-1.0-0.conda"}
    assert "bad\\x00-1.0-0.conda: is not indexed" in caplog.text
