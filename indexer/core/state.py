"""The state that one run leaves for the next: the ETags of our files, and the inputs that they were made from.

The state is a hint that makes runs cheaper.  Without it a run looks at more, and publishes the same.
"""

from __future__ import annotations

import hashlib
import itertools
from typing import TYPE_CHECKING

import msgspec

from indexer.core.channel_settings import KnownSettings
from indexer.core.chunks import ChunkTable
from indexer.core.json_stream import large_object, object_chunks
from indexer.core.model import UNREADABLE, ETag, Outputs, Raw, Rules
from indexer.core.proof import Proof
from indexer.core.zstd import compress_chunks, decompress_saved

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from indexer.core.model import Stat

# The `place` in the state of the files of a channel's root; no subdir has this name.
CHANNEL = "channel"
# The number of the form in which a state is written.  A state of another format counts as none.
FORMAT = 2
# A subdir of at most so many packages is small: a run that changes its index takes some 250 MB.
SMALL = 50_000
# A part of a listing: a little less than three pages, so that some new packages need no fourth.
_PART = 2_900
_MAX_PARTS = 64
# How many lines of a listing are hashed at once.
_LINES = 10_000


class PublishedFile(msgspec.Struct, frozen=True, omit_defaults=True):
    """One of our files: its ETag, the digest of the content and the headers that we wrote, and its chunks.

    `chunks` is None if the file is not compressed in chunks (core/chunks.py).
    """

    etag: ETag
    digest: str
    chunks: ChunkTable | None = None


class Bad(msgspec.Struct, frozen=True):
    """A rejected package: its ETag, the reason, and whether its record stays."""

    etag: ETag
    reason: str
    kept: bool = False


class Attested(msgspec.Struct, frozen=True, omit_defaults=True):
    """The attestations of a package: a digest of its sidecars as they were read, and their SHA-256.

    Attestations that do not count have a `reason` instead; the reason can be gone next time if it is `transient`.
    """

    sidecars_digest: str
    sha256: str = ""
    reason: str = ""
    transient: bool = False


class State(msgspec.Struct, frozen=True):
    """What one run leaves for the next.

    `config_fingerprint` is a digest of the options that shape the output, `listing_digest` one of all listed packages
    (empty if not all were listed).  `packages` counts the records.  `files` has the published files.
    `package_etags` has the ETags of indexed packages whose record does not have the ETag as its MD5; it has all of
    them if `etags_complete`.  `yanked` and `ignored` have the reasons by file name; `pruned` has the packages that were
    left out because a retention rule removed them.  `rejected` has bad packages, `reported` the ETags of other rejected
    files (an invalid name, no permission to read).
    `validated` is true if readers can parse all records: an index of another indexer is checked once.  `outputs` and
    `rules` are those of the run: a yank publishes with the same ones.  `all_in_v3` is true if records can be under
    `v3` by assignment only.  `attestations` is by file name of the package.  `split_points` are file names at which
    the next listing can be split into even parts.  `name_digests` has a digest of the listing for each package name,
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
    split_points: tuple[str, ...] = ()
    name_digests: dict[str, str] = {}
    has_misfiled_records: bool = False
    place: str = ""
    incomplete: int | None = None
    validated: bool = False
    recent: tuple[tuple[int, int], ...] | None = None
    settings: KnownSettings | None = None
    proof: Proof | None = None

    @property
    def chunks(self) -> dict[str, ChunkTable]:
        """The tables of the files that are compressed in chunks, by file name."""
        return {name: file.chunks for name, file in self.files.items() if file.chunks is not None}


class _StateFile(State, frozen=True):
    """The content of a state file; files of format 1 have no number."""

    format: int = 1


_state_file = msgspec.json.Decoder(_StateFile)


def encode_state(state: State) -> bytes:
    """The content of the state file."""
    small = msgspec.structs.replace(state, package_etags={})
    values: dict[str, object] = {
        key: Raw(msgspec.json.encode(value, order="deterministic"))
        for key, value in msgspec.structs.asdict(small).items()
        if key != "pruned" or value  # most channels prune nothing
    }
    values["format"] = FORMAT
    # In chunks: encoded at once, the ETags were the memory peak of a first run of half a million packages.
    values["package_etags"] = large_object(sorted(state.package_etags), state.package_etags.__getitem__)
    return compress_chunks(object_chunks(values))


def decode_state(data: bytes) -> State | None:
    """The state in a state file; None if the file cannot be read or has another format."""
    try:
        content = _state_file.decode(decompress_saved(data))
    except (*UNREADABLE, ValueError):
        return None
    if content.format != FORMAT:
        return None
    fields = {key: getattr(content, key) for key in State.__struct_fields__}
    return State(**fields)


def config_fingerprint(outputs: Outputs, rules: Rules, release: str) -> str:
    """A digest of all that shapes the output besides the packages; another release looks at everything again."""
    return hashlib.sha256(msgspec.json.encode((release, outputs, rules))).hexdigest()


def line_of(filename: str, stat: Stat) -> str:
    """The line of a file in a listing digest: its name, its size and its ETag."""
    return f"{filename}\0{stat.size}\0{stat.etag}\n"


def listing_digest_of(packages: Mapping[str, Stat]) -> str:
    """A digest of all packages of a listing: their names, sizes and ETags."""
    digest = hashlib.sha256()
    lines = (line_of(name, packages[name]) for name in sorted(packages))
    while batch := "".join(itertools.islice(lines, _LINES)):
        digest.update(batch.encode())
    return digest.hexdigest()


def split_points_of(filenames: Collection[str]) -> tuple[str, ...]:
    """The file names that split a listing into even parts (some kilobytes at most); none for a small listing."""
    parts = min(len(filenames) // _PART, _MAX_PARTS)
    if parts < 2:  # noqa: PLR2004  one part is no part
        return ()
    ordered = sorted(filenames)
    return tuple(ordered[len(ordered) * number // parts] for number in range(1, parts))
