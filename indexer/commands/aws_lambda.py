"""The handler for AWS Lambda: indexes the packages of a batch of events, and reports the messages to retry.

Set the handler to `indexer.commands.aws_lambda.handler` and `INDEXER_CHANNEL` to the channel
(docs/recipes/aws-lambda.md).
"""

from __future__ import annotations

import json
import logging
import os
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec.structs import replace

from indexer.commands.api import index, target_of
from indexer.core import events
from indexer.core.errors import BadConfig, IndexerError
from indexer.core.exit_codes import ExitCode
from indexer.core.options import Options
from indexer.core.printable import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from indexer.core.report import Report
    from indexer.store.target import Target

_log = logging.getLogger(__name__)

# With any other code the message is sent again, or moved to the dead-letter queue; a bad package would fail again.
_DONE = {ExitCode.OK, ExitCode.PARTIAL}

Answer: TypeAlias = "dict[str, Any]"


def handler(event: Mapping[str, Any], context: object = None) -> Answer:
    """Index the packages of an event in the channel `INDEXER_CHANNEL`, with the default options."""
    channel = os.environ.get("INDEXER_CHANNEL")
    if not channel:
        raise BadConfig("INDEXER_CHANNEL", "is not set", "set it to s3://BUCKET[/PREFIX] in the function's environment")
    return handler_for(channel)(event, context)


def handler_for(target: Target | str, options: Options | None = None) -> Callable[[Mapping[str, Any], object], Answer]:
    """A handler for one channel and these options.

    For a batch from SQS the handler returns `{"batchItemFailures": [...]}` with the messages whose subdirs were not
    indexed (the event source needs `ReportBatchItemFailures`).  For any other event it raises IndexerError, and Lambda
    calls it again.
    """
    channel = target_of(target)

    def handle(event: Mapping[str, Any], _context: object) -> Answer:
        messages = _messages(event)
        packages_by_message: dict[str, frozenset[str]] = {}
        failed: dict[str, str] = {}
        for key, text in messages.items():
            try:
                selected = events.packages_of(events.objects_of(text), *channel.bucket_and_prefix)
                packages_by_message[key] = selected.packages
                for name, reason in sorted(selected.refused.items()):
                    _log.warning("%s: is not indexed: %s", one_line(name), reason)
            except IndexerError as error:
                failed[key] = str(error)
        failed |= _index(channel, options, packages_by_message)
        for key, reason in failed.items():
            _log.error("%s: %s", key or "the event", reason)
        if failed and _WHOLE in messages:
            raise IndexerError("the event", failed[_WHOLE])
        return {"batchItemFailures": [{"itemIdentifier": key} for key in sorted(failed)]}

    return handle


# The key of an event that is not a batch of messages.
_WHOLE = ""


def _messages(event: Mapping[str, Any]) -> dict[str, str]:
    """The messages of a batch from SQS by id; any other event as one message."""
    records = event.get("Records", [])
    if records and all(record.get("eventSource") == "aws:sqs" for record in records):
        return {record["messageId"]: record["body"] for record in records}
    return {_WHOLE: json.dumps(event)}


def _index(channel: Target, options: Options | None, by_message: Mapping[str, frozenset[str]]) -> dict[str, str]:
    """Index the packages of all messages in one run, and return the failed messages with the reason."""
    packages = frozenset[str]().union(*by_message.values())
    if not packages:
        return {}
    try:
        report = index(channel, replace(options or Options(), packages=packages, may_be_gone=packages))
    except IndexerError as error:
        return {key: str(error) for key, names in by_message.items() if names}
    _log.info("%s", json.dumps(report.as_json()))
    errors = _errors(report)
    failed = {key: sorted(_subdirs(names) & errors.keys()) for key, names in by_message.items()}
    return {key: "; ".join(errors[subdir] for subdir in subdirs) for key, subdirs in failed.items() if subdirs}


def _errors(report: Report) -> dict[str, str]:
    """The error of each subdir that was not indexed."""
    return {name: sub.error or sub.outcome.value for name, sub in report.subdirs.items() if sub.exit_code not in _DONE}


def _subdirs(packages: frozenset[str]) -> set[str]:
    return {package.partition("/")[0] for package in packages}
