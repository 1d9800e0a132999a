"""Connections that wait for a store's answer to `Expect: 100-continue` before they send a body.

They are botocore's, with two faults corrected: it never ends if the connection is closed after the first line of
an answer, and an answer without a reason phrase (RFC 9112, section 4) is none for it.
"""

from __future__ import annotations

import functools
from http.client import BadStatusLine
from typing import TYPE_CHECKING, Any

from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPResponse,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
)

if TYPE_CHECKING:
    from typing import BinaryIO

# The longest line that http.client reads.
_LINE = 65536


class _Expecting:
    """The two methods that differ from botocore's."""

    sock: Any

    def _handle_expect_response(self, message_body: Any) -> None:
        """Send the body after the answer 100; any other answer is the last one, and the body is not sent."""
        with self.sock.makefile("rb", 0) as answer:
            line = answer.readline(_LINE)
            if self._is_100_continue_status(line):  # type: ignore[attr-defined]  # botocore's
                self._consume_headers(answer)
                self._send_message_body(message_body)  # type: ignore[attr-defined]
                return
        version, status, reason = [*line.decode("latin-1").split(None, 2), "", "", ""][:3]
        if not (version.startswith("HTTP/") and status.isdecimal()):
            raise BadStatusLine(line)
        self.response_class = functools.partial(AWSHTTPResponse, status_tuple=(version, int(status), reason.strip()))
        self._response_received = True

    def _consume_headers(self, answer: BinaryIO) -> None:
        """Read to the empty line, or to the end if the connection was closed."""
        while answer.readline(_LINE).strip():
            pass


class _Connection(_Expecting, AWSHTTPConnection):  # type: ignore[misc]  # botocore has no types
    """A connection."""


class _TLSConnection(_Expecting, AWSHTTPSConnection):  # type: ignore[misc]
    """The same with TLS."""


class _Pool(AWSHTTPConnectionPool):  # type: ignore[misc]
    ConnectionCls = _Connection


class _TLSPool(AWSHTTPSConnectionPool):  # type: ignore[misc]
    ConnectionCls = _TLSConnection


POOLS: dict[str, Any] = {"http": _Pool, "https": _TLSPool}
"""The pools of such connections, by the scheme."""
