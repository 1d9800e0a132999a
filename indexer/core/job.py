"""The job of a run in one subdir, and whether the published files already match the job."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from indexer.core import names
from indexer.core.patch import NO_INSTRUCTIONS as NO_PATCH
from indexer.core.publication import instructions_of
from indexer.core.release import __version__
from indexer.core.snapshot import etags_of
from indexer.core.state import config_fingerprint
from indexer.core.value import Value

if TYPE_CHECKING:
    from indexer.core.model import Index
    from indexer.core.options import Options, SentAttestations
    from indexer.core.snapshot import Snapshot
    from indexer.core.state import State


class SubdirJob(Value, frozen=True, dict=True):
    """A subdir, the options of the run, and the patch instructions that the run was given for the subdir.

    If `patch` is None, the published instructions stay in force.  A `dry_run` writes nothing.
    """

    subdir: str
    options: Options
    patch: bytes | None = None
    dry_run: bool = False

    @cached_property
    def scope(self) -> frozenset[str] | None:
        """The file names of the only packages to look at; None for all packages."""
        if self.options.packages is None:
            return None
        # A run over packages of other subdirs creates noarch if it is missing; then all of noarch is indexed.
        return self._in_subdir(self.options.packages) or None

    @cached_property
    def named_packages(self) -> frozenset[str]:
        """The file names that a person gave: a file that does not exist is a mistake of that person."""
        return self._in_subdir((self.options.packages or frozenset()) - self.options.may_be_gone)

    @cached_property
    def sent_attestations(self) -> dict[str, SentAttestations]:
        """The attestations that were just sent, by file name of the package."""
        sent = dict(self.options.sent_attestations)
        return {filename: sent[f"{self.subdir}/{filename}"] for filename in self._in_subdir(frozenset(sent))}

    @cached_property
    def unyanked(self) -> frozenset[str]:
        """The file names of the packages that this run unyanks."""
        return self._in_subdir(self.options.unyanked)

    @cached_property
    def config_fingerprint(self) -> str:
        """A digest of all that shapes the published files besides the packages."""
        return config_fingerprint(self.options.outputs, self.options.rules, __version__)

    @cached_property
    def all_in_v3(self) -> bool:
        """Whether every record shall be in the latest revision of repodata."""
        return self.options.outputs.info.all_in_v3

    def is_up_to_date(self, snapshot: Snapshot) -> bool:
        """Whether the listing alone proves that nothing changed since the last run."""
        state = snapshot.state
        if state is None or self.options.force or self.scope is not None:
            return False
        if snapshot.gc_in_progress or snapshot.shards_in_doubt or not self.same_config_and_files(snapshot):
            return False
        if _wants_more_than(self, state):
            return False
        invalid = {rejected.filename for rejected in snapshot.invalid_filenames} - state.ignored.keys()
        if self.options.rules.strict and invalid:
            return False
        return state.listing_digest == snapshot.listing.digest

    def same_config_and_files(self, snapshot: Snapshot) -> bool:
        """Whether the published files are those that a run with the same options left."""
        return snapshot.matches_state and self.same_config_and_patch(snapshot)

    def same_config_and_patch(self, snapshot: Snapshot) -> bool:
        """Whether the files of the index are those that a run with the same options and the same patch left."""
        state = snapshot.state
        if state is None or not snapshot.files_match_state or state.config_fingerprint != self.config_fingerprint:
            return False
        if snapshot.etags.get(names.PATCH_INSTRUCTIONS) != etags_of(state).get(names.PATCH_INSTRUCTIONS):
            return False
        if self.patch is None:
            return True
        published = state.files.get(names.PATCH_INSTRUCTIONS)
        if published is None:
            return self.patch == NO_PATCH and names.FROM_PACKAGES not in snapshot.etags
        return published.digest == instructions_of(self.patch, self.options.outputs).digest

    def can_reuse_shards(self, snapshot: Snapshot) -> bool:
        """Whether a shard whose records do not change is the one that this run would make."""
        reads_all_again = self.options.force or self.unyanked
        return self.same_config_and_files(snapshot) and snapshot.shards_trusted and not reads_all_again

    def usable_state(self, state: State | None) -> State | None:
        """The state as far as it holds under the rules of this job: a rejected package can be good under other
        rules.
        """
        if state is None or state.config_fingerprint == self.config_fingerprint:
            return state
        return msgspec.structs.replace(state, rejected={}, name_digests={})

    def without_unyanked(self, index: Index) -> Index:
        """The index in which the packages that this run unyanks are not listed as removed by another indexer."""
        return replace(index, removed=tuple(name for name in index.removed if name not in self.unyanked))

    def _in_subdir(self, packages: frozenset[str]) -> frozenset[str]:
        parts = (key.rpartition("/") for key in packages)
        return frozenset(filename for subdir, _, filename in parts if subdir == self.subdir)


def _wants_more_than(job: SubdirJob, state: State) -> bool:
    """Whether the last run left run exports unknown that are wanted, or does not know the channel's settings."""
    if job.options.complete and state.incomplete != 0:
        return True
    # The next run finds the settings of the channel in the state of noarch.
    return job.subdir == names.NOARCH and state.settings != job.options.known_settings
