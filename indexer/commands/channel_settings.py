"""Shows the settings of a channel with the origin of each, and changes them in their file by compare-and-swap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import field
from msgspec.structs import replace

from indexer.commands.find_settings import find_settings
from indexer.commands.with_settings import save_settings
from indexer.core.channel_settings import (
    KEYS,
    ChannelSettings,
    SettingRow,
    as_json,
    changes_between,
    effective,
)
from indexer.core.options import Options
from indexer.core.report import SettingsReport
from indexer.core.value import Value
from indexer.settings.given import check_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from indexer.commands.context import Context
    from indexer.store import Store

_OF_CHANNEL = "channel"
_DEFAULT = "default"


class SettingsRequest(Value, frozen=True):
    """A change of settings: the values to set, and the fields to unset.

    `from_files` are settings of configuration files, which a run of the command would save; `origins` has their places.
    """

    changed: ChannelSettings = field(default_factory=ChannelSettings)
    unset: tuple[str, ...] = ()
    from_files: ChannelSettings = field(default_factory=ChannelSettings)
    origins: Mapping[str, str] = field(default_factory=dict)

    def edit(self, before: ChannelSettings) -> ChannelSettings:
        """The settings after the change.  Raises BadConfig if they contradict each other."""
        after = before.without(self.unset).changed_by(self.changed)
        check_settings(after, self.reasons())
        return after

    def reasons(self) -> dict[str, str]:
        """What changes each field, for messages."""
        unset = {name: f"--unset {KEYS[name]}" for name in self.unset}
        return {**unset, **{name: f"--set {KEYS[name]}" for name in self.changed.given()}}


def settings_of_channel(store: Store, request: SettingsRequest, context: Context) -> SettingsReport:
    """The settings of a channel after the change that was requested.  No package is read, and no index is written.

    Raises BadConfig for a wrong target, a damaged file, or settings that contradict each other.
    """
    began = context.clock.monotonic()
    known = find_settings(store, Options(), context).known
    before = known
    if request.changed.given() or request.unset:
        before, known = save_settings(store, context, known, request.edit)
    return SettingsReport(
        tuple(_row(name, known.settings, request) for name in KEYS),
        changes_between(before.settings, known.settings, request.reasons(), saved=True),
        known != before,
        seconds=context.clock.monotonic() - began,
        usage=store.usage,
    )


def _row(name: str, settings: ChannelSettings, request: SettingsRequest) -> SettingRow:
    """A setting as the next run would use it: a file of the person who asks wins over the channel."""
    is_set = getattr(settings, name) is not None
    of_file = getattr(request.from_files, name)
    if of_file is not None and of_file != effective(name, settings):
        settings = replace(settings, **{name: of_file})
        return SettingRow(KEYS[name], as_json(name, settings), request.origins[name])
    return SettingRow(KEYS[name], as_json(name, settings), _OF_CHANNEL if is_set else _DEFAULT)
