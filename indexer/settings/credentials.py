"""Keys of a bucket in rattler's store, where `pixi auth login` puts them: looked up as pixi does."""

from __future__ import annotations

import functools
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import msgspec
from msgspec import Meta, Raw, Struct

from indexer.core.errors import BadConfig
from indexer.store.redact import register_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from indexer.settings.locations import Environment

_log = logging.getLogger(__name__)

SERVICE = "rattler"
"""What the entries of a keyring belong to; the user of each is the key that rattler looks up."""

_KIND = "S3Credentials"


class Keys(Struct, frozen=True):
    """An `S3Credentials` entry.  Only the access key's id is no secret."""

    access_key_id: Annotated[str, Meta(min_length=1)]
    secret_access_key: Annotated[str, Meta(min_length=1)]
    session_token: str | None = None

    def __repr__(self) -> str:
        return f"Keys({self.access_key_id!r}, ...)"


class Backend(Protocol):
    """One place of the store."""

    def get(self, key: str) -> bytes | None:
        """The JSON of an entry, None where there is none.  Raises BadConfig."""

    def __str__(self) -> str:
        """What a person is told of this place, when nothing was found."""


class CredentialsFile:
    """A JSON file with one entry a key.  One that is not there is empty; who may read it is its owner's business."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __str__(self) -> str:
        return str(self._path) if self._path.exists() else f"{self._path} (not there)"

    def get(self, key: str) -> bytes | None:
        """An entry."""
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
            raise BadConfig(str(self._path), f"is no JSON of credentials ({error})", "mend or delete it") from None


def _keyring() -> Any:
    import keyring

    return keyring


class Keyring:
    """The keyring of the operating system, through the library of that name where it is installed."""

    def __init__(self, library: Callable[[], Any] = _keyring) -> None:
        self._import = library

    def __str__(self) -> str:
        if self._library is None:
            return "the keyring (to look there: pip install 'conda-channel-indexer[keyring]')"
        return "the keyring"

    def get(self, key: str) -> bytes | None:
        """An entry; a keyring that is locked or broken has none, as with pixi."""
        if self._library is None:
            return None
        try:
            entry = self._library.get_password(SERVICE, key)
        except Exception as error:  # noqa: BLE001  a backend of the library raises what it likes
            _log.debug("the keyring does not answer (%s)", type(error).__name__)
            return None
        return entry.encode() if entry else None

    @functools.cached_property
    def _library(self) -> Any:
        try:
            return self._import()
        except ImportError:
            return None


@dataclass(frozen=True, slots=True)
class CredentialMatch:
    """An entry that was found, under which key and where."""

    keys: Keys
    key: str
    where: Backend


def backends(around: Environment, override: Path | None) -> list[Backend]:
    """The places of the store, the strongest first.  `override` is pixi's `authentication-override-file`."""
    named = [around.path("RATTLER_AUTH_FILE"), override]
    own = around.home / ".rattler" / "credentials.json" if around.home else None
    files = [CredentialsFile(path) if path else None for path in (*named, own)]
    return [it for it in (*files[:2], Keyring(), files[2]) if it is not None]


def find(channel: str, places: Sequence[Backend]) -> CredentialMatch | None:
    """The keys for a channel `s3://BUCKET[/PREFIX]`.  Raises BadConfig for a place that cannot be read.

    The order is rattler's: the name of the bucket in all places, then the URL of the channel, then what
    is above it.  So the entry of a bucket wins over one of a path in it.
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
        raise BadConfig(name, f"is no entry of rattler's ({error})", "write it anew with `pixi auth login`") from None
    _log.warning("%s is a %s, which opens no bucket", name, ", ".join(tagged))
    return None
