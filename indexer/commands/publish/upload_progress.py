"""Counts the bytes of packages that `publish` has sent, for a progress bar."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from indexer.core.progress import Phase, Step
from indexer.core.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class UploadProgress:
    """Shows how many bytes of all packages were sent; several threads may count at the same time.

    `show` is called with the number of bytes sent and the number of bytes to send.
    """

    def __init__(self, total: int, show: Callable[[Step], None]) -> None:
        self._total, self._show = total, show
        self._sent: dict[str, int] = {}
        self._done = 0
        self._lock = threading.Lock()
        show(Step(Phase.UPLOADING, "", 0, total))

    def set_sent(self, key: str, size: int) -> None:
        """Set how many bytes of one package were sent: a package that is sent again begins at 0."""
        with self._lock:
            self._done += size - self._sent.get(key, 0)
            self._sent[key] = size
            self._show(Step(Phase.UPLOADING, "", self._done, self._total))

    def counted(self, key: str, content: Stream) -> Stream:
        """The content of a package; each chunk is counted when the next one is asked for."""

        def chunks() -> Iterator[bytes]:
            size = 0
            for chunk in content:
                yield chunk
                size += len(chunk)
                self.set_sent(key, size)

        return Stream(chunks, content.size, content.sha256, content.md5)
