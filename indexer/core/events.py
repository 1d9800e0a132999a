"""Reads the packages that an event notification of a store names, in any of the known envelopes.

Known forms: Amazon S3 (also as MinIO, Ceph and SeaweedFS send it), by itself or inside SQS, SNS and EventBridge;
Cloudflare R2; Google Cloud Pub/Sub.  Only the names of objects are read: the run looks at the objects itself, so the
kind of an event, the order of events and duplicates do not matter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote_plus

import msgspec
from msgspec import field

from indexer.core.errors import BadConfig
from indexer.core.names import is_subdir, parse_filename
from indexer.core.specs.syntax import filename_fault
from indexer.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

# EventBridge in SNS in SQS in a batch takes seven.
_MAX_DEPTH = 16
_TEST_EVENT = "s3:TestEvent"
# The keys of an envelope for its content, first those for text, then those for a value.
_TEXTS = ("body", "Body", "Message")
_VALUES = ("Records", "Messages", "receivedMessages", "message", "Sns")


class EventObject(NamedTuple):
    """The bucket and the key of an object that an event names."""

    bucket: str
    key: str


class NamedPackages(Value, frozen=True):
    """The packages of one channel that events name, as `SUBDIR/FILENAME`, and the number of other objects.

    `refused` has the packages with names that readers refuse, each with the reason; the store is not asked for them.
    """

    packages: frozenset[str]
    others: int
    refused: Mapping[str, str] = field(default_factory=dict)


def objects_of(document: bytes | str) -> list[EventObject]:
    """The objects that a notification (JSON) names; none for S3's test event.  Raises BadConfig."""
    return list(_in_text(document, 0))


def packages_of(objects: Iterable[EventObject], bucket: str, prefix: str) -> NamedPackages:
    """The packages among objects, for the channel at `prefix` (empty, or ending in `/`) of a bucket."""
    packages: set[str] = set()
    others = 0
    for each in objects:
        subdir, slash, filename = each.key[len(prefix) :].partition("/")
        inside = each.bucket == bucket and each.key.startswith(prefix) and slash
        if inside and is_subdir(subdir) and "/" not in filename and parse_filename(filename) is not None:
            packages.add(f"{subdir}/{filename}")
        else:
            others += 1
    refused = {name: reason for name in packages if (reason := filename_fault(name.partition("/")[2]))}
    return NamedPackages(frozenset(packages - refused.keys()), others, refused)


def _in_text(text: bytes | str, depth: int) -> Iterator[EventObject]:
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _no_event(f"is not JSON ({error})") from error
    yield from _in_value(value, depth)


def _in_value(value: Any, depth: int) -> Iterator[EventObject]:
    if depth > _MAX_DEPTH:
        raise _no_event("has too many envelopes")
    if isinstance(value, list):
        for item in value:
            yield from _in_value(item, depth + 1)
    elif not isinstance(value, dict):
        raise _no_event(f"has {str(value)[:80]!r} instead of an event")
    elif value.get("Event") != _TEST_EVENT:
        named = _object_of(value)
        yield from _in_envelope(value, depth) if named is None else (named,)


def _in_envelope(envelope: dict[str, Any], depth: int) -> Iterator[EventObject]:
    for key in (*_TEXTS, *_VALUES):
        content = envelope.get(key)
        if key in _TEXTS and isinstance(content, str):
            return _in_text(content, depth + 1)
        if key in _VALUES and isinstance(content, (dict, list)):
            return _in_value(content, depth + 1)
    raise _no_event(f"has none of the known forms of an event (its keys: {', '.join(sorted(envelope))[:80]})")


def _object_of(event: dict[str, Any]) -> EventObject | None:
    """The object of one event, None for an envelope."""
    # Keys are form-encoded in S3's own notification, and plain in all others:
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
    # https://developers.cloudflare.com/r2/buckets/event-notifications/
    # https://cloud.google.com/storage/docs/pubsub-notifications
    try:
        if "s3" in event:
            return EventObject(_text(event["s3"]["bucket"]["name"]), unquote_plus(_text(event["s3"]["object"]["key"])))
        if "detail" in event:
            return EventObject(_text(event["detail"]["bucket"]["name"]), _text(event["detail"]["object"]["key"]))
        if "bucketId" in (event.get("attributes") or {}):  # a message of SQS has other attributes
            return EventObject(_text(event["attributes"]["bucketId"]), _text(event["attributes"]["objectId"]))
        if "bucket" in event and "object" in event:
            return EventObject(_text(event["bucket"]), _text(event["object"]["key"]))
    except (KeyError, TypeError) as error:
        raise _no_event(f"has an event without bucket and key ({error})") from error
    return None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{str(value)[:80]!r} is not a text")
    return value


def _no_event(reason: str) -> BadConfig:
    return BadConfig("the event", reason, "give the notification as the store, SQS, SNS or EventBridge sends it")
