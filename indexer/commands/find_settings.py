"""Finds the settings of a channel, if possible without a request of their own.

The listing of the root shows the ETag of the file of settings, and each state has the settings that its run found under
an ETag (docs/design/choices.md, section Settings).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from msgspec import field
from msgspec.structs import replace

from indexer.commands.select_subdirs import select_subdirs
from indexer.core import names
from indexer.core.channel_settings import ChannelSettings, KnownSettings, outputs_of, settings_of, union_of
from indexer.core.errors import IndexerError, Missing
from indexer.core.value import Value
from indexer.lister.snapshot import SMALL_STATE, SavedState, load_state
from indexer.lister.subdirs import root_of
from indexer.settings.channel_file import decode_settings
from indexer.store.read import read_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from concurrent.futures import Future

    from indexer.commands.context import Context
    from indexer.core.options import Options
    from indexer.lister.subdirs import Root
    from indexer.store import Store

    States = Mapping[str, SavedState | None]


class Found(Value, frozen=True):
    """The root of a channel, its settings, and states that were read on the way.

    If there is no file of settings, the ETag is empty, and the settings are those by which the files were published.
    """

    root: Root
    known: KnownSettings
    saved: dict[str, SavedState] = field(default_factory=dict)


def find_settings(
    store: Store, options: Options, context: Context, read: Callable[[], KnownSettings | None] | None = None
) -> Found:
    """The settings of a channel; `read` reads their file.

    Raises BadConfig if the target is wrong, or the file is damaged.
    """
    read = read or partial(read_settings, store)
    find = _of_whole_channel if options.packages is None and not options.subdirs else _of_named_subdirs
    return find(store, options, context, read)


def _of_whole_channel(
    store: Store, options: Options, context: Context, read: Callable[[], KnownSettings | None]
) -> Found:
    """The settings if the root is listed: its listing shows whether there is a file."""
    root = select_subdirs(store, options, context.channel)
    states: States = {subdir: job.result() for subdir, job in _small_states(store, context, root.subdirs).items()}
    known = _remembered(states, root.settings_etag) or (read() if root.settings_etag else None)
    if known is None:
        known, states = _without_file(store, states, is_complete=True)
    return Found(root, known, _known(states))


def _of_named_subdirs(
    store: Store, options: Options, context: Context, read: Callable[[], KnownSettings | None]
) -> Found:
    """The settings if the root is not listed: only a request shows whether there is a file."""
    reading = (context.subdir_executor or context.executor).submit(read)
    jobs = _small_states(store, context, sorted(_named(options)))
    states: States = {subdir: job.result() for subdir, job in jobs.items()}
    try:
        known = reading.result()
    finally:
        del reading  # with an error in it, it would be part of a cycle that keeps connections open
    if known is None:
        known, states = _without_file(store, states, is_complete=False)
    outputs = outputs_of(known.settings.changed_by(options.settings))
    return Found(select_subdirs(store, replace(options, outputs=outputs), context.channel), known, _known(states))


def _small_states(store: Store, context: Context, subdirs: Iterable[str]) -> dict[str, Future[SavedState | None]]:
    """The states of subdirs, all requested at once."""
    submit = (context.subdir_executor or context.executor).submit
    return {subdir: submit(_small_state, store, subdir) for subdir in subdirs}


def _named(options: Options) -> set[str]:
    """The subdirs that a person or an event names."""
    named = {*options.subdirs, *(package.partition("/")[0] for package in options.packages or ())}
    return {subdir for subdir in named if names.is_subdir(subdir)}


def _known(states: States) -> dict[str, SavedState]:
    return {subdir: saved for subdir, saved in states.items() if saved is not None}


def read_settings(store: Store) -> KnownSettings | None:
    """The settings in the file of a channel, None if there is no file.  Raises BadConfig for a damaged file."""
    try:
        data, stat = read_whole(store, names.SETTINGS)
    except Missing:
        return None
    return KnownSettings(stat.etag, decode_settings(data, names.SETTINGS))


def _without_file(store: Store, states: States, *, is_complete: bool) -> tuple[KnownSettings, States]:
    """The settings of a channel without a file, and the states that are known then.

    If the file was deleted, the settings are those that the last run found.  If no run of a release with settings
    has indexed the channel, they are what the last runs published.  `is_complete` is false if `states` has only some of
    the subdirs; then noarch, which each channel has, shows whether it makes sense to read the others.
    """
    known = _last_known(states.values())
    if known is None and not is_complete:
        noarch = states.get(names.NOARCH) or _load(store, names.NOARCH)
        known = _last_known([noarch])
        if known is None and noarch.etag is not None:
            states = {**dict.fromkeys(root_of(store).subdirs), **states}
    if known is None:
        loaded = [saved or _load(store, subdir) for subdir, saved in sorted(states.items(), key=_noarch_first)]
        known = _last_known(loaded) or KnownSettings(settings=_as_published(loaded))
    return KnownSettings(settings=known.settings), states


def _as_published(states: Iterable[SavedState]) -> ChannelSettings:
    """The settings by which the last runs published the files of the subdirs."""
    loaded = [saved.state for saved in states if saved.state]
    return union_of(
        settings_of(state.outputs, state.rules) for state in loaded if state.outputs is not None and state.rules
    )


def _noarch_first(item: tuple[str, object]) -> tuple[bool, str]:
    return item[0] != names.NOARCH, item[0]


def _load(store: Store, subdir: str) -> SavedState:
    """The state of a subdir.  One that cannot be read counts as none: the run over that subdir fails anyway.

    Raises an IndexerError that concerns the whole channel.
    """
    try:
        return load_state(store, f"{subdir}/{names.STATE_FILE}")
    except IndexerError as error:
        if error.of_channel:
            raise
        return SavedState()


def _small_state(store: Store, subdir: str) -> SavedState | None:
    """The state of a subdir; None if it is large, or cannot be read: the run over the subdir reads it itself."""
    try:
        saved = load_state(store, f"{subdir}/{names.STATE_FILE}", at_most=SMALL_STATE)
    except IndexerError:
        return None
    return saved if saved.etag is None or saved.state is not None else None


def _last_known(states: Iterable[SavedState | None]) -> KnownSettings | None:
    """The settings that a run found, from the first state that has any."""
    known = (saved.state.settings for saved in states if saved and saved.state)
    return next(filter(None, known), None)


def _remembered(states: States, etag: str) -> KnownSettings | None:
    """The settings in a state, if the file still has the ETag that the state names, or is still missing."""
    known = (saved.state.settings for saved in states.values() if saved and saved.state)
    return next((one for one in known if one is not None and one.etag == etag), None)
