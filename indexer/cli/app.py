"""The commands: each makes values from its options, calls one function of the Python API and prints one report."""

from __future__ import annotations

import copy
import functools
from typing import TYPE_CHECKING, Annotated

import typer

from indexer.cli.headings import Application
from indexer.cli.option_groups import flattened
from indexer.cli.options import Text
from indexer.cli.options.bucket import Bucket, Configuration
from indexer.cli.options.monitoring import MonitoringOptions
from indexer.cli.options.output import OutputOptions, ProgressOptions, ReadingOptions
from indexer.cli.options.promoting import PromoteOptions
from indexer.cli.options.pruning import PruneOptions
from indexer.cli.options.publishing import PublishOptions
from indexer.cli.options.run import IndexOptions, RunRequest, Writing
from indexer.cli.options.snapshots import RollbackOptions, SnapshotOptions
from indexer.cli.options.upkeep import CheckOptions, DoctorOptions, GcOptions, RemovalOptions, SettingsOptions
from indexer.cli.output import out
from indexer.cli.run_command import progress_of, run_command, with_metrics
from indexer.core.errors import BadConfig
from indexer.core.release import __version__

if TYPE_CHECKING:
    from typer.models import CommandInfo

    from indexer.core.pruning import PruneReport
    from indexer.core.publishing import PromoteReport, PublishReport
    from indexer.core.report import CheckReport, GcReport, Page, Report, SettingsReport
    from indexer.core.rollback import RollbackReport
    from indexer.core.snapshot_report import SnapshotReport

app = Application(
    name="indexer",
    help="Index a static conda channel in an S3 bucket or a folder.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_URL = Annotated[str, typer.Argument(metavar="s3://BUCKET[/PREFIX]", show_default=False)]
_DIR = Annotated[str, typer.Argument(metavar="DIR", show_default=False)]
_TARGET = Annotated[str, typer.Argument(metavar="TARGET", show_default=False)]
_REASON = Annotated[str, typer.Option(metavar="TEXT", help="The reason; `indexer status` shows it.")]
_FILES = Annotated[list[str], typer.Argument(metavar="FILE", show_default=False)]
_FROM = Annotated[str, typer.Argument(metavar="FROM", show_default=False)]
_TO = Annotated[str, typer.Argument(metavar="TO", show_default=False)]
_SELECTED = Annotated[list[str], typer.Argument(metavar="PACKAGE", show_default=False)]
_NAME = Annotated[str, typer.Argument(metavar="NAME", show_default=False)]
_NEW_NAME = Annotated[Text, typer.Argument(metavar="NAME", show_default=False)]
_PACKAGES = Annotated[list[str], typer.Argument(metavar="SUBDIR/FILENAME", show_default=False)]


def _version(value: bool) -> None:  # noqa: FBT001  typer passes the value as a positional argument
    if value:
        out(f"indexer {__version__}")
        raise typer.Exit


@app.callback()
def root(
    *,
    version: Annotated[
        bool, typer.Option("--version", "-V", is_eager=True, callback=_version, help="Print the version.")
    ] = False,
) -> None:
    """Index a static conda channel in an S3 bucket or a folder."""


@app.command()
@flattened
def s3(
    channel: _URL, request: RunRequest, output: ReadingOptions, monitoring: MonitoringOptions, bucket: Bucket
) -> None:
    """Index a channel in a bucket."""

    def do_index() -> Report:
        _check_is_url(channel, "for a folder call `indexer fs`")
        return _index(channel, request, output, bucket)

    run_command(output, channel, with_metrics(monitoring, channel, do_index))


@app.command()
@flattened
def fs(
    channel: _DIR,
    request: RunRequest,
    output: ReadingOptions,
    monitoring: MonitoringOptions,
    configuration: Configuration,
) -> None:
    """Index a channel in a folder."""

    def do_index() -> Report:
        if "://" in channel:
            raise BadConfig(channel, "is not a folder", "for a bucket call `indexer s3`")
        return _index(channel, request, output, configuration)

    run_command(output, channel, with_metrics(monitoring, channel, do_index))


@app.command()
@flattened
def status(
    channel: _TARGET,
    options: IndexOptions,
    output: ReadingOptions,
    bucket: Bucket,
    *,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="End with 7 if a run would write or delete a file.")
    ] = False,
) -> None:
    """Show what a run would add, update, remove, reject and write.  Nothing is written."""
    request = RunRequest(options, Writing(dry_run=True))
    run_command(output, channel, lambda: _index(channel, request, output, bucket), fail_on_work=exit_code)


@app.command()
@flattened
def publish(channel: _TARGET, files: _FILES, options: PublishOptions, output: ProgressOptions, bucket: Bucket) -> None:
    """Check package files, upload those that the channel does not have, and index these.

    The subdir is that of info/index.json in the package.  Attestations beside a package (FILE.sigs) are uploaded after
    the package.
    """

    def do_publish() -> PublishReport:
        from indexer.commands import api

        resolved = bucket.resolve(channel)
        with progress_of(output) as progress:
            return api.publish(resolved.target, files, options.request(), options.options(resolved), progress=progress)

    run_command(output, channel, with_metrics(options.monitoring, channel, do_publish))


@app.command()
@flattened
def promote(source: _FROM, channel: _TO, packages: _SELECTED, options: PromoteOptions, output: OutputOptions) -> None:
    """Copy packages from the channel FROM to the channel TO, and index them there.

    PACKAGE is SUBDIR/FILENAME, or NAME, NAME=VERSION or NAME=VERSION=BUILD, where * stands for any text.  Within one
    store no package is downloaded or uploaded.  Other bytes under the same name in TO stay.
    """

    def do_promote() -> PromoteReport:
        from indexer.commands import api

        origin, resolved = options.resolve(source, channel)
        what = options.promoting
        return api.promote(
            origin, resolved.target, packages, what.options(resolved), with_dependencies=what.with_dependencies
        )

    run_command(output, channel, do_promote)


@app.command()
@flattened
def check(channel: _TARGET, options: CheckOptions, output: ReadingOptions, bucket: Bucket) -> None:
    """Check that index files and packages match each other.  Nothing is written."""

    def do_check() -> CheckReport:
        from indexer.commands import api
        from indexer.commands.context import WorkerOptions

        resolved = bucket.resolve(channel)
        workers = WorkerOptions(output.max_parallel or resolved.downloads, processes=True)
        subdirs = tuple(options.subdirs or ())
        with progress_of(output) as progress:
            return api.check(resolved.target, subdirs=subdirs, deep=options.deep, workers=workers, progress=progress)

    run_command(output, channel, do_check)


@app.command()
@flattened
def gc(channel: _TARGET, options: GcOptions, output: OutputOptions, bucket: Bucket) -> None:
    """List unused shard files; with --yes, delete them."""

    def do_gc() -> GcReport:
        from indexer.commands import api
        from indexer.commands.gc import GcRequest

        request = GcRequest(options.older_than_ms(), options.yes, subdirs=tuple(options.subdirs or ()))
        return api.gc(bucket.resolve(channel).target, request)

    run_command(output, channel, do_gc)


@app.command()
@flattened
def prune(channel: _TARGET, options: PruneOptions, output: OutputOptions, bucket: Bucket) -> None:
    """List packages that no rule of retention keeps; with --yes, remove them.

    They leave the index first, and a later `prune` deletes their files.  The last version of a package name always
    stays, and so does what a kept package needs.
    """

    def do_prune() -> PruneReport:
        from indexer.commands import api

        resolved = bucket.resolve(channel)
        return api.prune(resolved.target, options.request(resolved))

    run_command(output, channel, do_prune)


@app.command()
@flattened
def yank(channel: _TARGET, packages: _PACKAGES, reason: _REASON, output: OutputOptions, bucket: Bucket) -> None:
    """Withdraw packages from the index; later runs of indexer keep them out.

    The package files stay.  A run of another indexer, such as rattler-index, adds the packages to the index again
    until the next run of indexer.
    """
    from indexer.commands import api

    run_command(output, channel, lambda: api.yank(bucket.resolve(channel).target, packages, _words(reason)))


@app.command()
@flattened
def unyank(channel: _TARGET, packages: _PACKAGES, output: OutputOptions, bucket: Bucket) -> None:
    """Add yanked packages to the index again."""
    from indexer.commands import api

    run_command(output, channel, lambda: api.unyank(bucket.resolve(channel).target, packages))


@app.command()
@flattened
def ignore(channel: _TARGET, packages: _PACKAGES, reason: _REASON, output: OutputOptions, bucket: Bucket) -> None:
    """Skip these packages in this and later runs, for example broken ones.  The files stay in the channel."""
    from indexer.commands import api

    run_command(output, channel, lambda: api.ignore(bucket.resolve(channel).target, packages, _words(reason)))


@app.command()
@flattened
def unignore(channel: _TARGET, packages: _PACKAGES, output: OutputOptions, bucket: Bucket) -> None:
    """Read ignored packages again, and index those that are valid."""
    from indexer.commands import api

    run_command(output, channel, lambda: api.unignore(bucket.resolve(channel).target, packages))


@app.command()
@flattened
def snapshot(
    channel: _TARGET, options: SnapshotOptions, output: OutputOptions, bucket: Bucket, *, name: _NEW_NAME = None
) -> None:
    """Freeze the index of a channel under a name, as a channel TARGET/snapshots/NAME; list or delete such snapshots.

    Packages and shards are not copied.
    """

    def do_snapshot() -> SnapshotReport:
        from indexer.commands import api

        options.check(name)
        target = bucket.resolve(channel).target
        if name is not None:
            return api.snapshot(target, name, monolithic=options.monolithic)
        if options.delete is not None:
            return api.delete_snapshot(target, options.delete, plan=not options.yes)
        return api.list_snapshots(target)

    run_command(output, channel, do_snapshot)


@app.command()
@flattened
def rollback(channel: _TARGET, name: _NAME, options: RollbackOptions, output: OutputOptions, bucket: Bucket) -> None:
    """Show how to make the index say what a snapshot says; with --yes, do it.

    Packages that were indexed later are withdrawn, as by `indexer yank`; those that were withdrawn later come back.
    """

    def do_rollback() -> RollbackReport:
        from indexer.commands import api
        from indexer.commands.rollback import RollbackRequest

        return api.rollback(bucket.resolve(channel).target, RollbackRequest(name, options.reason.strip(), options.yes))

    run_command(output, channel, do_rollback)


@app.command()
@flattened
def settings(channel: _TARGET, options: SettingsOptions, output: OutputOptions, bucket: Bucket) -> None:
    """Show each setting of a channel and its origin; change settings, which all later runs follow."""

    def do_settings() -> SettingsReport:
        from indexer.commands import api
        from indexer.commands.channel_settings import SettingsRequest
        from indexer.settings.channel_file import assigned, fields_of
        from indexer.settings.given import given_settings

        resolved = bucket.resolve(channel)
        given = given_settings({}, resolved.index)
        changed, unset = assigned(options.assignments or ()), tuple(fields_of(options.unset or ()))
        request = SettingsRequest(changed, unset, given.settings, given.origins)
        return api.settings_of(resolved.target, request)

    run_command(output, channel, do_settings)


@app.command()
@flattened
def remove(channel: _TARGET, options: RemovalOptions, output: OutputOptions, bucket: Bucket) -> None:
    """List what leaves a channel to another indexer; with --yes, do it.

    The index is published in the formats of the other indexer alone, because clients would read an outdated file of
    any other format; the files that only this tool reads are deleted.  Packages and shards stay.
    """

    def do_remove() -> Report:
        from indexer.commands import api
        from indexer.core.removal import RemovalRequest, Successor

        request = RemovalRequest(Successor(options.successor.value), options.yes)
        return api.remove(bucket.resolve(channel).target, request)

    run_command(output, channel, do_remove)


@app.command()
@flattened
def doctor(channel: _URL, options: DoctorOptions, output: OutputOptions, bucket: Bucket) -> None:
    """Test permissions, region and conditional writes of a store, under a temporary prefix, and print advice."""

    def do_doctor() -> Page:
        _check_is_url(channel, "doctor works on buckets only")
        from indexer.commands.doctor.doctor import examine_store, policy_page, settings_page

        resolved = bucket.resolve(channel)
        if options.policy:
            return policy_page(resolved.target)
        if options.show_config:
            return settings_page(resolved)
        return examine_store(resolved.target).page()

    run_command(output, channel, do_doctor)


@functools.cache
def only(name: str) -> Application:
    """The application with one command; with all, and shell completion, if no command has this name.

    typer makes each registered command, which takes as long as a run with nothing to do.
    """
    called = [command for command in app.registered_commands if name_of(command) == name]
    if not called:
        return app
    single = copy.copy(app)
    single.registered_commands, single._add_completion = called, False  # noqa: SLF001  typer has no other way
    return single


def name_of(command: CommandInfo) -> str:
    """The name of a command."""
    return str(command.name or getattr(command.callback, "__name__", ""))


def _index(channel: str, request: RunRequest, output: ReadingOptions, configuration: Configuration) -> Report:
    """Index a channel, or plan this, with all settings that apply to it."""
    resolved = configuration.resolve(channel)
    options = request.options(resolved)
    from indexer.commands import api
    from indexer.commands.context import WorkerOptions

    workers = WorkerOptions(output.max_parallel or resolved.downloads, request.scheduler, processes=True)
    with progress_of(output) as progress:
        return api.index(resolved.target, options, workers=workers, progress=progress)


def _check_is_url(channel: str, step: str) -> None:
    """Raise BadConfig, with the next step, if a channel is not in a bucket."""
    if not channel.startswith("s3://"):
        raise BadConfig(channel, "is not an s3:// URL", step)


def _words(reason: str) -> str:
    """A reason without white space around it.  Raises BadConfig if it is empty."""
    if not reason.strip():
        raise BadConfig("--reason", "is empty", "give a reason in a few words")
    return reason.strip()
