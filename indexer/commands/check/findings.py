"""The published files of a subdir in one snapshot, and the faults and hints about these files."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from indexer.core import names
from indexer.core.errors import BadIndex, NewerIndex
from indexer.core.formats import repodata
from indexer.core.saved_chunks import are_sound, saved_chunks
from indexer.core.value import Value
from indexer.core.verify import DELETE_AND_RUN, RUN, UPDATE, Fault, decompress_file, has_content

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from indexer.core.snapshot import Snapshot
    from indexer.store.channel_folder import ChannelFolder

# The number of bytes that a decompressed file may have more than expected.
MAX_SURPLUS_BYTES = 64 * 2**20


class Findings(Value, frozen=True):
    """The faults and hints of a part of a check."""

    faults: tuple[Fault, ...] = ()
    hints: tuple[Fault, ...] = ()

    def __add__(self, other: Findings) -> Findings:
        return Findings(self.faults + other.faults, self.hints + other.hints)


NONE = Findings()


class PublishedFiles(Value, frozen=True):
    """The published files of a subdir, as they are in `snapshot`."""

    folder: ChannelFolder
    snapshot: Snapshot

    def has(self, name: str) -> bool:
        """Whether a file exists."""
        return name in self.snapshot.etags

    def read(self, name: str) -> bytes:
        """The content of a file.  Raises Conflict if the file has changed since the snapshot."""
        return self.folder.read(name, self.snapshot.etags[name])

    def faults(self, name: str, reasons: Iterable[str], next_step: str = RUN) -> Findings:
        """A fault of a file for each reason."""
        return Findings(tuple(Fault(self.folder.prefix + name, reason, next_step) for reason in reasons))

    def hint(self, name: str, reason: str, next_step: str) -> Findings:
        """A hint about a file."""
        return Findings(hints=(Fault(self.folder.prefix + name, reason, next_step),))

    def repair_step(self, name: str, *, beside: bool, error: BadIndex | None = None) -> str:
        """The next step for an unreadable file: a run replaces the file, unless it is the only source of the index.

        `beside` is true if another file has the index.
        """
        if isinstance(error, NewerIndex):
            return UPDATE
        if beside or self._has_unpatched():
            return RUN
        return DELETE_AND_RUN.replace(" it", f" {self.folder.prefix}{name}")

    def _has_unpatched(self) -> bool:
        if not self.has(names.FROM_PACKAGES):
            return False
        with contextlib.suppress(BadIndex):
            repodata.decode_unpatched(self.read(names.FROM_PACKAGES), names.FROM_PACKAGES)
            return True
        return False

    def packed_faults(self, name: str, data: bytes, differences: Callable[[bytes], Iterable[str]]) -> Findings:
        """Faults if a compressed file exists and differs from the plain file, whose content is `data`."""
        found = self.faults(name, self._packed_errors(name, data, differences))
        if found.faults or not self.has(name) or self._fits_state(name):
            return found
        return self.faults(name, ["has other chunks than the state has"], DELETE_AND_RUN)

    def _packed_errors(self, name: str, data: bytes, differences: Callable[[bytes], Iterable[str]]) -> Iterator[str]:
        if not self.has(name):
            return
        plain = name.rpartition(".")[0]
        if not self.has(plain):
            yield f"exists without {plain}"
            return
        packed = self.read(name)
        if not has_content(packed, name, data):
            try:
                yield from differences(decompress_file(packed, name, 2 * len(data) + MAX_SURPLUS_BYTES))
            except BadIndex as error:
                yield error.reason

    def _fits_state(self, name: str) -> bool:
        """Whether a compressed file that the last run left has the chunks that the state has.

        Nothing is known about the chunks of another version of zstd: the next run reads the whole file.
        """
        state = self.snapshot.state
        if state is None or name not in state.chunks or not self.snapshot.is_unchanged(name):
            return True
        table, packed = state.chunks[name], self.read(name)
        if not table.is_known:
            return True
        key = self.folder.prefix + name
        found = saved_chunks(lambda start, stop: packed[start:stop], len(packed), table, key)
        return found is not None and are_sound(found.chunks)
