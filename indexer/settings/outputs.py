"""Merges the settings of the published files: options win over configuration files."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

from indexer.core import names
from indexer.core.channel_info import ChannelInfo
from indexer.core.errors import BadConfig
from indexer.core.model import Outputs
from indexer.core.records.about import link_of
from indexer.settings.provenance import kebab

if TYPE_CHECKING:
    from collections.abc import Mapping

    from indexer.settings.files import FileValue

_log = logging.getLogger(__name__)

# The fields of ChannelInfo by those of `[index-config]`.
_OF_CHANNEL = {
    "channel_relations": "relations",
    "repodata_revisions": "revisions",
    "package_revision_assignment": "assignment",
    "virtual_package_detectors": "detectors",
}
_NOT_IN_URL = re.compile(r"""[\s"'<>`\\\x00-\x1f\x7f]""")


def outputs(options: Mapping[str, Any], config: Mapping[str, FileValue]) -> Outputs:
    """The files that a run publishes: `options` by the field of Outputs, then the values of `[index-config]`.

    An option that is None was not used.  Raises BadConfig for options that contradict each other, and if no file is
    left to publish.
    """
    _check_contradictions(options)
    info = {field: config[key].value for key, field in _OF_CHANNEL.items() if key in config}
    merged = Outputs(**_merged(options, config), info=ChannelInfo(**info))
    _check_public_url(merged.public_url)
    if merged.base_url:
        _check_base_url(merged.base_url, _setting("base_url", options, config))
    if merged.monolithic and merged.info.detectors:
        _log.warning(
            "%s virtual-package-detectors: libsolv's reader (the only one of mamba 1.x) crashes on this key; "
            "remove it if clients use that reader",
            config["virtual_package_detectors"].source,
        )
    if not merged.monolithic and not merged.shards:
        thing = "--no-shards" if options["shards"] is not None else _setting("write_shards", options, config)
        raise BadConfig(f"--no-monolithic {thing}", "leaves no file to publish", "remove one of them")
    return merged


def _merged(options: Mapping[str, Any], config: Mapping[str, FileValue]) -> dict[str, Any]:
    """The fields of Outputs that an option or a file sets."""
    merged = {name: value for name, value in options.items() if value is not None}
    for name, key in (("zst", "write_zst"), ("shards", "write_shards"), ("base_url", "base_url")):
        if name not in merged and key in config:
            merged[name] = config[key].value
            if name == "base_url":
                merged = {"base_url_verbatim": True, **merged}
                _warn_of_verbatim(config[key], verbatim=options["base_url_verbatim"])
    return merged


def _setting(name: str, options: Mapping[str, Any], config: Mapping[str, FileValue]) -> str:
    """The option, or the key of a file, that has set a value; for messages."""
    return f"--{kebab(name)}" if options.get(name) is not None else f"{config[name].source} {kebab(name)}"


def _check_contradictions(options: Mapping[str, Any]) -> None:
    """Raise BadConfig for options that contradict each other."""
    if options.get("monolithic") is not False:
        return
    for name, file in (("run_exports", names.RUN_EXPORTS), ("current_repodata", names.CURRENT)):
        if options.get(name):
            reason = f"contradict each other: a channel without {names.REPODATA} has no {file}"
            raise BadConfig(f"--no-monolithic --{kebab(name)}", reason, "remove one of the two options")


def _check_public_url(url: str | None) -> None:
    """Raise BadConfig for a URL of the channel that a browser cannot open."""
    if not url:
        return
    _check_url("--public-url", url)
    if not link_of(url):
        reason = "is not an absolute http or https URL, or has a user name in it"
        raise BadConfig("--public-url", reason, "use a URL such as https://conda.example.com/channel")


def _check_base_url(url: str, setting: str) -> None:
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


def _warn_of_verbatim(base_url: FileValue, *, verbatim: bool | None) -> None:
    """A URL of a file has the meaning that it has for rattler-index, which a new user would not expect."""
    if verbatim is None:
        _log.warning(
            "%s: base-url is written unchanged into every subdir, as in rattler-index; "
            "use --base-url-verbatim to confirm, or --no-base-url-verbatim to append /SUBDIR/",
            base_url.source,
        )
