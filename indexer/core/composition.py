"""A large file as ranges of its published version and new bytes, from which a store can put it together."""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING

from indexer.core.stream import Composition, Kept, Sent, Stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from indexer.core.model import ETag
    from indexer.core.stream import Content, Piece

# Bytes.  Stores take no part that is smaller, except the last one.
SMALLEST_PART = 5 * 2**20
# A composition takes four requests more than a put, so it is made if it keeps so many bytes.
WORTH = 16 * 2**20


def with_composition(content: Content, base: ETag) -> Content:
    """A content that knows its parts of the published file `base`, if some of its pieces are there."""
    if not isinstance(content, Stream) or all(piece.start is None for piece in content.pieces):
        return content
    return replace(content, composition=Composition(base, partial(parts_of, content.pieces)))


def parts_of(pieces: Sequence[Piece], smallest_part: int) -> list[Kept | Sent]:
    """Pieces in parts, of which only the last one can have less than `smallest_part` bytes."""
    parts: list[Kept | Sent] = []
    for is_kept, group in itertools.groupby(zip(_are_kept(pieces, smallest_part), pieces, strict=True), itemgetter(0)):
        run = [piece for _, piece in group]
        parts += _ranges(run) if is_kept else _sent(run, smallest_part)
    return parts


def _are_kept(pieces: Sequence[Piece], smallest_part: int) -> list[bool]:
    """Whether each piece is kept: a range begins if it is large enough, and if the pieces before it are a part."""
    found: list[bool] = []
    sent = 0
    for number, (piece, left) in enumerate(zip(pieces, _kept_from(pieces), strict=True)):
        goes_on = number > 0 and found[-1] and _stop(pieces[number - 1]) == piece.start
        begins = left >= smallest_part and (sent == 0 or sent >= smallest_part)
        found.append(goes_on or begins)
        sent = 0 if found[-1] else sent + piece.size
    return found


def _ranges(pieces: Sequence[Piece]) -> list[Kept]:
    """The ranges of pieces that are kept: all of them have a place."""
    found: list[Kept] = []
    for piece in pieces:
        start, stop = piece.start or 0, _stop(piece)
        if found and found[-1].stop == start:
            found[-1] = Kept(found[-1].start, stop)
        else:
            found.append(Kept(start, stop))
    return found


def _sent(pieces: Sequence[Piece], smallest_part: int) -> list[Sent]:
    """The parts of pieces that are sent; one is in memory at a time, so none is much larger than it must be."""
    parts: list[list[Piece]] = [[]]
    size, left = 0, sum(piece.size for piece in pieces)
    for piece in pieces:
        if min(size, left) >= smallest_part:
            parts.append([])
            size = 0
        parts[-1].append(piece)
        size, left = size + piece.size, left - piece.size
    return [Sent(tuple(piece.make for piece in part)) for part in parts]


def _stop(piece: Piece) -> int:
    """The byte after the last in the published file."""
    return (piece.start or 0) + piece.size


def _kept_from(pieces: Sequence[Piece]) -> list[int]:
    """How many bytes from each piece on are one range of the published file."""
    found = [0] * len(pieces)
    for number in reversed(range(len(pieces))):
        piece = pieces[number]
        if piece.start is not None:
            follows = number + 1 < len(pieces) and pieces[number + 1].start == _stop(piece)
            found[number] = piece.size + (found[number + 1] if follows else 0)
    return found
