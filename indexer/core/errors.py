"""The errors of indexer: a class for each kind of remedy, and messages with thing, reason and next step."""

from __future__ import annotations

from indexer.core.exit_codes import ExitCode
from indexer.core.printable import one_line


class IndexerError(Exception):
    """A failure that is reported in one line.

    `thing` is the key, file or option that has the problem, `reason` is the problem, and `next_step` is what the user
    can do.  `exit_code` is the exit code of the command (docs/cli.md).  `of_channel` is true if every subdir of the
    channel would fail in the same way.
    """

    exit_code = ExitCode.FAILED
    of_channel = False

    def __init__(self, thing: str, reason: str, next_step: str = "") -> None:
        super().__init__(thing, reason, next_step)
        self.thing = one_line(thing)
        self.reason = one_line(reason)
        self.next_step = next_step

    def __str__(self) -> str:
        step = f"; {self.next_step}" if self.next_step else ""
        return f"{self.thing}: {self.reason}{step}"


class Conflict(IndexerError):
    """Another process changed the object after the snapshot: take a new snapshot and retry."""


class Missing(Conflict):
    """The object does not exist, or no longer exists."""


class NoConditions(IndexerError):
    """The store has no conditional writes: read before each write, under a lease."""


class GaveUp(IndexerError):
    """Write conflicts with other indexers did not end in time; the run can safely be repeated."""

    exit_code = ExitCode.CONFLICT


class Unavailable(IndexerError):
    """The store did not answer, or is temporarily unavailable: try again later."""

    of_channel = True


class OneUnavailable(Unavailable):
    """One object or file cannot be read or written, although the store answers: others may work."""

    of_channel = False


class RangeRefused(Unavailable):
    """The store does not serve a range of an object, or a part of a listing: request all of it."""


class CopyRefused(IndexerError):
    """The store does not copy an object by itself: read the object, and write it."""


class Denied(IndexerError):
    """The store refuses these credentials, or this action with them: correct the configuration."""


class BadCredentials(Denied):
    """The store refuses these credentials for all requests, or there are no valid credentials."""

    of_channel = True


class BadConfig(IndexerError):
    """A wrong option, address or configuration: correct the configuration."""

    exit_code = ExitCode.WRONG_USAGE


class BadIndex(IndexerError):
    """A published index cannot be read, so it is not overwritten: repair or delete the file."""


class NewerIndex(BadIndex):
    """A published index has a feature that this release does not know, so it is not overwritten: update the indexer."""


class DamagedChunk(BadIndex):
    """A chunk of a compressed file is not the one of the table in the state: the next attempt reads the whole index."""


class BadPatch(IndexerError):
    """A repodata patch or the yanks of a channel cannot be applied: correct the file."""


class BadPackage(IndexerError):
    """A package cannot be indexed: rebuild and upload it again, delete it, or hide it with `indexer ignore`.

    A skipped package is a `Rejected` value.
    """


class Damaged(BadPackage):
    """A package cannot be unpacked, so no client can install it: rebuild and upload it again."""


class Refused(IndexerError):
    """The run stops before a change that a person must decide."""

    exit_code = ExitCode.REFUSED
