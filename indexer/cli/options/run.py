"""The options for validation, patches and writing, and the groups of all options of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from msgspec import Struct
from typer import Option

from indexer.cli.options import PATCH, SAFETY, SPEED, DryRun, Text
from indexer.cli.options.files import Files
from indexer.cli.options.selection import Selection
from indexer.core.errors import BadConfig
from indexer.core.options import Options

if TYPE_CHECKING:
    from indexer.settings.resolve import Resolved


class ValidationOptions(Struct, frozen=True):
    """How a run checks packages."""

    HEADING: ClassVar[str] = SAFETY

    verify_digests: Annotated[
        bool,
        Option("--verify-digests", help="Ignore stored checksums: download, hash and decompress every package."),
    ] = False
    allow_mass_removal: Annotated[
        bool,
        Option("--allow-mass-removal", help="Allow removing more than half (and more than 10) of a subdir's packages."),
    ] = False


class Patching(Struct, frozen=True):
    """Which repodata patch is applied."""

    HEADING: ClassVar[str] = PATCH

    repodata_patch: Annotated[
        Text,
        Option(
            metavar="FILENAME",
            help="Patch package in noarch/ (.conda or .tar.bz2). Apply this patch now and in later runs.",
        ),
    ] = None
    no_repodata_patch: Annotated[
        bool, Option("--no-repodata-patch", help="End the patch: publish the records of the packages without changes.")
    ] = False

    def patch_filename(self) -> str | None:
        """The file name of the patch package, empty to end the patch, None to keep it.  Raises BadConfig."""
        if self.repodata_patch is None:
            return "" if self.no_repodata_patch else None
        if self.no_repodata_patch:
            raise BadConfig(
                "--repodata-patch --no-repodata-patch", "contradict each other", "remove one of the two options"
            )
        if not self.repodata_patch:
            raise BadConfig("--repodata-patch", "is empty", "name a patch package in noarch/, or remove the option")
        return self.repodata_patch.removeprefix("noarch/")


class Writing(Struct, frozen=True):
    """How a run writes."""

    HEADING: ClassVar[str] = SAFETY

    dry_run: DryRun = False
    disable_precondition_checks: Annotated[
        bool,
        Option(
            "--disable-precondition-checks",
            help="Disable conditional writes (stores without If-Match). Then only one indexer may run at a time.",
        ),
    ] = False


class IndexOptions(Struct, frozen=True):
    """The options that decide what a run changes; `status` has them too."""

    selection: Selection
    validation: ValidationOptions
    files: Files
    patching: Patching


class RunRequest(Struct, frozen=True):
    """All options of a run."""

    HEADING: ClassVar[str] = SPEED

    index: IndexOptions
    writing: Writing
    scheduler: Annotated[
        Text,
        Option(
            metavar="tcp://HOST:PORT",
            help="Read packages on the workers of this dask.distributed cluster, which must have the same release of "
            "indexer. Use tls:// in an untrusted network. --max-parallel then counts for each worker thread.",
        ),
    ] = None

    def options(self, resolved: Resolved) -> Options:
        """The options of the run, with values of configuration files if an option is not given.  Raises BadConfig."""
        selection, validation = self.index.selection, self.index.validation
        packages, of_event = selection.named_packages(resolved.target)
        given = self.index.files.given(resolved.index)
        if packages is not None and selection.subdirs:
            raise BadConfig("--package --subdir", "contradict each other", "remove one of the two options")
        return Options(
            settings=given.settings,
            origins=tuple(given.origins.items()),
            unless_set=given.unless_set,
            this_run_only=self.index.files.this_run_only,
            subdirs=tuple(selection.subdirs or ()),
            packages=packages,
            force=selection.force,
            complete=selection.complete,
            repodata_patch=self.index.patching.patch_filename(),
            verify_digests=validation.verify_digests,
            allow_mass_removal=validation.allow_mass_removal,
            preconditions=not self.writing.disable_precondition_checks,
            dry_run=self.writing.dry_run,
            create=selection.create,
            may_be_gone=of_event,
        )
