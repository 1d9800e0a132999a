"""What a run accepts, lays over and writes, and with the other groups all that it was asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Annotated

from typer import Option

from indexer.cli.options import Text
from indexer.core.errors import BadConfig
from indexer.core.model import Rules
from indexer.core.options import Options

if TYPE_CHECKING:
    from indexer.cli.options.files import Files
    from indexer.cli.options.selection import Selection
    from indexer.settings.resolve import Resolved


class FailOn(str, Enum):
    """Which rejected packages make the exit code 3."""

    ANY = "any"
    NEW = "new"


@dataclass(frozen=True)
class ValidationOptions:
    """What a run accepts."""

    verify_digests: Annotated[
        bool,
        Option(
            "--verify-digests", help="Download, hash and decompress every package, even if the store has its digests."
        ),
    ] = False
    strict: Annotated[
        bool, Option("--strict", help="Warnings reject, and one rejected package stops the run before any write.")
    ] = False
    lenient: Annotated[
        bool,
        Option("--lenient", help="Index packages whose name or subdir disagrees with where they lie, with a warning."),
    ] = False
    fail_on: Annotated[
        FailOn,
        Option(help="Which rejected packages make the exit code 3: any, or those that the last run did not report."),
    ] = FailOn.ANY
    allow_mass_removal: Annotated[
        bool,
        Option("--allow-mass-removal", help="Drop more than half of a subdir's records (and more than 10) if asked."),
    ] = False


@dataclass(frozen=True)
class Patching:
    """What is laid over what the packages say."""

    repodata_patch: Annotated[
        Text,
        Option(
            metavar="FILENAME",
            help="Patch package in noarch/ (.conda or .tar.bz2) whose instructions come into force, and stay so in "
            "later runs without this option.",
        ),
    ] = None
    no_repodata_patch: Annotated[
        bool, Option("--no-repodata-patch", help="End the patch that is in force: publish what the packages say.")
    ] = False

    def named(self) -> str | None:
        """The patch as the engine takes it.  Raises BadConfig."""
        if self.repodata_patch is None:
            return "" if self.no_repodata_patch else None
        if self.no_repodata_patch:
            raise BadConfig("--repodata-patch --no-repodata-patch", "ask for opposite things", "leave one of them out")
        if not self.repodata_patch:
            raise BadConfig("--repodata-patch", "is empty", "name a patch package in noarch/, or leave it out")
        return self.repodata_patch.removeprefix("noarch/")


@dataclass(frozen=True)
class Writing:
    """What a run that writes can be told."""

    dry_run: Annotated[bool, Option("--dry-run", help="Only say what the run would do, as `indexer status`.")] = False
    disable_precondition_checks: Annotated[
        bool,
        Option(
            "--disable-precondition-checks",
            help="Write without conditions, for stores that know none; then only one indexer may run at a time.",
        ),
    ] = False


@dataclass(frozen=True)
class ClusterOptions:
    """Where packages are read."""

    scheduler: Annotated[
        Text,
        Option(
            metavar="tcp://HOST:PORT",
            help="Read packages on the workers of this dask.distributed cluster, which have the same release; "
            "tls:// where others can listen. --max-parallel is then for each of their threads.",
        ),
    ] = None


@dataclass(frozen=True)
class RunRequest:
    """What a run was asked to do, whatever the command."""

    selection: Selection
    judgement: ValidationOptions
    files: Files
    patching: Patching
    writing: Writing
    cluster: ClusterOptions = ClusterOptions()

    def options(self, settled: Resolved) -> Options:
        """The value the engine takes, with what files say where no option does.  Raises BadConfig."""
        judgement = self.judgement
        packages, of_event = self.selection.named_packages(settled.target)
        if packages is not None and self.selection.subdirs:
            raise BadConfig("--package --subdir", "both say where to look", "leave one of them out")
        if judgement.strict and judgement.lenient:
            raise BadConfig("--strict --lenient", "ask for opposite things", "leave one of them out")
        if judgement.strict and judgement.fail_on is FailOn.NEW:
            raise BadConfig("--strict --fail-on new", "contradict each other", "remove one of the two options")
        outputs = self.files.outputs(settled.index)
        if self.selection.complete and not outputs.run_exports:
            raise BadConfig("--complete --no-run-exports", "contradict each other", "remove one of the two options")
        return Options(
            outputs=outputs,
            notices=settled.index["notices"].value if "notices" in settled.index else None,
            rules=Rules(judgement.strict, judgement.lenient),
            subdirs=tuple(self.selection.subdirs or ()),
            packages=packages,
            force=self.selection.force,
            complete=self.selection.complete,
            repodata_patch=self.patching.named(),
            verify_digests=judgement.verify_digests,
            allow_mass_removal=judgement.allow_mass_removal,
            preconditions=not self.writing.disable_precondition_checks,
            dry_run=self.writing.dry_run,
            create=self.selection.create,
            may_be_gone=of_event,
            fail_on_new=judgement.fail_on is FailOn.NEW,
        )
