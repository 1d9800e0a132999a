"""The file of settings at a channel's root: its content, and settings that a person writes as `KEY=VALUE`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from indexer.core.channel_settings import KEYS, ChannelSettings
from indexer.core.errors import BadConfig
from indexer.core.model import UNREADABLE
from indexer.settings.schema import nearest, table_of

if TYPE_CHECKING:
    from collections.abc import Iterable

# The version of the file.  A release refuses a newer one, because it would lose settings that it does not know.
_VERSION = 1
_RESTORE = "nothing was changed: restore the file, or delete it and set the settings again"


class _File(msgspec.Struct, frozen=True):
    version: int
    settings: dict[str, Any]


_file = msgspec.json.Decoder(_File)


def encode_settings(settings: ChannelSettings) -> bytes:
    """The content of the file; the same bytes for the same settings."""
    encoded = msgspec.json.encode({"settings": settings, "version": _VERSION}, order="deterministic")
    return msgspec.json.format(encoded, indent=2) + b"\n"


def decode_settings(data: bytes, name: str) -> ChannelSettings:
    """The settings in the file `name`.  Raises BadConfig if the file is damaged, or of a newer version."""
    try:
        file = _file.decode(data)
    except UNREADABLE as error:
        raise BadConfig(name, f"is not a readable file of settings ({error})", _RESTORE) from error
    if file.version != _VERSION:
        reason = f"is of version {file.version}, which this release does not know"
        raise BadConfig(name, reason, "nothing was changed: update the indexer")
    return table_of(name, file.settings, ChannelSettings)


def assigned(assignments: Iterable[str]) -> ChannelSettings:
    """The settings of texts such as `html=true`.  Raises BadConfig for an unknown key or a wrong value.

    A value is written as in TOML; a text may be without quotes.
    """
    table: dict[str, Any] = {}
    for assignment in assignments:
        key, separator, value = assignment.partition("=")
        if not separator:
            raise BadConfig(f"--set {assignment}", "is not of the form KEY=VALUE", "write it like html=true")
        table[key.strip()] = _value(value.strip())
    return table_of("--set", table, ChannelSettings)


def _value(text: str) -> Any:
    try:
        return msgspec.toml.decode(f"value = {text}", type=dict[str, Any])["value"]
    except msgspec.DecodeError:
        return text


def fields_of(keys: Iterable[str]) -> list[str]:
    """The fields of some keys.  Raises BadConfig for an unknown key."""
    fields = {key: name for name, key in KEYS.items()}
    for key in keys:
        if key not in fields:
            raise BadConfig(f"--unset {key}", "unknown key", nearest(key, list(fields)))
    return [fields[key] for key in keys]
