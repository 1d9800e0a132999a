"""Merges the settings that a person gives with a command, and checks the settings of a channel."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

from indexer.core import names
from indexer.core.channel_settings import KEYS, ChannelSettings, option_of
from indexer.core.errors import BadConfig
from indexer.core.pruning import rules_of_retention
from indexer.core.records.about import link_of
from indexer.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from indexer.settings.files import FileValue

_log = logging.getLogger(__name__)

_NOT_IN_URL = re.compile(r"""[\s"'<>`\\\x00-\x1f\x7f]""")


class GivenSettings(Value, frozen=True):
    """The settings of options and files, and the origin of each by its field.

    `unless_set` holds only if the channel has no such setting.
    """

    settings: ChannelSettings
    origins: Mapping[str, str]
    unless_set: ChannelSettings


def given_settings(options: Mapping[str, Any], config: Mapping[str, FileValue]) -> GivenSettings:
    """The settings of `options`, by field, and of `[index-config]`.  An option that is None was not used.

    A base URL of a file has the meaning that it has for rattler-index, unless a setting says otherwise.
    """
    of_options = {name: value for name, value in options.items() if value is not None}
    of_files = {name: each.value for name, each in config.items() if name not in of_options}
    origins = {
        **{name: f"{config[name].source} {KEYS[name]}" for name in of_files},
        **{name: option_of(name, value) for name, value in of_options.items()},
    }
    unless_set = ChannelSettings(base_url_verbatim=True) if "base_url" in of_files else ChannelSettings()
    return GivenSettings(ChannelSettings(**of_files, **of_options), origins, unless_set)


def check_settings(settings: ChannelSettings, origins: Mapping[str, str]) -> None:
    """Raise BadConfig for settings that contradict each other, that leave no file, or that no reader can use.

    `origins` has the origins of settings that are new; all others are settings of the channel.
    """
    for one, other, reason in _contradictions(settings):
        raise _both(one, other, reason, origins)
    if settings.monolithic is False and settings.write_shards is False:
        raise _both("monolithic", "write_shards", "leaves no file to publish", origins)
    if settings.public_url:
        _check_public_url(_named("public_url", origins), settings.public_url)
    if settings.base_url:
        _check_base_url(_named("base_url", origins), settings.base_url)
    rules_of_retention(settings, {name: _named(name, origins) for name in KEYS})
    if settings.monolithic is not False and settings.virtual_package_detectors:
        _log.warning(
            "%s: libsolv's reader (the only one of mamba 1.x) crashes on this key; "
            "remove it if clients use that reader",
            _named("virtual_package_detectors", origins),
        )


def warn_of_verbatim(origin: str) -> None:
    """Warn of a base URL of a file, which has a meaning that a new user would not expect."""
    _log.warning(
        "%s is written unchanged into every subdir, as in rattler-index; "
        "use --base-url-verbatim to confirm, or --no-base-url-verbatim to append /SUBDIR/",
        origin,
    )


def _contradictions(settings: ChannelSettings) -> list[tuple[str, str, str]]:
    """Pairs of fields that contradict each other, with the reason."""
    reason = f"contradict each other: a channel without {names.REPODATA} has no "
    pairs = {
        ("monolithic", "run_exports", reason + names.RUN_EXPORTS): settings.monolithic is False
        and settings.run_exports,
        ("monolithic", "current_repodata", reason + names.CURRENT): settings.monolithic is False
        and settings.current_repodata,
        ("strict", "lenient", "contradict each other"): settings.strict and settings.lenient,
        ("strict", "fail_on", "contradict each other"): settings.strict and settings.fail_on == "new",
    }
    return [pair for pair, holds in pairs.items() if holds]


def _both(one: str, other: str, reason: str, origins: Mapping[str, str]) -> BadConfig:
    """The error about two settings; one that the channel has must be changed too."""
    name = next((name for name in (one, other) if name not in origins), None)
    if name is None:
        step = "remove one of the two options"
    else:
        value = {"fail_on": "any", "write_shards": True, "monolithic": True}.get(name, False)
        text = value if isinstance(value, str) else str(value).lower()
        step = f"also use {option_of(name, value)}, or save {KEYS[name]}={text} with `indexer settings`"
    return BadConfig(f"{_named(one, origins)} {_named(other, origins)}", reason, step)


def _named(name: str, origins: Mapping[str, str]) -> str:
    return origins.get(name, f"{KEYS[name]} of the channel")


def _check_public_url(setting: str, url: str) -> None:
    """Raise BadConfig for a URL of the channel that a browser cannot open."""
    _check_url(setting, url)
    if not link_of(url):
        reason = "is not an absolute http or https URL, or has a user name in it"
        raise BadConfig(setting, reason, "use a URL such as https://conda.example.com/channel")


def _check_base_url(setting: str, url: str) -> None:
    """Raise BadConfig for a base URL that no client can follow, and warn of one that some cannot."""
    _check_url(setting, url)
    if "://" not in url:
        _log.warning("base-url %s is relative, which conda and mamba do not resolve: use an absolute URL", url)


def _check_url(setting: str, url: str) -> None:
    scheme, separator, _ = url.partition("://")
    if separator and scheme not in {"http", "https"}:
        raise BadConfig(setting, f"is not an http or https URL: {url}", "use one, or a relative path")
    if _NOT_IN_URL.search(url):
        raise BadConfig(setting, f"has a blank, a quote or a bracket in it: {url}", "remove it, or percent-encode it")
