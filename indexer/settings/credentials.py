"""Finds the keys of a bucket in rattler's credential store, where `pixi auth login` puts them, as pixi does."""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import msgspec
from msgspec import Meta, Raw, Struct

from indexer.core.errors import BadConfig
from indexer.core.value import Value
from indexer.store.redact import register_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from indexer.settings.locations import Environment

_log = logging.getLogger(__name__)

SERVICE = "rattler"
"""The service of the entries in a keyring; the user of each entry is the key that rattler looks up."""

_KIND = "S3Credentials"


class Keys(Struct, frozen=True):
    """An `S3Credentials` entry.  Only the id of the access key is not secret."""

    access_key_id: Annotated[str, Meta(min_length=1)]
    secret_access_key: Annotated[str, Meta(min_length=1)]
    session_token: str | None = None

    def __repr__(self) -> str:
        return f"Keys({self.access_key_id!r}, ...)"


class Backend(Protocol):
    """One place of the credential store."""

    def get(self, key: str) -> bytes | None:
        """The JSON of an entry, None if it is missing.  Raises BadConfig."""

    def __str__(self) -> str:
        """The name of this place in the message that no credentials were found."""


class CredentialsFile:
    """A JSON file with one entry per key.  A missing file is empty.  Its permissions are not checked."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __str__(self) -> str:
        return str(self._path) if self._path.exists() else f"{self._path} (does not exist)"

    def get(self, key: str) -> bytes | None:
        """The JSON of an entry, None if it is missing.  Raises BadConfig."""
        return self._entries.get(key)

    @functools.cached_property
    def _entries(self) -> dict[str, Raw]:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, Raw])
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise BadConfig(str(self._path), error.strerror or str(error), "name a file that can be read") from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadConfig(str(self._path), f"is not valid JSON ({error})", "correct or delete the file") from None


def _keyring() -> Any:
    import keyring

    return keyring


class Keyring:
    """The keyring of the operating system, by the library `keyring` if it is installed."""

    def __init__(self, library: Callable[[], Any] = _keyring) -> None:
        self._import = library

    def __str__(self) -> str:
        if self._library is None:
            return "the keyring (to search it: pip install 'conda-channel-indexer[keyring]')"
        return "the keyring"

    def get(self, key: str) -> bytes | None:
        """The JSON of an entry; None if it is missing, or if the keyring is locked or broken, as in pixi."""
        if self._library is None:
            return None
        try:
            entry = self._library.get_password(SERVICE, key)
        except Exception as error:  # noqa: BLE001  a backend of the library raises any type
            _log.debug("the keyring does not answer (%s)", type(error).__name__)
            return None
        return entry.encode() if entry else None

    @functools.cached_property
    def _library(self) -> Any:
        try:
            return self._import()
        except ImportError:
            return None


class CredentialMatch(Value, frozen=True):
    """An entry of the credential store: its keys, its name and its place."""

    keys: Keys
    key: str
    place: Backend


def backends(env: Environment, override: Path | None) -> list[Backend]:
    """The places of the credential store, the strongest first.

    `override` is pixi's `authentication-override-file`.
    """
    paths = [env.path("RATTLER_AUTH_FILE"), override]
    default = env.home / ".rattler" / "credentials.json" if env.home else None
    first: list[Backend] = [CredentialsFile(path) for path in paths if path is not None]
    return [*first, Keyring(), *([CredentialsFile(default)] if default else [])]


def find(channel: str, places: Sequence[Backend]) -> CredentialMatch | None:
    """The keys for a channel `s3://BUCKET[/PREFIX]`.  Raises BadConfig for a place that cannot be read.

    The order is rattler's: the name of the bucket in all places, then the URL of the channel, then the URLs
    above it.  So the entry of a bucket wins over one of a path in it.
    """
    for key in lookups(channel):
        for place in places:
            entry = place.get(key)
            if entry is not None and (keys := _keys(entry, key, place)) is not None:
                return CredentialMatch(keys, key, place)
    return None


def lookups(channel: str) -> Iterator[str]:
    """The keys under which rattler looks for the entry of a channel."""
    url = channel.rstrip("/")
    yield url.removeprefix("s3://").partition("/")[0]
    while url:
        yield url
        url = url.rpartition("/")[0]


def _keys(entry: bytes, key: str, place: Backend) -> Keys | None:
    name = f"{place}: the entry of {key}"
    try:
        tagged = msgspec.json.decode(entry, type=dict[str, Raw])
        if _KIND in tagged:
            keys = msgspec.json.decode(tagged[_KIND], type=Keys)
            register_secrets(keys.secret_access_key, keys.session_token)
            return keys
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadConfig(
            name, f"is not an entry of rattler ({error})", "write it again with `pixi auth login`"
        ) from None
    _log.warning("%s is ignored: a %s cannot open a bucket", name, ", ".join(tagged))
    return None
