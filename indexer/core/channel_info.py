"""The metadata of a channel: notices, relations, revisions and detectors, as frozen values.

Constructing a value that breaks a rule of its CEP raises ValueError; msgspec adds the place to the message.
"""

from __future__ import annotations

import posixpath
import re
from datetime import datetime, timezone
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

_MAX_MESSAGE = 8192
# A relative path from `../` on (CEP 42); its parts are those of a channel's URL (CEP 26), capital letters too.
_REFERENCE = re.compile(r"\.\.(/(\.\.|[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))+/?")


class Notice(Struct, frozen=True, kw_only=True):
    """One entry of `notices.json` (CEP 6); only `interval` is optional.

    conda downloads an incomplete notice again and again.
    """

    id: Annotated[str, Meta(min_length=1)]
    message: Annotated[str, Meta(min_length=1)]
    level: Literal["info", "warning", "critical"]
    created_at: datetime
    expires_at: datetime
    interval: Annotated[int, Meta(ge=0)] | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for a time without time zone, or an end before the beginning."""
        if self.created_at.tzinfo is None or self.expires_at.tzinfo is None:
            raise ValueError("created_at and expires_at need a time zone, such as Z at the end")
        if self.expires_at < self.created_at:
            raise ValueError("expires_at is before created_at")


class ChannelRelations(Struct, frozen=True, omit_defaults=True):
    """`info.channel_relations` (CEP 42): sibling channels of higher (`base`) and lower (`overrides`) priority."""

    base: str | None = None
    overrides: str | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for a path that does not begin with `../`, and if both are the same channel."""
        for name in (self.base, self.overrides):
            if name is not None and not _REFERENCE.fullmatch(name):
                raise ValueError(f"{name!r} is not a relative path to a channel, such as ../conda-forge or ../..")
        if self.base and self.overrides and posixpath.normpath(self.base) == posixpath.normpath(self.overrides):
            raise ValueError("base and overrides name the same channel")


class Revision(Struct, frozen=True):
    """A revision of `info.repodata_revisions` (CEP 48), and its message to clients that do not support revisions."""

    revision: Literal["v3"]
    message: str | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for a message of more than 8192 bytes."""
        if self.message is not None and len(self.message.encode()) > _MAX_MESSAGE:
            raise ValueError(f"the message of {self.revision} has more than {_MAX_MESSAGE} bytes")


class ChannelInfo(Struct, frozen=True):
    """The fields about the channel in `info` of every subdir.

    None keeps the value of another indexer; an empty value removes it.  `detectors` maps each detector to its virtual
    packages.  No CEP defines detectors yet, so they are published unchanged.
    """

    relations: ChannelRelations | None = None
    revisions: tuple[Revision, ...] | None = None
    assignment: Literal["from-index-json", "latest"] = "from-index-json"
    detectors: dict[str, tuple[str, ...]] | None = None

    @property
    def all_in_v3(self) -> bool:
        """Whether every package belongs to the latest published revision; False if there is no revision."""
        return self.assignment == "latest" and bool(self.revisions)


def notices_file(notices: tuple[Notice, ...]) -> bytes:
    """The bytes of a `notices.json` (CEP 6): times in UTC, so that the same time has the same text."""
    encoded = []
    for notice in notices:
        fields = msgspec.structs.asdict(notice)
        times = {key: fields[key].astimezone(timezone.utc) for key in ("created_at", "expires_at")}
        encoded.append({key: value for key, value in {**fields, **times}.items() if value is not None})
    return msgspec.json.encode({"notices": encoded}, order="deterministic")
