"""Makes the boto3 client of a bucket, from the options of a target and the row of its provider."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from urllib3 import disable_warnings
from urllib3.exceptions import InsecureRequestWarning

from indexer.core.errors import BadConfig
from indexer.store.redact import masked, register_secrets
from indexer.store.s3.content_md5 import send_content_md5
from indexer.store.s3.entries import parse_listings_here
from indexer.store.s3.network import Trust, proxies_of, refuse_distrust, trusting
from indexer.store.s3.providers import Addressing, Provider, addressing_of, provider_of
from indexer.store.s3.session import endpoint_of, keys_of, region_of, session_of
from indexer.store.s3.times import time_of
from indexer.store.s3.wrong_server import refuse_other_servers

if TYPE_CHECKING:
    from indexer.store.target import S3Options, Target

_STYLES: dict[str, Addressing] = {"virtual-host": "virtual", "path": "path"}
_STEP = "check the settings; `indexer doctor --show-config` shows where each comes from"
_CONFIG: dict[str, Any] = {
    # We send Content-MD5.  botocore's checksums are trailers that stores other than
    # AWS refuse or, worse, keep inside the file (boto/boto3#4392, #4435); and a checksum of the
    # whole object on a ranged answer fails the read (ceph/ceph#61901).
    "request_checksum_calculation": "when_required",
    "response_checksum_validation": "when_required",
    "retries": {"mode": "standard", "total_max_attempts": 1},  # indexer.store.s3.retry sends requests again
    "connect_timeout": 10,
    "read_timeout": 60,
    "user_agent_extra": "conda-channel-indexer",
}


def connect(bucket: str, target: Target) -> tuple[Any, Provider]:
    """A client for a bucket, and the row of its provider.  Raises BadConfig, and Denied without keys."""
    register_secrets(target.s3.secret_access_key, target.s3.session_token)
    if error := target.s3.validate():
        field, reason, step = error
        raise BadConfig(target.s3.setting_of(field), reason, step)
    try:
        return _connect(bucket, target)
    except BotoCoreError as error:
        raise BadConfig(target.name, masked(error), _STEP) from error


def _connect(bucket: str, target: Target) -> tuple[Any, Provider]:
    options = target.s3
    core = botocore.session.Session()
    core.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=time_of)
    session = session_of(options, core)
    # boto3 reads an endpoint from the environment and the profile, too.
    chained = endpoint_of(session, options)
    endpoint = chained.value or None
    trust = trusting(options.network, core)
    if not options.anonymous:
        keys_of(session, target, trust)
    provider = provider_of(endpoint, options.provider)
    region = region_of(session, options, provider).value
    config = Config(
        **_CONFIG,
        **_addressing(bucket, options, provider, endpoint, core),
        **({"signature_version": UNSIGNED} if options.anonymous else {}),
        max_pool_connections=target.connections,
        proxies=proxies_of(options.network, endpoint or f"https://s3.{region}.amazonaws.com"),
    )
    verify = False if trust.verify is False else None
    if verify is False:
        disable_warnings(InsecureRequestWarning)  # one for each request; ours is printed once
    try:
        client = session.client("s3", region_name=region, endpoint_url=endpoint, config=config, verify=verify)
    except ValueError as error:  # an invalid endpoint or region
        raise BadConfig(target.name, masked(error), _STEP) from error
    client.meta.events.register("needs-retry.s3", partial(_refuse_distrust, trust))
    parse_listings_here(client)
    send_content_md5(client)
    refuse_other_servers(client, chained.name or dict(options.origins).get("endpoint_url", ""))
    return client, provider


def _addressing(
    bucket: str, options: S3Options, provider: Provider, endpoint: str | None, core: Any
) -> dict[str, dict[str, Addressing]]:
    """The addressing style as botocore's Config takes it; empty if the AWS profile has one."""
    if options.addressing_style is not None:
        return {"s3": {"addressing_style": _STYLES[options.addressing_style]}}
    if "addressing_style" in core.get_scoped_config().get("s3", {}):
        return {}
    return {"s3": {"addressing_style": addressing_of(provider, endpoint, bucket)}}


def _refuse_distrust(trust: Trust, caught_exception: object, **_: object) -> None:
    """Raise BadConfig at the first try: another try would meet the same certificate."""
    refuse_distrust(caught_exception, trust)
