"""The family of errors: each class says who can act, each message names thing, reason and next step."""

from __future__ import annotations

from indexer.core.exit_codes import ExitCode
from indexer.core.printable import one_line


class IndexerError(Exception):
    """A failure that a person is told of in one line.

    `thing` is the key, file or option it is about, `reason` what is wrong with it, `next_step` what
    the reader of the line can do.  `exit_code` is what the command ends with (docs/cli.md).
    `of_channel` says that each subdir of the channel would fail in the same way.
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
    """Somebody else changed the object since we looked: look again, then decide again."""


class Missing(Conflict):
    """The object is not there, or not there any more."""


class NoConditions(IndexerError):
    """The store does not make a write depend on what is there: look before each write, under a lease."""


class GaveUp(IndexerError):
    """Conflicts with other indexers did not end within the time allowed; safe to repeat."""

    exit_code = ExitCode.CONFLICT


class Unavailable(IndexerError):
    """The store did not answer, or answered that it cannot now: try again later."""

    of_channel = True


class OneUnavailable(Unavailable):
    """One object or file cannot be read or written although the store answers: others may be fine."""

    of_channel = False


class RangeRefused(Unavailable):
    """The store does not serve parts of an object, or of a listing: ask for the whole."""


class Denied(IndexerError):
    """The store refuses these credentials, or this action with them: mend the set-up."""


class BadCredentials(Denied):
    """The store refuses these credentials for all requests, or there are none that are valid."""

    of_channel = True


class BadConfig(IndexerError):
    """A wrong option, address or configuration: mend the set-up."""

    exit_code = ExitCode.WRONG_USAGE


class BadIndex(IndexerError):
    """A published index cannot be read, so it is not overwritten: mend or delete it."""


class NewerIndex(BadIndex):
    """A published index has what this release does not know, so it is not overwritten: update the indexer."""


class BadPatch(IndexerError):
    """Instructions that a channel's owner gave, a repodata patch or yanks, cannot be followed: mend them."""


class BadPackage(IndexerError):
    """A package cannot be indexed: mend or delete it.  Where it is skipped it is a `Rejected` value."""


class Damaged(BadPackage):
    """A package cannot be unpacked, so no client can install it: build or upload it again."""


class Refused(IndexerError):
    """The run would do something that only a person should decide."""

    exit_code = ExitCode.REFUSED
