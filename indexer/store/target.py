"""Where a channel lies and how to reach it, as a value that travels to other processes."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from indexer.core.errors import BadConfig
from indexer.store.header_values import REASON, STEP, is_sendable, trimmed
from indexer.store.network_settings import Network
from indexer.store.redact import masked

if TYPE_CHECKING:
    from indexer.store import Store


ADDRESSING_STYLES = ("virtual-host", "path")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# The fields of S3Options that go into a header or a URL.
_SENT = ("endpoint_url", "region", "access_key_id", "secret_access_key", "session_token")


@dataclass(frozen=True, slots=True)
class S3Options:
    """How to reach a bucket.  Each value stands on its own.

    What is None comes from boto3's own chain, or from the table of providers (indexer/store/s3/providers.py).
    White space at the end of a text is dropped.
    `network` is what pixi's configuration says of TLS and proxies.
    `looked` names the places where keys were looked for in vain, for the message where boto3 has none either.
    `origins` says by field what a person used for it: an option, a variable, a table of a file.
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
    looked: tuple[str, ...] = ()
    network: Network = field(default_factory=Network)
    origins: tuple[tuple[str, str], ...] = field(default=(), compare=False, repr=False)

    def named(self, field: str) -> str:
        """What a person used for a field; its own name where a program gave it."""
        return dict(self.origins).get(field, field)

    def _beside(self, field: str, other: str) -> str:
        """The name of another field, in the kind that a person used for this one."""
        named = self.named(field)
        if named.startswith("--"):
            return f"--{other.replace('_', '-')}"
        return f"S3_{other.upper()}" if named == f"S3_{field.upper()}" else other

    def __post_init__(self) -> None:
        """Drop white space at the end of each text, such as the line break of a file."""
        for name in (it.name for it in fields(self)):
            object.__setattr__(self, name, trimmed(getattr(self, name)))

    def mistake(self) -> tuple[str, str, str] | None:
        """The field that is wrong, why, and what to do; boto3 would sign with half a pair of keys."""
        for name in _SENT:
            if not is_sendable(getattr(self, name)):
                return name, REASON, STEP
        both = "give both, or leave both out"
        if self.access_key_id and not self.secret_access_key:
            return "access_key_id", f"is given without {self._beside('access_key_id', 'secret_access_key')}", both
        if not self.access_key_id and (self.secret_access_key or self.session_token):
            field = "secret_access_key" if self.secret_access_key else "session_token"
            return field, f"is given without {self._beside(field, 'access_key_id')}", both
        if self.addressing_style not in {None, *ADDRESSING_STYLES}:
            return "addressing_style", "is neither virtual-host nor path", "name one of them"
        wrong = endpoint_mistake(self.endpoint_url)
        return ("endpoint_url", *wrong) if wrong else None


def endpoint_mistake(endpoint: str | None) -> tuple[str, str] | None:
    """Why an endpoint is none, and what to do."""
    if endpoint is None:
        return None
    if "@" in endpoint:  # with a scheme or without, it is not printed
        return "has a user or password in it", "give --access-key-id and --secret-access-key"
    parts = urlsplit(endpoint)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        return "is no URL of a store", "give one such as https://s3.example.com"
    return None


@dataclass(frozen=True, slots=True)
class Target:
    """A channel: an `s3://BUCKET[/PREFIX]` URL or a folder, and the options to reach it."""

    location: str
    s3: S3Options = field(default_factory=S3Options)
    connections: int = 64

    def __post_init__(self) -> None:
        """Drop white space at the end of a URL, such as the line break of a file."""
        if self.in_bucket:
            object.__setattr__(self, "location", self.location.rstrip())

    @property
    def in_bucket(self) -> bool:
        """Whether the channel lies in a bucket."""
        return "://" in self.location

    @property
    def name(self) -> str:
        """The channel's name in messages and reports: what a person would type."""
        return self.location.rstrip("/") if self.in_bucket else str(Path(self.location))

    @property
    def command(self) -> str:
        """The command that indexes the channel, as a person types it in a shell."""
        return f"indexer {'s3' if self.in_bucket else 'fs'} {shlex.quote(self.name)}"

    @property
    def bucket_and_prefix(self) -> tuple[str, str]:
        """The bucket, and the prefix of all keys of the channel: empty, or ending in `/`.  Raises BadConfig."""
        if _CONTROL.search(self.location):  # urlsplit drops a line break without a word
            raise BadConfig(self.location, "has a control character in it", "give it without that character")
        parts = urlsplit(self.location)
        if parts.scheme != "s3" or not parts.netloc or "@" in parts.netloc or parts.query or parts.fragment:
            raise BadConfig(
                masked(self.location),
                "is not of the form s3://BUCKET[/PREFIX]",
                "name the bucket and the channel's prefix",
            )
        if "//" in parts.path:
            parts = parts._replace(path=re.sub("/+", "/", parts.path))
            step = f"write {parts.geturl()}; keys with an empty part cannot be part of a channel"
            raise BadConfig(masked(self.location), "has an empty part (//) in its path", step)
        prefix = parts.path.strip("/")
        return parts.netloc, f"{prefix}/" if prefix else ""

    @property
    def title(self) -> str:
        """The channel's name in what it publishes: of a folder only its own, not where it lies."""
        return self.name if self.in_bucket else Path(self.location).resolve().name


def open_store(target: Target) -> Store:
    """The store that holds a channel.  Raises BadConfig."""
    # boto3 takes 0.3 s to import and a folder does not need it.
    if not target.in_bucket:
        from indexer.store.fs import FolderStore

        return FolderStore(Path(target.location))
    from indexer.store.s3.store import S3Store

    bucket, prefix = target.bucket_and_prefix
    return S3Store(bucket, prefix, target)
