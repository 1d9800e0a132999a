"""Connects to a bucket: makes its client from the options of a target and the row of its provider."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError
from botocore.utils import ensure_boolean

from indexer.core.errors import BadConfig
from indexer.store.redact import masked, register_secrets
from indexer.store.s3.chain import chain_of, endpoint_of, keys_of, region_of
from indexer.store.s3.client import Client
from indexer.store.s3.endpoint import Endpoint
from indexer.store.s3.http import Connections, tls_of
from indexer.store.s3.network import proxy_of, trust_of
from indexer.store.s3.providers import addressing_of, provider_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from ssl import SSLContext

    from indexer.store.s3.chain import Chain
    from indexer.store.s3.network import Trust
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
    chain = chain_of(options)
    trust = trust_of(options.network, chain)
    if isinstance(trust.verify, str):
        chain.trust_also(trust.verify)
    keys = (lambda: None) if options.anonymous else keys_of(chain, target, trust)[1]
    # boto3 reads an endpoint from the environment and the profile, too.
    chained = endpoint_of(chain, options)
    provider = provider_of(chained.value or None, options.provider)
    endpoint = Endpoint(
        bucket,
        chained.value,
        region_of(chain, options, provider).value,
        provider,
        chained.name or dict(options.origins).get("endpoint_url", ""),
        _rules(bucket, options, provider, chained.value, chain),
    )
    address = endpoint.address()
    proxy = proxy_of(options.network, address.origin)
    tls = _tls(trust) if "https:" in f"{address.origin} {proxy}" else None
    return Client(endpoint, address, Connections(tls, proxy, target.connections), keys, retries, trust)


def _tls(trust: Trust) -> SSLContext:
    try:
        return tls_of(trust)
    except OSError as error:
        name = trust.setting or "the certifi package"
        reason = f"has a certificate that cannot be read ({masked(error)})"
        raise BadConfig(name, reason, "name a file in PEM form") from error


def _rules(bucket: str, options: S3Options, provider: Provider, endpoint: str, chain: Chain) -> Mapping[str, bool]:
    """The parameters of botocore's rules, by the options, the variables and the AWS profile."""
    profile = chain.section().get("s3", {})
    style = options.addressing_style or profile.get("addressing_style") or addressing_of(provider, endpoint, bucket)
    in_path = style not in _VIRTUAL if endpoint else style == "path"
    # The ARN of an access point is never a part of a path.
    rules = {"ForcePathStyle": in_path and not bucket.startswith("arn:")}
    if not endpoint:
        accelerated = profile.get("use_accelerate_endpoint", False)
        dual = chain.variable("use_dualstack_endpoint") or profile.get("use_dualstack_endpoint", False)
        fips = chain.variable("use_fips_endpoint")
        wanted = {"Accelerate": accelerated, "UseDualStack": dual, "UseFIPS": fips}
        rules |= {name: ensure_boolean(value or False) for name, value in wanted.items()}
    return rules
