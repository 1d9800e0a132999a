"""A large file as ranges of its published version and new bytes, from which a store can put it together."""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from indexer.core.chunks import Chunk, ChunkedStream
from indexer.core.stream import Composition, Kept, Sent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from indexer.core.model import ETag
    from indexer.core.stream import Content


def with_composition(content: Content, base: ETag) -> Content:
    """A content that knows its parts of the published file `base`, of which its chunks were read.

    The content as it is if none of its chunks was read.
    """
    if not isinstance(content, ChunkedStream) or all(chunk.start is None for chunk in content.chunks):
        return content
    return replace(content, composition=Composition(base, partial(parts_of, content.chunks)))


def parts_of(chunks: Sequence[Chunk], smallest_part: int) -> list[Kept | Sent]:
    """Chunks in parts, of which only the last one can have less than `smallest_part` bytes."""
    placed = _placed(chunks)
    parts: list[Kept | Sent] = []
    for is_kept, group in itertools.groupby(zip(_are_kept(placed, smallest_part), placed, strict=True), itemgetter(0)):
        pieces = [piece for _, piece in group]
        parts += _ranges(pieces) if is_kept else _sent(pieces, smallest_part)
    return parts


def _are_kept(placed: Sequence[_Placed], smallest_part: int) -> list[bool]:
    """Whether each chunk is kept: a range begins if it is large enough, and if the chunks before it are a part."""
    found: list[bool] = []
    sent = 0
    for number, (piece, left) in enumerate(zip(placed, _kept_from(placed), strict=True)):
        goes_on = number > 0 and found[-1] and placed[number - 1].stop == piece.start
        begins = left >= smallest_part and (sent == 0 or sent >= smallest_part)
        found.append(goes_on or begins)
        sent = 0 if found[-1] else sent + piece.size
    return found


def _ranges(pieces: Sequence[_Placed]) -> list[Kept]:
    """The ranges of chunks that are kept."""
    found: list[Kept] = []
    for piece in pieces:
        if found and found[-1].stop == piece.start:
            found[-1] = Kept(found[-1].start, piece.stop)
        else:
            found.append(Kept(piece.stop - piece.size, piece.stop))
    return found


def _sent(pieces: Sequence[_Placed], smallest_part: int) -> list[Sent]:
    """The parts of chunks that are sent; one is in memory at a time, so none is much larger than it must be."""
    parts: list[list[_Placed]] = [[]]
    size, left = 0, sum(piece.size for piece in pieces)
    for piece in pieces:
        if min(size, left) >= smallest_part:
            parts.append([])
            size = 0
        parts[-1].append(piece)
        size, left = size + piece.size, left - piece.size
    return [Sent(tuple(piece.chunk.text for piece in part)) for part in parts]


class _Placed(NamedTuple):
    """A chunk with its size, and its position in the published file, None for a new one."""

    chunk: Chunk
    size: int
    start: int | None

    @property
    def stop(self) -> int:
        """The byte after the last."""
        return (self.start or 0) + self.size


def _placed(chunks: Sequence[Chunk]) -> list[_Placed]:
    """Chunks with their places; a comma has one if the chunks beside it were published: a comma followed there too."""
    placed = []
    for number, chunk in enumerate(chunks):
        start, size = chunk.start, len(chunk.text()) if chunk.start is None else chunk.size
        before, after = chunks[max(number - 1, 0)], chunks[min(number + 1, len(chunks) - 1)]
        between = bool(before.section) and before.section == after.section and not chunk.section
        if between and before.start is not None and after.start is not None:
            start = before.start + before.size
        placed.append(_Placed(chunk, size, start))
    return placed


def _kept_from(placed: Sequence[_Placed]) -> list[int]:
    """How many bytes from each chunk on are one range of the published file."""
    found = [0] * len(placed)
    for number in reversed(range(len(placed))):
        piece = placed[number]
        if piece.start is not None:
            follows = number + 1 < len(placed) and placed[number + 1].start == piece.stop
            found[number] = piece.size + (found[number + 1] if follows else 0)
    return found
