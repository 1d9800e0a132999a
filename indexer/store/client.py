"""The boto3 client of a bucket: made from the options of a target and from its provider's row."""

from __future__ import annotations

import contextlib
import os
import re
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore import UNSIGNED
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ProfileNotFound
from botocore.utils import parse_timestamp

from indexer.errors import BadConfig
from indexer.secrets import masked, note
from indexer.store.providers import Addressing, Provider, addressing_of, provider_of

if TYPE_CHECKING:
    from indexer.store.target import S3Options, Target

_NO_SIGN = re.compile(r"[^!-~]")
_STYLES: dict[str, Addressing] = {"virtual-host": "virtual", "path": "path"}


def connect(bucket: str, target: Target) -> tuple[Any, Provider]:
    """A client for a bucket, and the row of the store that it leads to.  Raises BadConfig."""
    options = target.s3
    note(options.secret_access_key, options.session_token)
    _check(options)
    provider = provider_of(options.endpoint_url, options.provider)
    try:
        client = _client(bucket, target, provider)
        # boto3 finds an endpoint in the environment and in the profile too, and only then tells.
        _check_endpoint(client.meta.endpoint_url)
        found = provider_of(client.meta.endpoint_url, options.provider)
        if found != provider:
            client.close()
            client = _client(bucket, target, found)
    except ProfileNotFound as error:
        named = options.profile or os.environ.get("AWS_PROFILE")
        raise BadConfig(f"profile {named}", str(error), "name a profile of ~/.aws/config") from error
    except (BotoCoreError, ValueError) as error:
        raise BadConfig(target.name, masked(error), "look at the S3 options and AWS_* variables") from error
    return client, found


def _client(bucket: str, target: Target, provider: Provider) -> Any:
    options = target.s3
    core = botocore.session.Session()
    core.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_time)
    session = boto3.Session(
        botocore_session=core,
        aws_access_key_id=options.access_key_id,
        aws_secret_access_key=options.secret_access_key,
        aws_session_token=options.session_token,
        region_name=options.region,
        profile_name=options.profile,
    )
    shape: dict[str, Any] = {
        # Our own integrity is Content-MD5.  botocore's checksums are trailers that stores other than
        # AWS refuse or, worse, keep inside the file (boto/boto3#4392, #4435); and a checksum of the
        # whole object on a ranged answer fails the read (ceph/ceph#61901).
        "request_checksum_calculation": "when_required",
        "response_checksum_validation": "when_required",
        "retries": {"mode": "standard", "total_max_attempts": 1},  # indexer.store.retries has them
        "connect_timeout": 10,
        "read_timeout": 60,
        "max_pool_connections": target.connections,
        "user_agent_extra": "conda-channel-indexer",
    }
    if options.addressing_style is not None:
        shape["s3"] = {"addressing_style": _STYLES[options.addressing_style]}
    elif "addressing_style" not in core.get_scoped_config().get("s3", {}):
        shape["s3"] = {"addressing_style": addressing_of(provider, options.endpoint_url, bucket)}
    if options.anonymous:
        shape["signature_version"] = UNSIGNED
    # A region of AWS's own places is meant for AWS, and many CI jobs have one.
    region = options.region or provider.region or session.region_name or "us-east-1"
    client = session.client("s3", region_name=region, endpoint_url=options.endpoint_url, config=Config(**shape))
    _note_credentials(session)
    return client


def _time(text: str) -> datetime:
    """A time as listings and headers have it: botocore's own parser takes longer than all else of a listing."""
    with contextlib.suppress(ValueError, AttributeError):
        return datetime.fromisoformat(text.replace("Z", "+00:00"))
    with contextlib.suppress(ValueError, TypeError):
        return parsedate_to_datetime(text)
    return parse_timestamp(text)  # type: ignore[no-any-return]  # botocore has no types


def _check(options: S3Options) -> None:
    """Raise BadConfig for half a pair of keys, with which botocore would sign, and for keys in the wrong place."""
    if bool(options.access_key_id) != bool(options.secret_access_key):
        given, missing = "--access-key-id", "--secret-access-key"
        if options.secret_access_key:
            given, missing = missing, given
        raise BadConfig(given, f"is given without {missing}", "give both, or neither and let AWS's own places tell")
    if options.session_token and not options.access_key_id:
        raise BadConfig("--session-token", "is given without --access-key-id", "give it with its pair of keys")
    if options.endpoint_url:
        _check_endpoint(options.endpoint_url)


def _check_endpoint(url: str) -> None:
    # Whatever stands before an @, and with or without a scheme, is not printed.
    if "@" in url:
        raise BadConfig("the endpoint", "has a user or password in it", "give --access-key-id and --secret-access-key")


def _note_credentials(session: boto3.Session) -> None:
    credentials = session.get_credentials()  # made with the client, or none for an anonymous one
    if type(credentials) is Credentials:  # others fetch them only when asked
        note(credentials.secret_key, credentials.token)
        _check_signs("the secret key", credentials.secret_key)
        _check_signs("the session token", credentials.token)


def _check_signs(what: str, secret: str | None) -> None:
    # Such as the line break of a file: http.client refuses the header, and its error quotes it.
    if secret and _NO_SIGN.search(secret):
        raise BadConfig(what, "has white space or other characters in it that no key has", "give it without them")
