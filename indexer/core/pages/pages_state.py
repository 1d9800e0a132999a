"""The state of the pages of packages: for each name the page that a run has published, and what it was made from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from indexer.core.model import UNREADABLE, ETag
from indexer.core.value import Value
from indexer.core.zstd import compress, decompress_saved

if TYPE_CHECKING:
    from collections.abc import Mapping

    from indexer.core.model import Stat

_FORMAT = 1


class PublishedPage(msgspec.Struct, frozen=True, array_like=True):
    """A page: its ETag, a digest of its content and headers, and a digest of all that it is made from.

    All three are empty for a page that a run was about to create.
    """

    etag: ETag = ETag("")
    digest: str = ""
    source: str = ""


class _PagesState(msgspec.Struct, frozen=True):
    format: int
    pages: dict[str, PublishedPage]


_decoder = msgspec.json.Decoder(_PagesState)


def encode_pages(pages: Mapping[str, PublishedPage]) -> bytes:
    """The content of the file, from the pages by package name."""
    return compress(msgspec.json.encode(_PagesState(_FORMAT, dict(pages)), order="deterministic"))


def decode_pages(data: bytes) -> dict[str, PublishedPage] | None:
    """The pages by package name; None if the file cannot be read or has another format."""
    try:
        state = _decoder.decode(decompress_saved(data))
    except (*UNREADABLE, ValueError):
        return None
    return state.pages if state.format == _FORMAT else None


class PagesFound(Value, frozen=True):
    """The pages that exist, by package name.

    `known` are as a run has left them.  `others` have another ETag, or are in no state: they are ours or somebody
    else's.  `announced` has all names of the state: no page exists that we made and that is not among them.
    """

    known: Mapping[str, PublishedPage]
    others: Mapping[str, Stat]
    announced: frozenset[str]
