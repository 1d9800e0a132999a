"""Which value of each setting wins: that of an option, of a variable, of a file, of a store of keys, of boto3."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from indexer.core import names
from indexer.core.channel_info import ChannelInfo
from indexer.core.errors import BadConfig, Denied
from indexer.core.model import Outputs
from indexer.core.records.about import link_of
from indexer.settings import credentials as auth
from indexer.settings.files import load
from indexer.settings.network import network_of, network_settings
from indexer.settings.provenance import Kind, Origin, Setting
from indexer.store.header_values import trimmed
from indexer.store.target import S3Options, Target

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from indexer.settings.files import Config, Found, Place
    from indexer.settings.locations import Environment

_log = logging.getLogger(__name__)

# The fields of ChannelInfo by those of `[index-config]`.
_OF_CHANNEL = {
    "channel_relations": "relations",
    "repodata_revisions": "revisions",
    "package_revision_assignment": "assignment",
    "virtual_package_detectors": "detectors",
}
_NOT_IN_URL = re.compile(r"""[\s"'<>`\\\x00-\x1f\x7f]""")
_KEYS = ("access_key_id", "secret_access_key", "session_token")
# Each is an option and a variable; the first three are keys of [s3-options.BUCKET] too.
_NAMED = ("endpoint_url", "region", "addressing_style", "provider", *_KEYS)


@dataclass(frozen=True, slots=True)
class Resolved:
    """What all places together say of a channel: how to reach it, what to publish, and where each value came from."""

    target: Target
    index: Mapping[str, Found]
    downloads: int | None
    settings: tuple[Setting, ...]


def resolve(channel: str, given: S3Options, named: Path | None, around: Environment) -> Resolved:
    """Settle how to reach a channel, and what files say of it.

    `given` are the options of the command line, `named` the file of `--config`.  Options win over variables,
    those over files; keys are looked for in rattler's store where an endpoint or `s3-options` is known, and what
    is still open is left to boto3's chain.  Raises BadConfig.
    """
    config = load(named, around)
    target = Target(channel)
    said: dict[str, Setting] = {}
    if target.in_bucket:
        said, searched = _bucket(channel, given, config, around)
        network = network_settings(config, around)
        target = replace(target, s3=replace(_options(said), searched=searched, network=network_of(network)))
        said = {**said, **network}
        channel = target.name
    else:
        channel = str((around.folder / channel).resolve())
    index = config.index(channel)
    downloads = config.downloads()
    found = {**index, **({"downloads": downloads} if downloads else {})}
    of_files = [Setting(_kebab(name), it.value, _in_file(it.place)) for name, it in found.items()]
    return Resolved(target, index, downloads.value if downloads else None, (*said.values(), *of_files))


def _bucket(
    channel: str, given: S3Options, config: Config, around: Environment
) -> tuple[dict[str, Setting], tuple[str, ...]]:
    """The settings of a bucket by the field of S3Options, and where keys were looked for in vain."""
    options = config.bucket(urlsplit(channel).netloc)
    said = _in_order(given, options, around)
    _refuse_mistakes(said)
    if given.anonymous:
        said = {name: it for name, it in said.items() if name not in _KEYS}
        origin = Origin(Kind.OPTION, "--no-sign-request")
        return {**said, "anonymous": Setting("no-sign-request", value=True, origin=origin)}, ()
    if given.profile:
        return {**said, "profile": Setting("profile", given.profile, Origin(Kind.OPTION, "--profile"))}, ()
    if "access_key_id" in said or not (options or "endpoint_url" in said):
        return said, ()
    override = config.auth_file()
    places = auth.backends(around, around.folder / override.value if override else None)
    hit = auth.find(channel, places)
    if hit is None:
        return said, tuple(map(str, places))
    origin = Origin(Kind.STORE, str(hit.where), hit.key)
    found = {name: getattr(hit.keys, name) for name in _KEYS}
    said = {**said, **{name: _setting(name, value, origin) for name, value in found.items() if value}}
    _refuse_mistakes(said)
    return said, ()


def _refuse_mistakes(said: Mapping[str, Setting]) -> None:
    """Raise BadConfig, which names the setting and its origin, and no secret."""
    if mistake := _options(said).validate():
        field, reason, step = mistake
        origin = said[field].origin
        # An option and a variable are called like what they set.
        named = str(origin) if origin.kind in {Kind.OPTION, Kind.VARIABLE} else f"{origin}: {_kebab(field)}"
        wrong = f" {said[field].value}" if field == "addressing_style" else ""
        raise BadConfig(f"{named}{wrong}", reason, step)


def of_variables(around: Environment) -> S3Options:
    """How to reach a bucket by the variables `S3_ENDPOINT_URL` and so on alone, no file is read.  Raises BadConfig."""
    said = _in_order(S3Options(), None, around)
    _refuse_mistakes(said)
    return _options(said)


def _options(said: Mapping[str, Setting]) -> S3Options:
    values = {name: setting.value for name, setting in said.items()}
    return S3Options(**values, origins=tuple((name, str(setting.origin)) for name, setting in said.items()))


def _in_order(given: S3Options, options: Found | None, around: Environment) -> dict[str, Setting]:
    said: dict[str, Setting] = {}
    if options is not None:
        table = options.value
        in_file = {"endpoint_url": table.endpoint_url, "region": table.region, "addressing_style": table.style}
        said = {
            name: _setting(name, value, _in_file(options.place)) for name, value in in_file.items() if trimmed(value)
        }
    for name in _NAMED:
        variable, value = f"S3_{name.upper()}", getattr(given, name)
        # A profile that was given means its keys, not those of a variable.
        if trimmed(around.variable(variable)) and not (given.profile and name in _KEYS):
            said[name] = _setting(name, around.variable(variable), Origin(Kind.VARIABLE, variable))
        if value:
            said[name] = _setting(name, value, Origin(Kind.OPTION, f"--{_kebab(name)}"))
    return said


def _setting(name: str, value: object, origin: Origin) -> Setting:
    return Setting(_kebab(name), trimmed(value), origin, secret=name in _KEYS)


def _in_file(place: Place) -> Origin:
    return Origin(Kind.FILE, str(place.file), place.table)


def _kebab(name: str) -> str:
    return name.replace("_", "-")


def outputs(given: Mapping[str, Any], said: Mapping[str, Found]) -> Outputs:
    """What a run publishes: what was given as an option, by the field of Outputs, else what files say.

    An option that is None was not given.  Raises BadConfig for options that contradict each other, and if nothing is
    left to publish.
    """
    _check_contradictions(given)
    chosen = {name: value for name, value in given.items() if value is not None}
    for name, key in (("zst", "write_zst"), ("shards", "write_shards"), ("base_url", "base_url")):
        if name not in chosen and key in said:
            chosen[name] = said[key].value
            if name == "base_url":
                chosen = {"base_url_verbatim": True, **chosen}
                _warn_of(said[key], verbatim=given["base_url_verbatim"])
    info = {field: said[key].value for key, field in _OF_CHANNEL.items() if key in said}
    found = Outputs(**chosen, info=ChannelInfo(**info))
    if found.public_url:
        _check_url("--public-url", found.public_url)
        if not link_of(found.public_url):
            raise BadConfig(
                "--public-url",
                "is not an absolute http or https URL, or has a user name in it",
                "write it like https://conda.example.com/channel",
            )
    if found.base_url:
        _check_url(f"{said['base_url'].place} base-url" if given["base_url"] is None else "--base-url", found.base_url)
    if found.base_url and "://" not in found.base_url:
        _log.warning("base-url %s is relative, which conda and mamba do not resolve: give a whole URL", found.base_url)
    if found.monolithic and found.info.detectors:
        _log.warning(
            "%s virtual-package-detectors: the reader of libsolv (mamba 1.x has no other) crashes on it; "
            "leave it out if clients use that reader",
            said["virtual_package_detectors"].place,
        )
    if not found.monolithic and not found.shards:
        thing = "--no-shards" if given["shards"] is not None else f"{said['write_shards'].place} write-shards"
        raise BadConfig(f"--no-monolithic {thing}", "leaves nothing to publish", "leave one of them out")
    return found


def _check_contradictions(given: Mapping[str, Any]) -> None:
    """Raise BadConfig for options that ask for opposite things."""
    if given.get("monolithic") is not False:
        return
    for name, file in (("run_exports", names.RUN_EXPORTS), ("current_repodata", names.CURRENT)):
        if given.get(name):
            reason = f"contradict each other: a channel without {names.REPODATA} has no {file}"
            raise BadConfig(f"--no-monolithic --{_kebab(name)}", reason, "remove one of the two options")


def _check_url(setting: str, url: str) -> None:
    """Raise BadConfig for an address that is published and that no reader can follow."""
    scheme, separator, _ = url.partition("://")
    if separator and scheme not in {"http", "https"}:
        raise BadConfig(setting, f"is not an http or https URL: {url}", "give one, or a relative path")
    if _NOT_IN_URL.search(url):
        raise BadConfig(setting, f"has a blank, a quote or a bracket in it: {url}", "remove it, or percent-encode it")


def _warn_of(base_url: Found, *, verbatim: bool | None) -> None:
    """A file's URL means what it means to rattler-index, which a new user would not expect."""
    if verbatim is None:
        _log.warning(
            "%s: base-url is written as it is into every subdir, as rattler-index does; "
            "say --base-url-verbatim if that is right, or --no-base-url-verbatim to append /SUBDIR/",
            base_url.place,
        )


def explain(resolved: Resolved) -> list[Setting]:
    """The settings of a channel, and for a bucket what boto3's chain adds to them.

    The chain may ask AWS for keys, as a run would.  Where it has none, the setting says so.
    """
    found = {setting.name: setting for setting in resolved.settings}
    if resolved.target.in_bucket:
        from indexer.store.s3.session import session_of

        found = {**_of_boto3(session_of(resolved.target.s3), resolved.target), **found}
    return list(found.values())


def _of_boto3(session: Any, target: Target) -> dict[str, Setting]:
    from indexer.store.s3.network import trusting
    from indexer.store.s3.providers import addressing_of, provider_of
    from indexer.store.s3.session import endpoint_of, keys_of, region_of

    options, bucket = target.s3, urlsplit(target.location).netloc
    endpoint = endpoint_of(session, options)
    provider = provider_of(endpoint.value or None, options.provider)
    region = region_of(session, options, provider)
    by_provider = _chained(f"provider {provider.name}")
    style = {"virtual": "virtual-host", "path": "path"}[addressing_of(provider, endpoint.value or None, bucket)]
    found = [
        Setting("endpoint-url", endpoint.value or "that of AWS", _chained(endpoint.name)),
        Setting("provider", provider.name, Origin(Kind.DEFAULT, "by the endpoint")),
        Setting("region", region.value, _chained(region.name)),
        Setting("addressing-style", style, by_provider),
    ]
    trust = trusting(options.network, session._session)  # noqa: SLF001  boto3 shows nothing of it
    if isinstance(trust.verify, str) and trust.setting != "tls-root-certs":
        found.append(Setting("certificates", trust.verify, Origin(Kind.VARIABLE, trust.setting)))
    if options.access_key_id is None and not options.anonymous:
        try:
            method, keys = keys_of(session, target, trust)
        except (BadConfig, Denied) as error:
            found.append(Setting("access-key-id", f"none: {error.reason}", Origin(Kind.BOTO3)))
        else:
            values = zip(_KEYS, (keys.access_key, keys.secret_key, keys.token), strict=True)
            found += [_setting(name, value, Origin(Kind.BOTO3, method)) for name, value in values if value]
    return {setting.name: setting for setting in found}


def _chained(name: str) -> Origin:
    """What was found beside the options: in a variable, in the row of a provider, in a profile, or nowhere."""
    if name.startswith("AWS_"):
        return Origin(Kind.VARIABLE, name)
    if name.startswith("provider ") or not name:
        return Origin(Kind.DEFAULT, name)
    return Origin(Kind.BOTO3, name)
