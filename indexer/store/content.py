"""The content of an object as a stream, for a write to another store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.core.errors import Conflict, OneUnavailable
from indexer.core.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from indexer.core.model import Stat
    from indexer.store import Store

_STEP = 512 * 2**10


def content_of(store: Store, stat: Stat, sha256: str, md5: str, check: Callable[[], None] = lambda: None) -> Stream:
    """The content of one version of an object, with its known digests (hex).

    `check` is called before each chunk is sent; it raises an error if no more bytes may be sent.  Reading raises
    OneUnavailable if the object has changed: a Conflict would be taken for one of the other store.
    """

    def chunks() -> Iterator[bytes]:
        try:
            with store.open(stat.key, etag=stat.etag) as reader:
                while data := reader.read(_STEP):
                    yield data
        except Conflict as error:
            raise OneUnavailable(stat.key, "changed while it was sent", "repeat when no program writes it") from error

    def checked_chunks() -> Iterator[bytes]:
        for chunk in chunks():
            check()
            yield chunk

    return Stream(checked_chunks, stat.size, bytes.fromhex(sha256), bytes.fromhex(md5))
