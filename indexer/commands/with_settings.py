"""Indexes a channel with its settings: applies and saves the settings that were given, then indexes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from indexer.commands.change_file import JSON, change_file
from indexer.commands.find_settings import find_settings, read_settings
from indexer.commands.index import Start, index_channel
from indexer.core import names
from indexer.core.channel_settings import (
    KEYS,
    ChannelSettings,
    KnownSettings,
    changes_between,
    effective,
    outputs_of,
    rules_of,
    settings_of,
)
from indexer.core.errors import BadConfig
from indexer.core.exit_codes import ExitCode
from indexer.core.model import ETag
from indexer.core.value import Value
from indexer.settings.channel_file import encode_settings
from indexer.settings.given import check_settings, warn_of_verbatim
from indexer.store import Expect
from indexer.store.wrappers import Unconditional

if TYPE_CHECKING:
    from collections.abc import Callable

    from indexer.commands.context import Context
    from indexer.commands.find_settings import Found
    from indexer.core.channel_settings import SettingChange
    from indexer.core.options import Options
    from indexer.core.report import Report
    from indexer.store import Store

_OF_PROGRAM = "the calling program"
_OF_LAST_RUN = "published by the last run"


def index_with_settings(store: Store, options: Options, context: Context) -> Report:
    """Index a channel with its settings and those of `options`, which are saved before the run begins.

    Raises BadConfig for settings that contradict each other, and what `index_channel` raises.
    """
    began = context.clock.monotonic()
    found = find_settings(store, options, context)
    settled = settle(store, options, context, found)
    report = index_channel(store, settled.options, context, Start(found.root, found.saved))
    return replace(settled.finish(store, context, report), seconds=context.clock.monotonic() - began)


class Settled(Value, frozen=True):
    """The options of a run with all settings, which were saved unless strict rules may still forbid it."""

    options: Options
    request: _Request
    before: KnownSettings
    after: ChannelSettings
    save_at_end: bool

    def finish(self, store: Store, context: Context, report: Report) -> Report:
        """The report with the settings that changed.

        If strict rules refused to write anything, the settings are not written either.
        """
        before, after = self.before, self.after
        if self.save_at_end:
            if report.exit_code != ExitCode.OK:
                return report
            before, known = _save(store, self.request, context, before)
            after = known.settings
        return replace(report, settings=self.request.changes(before, after))


def settle(store: Store, options: Options, context: Context, found: Found) -> Settled:
    """Apply the settings of a channel and those of `options`, and save these.  Raises BadConfig, and GaveUp."""
    request = _Request(options, given_by(options))
    saves = not (options.dry_run or options.this_run_only)
    is_strict = effective("strict", found.known.settings.changed_by(request.given))
    before = known = found.known
    if saves and not is_strict:
        before, known = _save(store, request, context, known)
        wanted = known.settings
    else:
        wanted = request.change(known.settings)
    return Settled(_effective(options, context, known, wanted), request, before, wanted, saves and is_strict)


class _Request(Value, frozen=True):
    """The options of a run, and the settings that they give."""

    options: Options
    given: ChannelSettings

    def change(self, before: ChannelSettings) -> ChannelSettings:
        """The settings with those that are given; a given value that holds already changes nothing.

        Raises BadConfig for settings that contradict each other.
        """
        options, given, origins = self.options, self.given.given(), self.origins()
        check_settings(replace(before, **given), origins)
        changed = {name: value for name, value in given.items() if value != effective(name, before)}
        for name, value in options.unless_set.given().items():
            if "base_url" in changed and name not in given and getattr(before, name) is None:
                warn_of_verbatim(origins["base_url"])
                changed[name] = value
        after = replace(before, **changed)
        if options.complete and after.run_exports is False:
            thing = f"--complete {origins.get('run_exports', 'run-exports of the channel')}"
            raise BadConfig(thing, "contradict each other", "remove one of the two options, or publish run exports")
        return after

    def origins(self) -> dict[str, str]:
        """The origins of the settings that are given, by field."""
        origins = dict(self.options.origins)
        return {name: origins.get(name, _OF_PROGRAM) for name in self.given.given()}

    def changes(self, before: KnownSettings, after: ChannelSettings) -> tuple[SettingChange, ...]:
        """What the report says: the changes of this run, and the settings that a channel without a file had."""
        saved = not self.options.this_run_only
        of_file = {name: dict(self.options.origins).get("base_url", "") for name in self.options.unless_set.given()}
        changes = changes_between(before.settings, after, {**of_file, **self.origins()}, saved=saved)
        if before.etag:
            return changes
        reasons = dict.fromkeys(KEYS, _OF_LAST_RUN)
        return (*changes_between(ChannelSettings(), before.settings, reasons, saved=saved), *changes)


def _save(
    store: Store, request: _Request, context: Context, known: KnownSettings
) -> tuple[KnownSettings, KnownSettings]:
    writable = store if request.options.preconditions else Unconditional(store)
    return save_settings(writable, context, known, request.change)


def save_settings(
    store: Store, context: Context, known: KnownSettings, change: Callable[[ChannelSettings], ChannelSettings]
) -> tuple[KnownSettings, KnownSettings]:
    """The settings before and after a change, which is saved by compare-and-swap if it changes anything.

    The first attempt takes the `known` settings for those of the file, any other attempt reads the file.  Raises
    GaveUp, and what `change` raises.
    """
    first = [known]

    def attempt(leased: Store) -> tuple[KnownSettings, KnownSettings]:
        before = first.pop() if first else read_settings(leased) or KnownSettings(settings=known.settings)
        after = change(before.settings)
        if after == before.settings and (before.etag or after == ChannelSettings()):
            return before, before
        expect = ETag(before.etag) if before.etag else Expect.ABSENT
        etag = leased.put(names.SETTINGS, encode_settings(after), expect=expect, headers=JSON)
        return before, KnownSettings(etag, after)

    return change_file(store, names.SETTINGS, context, attempt)


def given_by(options: Options) -> ChannelSettings:
    """The settings that the options give: those by name, and values that differ from their defaults."""
    of_values = replace(
        settings_of(options.outputs, options.rules),
        notices=options.notices,
        fail_on="new" if options.fail_on_new else None,
    )
    return of_values.changed_by(options.settings)


def _effective(options: Options, context: Context, known: KnownSettings, wanted: ChannelSettings) -> Options:
    """The options of the run over the subdirs: exactly what is published, by which rules."""
    outputs = outputs_of(wanted)
    if outputs.needs_metadata:
        outputs = replace(outputs, channel=options.outputs.channel or context.title)
    return replace(
        options,
        outputs=outputs,
        rules=rules_of(wanted),
        notices=wanted.notices,
        fail_on_new=wanted.fail_on == "new",
        known_settings=known,
    )
