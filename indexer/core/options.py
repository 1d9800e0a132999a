"""The options of a run, as a frozen value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import field

from indexer.core.channel_settings import ChannelSettings
from indexer.core.errors import BadConfig
from indexer.core.model import Outputs, Rules
from indexer.core.value import Value

if TYPE_CHECKING:
    from indexer.core.channel_info import Notice
    from indexer.core.channel_settings import KnownSettings


class SentAttestations(Value, frozen=True):
    """Attestations that were just sent beside a package: the sha256 (hex) of the package, and that of its `.sigs`."""

    package_sha256: str
    sha256: str


class Options(Value, frozen=True):
    """The options of a run.

    `subdirs` empty means every known subdir that exists.  `packages` (`SUBDIR/FILENAME`) limits the run to these
    packages; None means all.  With `complete` packages whose run exports are unknown are read, and their records stay.
    `repodata_patch` is a patch package in `noarch/` to follow from now on, the empty text ends the patch in force, None
    keeps it.  `notices` is the content of `notices.json`, None keeps it.  `unyanked` (`SUBDIR/FILENAME`) are indexed
    again although another indexer lists them as removed.  With `create` a missing channel or subdir is created empty.
    `may_be_gone` are those of `packages` that an event named: it is no fault if neither the channel nor its index has
    them.  `sent_attestations` has pairs of one of `packages` and its attestations; the run does not ask the store for
    them.  With `fail_on_new` only a rejection that the last run did not report makes the exit code 3.

    `settings` are saved in the channel and hold for later runs, unless `this_run_only` is set; so are the values of
    `outputs`, `rules`, `notices` and `fail_on_new` that differ from their defaults.  All other values follow the
    settings of the channel.  `origins` has fields and origins of the settings, for reports.  `unless_set` are settings
    that hold only if the channel has none.  `known_settings` are those that the run has found.
    """

    outputs: Outputs = field(default_factory=Outputs)
    rules: Rules = field(default_factory=Rules)
    subdirs: tuple[str, ...] = ()
    packages: frozenset[str] | None = None
    force: bool = False
    complete: bool = False
    repodata_patch: str | None = None
    notices: tuple[Notice, ...] | None = None
    unyanked: frozenset[str] = frozenset()
    verify_digests: bool = False
    allow_mass_removal: bool = False
    preconditions: bool = True
    dry_run: bool = False
    fail_on_new: bool = False
    create: bool = False
    may_be_gone: frozenset[str] = frozenset()
    sent_attestations: tuple[tuple[str, SentAttestations], ...] = ()
    settings: ChannelSettings = field(default_factory=ChannelSettings)
    this_run_only: bool = False
    origins: tuple[tuple[str, str], ...] = ()
    unless_set: ChannelSettings = field(default_factory=ChannelSettings)
    known_settings: KnownSettings | None = None

    def __post_init__(self) -> None:
        """Refuse one text instead of several.  Raises BadConfig: its characters would be taken for names."""
        for name in ("subdirs", "packages", "unyanked"):
            several(name, getattr(self, name))


def several(name: str, value: object) -> None:
    """Raise BadConfig if a caller gives one text in the place of a collection of texts."""
    if isinstance(value, (str, bytes)):
        raise BadConfig(f"{name}={value!r}", "is one text, and a collection of texts is wanted", f"give [{value!r}]")
