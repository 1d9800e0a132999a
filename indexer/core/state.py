"""The state that one run leaves for the next: the ETags of our files, and the inputs that they were made from.

The state is a hint that makes runs cheaper.  Without it a run looks at more, and publishes the same.
"""

from __future__ import annotations

import hashlib
import itertools
import struct
from typing import TYPE_CHECKING

import msgspec

from indexer.core.channel_settings import KnownSettings
from indexer.core.known_packages import Attested, KnownPackage, blocks_with, known_packages_in
from indexer.core.model import UNREADABLE, ETag, Outputs, Rules
from indexer.core.proof import Proof
from indexer.core.saved_chunks import ChunkTable
from indexer.core.zstd import compress, decompress_saved

if TYPE_CHECKING:
    from collections.abc import Sequence

# The `place` in the state of the files of a channel's root; no subdir has this name.
CHANNEL = "channel"
# The number of the form in which a state is written.  A state of another format counts as none.
FORMAT = 3
# A subdir of at most so many packages is small: a run that changes its index takes some 250 MB.
SMALL = 50_000
# A state file begins with a skippable zstd frame (RFC 8878, section 3.1.2) of four bytes: the size of the first frame.
_START = struct.Struct("<III")
_SKIPPABLE = 0x184D2A50


class PublishedFile(msgspec.Struct, frozen=True, omit_defaults=True):
    """One of our files: its ETag, the digest of the content and the headers that we wrote, and its chunks.

    `chunks` is None if the file is not compressed in chunks (core/saved_chunks.py).
    """

    etag: ETag
    digest: str
    chunks: ChunkTable | None = None


class Bad(msgspec.Struct, frozen=True):
    """A rejected package: its ETag, the reason, and whether its record stays."""

    etag: ETag
    reason: str
    kept: bool = False


class State(msgspec.Struct, frozen=True):
    """What one run leaves for the next.

    `config_fingerprint` is a digest of the options that shape the output, `listing_digest` one of all listed packages
    (empty if not all were listed).  `packages` counts the records.  `files` has the published files.
    `blocks` has what is known of each package (core/known_packages.py).  Of the packages that the run looks at,
    `package_etags` and `attestations` have the same; they are empty until `with_known_packages`.  `package_etags` has
    the ETags of indexed packages whose record does not have the ETag as its MD5; it has all of them if
    `etags_complete`.
    `unattested` has the reason of attestations that do not count, by file name of the package.
    `yanked` and `ignored` have the reasons by file name; `pruned` has the packages that were left out because a
    retention rule removed them.  `rejected` has bad packages, `reported` the ETags of other rejected files (an invalid
    name, no permission to read).
    `has_more_stages` is true if the first run over the subdir has not ended (core/first_run.py).
    `validated` is true if readers can parse all records: an index of another indexer is checked once.  `outputs` and
    `rules` are those of the run: a yank publishes with the same ones.  `all_in_v3` is true if records can be under
    `v3` by assignment only.  `split_points` are file names at which the next listing can be split into even parts.
    `name_digests` has a digest of the listing for each package name,
    if there are shards only; the empty text for a name that the next run must look at.  `place` is the subdir, or
    CHANNEL for the files of a channel's root.  `has_misfiled_records` is true if a record can have another name than
    its file. `incomplete` counts the packages with unknown run exports, None if they were not counted.  `recent`
    counts the packages of the last week by hour (core/recent.py), None if they were not counted.  `settings` are the
    settings of the channel that the run found, None in the state of an older release.
    `proof` is the test of conditional writes that the store has passed, None if the store needs no test.
    """

    config_fingerprint: str = ""
    listing_digest: str = ""
    packages: int = 0
    etags_complete: bool = True
    files: dict[str, PublishedFile] = {}
    package_etags: dict[str, ETag] = {}
    rejected: dict[str, Bad] = {}
    yanked: dict[str, str] = {}
    ignored: dict[str, str] = {}
    pruned: tuple[str, ...] = ()
    reported: dict[str, ETag] = {}
    outputs: Outputs | None = None
    rules: Rules | None = None
    all_in_v3: bool = False
    attestations: dict[str, Attested] = {}
    unattested: dict[str, str] = {}
    split_points: tuple[str, ...] = ()
    name_digests: dict[str, str] = {}
    has_misfiled_records: bool = False
    place: str = ""
    incomplete: int | None = None
    validated: bool = False
    has_more_stages: bool = False
    recent: tuple[tuple[int, int], ...] | None = None
    settings: KnownSettings | None = None
    proof: Proof | None = None
    blocks: tuple[bytes, ...] = ()

    @property
    def chunks(self) -> dict[str, ChunkTable]:
        """The tables of the files that are compressed in chunks, by file name."""
        return {name: file.chunks for name, file in self.files.items() if file.chunks is not None}


class _StateFile(State, frozen=True):
    """The first frame of a state file; files of format 1 have no number.

    `block_sizes` has the size of each block, a frame each, which follow; `blocks_digest` is the SHA-256 of them all.
    """

    format: int = 1
    block_sizes: tuple[int, ...] = ()
    blocks_digest: str = ""


_state_file = msgspec.json.Decoder(_StateFile)
_NOT_IN_FIRST_FRAME = ("package_etags", "attestations", "blocks")


def encode_state(state: State) -> bytes:
    """The content of the state file: its blocks, and all else except what `with_known_packages` made of them."""
    values = {key: value for key, value in msgspec.structs.asdict(state).items() if key not in _NOT_IN_FIRST_FRAME}
    if not state.pruned:  # most channels prune nothing
        del values["pruned"]
    sizes = tuple(map(len, state.blocks))
    values |= {"format": FORMAT, "block_sizes": sizes, "blocks_digest": _digest(state.blocks)}
    return state_file(msgspec.json.encode(values, order="deterministic"), state.blocks)


def state_file(first: bytes, blocks: Sequence[bytes] = ()) -> bytes:
    """A state file of the content of its first frame, and of blocks."""
    frame = compress(first, checksum=True)
    return b"".join([_START.pack(_SKIPPABLE, 4, len(frame)), frame, *blocks])


def decode_state(data: bytes) -> State | None:
    """The state in a state file; None if the file cannot be read or has another format."""
    try:
        magic, _, size = _START.unpack_from(data)
        content = _state_file.decode(decompress_saved(data[_START.size : _START.size + size]))
    except (*UNREADABLE, ValueError, struct.error):
        return None
    blocks = _blocks_in(data, _START.size + size, content.block_sizes)
    if magic != _SKIPPABLE or content.format != FORMAT or _digest(blocks) != content.blocks_digest:
        return None
    fields = {key: getattr(content, key) for key in State.__struct_fields__ if key not in _NOT_IN_FIRST_FRAME}
    return State(**fields, blocks=blocks)


def _blocks_in(data: bytes, start: int, sizes: Sequence[int]) -> tuple[bytes, ...]:
    ends = list(itertools.accumulate(sizes, initial=start))
    return tuple(data[begin:end] for begin, end in itertools.pairwise(ends))


def _digest(blocks: Sequence[bytes]) -> str:
    digest = hashlib.sha256()
    for block in blocks:
        digest.update(block)
    return digest.hexdigest()


def with_known_packages(state: State, package_names: frozenset[str] | None) -> State:
    """The state with the ETags and attestations of the packages of some names (lower case), of all names if None.

    If a block cannot be read, the state has none of them, and is not complete.
    """
    try:
        known = known_packages_in(state.blocks, package_names)
    except ValueError:
        return msgspec.structs.replace(state, blocks=(), etags_complete=False)
    return msgspec.structs.replace(
        state,
        package_etags={filename: one.etag for filename, one in known.items() if one.etag},
        attestations={filename: one.attested for filename, one in known.items() if one.attested is not None},
    )


def with_blocks(state: State, before: Sequence[bytes], package_names: frozenset[str] | None) -> State:
    """The state whose blocks have its ETags and attestations, and those of other names in the blocks `before`.

    `package_names` are the names (lower case) that the run looked at, None for all.
    """
    etags, attestations = state.package_etags, state.attestations
    filenames = {*etags, *attestations}
    known = {
        filename: KnownPackage(etags.get(filename, ETag("")), attestations.get(filename)) for filename in filenames
    }
    try:
        blocks = blocks_with(before, package_names, known, state.packages)
    except ValueError:
        return msgspec.structs.replace(state, blocks=blocks_with((), None, known, state.packages), etags_complete=False)
    return msgspec.structs.replace(state, blocks=blocks)


def config_fingerprint(outputs: Outputs, rules: Rules, release: str) -> str:
    """A digest of all that shapes the output besides the packages; another release looks at everything again."""
    return hashlib.sha256(msgspec.json.encode((release, outputs, rules))).hexdigest()
