"""A real browser and a server of pages on loopback, once for all tests of a process."""

from __future__ import annotations

import functools
import threading
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from fixtures.browser import Browser, browser, executable
from fixtures.pages import SHOWN, entry, write

if TYPE_CHECKING:
    from collections.abc import Iterator


HOSTILE = "<img src=https://evil.example/x onerror=alert(1)>\"'</script><script>alert(2)</script>"
ENTRIES = (
    *(it for it in SHOWN if it.name in {"avocet", "bittern", "curlew"}),
    entry("avocet", "10.0", 4),
    entry("d" * 64, "2026.11.24.123456789+" + "l" * 30, 11, summary="A name as long as names may be"),
    entry("evil", HOSTILE, 12, summary=HOSTILE * 5, home="javascript:alert(3)", license=HOSTILE),
)


@dataclass
class Site:
    """A served channel: where it is, and the paths that were asked for."""

    url: str
    asked: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    program = executable()
    if program is None:
        pytest.skip("no Chromium on this machine (apt-get install chromium)")
    with browser(program) as running:
        yield running


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("reeds")
    write(folder, ENTRIES)
    found = Site("")

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            found.asked.append(self.path)

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    found.url = f"http://127.0.0.1:{server.server_port}"
    yield found
    server.shutdown()
    server.server_close()
