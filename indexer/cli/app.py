"""The commands: each makes values from its options, calls one function and prints one report."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from indexer.cli.interruption import exit_code, signals_as_interrupts
from indexer.cli.option_groups import flattened
from indexer.cli.options.bucket import Bucket, Configuration
from indexer.cli.options.files import Files
from indexer.cli.options.output import OutputOptions
from indexer.cli.options.run import ClusterOptions, Patching, RunRequest, ValidationOptions, Writing
from indexer.cli.options.selection import Selection
from indexer.cli.options.upkeep import CheckOptions, DoctorOptions, GcOptions
from indexer.cli.output import Formatter, err, out, out_json
from indexer.core.errors import BadConfig, IndexerError
from indexer.core.exit_codes import ExitCode
from indexer.core.release import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

    from indexer.commands.context import WorkerOptions
    from indexer.core.options import Options
    from indexer.core.report import CheckReport, GcReport, Page, Report
    from indexer.store.target import Target

    AnyReport = Report | CheckReport | GcReport | Page

app = typer.Typer(
    name="indexer",
    help="Index a static conda channel in an S3 bucket or a folder.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_URL = Annotated[str, typer.Argument(metavar="s3://BUCKET[/PREFIX]", show_default=False)]
_DIR = Annotated[str, typer.Argument(metavar="DIR", show_default=False)]
_TARGET = Annotated[str, typer.Argument(metavar="TARGET", show_default=False)]
_PACKAGES = Annotated[list[str], typer.Argument(metavar="SUBDIR/FILENAME", show_default=False)]


def _version(value: bool) -> None:  # noqa: FBT001  typer passes the value as a positional argument
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
    validation: ValidationOptions,
    files: Files,
    patching: Patching,
    output: OutputOptions,
    writing: Writing,
    cluster: ClusterOptions,
    bucket: Bucket,
) -> None:
    """Index a channel in a bucket."""
    if not channel.startswith("s3://"):
        _fail(output, channel, BadConfig(channel, "is not an s3:// URL", "for a folder call `indexer fs`"))
    _run(output, channel, bucket, RunRequest(selection, validation, files, patching, writing, cluster))


@app.command()
@flattened
def fs(
    channel: _DIR,
    selection: Selection,
    validation: ValidationOptions,
    files: Files,
    patching: Patching,
    output: OutputOptions,
    writing: Writing,
    cluster: ClusterOptions,
    configuration: Configuration,
) -> None:
    """Index a channel in a folder."""
    if "://" in channel:
        _fail(output, channel, BadConfig(channel, "is not a folder", "for a bucket call `indexer s3`"))
    _run(output, channel, configuration, RunRequest(selection, validation, files, patching, writing, cluster))


@app.command()
@flattened
def status(
    channel: _TARGET,
    selection: Selection,
    validation: ValidationOptions,
    files: Files,
    patching: Patching,
    output: OutputOptions,
    bucket: Bucket,
    *,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="End with 7 if a run would write or delete a file.")
    ] = False,
) -> None:
    """Show what a run would add, update, remove, reject and write.  Nothing is written."""
    request = RunRequest(selection, validation, files, patching, Writing(dry_run=True))
    _run_command(output, channel, _indexed(output, channel, bucket, request), fail_on_work=exit_code)


@app.command()
@flattened
def check(channel: _TARGET, options: CheckOptions, output: OutputOptions, bucket: Bucket) -> None:
    """Check that index files and packages match each other.  Nothing is written."""

    def do_check() -> CheckReport:
        from indexer.commands.api import check as check_channel
        from indexer.commands.context import WorkerOptions

        resolved = bucket.resolve(channel)
        with contextlib.ExitStack() as stack:
            return check_channel(
                resolved.target,
                subdirs=tuple(options.subdirs or ()),
                deep=options.deep,
                workers=WorkerOptions(output.max_parallel or resolved.downloads, processes=True),
                progress=_progress(output, stack),
            )

    _run_command(output, channel, do_check)


@app.command()
@flattened
def gc(channel: _TARGET, options: GcOptions, output: OutputOptions, bucket: Bucket) -> None:
    """List unused shard files; with --yes, delete them."""

    def do_gc() -> GcReport:
        from indexer.commands.api import gc as collect
        from indexer.commands.gc import GcRequest

        request = GcRequest(options.older_than_ms(), options.yes, subdirs=tuple(options.subdirs or ()))
        return collect(bucket.resolve(channel).target, request)

    _run_command(output, channel, do_gc)


@app.command()
@flattened
def yank(
    channel: _TARGET,
    packages: _PACKAGES,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="The reason; `indexer status` shows it.")],
    output: OutputOptions,
    bucket: Bucket,
) -> None:
    """Withdraw packages from the index; later runs of indexer keep them out.

    The package files stay.  A run of another indexer, such as rattler-index, adds the packages to the index again
    until the next run of indexer.
    """
    from indexer.commands import api

    if not reason.strip():
        _fail(output, channel, BadConfig("--reason", "is empty", "give a reason in a few words"))
    _run_command(output, channel, lambda: api.yank(bucket.resolve(channel).target, packages, reason.strip()))


@app.command()
@flattened
def unyank(channel: _TARGET, packages: _PACKAGES, output: OutputOptions, bucket: Bucket) -> None:
    """Add yanked packages to the index again."""
    from indexer.commands import api

    _run_command(output, channel, lambda: api.unyank(bucket.resolve(channel).target, packages))


@app.command()
@flattened
def ignore(
    channel: _TARGET,
    packages: _PACKAGES,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="The reason; `indexer status` shows it.")],
    output: OutputOptions,
    bucket: Bucket,
) -> None:
    """Skip these packages in this and later runs, for example broken ones.  The files stay in the channel."""
    from indexer.commands import api

    if not reason.strip():
        _fail(output, channel, BadConfig("--reason", "is empty", "give a reason in a few words"))
    _run_command(output, channel, lambda: api.ignore(bucket.resolve(channel).target, packages, reason.strip()))


@app.command()
@flattened
def unignore(channel: _TARGET, packages: _PACKAGES, output: OutputOptions, bucket: Bucket) -> None:
    """Read ignored packages again, and index those that are valid."""
    from indexer.commands import api

    _run_command(output, channel, lambda: api.unignore(bucket.resolve(channel).target, packages))


@app.command()
@flattened
def doctor(channel: _URL, options: DoctorOptions, output: OutputOptions, bucket: Bucket) -> None:
    """Test permissions, region and conditional writes of a store, under a temporary prefix, and print advice."""
    if not channel.startswith("s3://"):
        _fail(output, channel, BadConfig(channel, "is not an s3:// URL", "doctor works on buckets only"))

    def do_doctor() -> Page:
        from indexer.commands.doctor.doctor import examine_store, policy_page, settings_page

        resolved = bucket.resolve(channel)
        if options.policy:
            return policy_page(resolved.target)
        if options.show_config:
            return settings_page(resolved)
        return examine_store(resolved.target).page()

    _run_command(output, channel, do_doctor)


def _run(output: OutputOptions, channel: str, configuration: Configuration, request: RunRequest) -> None:
    """Index, print, and exit with the report's code."""
    _run_command(output, channel, _indexed(output, channel, configuration, request))


def _indexed(
    output: OutputOptions, channel: str, configuration: Configuration, request: RunRequest
) -> Callable[[], Report]:
    """A function that indexes the channel."""

    def do_index() -> Report:
        resolved = configuration.resolve(channel)
        from indexer.commands.context import WorkerOptions

        parallel = output.max_parallel or resolved.downloads
        workers = WorkerOptions(parallel, request.cluster.scheduler, processes=True)
        return _index(output, resolved.target, request.options(resolved), workers)

    return do_index


def _run_command(
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


def _index(output: OutputOptions, target: Target, options: Options, workers: WorkerOptions) -> Report:
    from indexer.commands.api import index

    with contextlib.ExitStack() as stack:
        progress = _progress(output, stack)
        return index(target, options, workers=workers, progress=progress)


def _progress(output: OutputOptions, stack: contextlib.ExitStack) -> Callable[[str, int, int], None] | None:
    if output.quiet:
        return None
    from indexer.cli.progress import bars, lines

    on_terminal = sys.stderr.isatty() and not output.no_progress
    return stack.enter_context(bars() if on_terminal else lines())


def _print(output: OutputOptions, report: AnyReport, code: int) -> None:
    from indexer.cli import summary
    from indexer.core.report import Page

    if isinstance(report, Page):
        if output.json:
            out_json(report.as_json())
        else:
            out(*report.lines)
        return
    err(*summary.error_lines(report))
    if not output.quiet:
        err(*summary.warning_lines(report))
    if output.json:
        out_json({**report.as_json(), "exit_code": code})
    elif not output.quiet:
        out(*summary.summary(report))


def _fail(output: OutputOptions, channel: str, error: IndexerError) -> None:
    logging.getLogger(__name__).debug("failed", exc_info=error)
    if output.json:
        from indexer.core.report import failure_as_json

        out_json(failure_as_json(channel, str(error), error.exit_code))
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
