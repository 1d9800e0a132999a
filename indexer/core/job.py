"""What a run was told to make of one subdir, and whether what stands there is that."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from indexer.core import names
from indexer.core.name_digests import changed_names, names_of
from indexer.core.patch import NO_INSTRUCTIONS as NO_PATCH
from indexer.core.patch import is_empty_form_of_conda_index
from indexer.core.publication import instructions_of
from indexer.core.release import __version__
from indexer.core.state import config_fingerprint

if TYPE_CHECKING:
    from indexer.core.model import Index
    from indexer.core.options import Options
    from indexer.core.overlay import Overlay
    from indexer.core.snapshot import Snapshot
    from indexer.core.state import State
    from indexer.core.update import Update


@dataclass(frozen=True)
class SubdirJob:
    """A subdir, the options of the run, and the patch instructions that were named for the subdir.

    Without instructions (None) those that lie there stay in force.
    """

    subdir: str
    options: Options
    patch: bytes | None = None

    @cached_property
    def scope(self) -> frozenset[str] | None:
        """The only file names to look at, None for all."""
        if self.options.packages is None:
            return None
        # noarch is made sure of although nothing in it is named: then it is looked at whole.
        return self._here(self.options.packages) or None

    @property
    def expected(self) -> frozenset[str]:
        """The file names that a person named: one that is nowhere is a mistake."""
        return self._here((self.options.packages or frozenset()) - self.options.may_be_gone)

    @cached_property
    def config_fingerprint(self) -> str:
        """Stands for all that shapes the output besides the packages."""
        return config_fingerprint(self.options.outputs, self.options.rules, __version__)

    @property
    def all_in_v3(self) -> bool:
        """Whether every record shall stand in the latest revision."""
        return self.options.outputs.info.all_in_v3

    def is_up_to_date(self, snapshot: Snapshot, state: State) -> bool:
        """Whether nothing changed since the run that left the ledger, by the listing alone."""
        if (
            self.options.force
            or self.scope is not None
            or not self.same_config_and_files(snapshot)
            or snapshot.gc_in_progress
            or snapshot.shards_in_doubt
        ):
            return False
        if self.options.complete and state.incomplete != 0:
            return False
        if self.options.rules.strict and any(it.filename not in state.ignored for it in snapshot.invalid_filenames):
            return False
        return state.listing_digest == snapshot.listing_digest

    def same_config_and_files(self, snapshot: Snapshot) -> bool:
        """Whether our files are what a run with the same options left."""
        if (
            snapshot.state is None
            or not snapshot.matches_state
            or snapshot.state.config_fingerprint != self.config_fingerprint
        ):
            return False
        if self.patch is None:
            return True
        named = snapshot.state.files.get(names.INSTRUCTIONS)
        if named is None:
            return self.patch == NO_PATCH and names.UNPATCHED not in snapshot.etags
        return named.digest == instructions_of(self.patch, self.options.outputs).digest

    def patch_overwritten(self, found: Overlay, state: State | None) -> bool:
        """Whether conda-index has put its empty form over instructions that were in force when the ledger was left."""
        before = state.files.get(names.INSTRUCTIONS) if state else None
        if before is None or found.published_patch is None or not is_empty_form_of_conda_index(found.published_patch):
            return False
        return before.digest not in {"", instructions_of(NO_PATCH, self.options.outputs).digest}

    def can_reuse_shards(self, snapshot: Snapshot) -> bool:
        """Whether shards whose records do not change are those that this run would make."""
        return (
            self.same_config_and_files(snapshot)
            and snapshot.shards_trusted
            and not self.options.force
            and not self.options.unyanked
        )

    @property
    def independent_shards(self) -> bool:
        """Whether nothing is made of all records, and each shard of those of the name that its packages' files have.

        By lenient rules a package may stand in the shard of another name.
        """
        outputs = self.options.outputs
        of_all = outputs.monolithic or outputs.current_repodata or outputs.needs_metadata or self.all_in_v3
        return outputs.shards and not of_all and not self.options.rules.lenient

    def changed_names(self, snapshot: Snapshot) -> frozenset[str] | None:
        """The names of the only packages whose shards must be read, None where all must be."""
        if not self.independent_shards or names.UNPATCHED in snapshot.etags or not self.can_reuse_shards(snapshot):
            return None
        if (
            snapshot.state is None
            or snapshot.state.has_misfiled_records
            or not (snapshot.state.validated or self.scope)
        ):
            return None
        if self.scope is None and self.options.complete and snapshot.state.incomplete != 0:
            return None
        return changed_names(snapshot.name_digests, snapshot.state) if self.scope is None else names_of(self.scope)

    def incomplete(self, update: Update) -> int:
        """How many packages have unknown run exports, none where these are not published."""
        return update.incomplete if self.options.outputs.run_exports else 0

    def state_for_these_rules(self, state: State | None) -> State | None:
        """What the ledger knows; under other rules a package may have been rejected that is good now."""
        if state is None or state.config_fingerprint == self.config_fingerprint:
            return state
        return msgspec.structs.replace(state, rejected={}, name_digests={})

    def without_unyanked(self, index: Index) -> Index:
        """The index without the word of another indexer that a package was removed, where it is unyanked."""
        lifted = self._here(self.options.unyanked)
        return replace(index, removed=tuple(name for name in index.removed if name not in lifted))

    def _here(self, packages: frozenset[str]) -> frozenset[str]:
        apart = (key.rpartition("/") for key in packages)
        return frozenset(filename for subdir, _, filename in apart if subdir == self.subdir)
