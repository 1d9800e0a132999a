"""The commands: each builds values from its options, calls one function and prints one report."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from indexer.cli.interruption import exit_code, heeded
from indexer.cli.option_groups import flattened
from indexer.cli.options.bucket import Bucket, Configuration
from indexer.cli.options.files import Files
from indexer.cli.options.output import OutputOptions
from indexer.cli.options.run import ClusterOptions, Patching, RunRequest, ValidationOptions, Writing
from indexer.cli.options.selection import Selection
from indexer.cli.options.upkeep import CheckOptions, DoctorOptions, GcOptions
from indexer.cli.output import Formatter, err, out, out_json
from indexer.core.errors import BadConfig, IndexerError
from indexer.core.release import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

    from indexer.commands.context import WorkerOptions
    from indexer.core.options import Options
    from indexer.core.report import CheckReport, GcReport, Page, Report
    from indexer.store.target import Target

    Told = Report | CheckReport | GcReport | Page

app = typer.Typer(
    name="indexer",
    help="Index a static conda channel in an S3 bucket or a folder.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

# What `status --exit-code` ends with if a run would write something.
_WORK_TO_DO = 7
_URL = Annotated[str, typer.Argument(metavar="s3://BUCKET[/PREFIX]", show_default=False)]
_DIR = Annotated[str, typer.Argument(metavar="DIR", show_default=False)]
_TARGET = Annotated[str, typer.Argument(metavar="TARGET", show_default=False)]
_PACKAGES = Annotated[list[str], typer.Argument(metavar="SUBDIR/FILENAME", show_default=False)]


def _version(value: bool) -> None:  # noqa: FBT001  typer's callbacks are called so
    if value:
        out(f"indexer {__version__}")
        raise typer.Exit


@app.callback()
def root(
    *,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Print the version.")
    ] = False,
) -> None:
    """Index a static conda channel in an S3 bucket or a folder."""


@app.command()
@flattened
def s3(
    channel: _URL,
    selection: Selection,
    judgement: ValidationOptions,
    files: Files,
    patching: Patching,
    talk: OutputOptions,
    writing: Writing,
    cluster: ClusterOptions,
    bucket: Bucket,
) -> None:
    """Index a channel in a bucket."""
    if not channel.startswith("s3://"):
        _fail(talk, channel, BadConfig(channel, "is not an s3:// URL", "for a folder call `indexer fs`"))
    _run(talk, channel, bucket, RunRequest(selection, judgement, files, patching, writing, cluster))


@app.command()
@flattened
def fs(
    channel: _DIR,
    selection: Selection,
    judgement: ValidationOptions,
    files: Files,
    patching: Patching,
    talk: OutputOptions,
    writing: Writing,
    cluster: ClusterOptions,
    configuration: Configuration,
) -> None:
    """Index a channel in a folder."""
    if "://" in channel:
        _fail(talk, channel, BadConfig(channel, "is not a folder", "for a bucket call `indexer s3`"))
    _run(talk, channel, configuration, RunRequest(selection, judgement, files, patching, writing, cluster))


@app.command()
@flattened
def status(
    channel: _TARGET,
    selection: Selection,
    judgement: ValidationOptions,
    files: Files,
    patching: Patching,
    talk: OutputOptions,
    bucket: Bucket,
    *,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="End with 7 if a run would write or delete a file.")
    ] = False,
) -> None:
    """Say what a run would add, update, remove, reject and write.  Nothing is written."""
    asked = RunRequest(selection, judgement, files, patching, Writing(dry_run=True))
    _tell(talk, channel, _indexed(talk, channel, bucket, asked), _WORK_TO_DO if exit_code else 0)


@app.command()
@flattened
def check(channel: _TARGET, scrutiny: CheckOptions, talk: OutputOptions, bucket: Bucket) -> None:
    """Say whether files and packages agree with each other.  Nothing is written."""

    def checked() -> CheckReport:
        from indexer.commands.api import check as look
        from indexer.commands.context import WorkerOptions

        settled = bucket.settled(channel)
        with contextlib.ExitStack() as stack:
            return look(
                settled.target,
                subdirs=tuple(scrutiny.subdirs or ()),
                deep=scrutiny.deep,
                workers=WorkerOptions(talk.max_parallel or settled.downloads, processes=True),
                progress=_progress(talk, stack),
            )

    _tell(talk, channel, checked)


@app.command()
@flattened
def gc(channel: _TARGET, sweeping: GcOptions, talk: OutputOptions, bucket: Bucket) -> None:
    """Name the shards that no index names any more, and with --yes delete them."""

    def collected() -> GcReport:
        from indexer.commands.api import gc as sweep
        from indexer.commands.gc import GcRequest

        asked = GcRequest(sweeping.older_than_ms(), sweeping.yes, subdirs=tuple(sweeping.subdirs or ()))
        return sweep(bucket.settled(channel).target, asked)

    _tell(talk, channel, collected)


@app.command()
@flattened
def yank(
    channel: _TARGET,
    packages: _PACKAGES,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; `indexer status` shows it.")],
    talk: OutputOptions,
    bucket: Bucket,
) -> None:
    """Withdraw packages from the index; every later run of indexer keeps them out.

    The package files stay.  A run of another indexer, such as rattler-index, brings a package back until indexer
    runs again.
    """
    from indexer.commands import api

    if not reason.strip():
        _fail(talk, channel, BadConfig("--reason", "is empty", "say why, in a few words"))
    _tell(talk, channel, lambda: api.yank(bucket.settled(channel).target, packages, reason.strip()))


@app.command()
@flattened
def unyank(channel: _TARGET, packages: _PACKAGES, talk: OutputOptions, bucket: Bucket) -> None:
    """Bring yanked packages back into the index."""
    from indexer.commands import api

    _tell(talk, channel, lambda: api.unyank(bucket.settled(channel).target, packages))


@app.command()
@flattened
def ignore(
    channel: _TARGET,
    packages: _PACKAGES,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; `indexer status` shows the reason.")],
    talk: OutputOptions,
    bucket: Bucket,
) -> None:
    """Neither read nor reject these packages in this and later runs.  The files stay in the channel."""
    from indexer.commands import api

    if not reason.strip():
        _fail(talk, channel, BadConfig("--reason", "is empty", "say why, in a few words"))
    _tell(talk, channel, lambda: api.ignore(bucket.settled(channel).target, packages, reason.strip()))


@app.command()
@flattened
def unignore(channel: _TARGET, packages: _PACKAGES, talk: OutputOptions, bucket: Bucket) -> None:
    """Read ignored packages again, and index those that are good."""
    from indexer.commands import api

    _tell(talk, channel, lambda: api.unignore(bucket.settled(channel).target, packages))


@app.command()
@flattened
def doctor(channel: _URL, inquiry: DoctorOptions, talk: OutputOptions, bucket: Bucket) -> None:
    """Find out what a store really guarantees, under a scratch prefix that is removed, and how to use it."""
    if not channel.startswith("s3://"):
        _fail(talk, channel, BadConfig(channel, "is not an s3:// URL", "doctor works on buckets only"))

    def examined() -> Page:
        from indexer.commands.doctor.doctor import examine_store, policy_page, settings_page

        settled = bucket.settled(channel)
        if inquiry.policy:
            return policy_page(settled.target)
        if inquiry.show_config:
            return settings_page(settled)
        return examine_store(settled.target).page()

    _tell(talk, channel, examined)


def _run(talk: OutputOptions, channel: str, configuration: Configuration, asked: RunRequest) -> None:
    """Index, print, and exit with the report's code."""
    _tell(talk, channel, _indexed(talk, channel, configuration, asked))


def _indexed(
    talk: OutputOptions, channel: str, configuration: Configuration, asked: RunRequest
) -> Callable[[], Report]:
    """Index when called."""

    def indexed() -> Report:
        settled = configuration.settled(channel)
        from indexer.commands.context import WorkerOptions

        parallel = talk.max_parallel or settled.downloads
        workers = WorkerOptions(parallel, asked.cluster.scheduler, processes=True)
        return _index(talk, settled.target, asked.options(settled), workers)

    return indexed


def _tell(talk: OutputOptions, channel: str, do: Callable[[], Told], work_to_do: int = 0) -> None:
    """Do something, print its report, and exit with its code; `work_to_do` is the code of a plan that has some."""
    _set_up_logging(talk)
    _forget_empty_variables()
    try:
        with heeded():
            report = do()
    except IndexerError as error:
        _fail(talk, channel, error)
    except Exception as error:
        logging.getLogger(__name__).debug("failed", exc_info=error)
        unexpected = f"internal error ({type(error).__name__}: {error})"
        _fail(talk, channel, IndexerError(channel, unexpected, "repeat with -vv and report it"))
    except KeyboardInterrupt as error:
        err("interrupted; what is published is whole, repeat to go on")
        raise typer.Exit(exit_code(error)) from None
    code = report.exit_code or (work_to_do if _has_work(report) else 0)
    _print(talk, report, code)
    raise typer.Exit(code)


def _has_work(report: Told) -> bool:
    from indexer.core.report import Report

    return isinstance(report, Report) and report.has_work


def _index(talk: OutputOptions, target: Target, asked: Options, workers: WorkerOptions) -> Report:
    from indexer.commands.api import index

    with contextlib.ExitStack() as stack:
        progress = _progress(talk, stack)
        return index(target, asked, workers=workers, progress=progress)


def _progress(talk: OutputOptions, stack: contextlib.ExitStack) -> Callable[[str, int, int], None] | None:
    if talk.quiet:
        return None
    from indexer.cli.progress import bars, lines

    on_terminal = sys.stderr.isatty() and not talk.no_progress
    return stack.enter_context(bars() if on_terminal else lines())


def _print(talk: OutputOptions, report: Told, code: int) -> None:
    from indexer.cli import summary
    from indexer.core.report import Page

    if isinstance(report, Page):
        if talk.json:
            out_json(report.as_json())
        else:
            out(*report.lines)
        return
    err(*summary.error_lines(report))
    if not talk.quiet:
        err(*summary.warning_lines(report))
    if talk.json:
        out_json({**report.as_json(), "exit_code": code})
    elif not talk.quiet:
        out(*summary.summary(report))


def _fail(talk: OutputOptions, channel: str, error: IndexerError) -> None:
    logging.getLogger(__name__).debug("failed", exc_info=error)
    if talk.json:
        from indexer.core.report import failure_as_json

        out_json(failure_as_json(channel, str(error), error.exit_code))
    err(f"error: {error}")
    raise typer.Exit(error.exit_code)


def _set_up_logging(talk: OutputOptions) -> None:
    levels = [logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG]
    level = levels[max(0, min(3, 1 + talk.verbose - talk.quiet))]
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    for handler in logging.getLogger().handlers:
        handler.setFormatter(Formatter("%(levelname)s: %(message)s"))
    for number in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
        logging.addLevelName(number, logging.getLevelName(number).lower())
    # Ours only: botocore logs headers with credentials at its lower levels.
    logging.getLogger("indexer").setLevel(level)
    # It warns with a traceback of what it raises afterwards, such as a session with AWS that has expired.
    logging.getLogger("botocore").setLevel(logging.CRITICAL)


def _forget_empty_variables() -> None:
    """An unset CI secret is an empty variable, which would be signed as an empty token."""
    for name in [name for name, value in os.environ.items() if name.startswith("AWS_") and not value]:
        del os.environ[name]
