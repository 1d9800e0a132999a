"""Runs a command: prints its report or its error, and exits with its exit code."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from typing import TYPE_CHECKING, NoReturn

import typer

from indexer.cli.interruption import exit_code, signals_as_interrupts
from indexer.cli.output import Formatter, err, out, out_json
from indexer.core.errors import IndexerError
from indexer.core.exit_codes import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from indexer.cli.options.monitoring import MonitoringOptions
    from indexer.cli.options.output import OutputOptions, ProgressOptions
    from indexer.core.gc_report import GcReport
    from indexer.core.progress import Step
    from indexer.core.report import CheckReport, Page, Report, SettingsReport
    from indexer.core.snapshot_report import SnapshotReport

    AnyReport = Report | CheckReport | GcReport | SettingsReport | SnapshotReport | Page


def run_command(
    output: OutputOptions, channel: str, command: Callable[[], AnyReport], *, fail_on_work: bool = False
) -> None:
    """Call a command, print its report, and exit with its code; `fail_on_work` is for a plan with changes."""
    _set_up_logging(output)
    _forget_empty_variables()
    try:
        with signals_as_interrupts():
            report = command()
    except IndexerError as error:
        _fail(output, channel, error)
    except Exception as error:
        logging.getLogger(__name__).debug("failed", exc_info=error)
        unexpected = f"internal error ({type(error).__name__}: {error})"
        _fail(output, channel, IndexerError(channel, unexpected, "repeat with -vv and report it"))
    except KeyboardInterrupt as error:
        err("interrupted; the published files are complete, repeat to continue")
        raise typer.Exit(exit_code(error)) from None
    code = report.exit_code or (ExitCode.WORK_TO_DO if fail_on_work and _has_work(report) else ExitCode.OK)
    _print(output, report, code)
    raise typer.Exit(code)


def _has_work(report: AnyReport) -> bool:
    from indexer.core.report import Report

    return isinstance(report, Report) and report.has_work


def with_metrics(monitoring: MonitoringOptions, channel: str, command: Callable[[], Report]) -> Callable[[], Report]:
    """A command that also writes the metrics that were asked for."""
    if monitoring.metrics_file is None:
        return command
    from indexer.cli.metrics_file import measured  # most runs write none

    return measured(monitoring.metrics_file, channel, command)


def progress_of(output: ProgressOptions) -> AbstractContextManager[Callable[[Step], None] | None]:
    """A context with a function that shows progress, None if the output is quiet."""
    if output.quiet:
        return contextlib.nullcontext()
    from indexer.cli.progress import bars, lines

    return bars() if sys.stderr.isatty() and not output.no_progress else lines()


def _print(output: OutputOptions, report: AnyReport, code: int) -> None:
    from indexer.cli.text import text_of
    from indexer.core.report import Page

    if isinstance(report, Page):
        if output.json:
            _print_json(report.as_json())
        else:
            out(*report.lines)
        return
    text = text_of(report)
    err(*text.errors(report))
    if not output.quiet:
        err(*text.warnings(report))
    if output.json:
        _print_json({**report.as_json(), "exit_code": code})
    elif not output.quiet:
        out(*text.lines(report))


def _print_json(value: dict[str, object]) -> None:
    """Print the object of a command; each one has the version of its form."""
    from indexer.core.report import SCHEMA_VERSION

    out_json({"schema_version": SCHEMA_VERSION, **value})


def _fail(output: OutputOptions, channel: str, error: IndexerError) -> NoReturn:
    """Print the error of a channel, and exit with its exit code."""
    logging.getLogger(__name__).debug("failed", exc_info=error)
    if output.json:
        from indexer.core.report import failure_as_json

        _print_json(failure_as_json(channel, str(error), error.exit_code))
    err(f"error: {error}")
    raise typer.Exit(error.exit_code)


def _set_up_logging(output: OutputOptions) -> None:
    levels = [logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG]
    level = levels[max(0, min(3, 1 + output.verbose - output.quiet))]
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    for handler in logging.getLogger().handlers:
        handler.setFormatter(Formatter("%(levelname)s: %(message)s"))
    for number in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
        logging.addLevelName(number, logging.getLevelName(number).lower())
    # Only for our messages: botocore logs headers with credentials at its lower levels.
    logging.getLogger("indexer").setLevel(level)
    # botocore logs a warning with a traceback for errors that it also raises, such as an expired session with AWS.
    logging.getLogger("botocore").setLevel(logging.CRITICAL)


def _forget_empty_variables() -> None:
    """Remove empty AWS_ variables: an unset CI secret is an empty variable, which would be signed as a token."""
    for name in [name for name, value in os.environ.items() if name.startswith("AWS_") and not value]:
        del os.environ[name]
