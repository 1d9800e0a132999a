"""boto3's chain for a bucket: the values that it adds to the options, and the error if it has no keys."""

from __future__ import annotations

import os
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

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
from indexer.core.value import Value
from indexer.store.header_values import refuse_unsendable, trimmed
from indexer.store.redact import masked, register_secrets
from indexer.store.s3.http import NoKeys
from indexer.store.s3.network import CERTIFI, Trust, refuse_distrust
from indexer.store.target import endpoint_error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from indexer.store.s3.providers import Provider
    from indexer.store.target import S3Options, Target

_DEFAULT_REGION = "us-east-1"
_STEP = "set S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY, or use a --profile or --no-sign-request"
# The types that boto3 raises if it cannot get or renew credentials.
_OF_CREDENTIALS = (BotoCoreError, ClientError, ValueError, RuntimeError, KeyError)
_AWS = re.compile(r"(.*\.)?amazonaws\.com(\.cn)?")
# The variables that botocore reads if no file has a profile, and those that name a profile or a file.
_VARIABLES = {
    "region": "AWS_DEFAULT_REGION",
    "ca_bundle": "AWS_CA_BUNDLE",
    "ignore_configured_endpoint_urls": "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "use_dualstack_endpoint": "AWS_USE_DUALSTACK_ENDPOINT",
    "use_fips_endpoint": "AWS_USE_FIPS_ENDPOINT",
}
_PROFILES = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE")
_FILES = {"AWS_CONFIG_FILE": "~/.aws/config", "AWS_SHARED_CREDENTIALS_FILE": "~/.aws/credentials"}


class Chained(NamedTuple):
    """A value, and the variable, profile or provider that has it; no name for an option or a default."""

    value: str
    name: str = ""


class Keys(NamedTuple):
    """Credentials with the names that botocore's signer wants."""

    access_key: str | None
    secret_key: str | None
    token: str | None


class Chain(Value, frozen=True):
    """The settings that boto3's chain has: of variables, and of the profile if there is a `session` of boto3.

    To import boto3 and to make a session takes 0.1 s.  So there is none if the keys are options, and no file has a
    profile: then only variables are left of the chain.
    """

    session: Any | None = None

    @property
    def profile(self) -> str:
        """The profile in messages."""
        return f"profile {self.session.profile_name if self.session else 'default'}"

    def variable(self, name: str) -> Any:
        """A setting by botocore's name; None if neither a variable nor the profile has it."""
        if self.session:
            return self._core.get_config_variable(name)
        value = os.environ.get(_VARIABLES[name])
        return value.lower() == "true" if value and value.lower() in {"true", "false"} else value

    def section(self) -> Mapping[str, Any]:
        """The profile."""
        return self._core.get_scoped_config() if self.session else {}

    def endpoint(self) -> str | None:
        """The endpoint for S3 in the variables or the profile."""
        from botocore.configprovider import ConfiguredEndpointProvider

        whole = self._core.full_config if self.session else {}
        endpoint: str | None = ConfiguredEndpointProvider(whole, self.section(), "s3").provide()
        return endpoint

    def trust_also(self, bundle: str) -> None:
        """Trust these certificates in requests for credentials, too."""
        if self.session:
            self._core.set_config_variable("ca_bundle", bundle)

    @property
    def _core(self) -> Any:
        return self.session._session if self.session else None  # noqa: SLF001  boto3 has no method for it


def chain_of(options: S3Options) -> Chain:
    """The chain for options; those that are None come from the chain.  Raises BadConfig."""
    if (options.access_key_id or options.anonymous) and not options.profile and not _has_profile():
        return Chain()
    import boto3

    try:
        session = boto3.Session(
            aws_access_key_id=options.access_key_id,
            aws_secret_access_key=options.secret_access_key,
            aws_session_token=options.session_token,
            region_name=options.region,
            profile_name=options.profile,
        )
    except ProfileNotFound as error:
        name = options.profile or os.environ.get("AWS_PROFILE")
        raise BadConfig(f"profile {name}", str(error), "name a profile of ~/.aws/config") from error
    return Chain(session)


def _has_profile() -> bool:
    """Whether a variable names a profile, or a file of profiles exists."""
    if any(os.environ.get(name) for name in _PROFILES):
        return True
    return any(Path(os.environ.get(name, path)).expanduser().is_file() for name, path in _FILES.items())


def region_of(chain: Chain, options: S3Options, provider: Provider) -> Chained:
    """The region.  All SDKs of AWS except boto3 read `AWS_REGION`."""
    if options.region:
        return Chained(options.region)
    if provider.region:
        # A region in a variable or a profile is meant for AWS, and many CI jobs have one.
        return Chained(provider.region, f"provider {provider.name}")
    in_profile = Chained(chain.variable("region") or "", chain.profile)
    return (
        _of_variables("AWS_REGION", "AWS_DEFAULT_REGION") or _sendable("region", in_profile) or Chained(_DEFAULT_REGION)
    )


def endpoint_of(chain: Chain, options: S3Options) -> Chained:
    """The endpoint, empty for that of AWS.  Raises BadConfig."""
    if options.endpoint_url:
        return Chained(options.endpoint_url)
    if chain.variable("ignore_configured_endpoint_urls"):
        return Chained("")
    configured = chain.endpoint()
    if not configured:
        return Chained("")
    in_profile = Chained(configured, chain.profile)
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


def keys_of(chain: Chain, target: Target, trust: Trust = CERTIFI) -> tuple[str, Callable[[], Any]]:
    """The place that has the keys, and a function that returns the keys as they are now, which may raise NoKeys.

    Raises BadConfig if no setting gives keys, and Denied if a service refuses to give or renew them.
    """
    options = target.s3
    if chain.session is None:
        given = Keys(options.access_key_id, options.secret_access_key, options.session_token)
        return "options", lambda: given
    from botocore.credentials import RefreshableCredentials

    credentials = _of_session(chain, target, trust)
    # A variable may end in the line break of a file: http.client would refuse the header, and quote it.
    keys = Keys(*map(trimmed, credentials.get_frozen_credentials()[:3]))
    for name, value in zip(("access key", "secret key", "session token"), keys, strict=True):
        refuse_unsendable(f"the {name} that boto3 found ({credentials.method})", value)
    if isinstance(credentials, RefreshableCredentials):
        return credentials.method, partial(renewed, credentials)
    return credentials.method, lambda: keys


def _of_session(chain: Chain, target: Target, trust: Trust) -> Any:
    try:
        credentials = chain.session.get_credentials() if chain.session else None
        if credentials is None:
            raise NoCredentialsError
        keys = credentials.get_frozen_credentials()
    except _OF_CREDENTIALS as error:
        refuse_distrust(error, trust)
        raise _no_keys(chain, target, error) from error
    register_secrets(keys.secret_key, keys.token)
    return credentials


def renewed(credentials: Any) -> Any:
    """The keys of botocore's credentials as they are now, renewed if they expire soon.  Raises NoKeys."""
    try:
        keys = credentials.get_frozen_credentials()
    except _OF_CREDENTIALS as error:
        raise NoKeys(masked(error)) from error
    register_secrets(keys.token)  # boto3 renews credentials by itself, so each request may have a new token
    return Keys(*map(trimmed, keys[:3]))


def _no_keys(chain: Chain, target: Target, error: Exception) -> IndexerError:
    refused = (ClientError, CredentialRetrievalError, MetadataRetrievalError, SSOError, TokenRetrievalError)
    kind = Denied if isinstance(error, refused) else BadConfig
    endpoint = endpoint_of(chain, target.s3).value
    if not endpoint or _AWS.fullmatch(urlsplit(endpoint).hostname or ""):
        expired = isinstance(error, (SSOError, TokenRetrievalError))
        other = "" if endpoint else "; for another store than AWS, set S3_ENDPOINT_URL too"
        step = f"run `aws sso login --{chain.profile}`" if expired else f"{_STEP}{other}"
        return kind(target.name, f"there are no credentials for {chain.profile} of AWS ({error})", step)
    # The message of boto3 would be that the session with AWS has expired; but the bucket is not at AWS.
    searched = ("the options", "S3_*", *target.s3.searched, f"AWS_* and {chain.profile} of AWS")
    return kind(
        target.name,
        f"there are no credentials for {endpoint} in any of: {', '.join(searched)}",
        f"run `pixi auth login s3://{urlsplit(target.location).netloc}`, {_STEP}",
    )
