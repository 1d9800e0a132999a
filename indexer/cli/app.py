"""The commands: each makes values from its options, calls one function of the Python API and prints one report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from indexer.cli.headings import Application
from indexer.cli.option_groups import flattened
from indexer.cli.options.arguments import (
    Channel,
    Files,
    Folder,
    From,
    NewName,
    Packages,
    Reason,
    Selected,
    SnapshotName,
    To,
    Url,
)
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
from indexer.core.names import extension_of
from indexer.core.release import __version__

if TYPE_CHECKING:
    from indexer.core.gc_report import GcReport
    from indexer.core.pruning import PruneReport
    from indexer.core.publishing import PromoteReport, PublishReport
    from indexer.core.report import CheckReport, Page, Report, SettingsReport
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
    channel: Url, request: RunRequest, output: ReadingOptions, monitoring: MonitoringOptions, bucket: Bucket
) -> None:
    """Index a channel in a bucket."""

    def do_index() -> Report:
        _check_is_url(channel, "or call `indexer fs` for a folder")
        return _index(channel, request, output, bucket)

    run_command(output, channel, with_metrics(monitoring, channel, do_index))


@app.command()
@flattened
def fs(
    channel: Folder,
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
    channel: Channel,
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
def publish(channel: Channel, files: Files, options: PublishOptions, output: ProgressOptions, bucket: Bucket) -> None:
    """Check and upload package files, and index them.

    Files that the channel has already are not uploaded.  The subdir is that of info/index.json in the package.
    Attestations beside a package (FILE.sigs) are uploaded after the package.
    """

    def do_publish() -> PublishReport:
        from indexer.commands import api

        if extension_of(channel) and "://" not in channel:
            raise BadConfig(channel, "is a package, not a channel", "name the channel first, then the packages")
        resolved = bucket.resolve(channel)
        with progress_of(output) as progress:
            return api.publish(resolved.target, files, options.request(), options.options(resolved), progress=progress)

    run_command(output, channel, with_metrics(options.monitoring, channel, do_publish))


@app.command()
@flattened
def promote(source: From, channel: To, packages: Selected, options: PromoteOptions, output: OutputOptions) -> None:
    """Copy packages to another channel, and index them there.

    Within one store no package is downloaded or uploaded.  Other bytes under the same name in TO stay.
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
def check(channel: Channel, options: CheckOptions, output: ReadingOptions, bucket: Bucket) -> None:
    """Check that index files and packages match each other.  Nothing is written."""

    def do_check() -> CheckReport:
        from indexer.commands import api
        from indexer.commands.context import WorkerOptions

        if output.max_parallel and not options.deep:
            raise BadConfig(
                "--max-parallel", "only a check with --deep reads packages", "add --deep, or drop the option"
            )
        resolved = bucket.resolve(channel)
        workers = WorkerOptions(output.max_parallel or resolved.downloads, processes=True)
        subdirs = tuple(options.subdirs or ())
        with progress_of(output) as progress:
            return api.check(resolved.target, subdirs=subdirs, deep=options.deep, workers=workers, progress=progress)

    run_command(output, channel, do_check)


@app.command()
@flattened
def gc(channel: Channel, options: GcOptions, output: OutputOptions, bucket: Bucket) -> None:
    """List unused shard files; with --yes, delete them."""

    def do_gc() -> GcReport:
        from indexer.commands import api
        from indexer.commands.gc import GcRequest

        request = GcRequest(options.older_than_ms(), options.yes, subdirs=tuple(options.subdirs or ()))
        return api.gc(bucket.resolve(channel).target, request)

    run_command(output, channel, do_gc)


@app.command()
@flattened
def prune(channel: Channel, options: PruneOptions, output: OutputOptions, bucket: Bucket) -> None:
    """List packages that no rule keeps; with --yes, remove them.

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
def yank(channel: Channel, packages: Packages, reason: Reason, output: OutputOptions, bucket: Bucket) -> None:
    """Withdraw packages from the index; their files stay.

    Later runs of indexer keep the packages out.  A run of another indexer, such as rattler-index, adds the packages to
    the index again until the next run of indexer.
    """
    from indexer.commands import api

    run_command(output, channel, lambda: api.yank(bucket.resolve(channel).target, packages, _words(reason)))


@app.command()
@flattened
def unyank(channel: Channel, packages: Packages, output: OutputOptions, bucket: Bucket) -> None:
    """Add yanked packages to the index again."""
    from indexer.commands import api

    run_command(output, channel, lambda: api.unyank(bucket.resolve(channel).target, packages))


@app.command()
@flattened
def ignore(channel: Channel, packages: Packages, reason: Reason, output: OutputOptions, bucket: Bucket) -> None:
    """Skip packages in all runs, for example broken ones.  The files stay in the channel."""
    from indexer.commands import api

    run_command(output, channel, lambda: api.ignore(bucket.resolve(channel).target, packages, _words(reason)))


@app.command()
@flattened
def unignore(channel: Channel, packages: Packages, output: OutputOptions, bucket: Bucket) -> None:
    """Read ignored packages again, and index those that are valid."""
    from indexer.commands import api

    run_command(output, channel, lambda: api.unignore(bucket.resolve(channel).target, packages))


@app.command()
@flattened
def snapshot(
    channel: Channel, options: SnapshotOptions, output: OutputOptions, bucket: Bucket, *, name: NewName = None
) -> None:
    """Freeze the index of a channel under a name.

    A snapshot is a channel for clients: TARGET/snapshots/NAME.  Packages and shards are not copied.  Other options list
    and delete snapshots.
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
def rollback(
    channel: Channel, name: SnapshotName, options: RollbackOptions, output: OutputOptions, bucket: Bucket
) -> None:
    """Show how to go back to a snapshot; with --yes, do it.

    The index then says what the snapshot says: packages that were indexed later are withdrawn, as by `indexer yank`,
    and those that were withdrawn later come back.
    """

    def do_rollback() -> RollbackReport:
        from indexer.commands import api
        from indexer.commands.rollback import RollbackRequest

        return api.rollback(bucket.resolve(channel).target, RollbackRequest(name, options.reason.strip(), options.yes))

    run_command(output, channel, do_rollback)


@app.command()
@flattened
def settings(channel: Channel, options: SettingsOptions, output: OutputOptions, bucket: Bucket) -> None:
    """Show or change the settings of a channel.

    All later runs follow them, however they are started.
    """

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
def remove(channel: Channel, options: RemovalOptions, output: OutputOptions, bucket: Bucket) -> None:
    """Show how to leave a channel to another tool; with --yes, do it.

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
def doctor(channel: Url, options: DoctorOptions, output: OutputOptions, bucket: Bucket) -> None:
    """Test permissions, region and conditional writes of a store.

    The tests use a temporary prefix, which is deleted.  Advice is printed.
    """

    def do_doctor() -> Page:
        _check_is_url(channel, "doctor tests buckets only")
        from indexer.commands.doctor.doctor import examine_store, policy_page, settings_page

        resolved = bucket.resolve(channel)
        if options.policy:
            return policy_page(resolved.target)
        if options.show_config:
            return settings_page(resolved)
        return examine_store(resolved.target).page()

    run_command(output, channel, do_doctor)


def _index(channel: str, request: RunRequest, output: ReadingOptions, configuration: Configuration) -> Report:
    """Index a channel, or plan this, with all settings that apply to it."""
    resolved = configuration.resolve(channel)
    options = request.options(resolved)
    from indexer.commands import api
    from indexer.commands.context import WorkerOptions

    workers = WorkerOptions(output.max_parallel or resolved.downloads, request.scheduler, processes=True)
    with progress_of(output) as progress:
        return api.index(resolved.target, options, workers=workers, progress=progress)


def _check_is_url(channel: str, more: str) -> None:
    """Raise BadConfig, with `more` in the next step, if a channel is not in a bucket."""
    if not channel.startswith("s3://"):
        raise BadConfig(channel or "''", "is not an s3:// URL", f"write it like s3://my-bucket/my-channel; {more}")


def _words(reason: str) -> str:
    """A reason without white space around it.  Raises BadConfig if it is empty."""
    if not reason.strip():
        raise BadConfig("--reason", "is empty", "give a reason in a few words")
    return reason.strip()
