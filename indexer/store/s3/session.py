"""boto3's session for a bucket: what its own chain adds to the options, and what is said where nobody has a key."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore.configprovider import ConfiguredEndpointProvider
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    MetadataRetrievalError,
    NoCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)

from indexer.core.errors import BadConfig, Denied, IndexerError
from indexer.store.header_values import refuse_unsendable, trimmed
from indexer.store.redact import register_secrets
from indexer.store.s3.network import CERTIFI, Trust, refuse_distrust
from indexer.store.target import endpoint_error

if TYPE_CHECKING:
    from indexer.store.s3.providers import Provider
    from indexer.store.target import S3Options, Target

_DEFAULT_REGION = "us-east-1"
_STEP = "give --access-key-id and --secret-access-key, a --profile, or --no-sign-request"
_AWS = re.compile(r"(.*\.)?amazonaws\.com(\.cn)?")


class Chained(NamedTuple):
    """A value, and the variable, profile or provider that has it; no name where it was given, or is a default."""

    value: str
    name: str = ""


def session_of(options: S3Options, core: botocore.session.Session | None = None) -> Any:
    """A session with the options that were given; each that was not comes from boto3's chain.  Raises BadConfig."""
    try:
        return boto3.Session(
            botocore_session=core or botocore.session.Session(),
            aws_access_key_id=options.access_key_id,
            aws_secret_access_key=options.secret_access_key,
            aws_session_token=options.session_token,
            region_name=options.region,
            profile_name=options.profile,
        )
    except ProfileNotFound as error:
        named = options.profile or os.environ.get("AWS_PROFILE")
        raise BadConfig(f"profile {named}", str(error), "name a profile of ~/.aws/config") from error


def region_of(session: Any, options: S3Options, provider: Provider) -> Chained:
    """The region.  `AWS_REGION` is every SDK's variable but boto3's."""
    if options.region:
        return Chained(options.region)
    if provider.region:
        # A region of AWS's own places is meant for AWS, and many CI jobs have one.
        return Chained(provider.region, f"provider {provider.name}")
    named = Chained(session.region_name or "", _profile(session))
    return _of_variables("AWS_REGION", "AWS_DEFAULT_REGION") or _sendable("region", named) or Chained(_DEFAULT_REGION)


def endpoint_of(session: Any, options: S3Options) -> Chained:
    """The endpoint, empty for AWS's own."""
    if options.endpoint_url:
        return Chained(options.endpoint_url)
    core = session._session  # noqa: SLF001  boto3 shows nothing of what it read
    if core.get_config_variable("ignore_configured_endpoint_urls"):
        return Chained("")
    found = ConfiguredEndpointProvider(core.full_config, core.get_scoped_config(), "s3").provide()
    if not found:
        return Chained("")
    named = Chained(found, _profile(session))
    chosen = _of_variables("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL") or _sendable("endpoint", named) or Chained("")
    if wrong := endpoint_error(chosen.value or None):
        raise BadConfig(f"the endpoint of {chosen.name}", *wrong)
    return chosen


def _of_variables(*names: str) -> Chained | None:
    return next(filter(None, (_sendable("", Chained(os.environ.get(name, ""), name)) for name in names)), None)


def _sendable(what: str, found: Chained) -> Chained | None:
    """A value of boto3's chain without the white space at its end, None if nothing is left.  Raises BadConfig."""
    value = trimmed(found.value)
    refuse_unsendable(f"the {what} of {found.name}" if what else found.name, value)
    return found._replace(value=value) if value else None


def _profile(session: Any) -> str:
    return f"profile {session.profile_name}"


def keys_of(session: Any, target: Target, trust: Trust = CERTIFI) -> tuple[str, Any]:
    """The provider of boto3's chain that has keys, and what they are now.

    Raises BadConfig if no setting gives keys, and Denied if a service refuses to give or renew them.
    """
    try:
        found = session.get_credentials()
        if found is None:
            raise NoCredentialsError
        keys = found.get_frozen_credentials()
    except (BotoCoreError, ClientError, ValueError, RuntimeError) as error:  # boto3's own, each of them
        refuse_distrust(error, trust)
        raise _no_keys(session, target, error) from error
    register_secrets(keys.secret_key, keys.token)
    clean = type(keys)(*map(trimmed, keys))
    if clean != keys and not isinstance(found, RefreshableCredentials):
        # The line break of a file, in a variable: http.client would refuse the header, and quote it.
        keys = clean
        session._session.set_credentials(*keys[:3])  # noqa: SLF001  boto3 has no method for it
    for what, value in zip(("access key", "secret key", "session token"), keys[:3], strict=True):
        refuse_unsendable(f"the {what} that boto3 found ({found.method})", value)
    return found.method, keys


def _no_keys(session: Any, target: Target, error: Exception) -> IndexerError:
    refused = (ClientError, CredentialRetrievalError, MetadataRetrievalError, SSOError, TokenRetrievalError)
    kind = Denied if isinstance(error, refused) else BadConfig
    endpoint = endpoint_of(session, target.s3).value
    if not endpoint or _AWS.fullmatch(urlsplit(endpoint).hostname or ""):
        expired = isinstance(error, (SSOError, TokenRetrievalError))
        step = f"run `aws sso login --profile {session.profile_name}`" if expired else _STEP
        return kind(target.name, f"there are no credentials for {_profile(session)} of AWS ({error})", step)
    # boto3 would say that the session with AWS has expired; but the bucket is somewhere else.
    looked = ("the options", "S3_*", *target.s3.searched, f"AWS_* and {_profile(session)} of AWS")
    return kind(
        target.name,
        f"there are no credentials for {endpoint} in any of: {', '.join(looked)}",
        f"run `pixi auth login s3://{urlsplit(target.location).netloc}`, or {_STEP}",
    )
