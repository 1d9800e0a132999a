"""What a run was told to make of one subdir, and whether what stands there is that."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from indexer.core import name_digests as byname
from indexer.core import names
from indexer.core import state as ledgers
from indexer.core.patch import NONE as NO_PATCH
from indexer.core.patch import left_by_conda_index
from indexer.core.publication import instructions_of
from indexer.core.release import __version__

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
    def stamp(self) -> str:
        """Stands for all that shapes the output besides the packages."""
        return ledgers.config_fingerprint(self.options.outputs, self.options.rules, __version__)

    @property
    def latest(self) -> bool:
        """Whether every record shall stand in the latest revision."""
        return self.options.outputs.info.latest

    def quiet(self, seen: Snapshot, ledger: State) -> bool:
        """Whether nothing changed since the run that left the ledger, by the listing alone."""
        if self.options.force or self.scope is not None or not self.alike(seen) or seen.noted or seen.doubted:
            return False
        if self.options.complete and ledger.incomplete != 0:
            return False
        if self.options.rules.strict and any(it.filename not in ledger.ignored for it in seen.misnamed):
            return False
        return ledger.listing == seen.listing

    def alike(self, seen: Snapshot) -> bool:
        """Whether our files are what a run with the same options left."""
        if seen.ledger is None or not seen.settled or seen.ledger.config_fingerprint != self.stamp:
            return False
        if self.patch is None:
            return True
        named = seen.ledger.wrote.get(names.INSTRUCTIONS)
        if named is None:
            return self.patch == NO_PATCH and names.UNPATCHED not in seen.versions
        return named.digest == instructions_of(self.patch, self.options.outputs).digest

    def emptied(self, found: Overlay, ledger: State | None) -> bool:
        """Whether conda-index has put its empty form over instructions that were in force when the ledger was left."""
        before = ledger.wrote.get(names.INSTRUCTIONS) if ledger else None
        if before is None or found.lying is None or not left_by_conda_index(found.lying):
            return False
        return before.digest not in {"", instructions_of(NO_PATCH, self.options.outputs).digest}

    def built_upon(self, seen: Snapshot) -> bool:
        """Whether shards whose records do not change are those that this run would make."""
        return self.alike(seen) and seen.vouched and not self.options.force and not self.options.unyanked

    @property
    def apart(self) -> bool:
        """Whether nothing is made of all records, and each shard of those of the name that its packages' files have.

        By lenient rules a package may stand in the shard of another name.
        """
        outputs = self.options.outputs
        of_all = outputs.monolithic or outputs.current_repodata or outputs.described or self.latest
        return outputs.shards and not of_all and not self.options.rules.lenient

    def few(self, seen: Snapshot) -> frozenset[str] | None:
        """The names of the only packages whose shards must be read, None where all must be."""
        if not self.apart or names.UNPATCHED in seen.versions or not self.built_upon(seen):
            return None
        if seen.ledger is None or seen.ledger.astray or not (seen.ledger.validated or self.scope):
            return None
        if self.scope is None and self.options.complete and seen.ledger.incomplete != 0:
            return None
        return byname.changed_names(seen.names, seen.ledger) if self.scope is None else byname.names_of(self.scope)

    def incomplete(self, change: Update) -> int:
        """How many packages have unknown run exports, none where these are not published."""
        return change.incomplete if self.options.outputs.run_exports else 0

    def of_these_rules(self, ledger: State | None) -> State | None:
        """What the ledger knows; under other rules a package may have been rejected that is good now."""
        if ledger is None or ledger.config_fingerprint == self.stamp:
            return ledger
        return msgspec.structs.replace(ledger, rejected={}, names={})

    def lifted(self, index: Index) -> Index:
        """The index without the word of another indexer that a package was removed, where it is unyanked."""
        lifted = self._here(self.options.unyanked)
        return replace(index, removed=tuple(name for name in index.removed if name not in lifted))

    def _here(self, packages: frozenset[str]) -> frozenset[str]:
        apart = (key.rpartition("/") for key in packages)
        return frozenset(filename for subdir, _, filename in apart if subdir == self.subdir)
