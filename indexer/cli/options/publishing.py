"""The options of `publish`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from msgspec import Struct
from typer import Option

from indexer.cli.options import SAFETY, Create, DryRun
from indexer.cli.options.files import Files
from indexer.cli.options.monitoring import MonitoringOptions
from indexer.core.options import Options

if TYPE_CHECKING:
    from indexer.core.publishing import PublishRequest
    from indexer.settings.resolve import Resolved


class PublishOptions(Struct, frozen=True):
    """The options of `publish`, and those of the files that the run after the upload publishes."""

    HEADING: ClassVar[str] = SAFETY

    files_of_index: Files
    monitoring: MonitoringOptions
    partial: Annotated[
        bool, Option("--partial", help="If some files are rejected, upload the others. [default: upload nothing]")
    ] = False
    replace: Annotated[
        bool,
        Option(
            "--replace",
            help="Replace a package that has other bytes in the channel; it gets a new date. [default: an error]",
        ),
    ] = False
    dry_run: DryRun = False
    create: Create = False

    def request(self) -> PublishRequest:
        """What may be uploaded."""
        from indexer.core.publishing import PublishRequest

        return PublishRequest(self.partial, self.replace)

    def options(self, resolved: Resolved) -> Options:
        """The options of the run, with values of configuration files if an option is not given.  Raises BadConfig."""
        given = self.files_of_index.given(resolved.index)
        return Options(
            settings=given.settings,
            origins=tuple(given.origins.items()),
            unless_set=given.unless_set,
            this_run_only=self.files_of_index.this_run_only,
            dry_run=self.dry_run,
            create=self.create,
        )
