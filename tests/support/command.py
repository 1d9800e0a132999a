"""Calls the command line: in this process (`invoke`), or in a child process (`spawn`)."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typer.testing import CliRunner

from indexer.__main__ import main

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pytest

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", "indexer")
LIMIT = 120
"""Seconds that a child process may take: many times what the slowest takes, for the machine may have other work."""
LEVELS = (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR)


@dataclass(frozen=True)
class Ran:
    """What came of a call."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The object on standard output, which must hold nothing else."""
        return json.loads(self.out)

    @property
    def error(self) -> str:
        """The one line on standard error."""
        (line,) = self.err.splitlines()
        return line


def invoke(*words: object, env: Mapping[str, str] | None = None, stdin: str = "", folder: Path | None = None) -> Ran:
    """Call `main` in this process, with a standard input, output and error of its own."""
    code: str | int | None = None
    with _restored_state(folder), CliRunner().isolation(stdin, env) as (out, err, _):
        sys.argv = ["indexer", *map(str, words)]
        try:
            main()
        except SystemExit as ended:
            code = ended.code
        sys.stdout.flush()
        sys.stderr.flush()
        assert isinstance(code, int), code
        return Ran(code, out.getvalue().decode(), err.getvalue().decode())


def spawn(*words: object, env: Mapping[str, str] | None = None, stdin: str = "", folder: Path = ROOT) -> Ran:
    """Call the command line in a process of its own."""
    return run([*COMMAND, *map(str, words)], env=env, stdin=stdin, folder=folder)


def run(
    command: list[str],
    *,
    env: Mapping[str, str] | None = None,
    stdin: str = "",
    folder: Path = ROOT,
    limit: float = LIMIT,
) -> Ran:
    """Run a program in the root of the repository or in another folder; it finds our modules in both.

    Raises TimeoutError where it takes more seconds than its limit, with what it said and where each of its threads was.
    """
    with subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONFAULTHANDLER": "1", **(env or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as child:
        with limited(child, limit):
            out, err = child.communicate(stdin, timeout=limit + LIMIT)  # should children of its own keep the pipes open
    if child.returncode == -signal.SIGABRT:
        raise TimeoutError(f"{command} did not end in {limit} s or aborted\n{out}{err}")
    return Ran(child.returncode, out, err)


@contextlib.contextmanager
def limited(child: subprocess.Popen[Any], limit: float = LIMIT) -> Iterator[None]:
    """Abort a child that is still at work after some seconds: faulthandler then says where each of its threads is."""
    watch = threading.Timer(limit, child.send_signal, [signal.SIGABRT])
    watch.start()
    try:
        yield
    finally:
        watch.cancel()


def clear_settings(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Leave nothing in the environment that could lead a run to somebody's real bucket."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "S3_", "PIXI_", "RATTLER_", "XDG_")) or name.upper() in {
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "ALL_PROXY",
            "SSL_CERT_FILE",
            "SSL_CERT_DIR",
            "REQUESTS_CA_BUNDLE",
        }:
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(home / "aws-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(home / "aws-credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")


@contextlib.contextmanager
def _restored_state(folder: Path | None) -> Iterator[None]:
    """Restore afterwards what a command changes in its process: arguments, working directory, and logging.

    Without the handlers of pytest the command adds its own, which writes to its standard error.
    """
    names = {level: logging.getLevelName(level) for level in LEVELS}
    root, ours = logging.getLogger(), logging.getLogger("indexer")
    handlers, levels, arguments, before = root.handlers[:], (root.level, ours.level), sys.argv, Path.cwd()
    root.handlers[:] = []
    if folder is not None:
        os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
        sys.argv = arguments
        root.handlers[:] = handlers
        root.setLevel(levels[0])
        ours.setLevel(levels[1])
        for number, name in names.items():
            logging.addLevelName(number, name)
