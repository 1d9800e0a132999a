"""HTML pages of a channel with hostile metadata, served on loopback."""

from __future__ import annotations

import contextlib
import functools
import threading
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from fixtures.pages import SHOWN, entry, write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


HOSTILE = "<img src=https://evil.example/x onerror=alert(1)>\"'</script><script>alert(2)</script>"
ENTRIES = (
    *(item for item in SHOWN if item.name in {"avocet", "bittern", "curlew"}),
    entry("avocet", "10.0", 4),
    entry("d" * 64, "2026.11.24.123456789+" + "l" * 30, 11, summary="A name as long as names may be"),
    entry("evil", HOSTILE, 12, summary=HOSTILE * 5, home="javascript:alert(3)", license=HOSTILE),
)


@dataclass
class Site:
    """A served channel: its URL, and the paths that were requested."""

    url: str
    requests: list[str] = field(default_factory=list)


@contextlib.contextmanager
def serve_pages(folder: Path) -> Iterator[Site]:
    """Write the HTML pages of a channel into a folder and serve the folder on loopback."""
    write(folder, ENTRIES)
    site = Site("")

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            site.requests.append(self.path)

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    site.url = f"http://127.0.0.1:{server.server_port}"
    yield site
    server.shutdown()
    server.server_close()
