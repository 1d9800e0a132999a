"""Merges the settings of a bucket: options win over variables, then files, credential stores, and boto3."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from indexer.core.errors import BadConfig, Denied
from indexer.core.value import Value
from indexer.settings import credentials
from indexer.settings.files import load
from indexer.settings.network import network_of, network_settings
from indexer.settings.provenance import Kind, Origin, Setting, kebab, of_file
from indexer.store.header_values import trimmed
from indexer.store.s3.providers import check_provider
from indexer.store.target import S3Options, Target

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from indexer.settings.files import Config, FileValue
    from indexer.settings.locations import Environment
    from indexer.store.s3.chain import Chain
    from indexer.store.s3.network import Trust

_KEYS = ("access_key_id", "secret_access_key", "session_token")
# Each is an option and a variable; the first three are keys of [s3-options.BUCKET] too.
_FIELDS = ("endpoint_url", "region", "addressing_style", "provider", *_KEYS)


class Resolved(Value, frozen=True):
    """The merged settings of a channel: how to reach it, what to publish, and the origin of each value."""

    target: Target
    index: Mapping[str, FileValue]
    downloads: int | None
    settings: tuple[Setting, ...]


def resolve(channel: str, options: S3Options, config_file: Path | None, env: Environment) -> Resolved:
    """The settings of a channel.  Raises BadConfig.

    `options` are those of the command line, `config_file` that of `--config`.  Options win over variables, those over
    files.  Credentials are searched in rattler's store if an endpoint or `s3-options` is known.  boto3's own chain adds
    the values that are still missing.
    """
    config = load(config_file, env)
    target = Target(channel)
    settings: dict[str, Setting] = {}
    if target.in_bucket:
        settings, searched = _of_bucket(channel, options, config, env)
        network = network_settings(config, env)
        target = replace(target, s3=replace(_options(settings), searched=searched, network=network_of(network)))
        settings = {**settings, **network}
        channel = target.name
    else:
        channel = str((env.folder / channel).resolve())
    index = config.index(channel)
    downloads = config.downloads()
    values = {**index, **({"downloads": downloads} if downloads else {})}
    of_files = [Setting(kebab(name), each.value, of_file(each.source)) for name, each in values.items()]
    return Resolved(target, index, downloads.value if downloads else None, (*settings.values(), *of_files))


def _of_bucket(
    channel: str, options: S3Options, config: Config, env: Environment
) -> tuple[dict[str, Setting], tuple[str, ...]]:
    """The settings of a bucket by the field of S3Options, and the places that were searched in vain."""
    table = config.bucket(urlsplit(channel).netloc)
    settings = _merged(options, table, env)
    _validate(settings)
    if options.anonymous:
        settings = {name: setting for name, setting in settings.items() if name not in _KEYS}
        origin = Origin(Kind.OPTION, "--no-sign-request")
        return {**settings, "anonymous": Setting("no-sign-request", value=True, origin=origin)}, ()
    if options.profile:
        return {**settings, "profile": Setting("profile", options.profile, Origin(Kind.OPTION, "--profile"))}, ()
    if "access_key_id" in settings or not (table or "endpoint_url" in settings):
        return settings, ()
    keys, searched = _of_credential_store(channel, config, env)
    settings = {**settings, **keys}
    _validate(settings)
    return settings, searched


def _of_credential_store(channel: str, config: Config, env: Environment) -> tuple[dict[str, Setting], tuple[str, ...]]:
    """The keys in rattler's store; if there are none, the places that were searched."""
    override = config.auth_file()
    places = credentials.backends(env, env.folder / override.value if override else None)
    match = credentials.find(channel, places)
    if match is None:
        return {}, tuple(map(str, places))
    origin = Origin(Kind.STORE, str(match.place), match.key)
    values = {name: getattr(match.keys, name) for name in _KEYS}
    return {name: _setting(name, value, origin) for name, value in values.items() if value}, ()


def _validate(settings: Mapping[str, Setting]) -> None:
    """Raise BadConfig for an invalid setting.  The message has the setting and its origin, and no secret."""
    if error := _options(settings).validate():
        field, reason, step = error
        origin = settings[field].origin
        # An option and a variable have the name of the setting in them.
        thing = str(origin) if origin.kind in {Kind.OPTION, Kind.VARIABLE} else f"{origin}: {kebab(field)}"
        value = f" {settings[field].value}" if field == "addressing_style" else ""
        raise BadConfig(f"{thing}{value}", reason, step)
    if provider := settings.get("provider"):
        check_provider(str(provider.value), str(provider.origin))


def of_variables(env: Environment) -> S3Options:
    """The settings in the variables `S3_ENDPOINT_URL` and so on alone; no file is read.  Raises BadConfig."""
    settings = _merged(S3Options(), None, env)
    _validate(settings)
    return _options(settings)


def _options(settings: Mapping[str, Setting]) -> S3Options:
    values = {name: setting.value for name, setting in settings.items()}
    return S3Options(**values, origins=tuple((name, str(setting.origin)) for name, setting in settings.items()))


def _merged(options: S3Options, table: FileValue | None, env: Environment) -> dict[str, Setting]:
    """The settings of a table of a file, of variables and of options: the later ones win."""
    settings: dict[str, Setting] = {}
    if table is not None:
        bucket = table.value
        values = {"endpoint_url": bucket.endpoint_url, "region": bucket.region, "addressing_style": bucket.style}
        settings = {
            name: _setting(name, value, of_file(table.source)) for name, value in values.items() if trimmed(value)
        }
    for name in _FIELDS:
        variable, value = f"S3_{name.upper()}", getattr(options, name)
        # The keys of a profile that is an option win over keys in variables.
        if trimmed(env.variable(variable)) and not (options.profile and name in _KEYS):
            settings[name] = _setting(name, env.variable(variable), Origin(Kind.VARIABLE, variable))
        if value:
            settings[name] = _setting(name, value, Origin(Kind.OPTION, f"--{kebab(name)}"))
    return settings


def _setting(name: str, value: object, origin: Origin) -> Setting:
    return Setting(kebab(name), trimmed(value), origin, secret=name in _KEYS)


def explain(resolved: Resolved) -> list[Setting]:
    """The settings of a channel, and for a bucket the settings that boto3's chain adds.

    The chain may ask AWS for credentials, as a run would.  If it has none, the setting shows the reason.
    """
    settings = {setting.name: setting for setting in resolved.settings}
    if resolved.target.in_bucket:
        from indexer.store.s3.chain import chain_of

        settings = {**_of_boto3(chain_of(resolved.target.s3), resolved.target), **settings}
    return list(settings.values())


def _of_boto3(chain: Chain, target: Target) -> dict[str, Setting]:
    from indexer.store.s3.chain import endpoint_of, region_of
    from indexer.store.s3.network import trust_of
    from indexer.store.s3.providers import addressing_of, provider_of

    options, bucket = target.s3, urlsplit(target.location).netloc
    endpoint = endpoint_of(chain, options)
    provider = provider_of(endpoint.value or None, options.provider)
    region = region_of(chain, options, provider)
    style = {"virtual": "virtual-host", "path": "path"}[addressing_of(provider, endpoint.value or None, bucket)]
    settings = [
        Setting("endpoint-url", endpoint.value or "that of AWS", _chained(endpoint.name)),
        Setting("provider", provider.name, Origin(Kind.DEFAULT, "by the endpoint")),
        Setting("region", region.value, _chained(region.name)),
        Setting("addressing-style", style, _chained(f"provider {provider.name}")),
    ]
    trust = trust_of(options.network, chain)
    if isinstance(trust.verify, str):
        chain.trust_also(trust.verify)
    if isinstance(trust.verify, str) and trust.setting != "tls-root-certs":
        settings.append(Setting("certificates", trust.verify, Origin(Kind.VARIABLE, trust.setting)))
    if options.access_key_id is None and not options.anonymous:
        settings += _keys_of_boto3(chain, target, trust)
    return {setting.name: setting for setting in settings}


def _keys_of_boto3(chain: Chain, target: Target, trust: Trust) -> list[Setting]:
    from indexer.store.s3.chain import keys_of

    try:
        method, keys_now = keys_of(chain, target, trust)
    except (BadConfig, Denied) as error:
        return [Setting("access-key-id", f"none: {error.reason}", Origin(Kind.BOTO3))]
    keys = keys_now()
    values = zip(_KEYS, (keys.access_key, keys.secret_key, keys.token), strict=True)
    return [_setting(name, value, Origin(Kind.BOTO3, method)) for name, value in values if value]


def _chained(name: str) -> Origin:
    """The origin of a value of boto3's chain: a variable, the row of a provider, a profile, or the default."""
    if name.startswith("AWS_"):
        return Origin(Kind.VARIABLE, name)
    if name.startswith("provider ") or not name:
        return Origin(Kind.DEFAULT, name)
    return Origin(Kind.BOTO3, name)
