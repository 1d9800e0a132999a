"""Event notifications in the shape of each store's documentation, and the envelopes they come in."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote_plus

BUCKET = "some-bucket"


def s3(*keys: str, event: str = "ObjectCreated:Put", bucket: str = BUCKET) -> dict[str, Any]:
    """Amazon S3's own notification; MinIO, Ceph and SeaweedFS send the same."""
    return {
        "Records": [
            {
                "eventVersion": "2.1",
                "eventSource": "aws:s3",
                "awsRegion": "eu-central-1",
                "eventTime": "2026-01-01T00:00:00.000Z",
                "eventName": event,
                "userIdentity": {"principalId": "AIDAEXAMPLE"},
                "requestParameters": {"sourceIPAddress": "192.0.2.1"},
                "responseElements": {"x-amz-request-id": "EXAMPLE123"},
                "s3": {
                    "s3SchemaVersion": "1.0",
                    "configurationId": "packages",
                    "bucket": {"name": bucket, "arn": f"arn:aws:s3:::{bucket}"},
                    "object": {"key": quote_plus(key, safe="/"), "size": 1024, "sequencer": "0055AED6DCD90281E5"},
                },
            }
            for key in keys
        ]
    }


def test_event() -> dict[str, Any]:
    """What S3 sends once, when notifications are switched on."""
    return {
        "Service": "Amazon S3",
        "Event": "s3:TestEvent",
        "Time": "2026-01-01T00:00:00.000Z",
        "Bucket": BUCKET,
        "RequestId": "EXAMPLE",
        "HostId": "EXAMPLE",
    }


test_event.__test__ = False  # type: ignore[attr-defined]  # no test, whatever its name


def minio(key: str) -> dict[str, Any]:
    """MinIO's, which says the key once more on top."""
    return {"EventName": "s3:ObjectCreated:Put", "Key": f"{BUCKET}/{key}", **s3(key)}


def event_bridge(key: str) -> dict[str, Any]:
    """Amazon EventBridge's."""
    return {
        "version": "0",
        "id": "2ee9cc15-d022-99ea-1fb8-1b1bac4850f9",
        "detail-type": "Object Created",
        "source": "aws.s3",
        "account": "111122223333",
        "time": "2026-01-01T00:00:00Z",
        "region": "eu-central-1",
        "resources": [f"arn:aws:s3:::{BUCKET}"],
        "detail": {
            "version": "0",
            "bucket": {"name": BUCKET},
            "object": {"key": key, "size": 5, "etag": "b57f9512698f4b09e608f4f2a65852e5"},
            "reason": "PutObject",
        },
    }


def r2(key: str) -> dict[str, Any]:
    """Cloudflare R2's message body."""
    return {
        "account": "3f4b7e3dcab231cbfdaa90a6a28bd548",
        "action": "CompleteMultipartUpload",
        "bucket": BUCKET,
        "object": {"key": key, "size": 65536, "eTag": "c846ff7a18f28c2e262116d6e8719ef0"},
        "eventTime": "2026-01-01T00:00:00.000Z",
    }


def pub_sub(key: str) -> dict[str, Any]:
    """Google Cloud Pub/Sub's push message."""
    return {
        "message": {
            "attributes": {"bucketId": BUCKET, "objectId": key, "eventType": "OBJECT_FINALIZE"},
            "data": "e30=",
            "messageId": "1",
        },
        "subscription": "projects/some-project/subscriptions/packages",
    }


def in_sqs(*events: object) -> dict[str, Any]:
    """The batch that Lambda hands over: one message an event, called m0, m1 and so on."""
    return {
        "Records": [
            {
                "messageId": f"m{number}",
                "receiptHandle": "EXAMPLE",
                "body": event if isinstance(event, str) else json.dumps(event),
                "attributes": {"ApproximateReceiveCount": "1"},
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:eu-central-1:111122223333:packages",
            }
            for number, event in enumerate(events)
        ]
    }


def received(*events: object) -> dict[str, Any]:
    """What `aws sqs receive-message` prints."""
    return {"Messages": [{"MessageId": "EXAMPLE", "Body": json.dumps(event)} for event in events]}


def in_sns(event: object) -> dict[str, Any]:
    """What SNS puts into a queue or posts."""
    return {"Type": "Notification", "MessageId": "EXAMPLE", "TopicArn": "arn:aws:sns:x", "Message": json.dumps(event)}


def sns_to_lambda(event: object) -> dict[str, Any]:
    """What SNS hands to Lambda."""
    return {"Records": [{"EventSource": "aws:sns", "EventVersion": "1.0", "Sns": in_sns(event)}]}
