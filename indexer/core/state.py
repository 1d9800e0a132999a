"""The memory between runs: which versions of our files belong together, and what they were made from.

It is a hint that makes runs cheaper.  Without it a run looks at more, and publishes the same.
"""

from __future__ import annotations

import hashlib
import itertools
from sys import intern
from typing import TYPE_CHECKING

import msgspec

from indexer.core.json_stream import large_object, object_chunks
from indexer.core.model import UNREADABLE, ETag, Outputs, Raw, Rules
from indexer.core.zstd import compress_chunks, decompress_saved

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from indexer.core.model import Stat

# What `place` says in the state of a channel's own files; no subdir has this name.
CHANNEL = "channel"
# The number of the form in which a state is written.  A state of another format is as good as none.
FORMAT = 2
# A part of a listing: a little less than three pages, so that some new packages need no fourth.
_PART = 2_900
_MAX_PARTS = 64
# How many lines of a listing are hashed at once.
_LINES = 10_000


class PublishedFile(msgspec.Struct, frozen=True):
    """One of our files: the version it had when we put it, and the digest of what was in it."""

    etag: ETag
    digest: str


class Bad(msgspec.Struct, frozen=True):
    """A package found bad: the version that was read, why it was rejected, and whether its record stays."""

    etag: ETag
    reason: str
    kept: bool = False


class Attested(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of a package's attestations: what stands for its sidecars as they were read, and their sha256.

    Without one there is a `reason`; a `transient` one may be gone next time.
    """

    sidecars_digest: str
    sha256: str = ""
    reason: str = ""
    transient: bool = False


class State(msgspec.Struct, frozen=True):
    """What one run leaves for the next.

    `config_fingerprint` stands for the options that shape the output, `listing_digest` for all packages seen (empty
    where not all were), `packages` counts the records.  `package_etags` has the versions of the indexed packages whose
    record does not tell (an S3 ETag that is the record's md5 needs no entry); it has all of them where
    it is `etags_complete`.  `yanked` and `ignored` have the reasons by file name; `reported` are rejected
    files of other kinds than `rejected` (a bad name, no right to read), by the version that was reported.
    `validated` says that readers can parse all records: those of another indexer were looked at when they were taken
    over.  `outputs` and `rules` are those of the run: a yank
    publishes with them, whoever types it.  `all_in_v3` says that records may stand under `v3` by assignment alone.
    `attestations` is by file name of the package.  `split_points` are file names at which the next listing may be cut
    into even parts.  `name_digests` stands for what the listing showed of each package name, where there are shards
    alone; the empty text for a name to look at. `place` is the subdir, or CHANNEL for the state of
    a channel's own files.  `has_misfiled_records` says that there a record may have another name than its file.
    `incomplete` counts the packages whose run exports are unknown, None if they were not counted.
    `recent` counts the packages of the last week (`core/recent.py`), None where nobody counted them.
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
    }
    values["format"] = FORMAT
    # In chunks: encoded at once, the ETags were the memory peak of a first run of half a million packages.
    values["package_etags"] = large_object(sorted(state.package_etags), state.package_etags.__getitem__)
    return compress_chunks(object_chunks(values))


def decode_state(data: bytes) -> State | None:
    """The state in a state file; None if the file cannot be read or has another format."""
    try:
        found = _state_file.decode(decompress_saved(data))
    except (*UNREADABLE, ValueError):
        return None
    if found.format != FORMAT:
        return None
    fields = {key: getattr(found, key) for key in State.__struct_fields__}
    return State(**{**fields, "package_etags": {intern(name): etag for name, etag in found.package_etags.items()}})


def config_fingerprint(outputs: Outputs, rules: Rules, release: str) -> str:
    """Stands for all that shapes the output besides the packages; another release looks at all again."""
    return hashlib.sha256(msgspec.json.encode((release, outputs, rules))).hexdigest()


def line_of(filename: str, stat: Stat) -> str:
    """What a digest of a listing is told of a file: its name, its size and its version."""
    return f"{filename}\0{stat.size}\0{stat.etag}\n"


def listing_digest_of(packages: Mapping[str, Stat]) -> str:
    """Stands for all packages of a listing: their names, sizes and versions."""
    digest = hashlib.sha256()
    lines = (line_of(name, packages[name]) for name in sorted(packages))
    while batch := "".join(itertools.islice(lines, _LINES)):
        digest.update(batch.encode())
    return digest.hexdigest()


def split_points_of(filenames: Collection[str]) -> tuple[str, ...]:
    """The file names that cut a listing into even parts, none of a small one (some kilobytes at most)."""
    parts = min(len(filenames) // _PART, _MAX_PARTS)
    if parts < 2:  # noqa: PLR2004  one part is no part
        return ()
    ordered = sorted(filenames)
    return tuple(ordered[len(ordered) * number // parts] for number in range(1, parts))
