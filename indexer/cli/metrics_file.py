"""Writes the metrics of a run into a file, for the textfile collector of Prometheus' node exporter."""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING

from indexer.cli.interruption import exit_code
from indexer.core.errors import BadConfig, IndexerError
from indexer.core.exit_codes import ExitCode
from indexer.core.metrics import EndedRun, metrics
from indexer.store.redact import masked

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from indexer.core.report import Report

_log = logging.getLogger(__name__)


def measured(path: Path, channel: str, command: Callable[[], Report]) -> Callable[[], Report]:
    """A command that writes its metrics when it ends, well or badly."""

    def run() -> Report:
        _check(path)
        begun, code, report = time.monotonic(), int(ExitCode.FAILED), None
        try:
            report = command()
            code = report.exit_code
        except IndexerError as error:
            code = error.exit_code
            raise
        except KeyboardInterrupt as error:
            code = exit_code(error)
            raise
        finally:
            _write(path, EndedRun(channel, code, time.time(), time.monotonic() - begun, report))
        return report

    return run


def _check(path: Path) -> None:
    """Raise BadConfig if no file can be written there."""
    if path.is_dir() or not os.access(path.parent, os.W_OK | os.X_OK):
        raise BadConfig(f"--metrics-file {path}", "cannot be written", "name a file in an existing folder")


def _write(path: Path, run: EndedRun) -> None:
    """Replace the file as a whole: a reader sees the old metrics or the new ones."""
    # The collector reads only *.prom.
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        before = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
        temporary.write_bytes(masked(metrics(run, before)).encode(errors="backslashreplace"))
        temporary.replace(path)
    except OSError as error:
        _log.warning("--metrics-file %s: %s; the file has the metrics of an earlier run", path, error.strerror or error)
        temporary.unlink(missing_ok=True)
