"""Connects to a bucket: makes its client from the options of a target and the row of its provider."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore.exceptions import BotoCoreError
from botocore.utils import ensure_boolean

from indexer.core.errors import BadConfig
from indexer.store.redact import masked, register_secrets
from indexer.store.s3.client import Client
from indexer.store.s3.endpoint import Endpoint
from indexer.store.s3.http import Connections
from indexer.store.s3.network import proxy_of, trusting
from indexer.store.s3.providers import addressing_of, provider_of
from indexer.store.s3.session import endpoint_of, keys_of, region_of, renewed, session_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from indexer.store.s3.providers import Provider
    from indexer.store.s3.retry import Retries
    from indexer.store.target import S3Options, Target

_STEP = "check the settings; `indexer doctor --show-config` shows where each comes from"
_VIRTUAL = {"virtual", "virtual-host"}


def connect(bucket: str, target: Target, retries: Retries) -> Client:
    """The client for a bucket.  Sends no request to the store.  Raises BadConfig, and Denied without keys."""
    options = target.s3
    register_secrets(options.secret_access_key, options.session_token)
    if error := options.validate():
        field, reason, step = error
        raise BadConfig(options.setting_of(field), reason, step)
    try:
        return _connect(bucket, target, retries)
    except BotoCoreError as error:
        raise BadConfig(target.name, masked(error), _STEP) from error


def _connect(bucket: str, target: Target, retries: Retries) -> Client:
    options = target.s3
    core = botocore.session.Session()
    session = session_of(options, core)
    trust = trusting(options.network, core)
    keys = _keys(session, target, trust)
    # boto3 reads an endpoint from the environment and the profile, too.
    chained = endpoint_of(session, options)
    provider = provider_of(chained.value or None, options.provider)
    endpoint = Endpoint(
        bucket,
        chained.value,
        region_of(session, options, provider).value,
        provider,
        chained.name or dict(options.origins).get("endpoint_url", ""),
        _rules(bucket, options, provider, chained.value, core),
    )
    address = endpoint.address()
    proxy = proxy_of(options.network, address.origin)
    return Client(endpoint, Connections(trust, proxy, target.connections), keys, retries, trust)


def _keys(session: Any, target: Target, trust: Any) -> Callable[[], Any]:
    """A function that returns the keys as they are now."""
    if target.s3.anonymous:
        return lambda: None
    keys_of(session, target, trust)
    return partial(renewed, session.get_credentials())


def _rules(bucket: str, options: S3Options, provider: Provider, endpoint: str, core: Any) -> Mapping[str, bool]:
    """The parameters of botocore's rules, by the options and the AWS profile."""
    profile = core.get_scoped_config().get("s3", {})
    style = options.addressing_style or profile.get("addressing_style") or addressing_of(provider, endpoint, bucket)
    rules = {"ForcePathStyle": style not in _VIRTUAL if endpoint else style == "path"}
    if not endpoint:
        accelerated = ensure_boolean(profile.get("use_accelerate_endpoint", False))
        dual = core.get_config_variable("use_dualstack_endpoint") or profile.get("use_dualstack_endpoint", False)
        fips = core.get_config_variable("use_fips_endpoint")
        rules |= {"Accelerate": accelerated, "UseDualStack": ensure_boolean(dual), "UseFIPS": ensure_boolean(fips)}
    return rules
