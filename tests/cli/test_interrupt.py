"""Somebody presses Ctrl-C, closes the terminal, or ends the container."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from indexer.cli.interruption import Ended, signals_as_interrupts
from tests.support.command import COMMAND, ROOT, limited
from tests.support.http_servers import EMPTY, Request, Response, answering

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _heard() -> Iterator[None]:
    """A suite in the background of a shell ignores Ctrl-C, and would hand that down to the child."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_an_interrupted_run_prints_one_line_that_the_index_is_whole(name: str, code: int) -> None:
    result, over = threading.Event(), threading.Event()

    def never(_: Request) -> Response:
        result.set()
        over.wait(60)
        return Response(503)

    with answering(never) as server:
        command = [*COMMAND, "s3", "s3://slow-bucket"]
        with subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **server.environment()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as child:
            try:
                assert result.wait(60), "it never asked"
                child.send_signal(getattr(signal, name))
                out, err = child.communicate(timeout=60)
            finally:
                over.set()
                child.kill()
    assert err == "interrupted; the published files are complete, repeat to continue\n"
    assert out == ""
    assert child.returncode == code


def test_ctrl_c_while_the_command_loads_is_no_traceback() -> None:
    program = """
import sys
from indexer.__main__ import main

class Pressed:
    def find_spec(self, name, *_):
        if name == "indexer.cli.app":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Pressed())
main()
"""
    child = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (child.returncode, child.stdout, child.stderr) == (130, "", "interrupted\n")


def test_a_run_whose_threads_wait_for_a_silent_server_ends_at_a_signal() -> None:
    over = threading.Event()
    asked = threading.Semaphore(0)
    root = EMPTY.replace(
        b"</ListBucketResult>",
        b"<CommonPrefixes><Prefix>linux-64/</Prefix></CommonPrefixes>"
        b"<CommonPrefixes><Prefix>noarch/</Prefix></CommonPrefixes></ListBucketResult>",
    )

    def silent(request: Request) -> Response:
        if "list-type=2" in request.path:
            return Response(200, root)
        asked.release()
        over.wait(60)
        return Response(503)

    with answering(silent) as server:
        command = [*COMMAND, "s3", "s3://slow-bucket"]
        environment = {**os.environ, **server.environment()}
        with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as child:
            try:
                assert all(asked.acquire(timeout=60) for _ in range(2)), "it never asked"
                child.send_signal(signal.SIGTERM)
                _, err = child.communicate(timeout=50)
            finally:
                over.set()
                child.kill()
    assert err == "interrupted; the published files are complete, repeat to continue\n"
    assert child.returncode == 143


def test_a_signal_that_was_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with signals_as_interrupts():
            os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_second_signal_does_not_break_off_the_work_of_ending() -> None:
    def ended_twice() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGHUP)

    with pytest.raises(Ended), signals_as_interrupts():
        ended_twice()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_hanging_child_process_is_ended_with_a_traceback() -> None:
    hang = "import threading\ndef hung():\n    print('here', flush=True)\n    threading.Event().wait()\nhung()"
    command = [sys.executable, "-X", "faulthandler", "-c", hang]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "here\n"
        with limited(child, 0):
            _, err = child.communicate(timeout=60)
    assert " in hung" in err
    assert child.returncode == -signal.SIGABRT
