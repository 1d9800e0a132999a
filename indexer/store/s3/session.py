"""boto3's session for a bucket: the values that its own chain adds to the options, and the error if it has no keys."""

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
from indexer.store.redact import masked, register_secrets
from indexer.store.s3.network import CERTIFI, Trust, refuse_distrust
from indexer.store.target import endpoint_error

if TYPE_CHECKING:
    from indexer.store.s3.providers import Provider
    from indexer.store.target import S3Options, Target

_DEFAULT_REGION = "us-east-1"
_STEP = "use --access-key-id and --secret-access-key, a --profile, or --no-sign-request"
# The types that boto3 raises if it cannot get or renew credentials.
_OF_CREDENTIALS = (BotoCoreError, ClientError, ValueError, RuntimeError, KeyError)
_AWS = re.compile(r"(.*\.)?amazonaws\.com(\.cn)?")


class NoKeys(Exception):
    """Credentials expired during a run, and cannot be renewed; the text is the reason."""


class Chained(NamedTuple):
    """A value, and the variable, profile or provider that has it; no name for an option or a default."""

    value: str
    name: str = ""


def session_of(options: S3Options, core: botocore.session.Session | None = None) -> Any:
    """A session with the options; options that are None come from boto3's chain.  Raises BadConfig."""
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
        name = options.profile or os.environ.get("AWS_PROFILE")
        raise BadConfig(f"profile {name}", str(error), "name a profile of ~/.aws/config") from error


def region_of(session: Any, options: S3Options, provider: Provider) -> Chained:
    """The region.  All SDKs of AWS except boto3 read `AWS_REGION`."""
    if options.region:
        return Chained(options.region)
    if provider.region:
        # A region in a variable or a profile is meant for AWS, and many CI jobs have one.
        return Chained(provider.region, f"provider {provider.name}")
    in_profile = Chained(session.region_name or "", _profile(session))
    return (
        _of_variables("AWS_REGION", "AWS_DEFAULT_REGION") or _sendable("region", in_profile) or Chained(_DEFAULT_REGION)
    )


def endpoint_of(session: Any, options: S3Options) -> Chained:
    """The endpoint, empty for that of AWS.  Raises BadConfig."""
    if options.endpoint_url:
        return Chained(options.endpoint_url)
    core = session._session  # noqa: SLF001  boto3 has no method for it
    if core.get_config_variable("ignore_configured_endpoint_urls"):
        return Chained("")
    configured = ConfiguredEndpointProvider(core.full_config, core.get_scoped_config(), "s3").provide()
    if not configured:
        return Chained("")
    in_profile = Chained(configured, _profile(session))
    endpoint = _of_variables("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL") or _sendable("endpoint", in_profile)
    if endpoint is None:
        return Chained("")
    if error := endpoint_error(endpoint.value):
        raise BadConfig(f"the endpoint of {endpoint.name}", *error)
    return endpoint


def _of_variables(*names: str) -> Chained | None:
    return next(filter(None, (_sendable("", Chained(os.environ.get(name, ""), name)) for name in names)), None)


def _sendable(field: str, chained: Chained) -> Chained | None:
    """A value of boto3's chain without the white space at its end, None if nothing is left.  Raises BadConfig."""
    value = trimmed(chained.value)
    refuse_unsendable(f"the {field} of {chained.name}" if field else chained.name, value)
    return chained._replace(value=value) if value else None


def _profile(session: Any) -> str:
    return f"profile {session.profile_name}"


def keys_of(session: Any, target: Target, trust: Trust = CERTIFI) -> tuple[str, Any]:
    """The provider of boto3's chain that has keys, and the keys as they are now.

    Raises BadConfig if no setting gives keys, and Denied if a service refuses to give or renew them.
    """
    try:
        credentials = session.get_credentials()
        if credentials is None:
            raise NoCredentialsError
        keys = credentials.get_frozen_credentials()
    except _OF_CREDENTIALS as error:
        refuse_distrust(error, trust)
        raise _no_keys(session, target, error) from error
    register_secrets(keys.secret_key, keys.token)
    clean = type(keys)(*map(trimmed, keys))
    if clean != keys and not isinstance(credentials, RefreshableCredentials):
        # A variable may end in the line break of a file: http.client would refuse the header, and quote it.
        keys = clean
        session._session.set_credentials(*keys[:3])  # noqa: SLF001  boto3 has no method for it
    for name, value in zip(("access key", "secret key", "session token"), keys[:3], strict=True):
        refuse_unsendable(f"the {name} that boto3 found ({credentials.method})", value)
    return credentials.method, keys


def renewed(credentials: Any) -> Any:
    """The keys of boto3's credentials as they are now, renewed if they expire soon.  Raises NoKeys."""
    try:
        keys = credentials.get_frozen_credentials()
    except _OF_CREDENTIALS as error:
        raise NoKeys(masked(error)) from error
    register_secrets(keys.token)  # boto3 renews credentials by itself, so each request may have a new token
    return keys


def _no_keys(session: Any, target: Target, error: Exception) -> IndexerError:
    refused = (ClientError, CredentialRetrievalError, MetadataRetrievalError, SSOError, TokenRetrievalError)
    kind = Denied if isinstance(error, refused) else BadConfig
    endpoint = endpoint_of(session, target.s3).value
    if not endpoint or _AWS.fullmatch(urlsplit(endpoint).hostname or ""):
        expired = isinstance(error, (SSOError, TokenRetrievalError))
        step = f"run `aws sso login --profile {session.profile_name}`" if expired else _STEP
        return kind(target.name, f"there are no credentials for {_profile(session)} of AWS ({error})", step)
    # The message of boto3 would be that the session with AWS has expired; but the bucket is not at AWS.
    searched = ("the options", "S3_*", *target.s3.searched, f"AWS_* and {_profile(session)} of AWS")
    return kind(
        target.name,
        f"there are no credentials for {endpoint} in any of: {', '.join(searched)}",
        f"run `pixi auth login s3://{urlsplit(target.location).netloc}`, or {_STEP}",
    )
