"""The options that select packages and subdirs."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from msgspec import Struct
from typer import Option

from indexer.cli.options import WHAT_TO_INDEX, Create, File, Texts
from indexer.core import events
from indexer.core.errors import BadConfig
from indexer.core.names import parse_filename
from indexer.core.printable import one_line
from indexer.core.specs.syntax import filename_fault

if TYPE_CHECKING:
    from indexer.store.target import Target

_log = logging.getLogger(__name__)


class Selection(Struct, frozen=True):
    """Which packages and subdirs a run indexes."""

    HEADING: ClassVar[str] = WHAT_TO_INDEX

    force: Annotated[
        bool, Option("--force", "-f", help="Read every package again. The dates of first indexing are kept.")
    ] = False
    complete: Annotated[
        bool,
        Option(
            "--complete",
            help="Read the packages whose run exports another indexer did not publish. Their records do not change.",
        ),
    ] = False
    subdirs: Annotated[
        Texts,
        Option(
            "--target-platform",
            "--subdir",
            metavar="SUBDIR",
            help="Index only this subdir; repeatable. noarch/repodata.json is always created.",
        ),
    ] = None
    packages: Annotated[
        Texts,
        Option(
            "--package",
            metavar="SUBDIR/FILENAME",
            help="Index only this package; repeatable. The channel is not listed; a named package that is missing is "
            "removed.",
        ),
    ] = None
    packages_from: Annotated[
        File,
        Option(metavar="FILE", help="As --package, for the packages in a file, one per line; - is standard input."),
    ] = None
    event: Annotated[
        File,
        Option(
            metavar="FILE",
            help="As --package, for the packages in an event notification of S3 (also in SQS, SNS or EventBridge), "
            "R2 or Pub/Sub; - is standard input.",
        ),
    ] = None

    create: Create = False

    def named_packages(self, channel: Target) -> tuple[frozenset[str] | None, frozenset[str]]:
        """The selected packages, None for all, and those of them that only the event names.  Raises BadConfig."""
        if not self.packages and self.packages_from is None and self.event is None:
            return None, frozenset()
        packages = list(self.packages or ())
        if self.packages_from is not None:
            lines = _text_of(self.packages_from, "name a text file with one package per line").splitlines()
            for line in filter(None, map(str.strip, lines)):
                _check(line, f"{self.packages_from}: {line}")
                packages.append(line)
        for package in self.packages or ():
            _check(package, f"--package {package}")
        of_event = frozenset[str]() if self.event is None else _named_by_event(self.event, channel)
        return of_event.union(packages), of_event.difference(packages)


def _check(package: str, thing: str) -> None:
    filename = package.partition("/")[2]
    if package.count("/") != 1 or parse_filename(filename) is None:
        raise BadConfig(thing, "is not of the form SUBDIR/FILENAME", "name it like noarch/foo-1.0-0.conda")
    if reason := filename_fault(filename):
        raise BadConfig(thing, reason, "rename the package")


def _named_by_event(path: Path, channel: Target) -> frozenset[str]:
    """The packages of a channel in a notification; other objects are ignored."""
    if not channel.in_bucket:
        raise BadConfig(
            "--event",
            f"names objects of a bucket, and {channel.name} is a folder",
            "call `indexer s3 s3://BUCKET[/PREFIX]`, or name the packages with --package",
        )
    try:
        objects = events.objects_of(_text_of(path, "name a file with a notification"))
    except BadConfig as error:
        thing = error.thing if error.thing == str(path) else f"--event {path}"
        raise BadConfig(thing, error.reason, error.next_step) from error
    selected = events.packages_of(objects, *channel.bucket_and_prefix)
    if selected.others:
        _log.info("ignored %d objects of the event that are not packages of %s", selected.others, channel.name)
    for name, reason in sorted(selected.refused.items()):
        _log.warning("%s: is not indexed: %s", one_line(name), reason)
    return selected.packages


def _text_of(path: Path, next_step: str) -> str:
    try:
        return sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise BadConfig(str(path), reason, next_step) from error
