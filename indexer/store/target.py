"""Names a channel and how to reach it, as values that travel to other processes."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field, fields
from pathlib import Path
from urllib.parse import urlsplit

from indexer.core.errors import BadConfig
from indexer.store.header_values import REASON, STEP, is_sendable, trimmed
from indexer.store.redact import masked

ADDRESSING_STYLES = ("virtual-host", "path")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# The fields of S3Options that go into a header or a URL.
_SENT = ("endpoint_url", "region", "access_key_id", "secret_access_key", "session_token")


@dataclass(frozen=True, slots=True)
class Network:
    """The settings of TLS and proxies in pixi's configuration.

    `root_certs` is `system` or `webpki` (the certificates of certifi).  A proxy may have a password in its URL.
    """

    root_certs: str | None = None
    no_verify: bool = False
    https_proxy: str | None = field(default=None, repr=False)
    http_proxy: str | None = field(default=None, repr=False)
    non_proxy_hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class S3Options:
    """The settings to reach a bucket.  Each field can be set without the others.

    A field that is None is filled from boto3's own chain, or from the table of providers
    (indexer/store/s3/providers.py).  White space at the end of a text is dropped.
    `network` has the settings of TLS and proxies.
    `searched` names the places that were searched for credentials in vain, for the message if boto3 has none either.
    `origins` has pairs of a field and the setting that a person used for it: an option, a variable, a table of a file.
    """

    endpoint_url: str | None = None
    region: str | None = None
    addressing_style: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    profile: str | None = None
    provider: str | None = None
    anonymous: bool = False
    searched: tuple[str, ...] = ()
    network: Network = field(default_factory=Network)
    origins: tuple[tuple[str, str], ...] = field(default=(), compare=False, repr=False)

    def __post_init__(self) -> None:
        """Drop white space at the end of each text, such as the line break of a file."""
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, str):
                object.__setattr__(self, each.name, trimmed(value))

    def setting_of(self, field: str) -> str:
        """The setting that a person used for a field; the field's own name if a program set it."""
        return dict(self.origins).get(field, field)

    def _setting_beside(self, field: str, other: str) -> str:
        """The name of another field as the same kind of setting (option, variable or key) that a person used."""
        setting = self.setting_of(field)
        if setting.startswith("--"):
            return f"--{other.replace('_', '-')}"
        return f"S3_{other.upper()}" if setting == f"S3_{field.upper()}" else other

    def validate(self) -> tuple[str, str, str] | None:
        """The first invalid field, the reason and the next step; None if all fields are valid.

        One key of the pair is an error here: boto3 would sign with it and be refused.
        """
        for name in _SENT:
            if not is_sendable(getattr(self, name)):
                return name, REASON, STEP
        if self.addressing_style not in {None, *ADDRESSING_STYLES}:
            return "addressing_style", "is not virtual-host or path", "use one of them"
        reason = endpoint_error(self.endpoint_url)
        return self._half_pair() or (("endpoint_url", *reason) if reason else None)

    def _half_pair(self) -> tuple[str, str, str] | None:
        """The field of credentials that needs another one, the reason and the next step."""
        step = "set both, or neither"
        if self.access_key_id:
            if self.secret_access_key:
                return None
            return "access_key_id", f"is set without {self._setting_beside('access_key_id', 'secret_access_key')}", step
        if not (self.secret_access_key or self.session_token):
            return None
        field = "secret_access_key" if self.secret_access_key else "session_token"
        return field, f"is set without {self._setting_beside(field, 'access_key_id')}", step


def endpoint_error(endpoint: str | None) -> tuple[str, str] | None:
    """The reason why an endpoint URL is invalid, and the next step; None if the URL is valid or None."""
    if endpoint is None:
        return None
    if "@" in endpoint:  # with a scheme or without, the URL is not printed
        return "has a user or a password in it", "use --access-key-id and --secret-access-key"
    try:
        parts = urlsplit(endpoint)
    except ValueError:  # only one bracket of an IPv6 address
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        return "is not a URL of a store", "use a URL such as https://s3.example.com"
    return None


@dataclass(frozen=True, slots=True)
class Target:
    """A channel: an `s3://BUCKET[/PREFIX]` URL or a folder, and the settings to reach it.

    `in_bucket` is true for a URL.
    """

    location: str
    s3: S3Options = field(default_factory=S3Options)
    connections: int = 64
    in_bucket: bool = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Drop white space at the end of a URL, such as the line break of a file."""
        object.__setattr__(self, "in_bucket", "://" in self.location)
        if self.in_bucket:
            object.__setattr__(self, "location", self.location.rstrip())

    @property
    def name(self) -> str:
        """The channel's name in messages and reports, as a person would type it."""
        return self.location.rstrip("/") if self.in_bucket else str(Path(self.location))

    @property
    def command(self) -> str:
        """The command that indexes the channel, as a person types it in a shell."""
        return f"indexer {'s3' if self.in_bucket else 'fs'} {shlex.quote(self.name)}"

    @property
    def bucket_and_prefix(self) -> tuple[str, str]:
        """The bucket, and the prefix of all keys of the channel: empty, or ending in `/`.  Raises BadConfig."""
        if _CONTROL.search(self.location):  # urlsplit drops a line break silently
            raise BadConfig(self.location, "has a control character in it", "remove the character")
        parts = urlsplit(self.location)
        if parts.scheme != "s3" or not parts.netloc or "@" in parts.netloc or parts.query or parts.fragment:
            raise BadConfig(
                masked(self.location),
                "is not of the form s3://BUCKET[/PREFIX]",
                "name the bucket and the channel's prefix",
            )
        if "//" in parts.path:
            parts = parts._replace(path=re.sub("/+", "/", parts.path))
            step = f"use {parts.geturl()}; keys with an empty part cannot be part of a channel"
            raise BadConfig(masked(self.location), "has an empty part (//) in its path", step)
        prefix = parts.path.strip("/")
        return parts.netloc, f"{prefix}/" if prefix else ""

    @property
    def title(self) -> str:
        """The channel's name in the files that it publishes: a folder's name without the path to it."""
        return self.name if self.in_bucket else Path(self.location).resolve().name
