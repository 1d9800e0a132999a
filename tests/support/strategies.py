"""Hypothesis strategies: file names, records, indexes, and histories of packages in a subdir."""

from __future__ import annotations

import hashlib
import itertools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from indexer.core.chunks import begins_chunk
from indexer.core.json_form import dump
from indexer.core.model import ETag, Extracted, Index, Raw, Rejected, Stat
from indexer.core.names import EXTENSIONS, parse_filename
from indexer.core.records.index_json import RUN_EXPORTS_KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NAMES = st.sampled_from(["a", "b", "reed", "reed-bed", "t-epoch", "Mallard", "_x", "r.base"])
VERSIONS = st.sampled_from(["1", "1.0", "2.0.0", "1!2.0.0+local.1", "10"])
BUILDS = st.sampled_from(["0", "h_0", "h0a1_12"])
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
INTEGERS = st.integers(-(2**63), 2**63 - 1)
TIMES = st.integers(0, 4_102_444_800_000)
SCALARS = st.none() | st.booleans() | INTEGERS | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
JSON: st.SearchStrategy[Any] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=5
)
SPECS = st.lists(st.sampled_from(["python", "python >=3.8", "reed  1.* h_0", "Ünïcode"]), max_size=3)
# What nobody knows, so that it can meet nothing that somebody does.
UNKNOWN = st.dictionaries(TEXTS.map("x_{}".format), JSON, max_size=2)
RUN_EXPORTS = st.dictionaries(st.sampled_from(RUN_EXPORTS_KINDS), SPECS.filter(bool), max_size=3)
WHEELS = st.dictionaries(
    TEXTS.map("{}-1-py3".format), UNKNOWN.map(lambda unknown: {"name": "wheel", **unknown}), max_size=2
)


@st.composite
def filenames(draw: st.DrawFn) -> str:
    """Draw the name of a package file."""
    return f"{draw(NAMES)}-{draw(VERSIONS)}-{draw(BUILDS)}{draw(st.sampled_from(EXTENSIONS))}"


def hex_digests(size: int) -> st.SearchStrategy[str]:
    """Draw a digest of so many bytes, in lower-case hex."""
    return st.binary(min_size=size, max_size=size).map(bytes.hex)


@st.composite
def records(draw: st.DrawFn, filename: str) -> dict[str, Any]:
    """Draw a record as an indexer publishes it, with keys that nobody knows."""
    parsed = parse_filename(filename)
    assert parsed is not None
    record = {
        **draw(UNKNOWN),
        "name": parsed.name,
        "version": parsed.version,
        "build": parsed.build,
        "build_number": draw(st.integers(0, 99)),
        "depends": draw(SPECS),
        "md5": draw(hex_digests(16)),
        "sha256": draw(hex_digests(32)),
        "size": draw(st.integers(0, 2**40)),
    }
    if draw(st.booleans()):
        record["indexed_timestamp"] = draw(TIMES)
    return record


def as_others_write(value: object) -> Raw:
    """JSON as other tools may have published it: unsorted, spaced, escaped."""
    return Raw(json.dumps(value, separators=(" , ", ": ")).encode())


@st.composite
def indexes(draw: st.DrawFn) -> Index:
    """Draw the index of a subdir, with what other tools left in it."""
    names = draw(st.lists(filenames(), max_size=6, unique=True))
    spell = draw(st.sampled_from([dump, as_others_write]))
    v3 = frozenset(name for name in names if draw(st.booleans()))
    known = [name for name in names if draw(st.booleans())]
    removed = draw(st.lists(filenames(), max_size=2, unique=True))
    return Index(
        records={name: spell(draw(records(name))) for name in names},
        v3=v3,
        run_exports={name: dump(draw(RUN_EXPORTS)) for name in known},
        removed=tuple(sorted(set(removed) - set(names))),
        info={key: spell(value) for key, value in draw(UNKNOWN).items()},
        rest={key: spell(value) for key, value in draw(UNKNOWN).items()},
        v3_rest={"whl": {key: spell(value) for key, value in draw(WHEELS).items()}} if draw(st.booleans()) else {},
    )


@dataclass(frozen=True)
class Content:
    """What one upload holds: `number` tells contents apart, `bad` is no package."""

    number: int
    v3: bool = False
    bad: bool = False

    @property
    def body(self) -> bytes:
        """The bytes of it."""
        return f"content {self.number}{self.v3:d}{self.bad:d}".encode()  # all of one size, none like another


# Small numbers, so that contents come back and sizes are alike.
CONTENTS = st.builds(Content, st.integers(0, 9), v3=st.booleans(), bad=st.sampled_from([False, False, False, True]))
# What lies in a subdir after each of some changes.  Few names, so that packages are replaced and come back.
LIVES = st.lists(
    st.dictionaries(st.sampled_from(["a-1-0.conda", "a-1-0.tar.bz2", "reed-bed-2-h_0.conda"]), CONTENTS),
    min_size=1,
    max_size=4,
)


def listed(content: Content, filename: str, written_ms: int, *, md5: bool) -> Stat:
    """How a listing shows an upload; its version tells when it was written, not what is in it."""
    shown = hashlib.md5(content.body, usedforsecurity=False).hexdigest() if md5 else None
    version = ETag(f"{filename} {written_ms} {content}")
    return Stat(f"noarch/{filename}", len(content.body), version, written_ms, shown)


def extracted(content: Content, filename: str, version: ETag) -> Extracted | Rejected:
    """What reading an upload gives."""
    if content.bad:
        return Rejected(filename, version, "is no package")
    parsed = parse_filename(filename)
    assert parsed is not None
    record = {
        "name": parsed.name,
        "version": parsed.version,
        "build": parsed.build,
        "number": content.number,
        "size": len(content.body),
        "md5": hashlib.md5(content.body, usedforsecurity=False).hexdigest(),
        "sha256": hashlib.sha256(content.body).hexdigest(),
    }
    return Extracted(filename, version, dump(record), dump({"weak": [f"x {content.number}"]}), content.v3)


def without(record: Raw, *keys: str) -> dict[str, Any]:
    """A record's fields, save some."""
    return {key: value for key, value in json.loads(bytes(record)).items() if key not in keys}


def values(raws: Mapping[str, Raw]) -> dict[str, Any]:
    """What raw JSON says, however it is spelled."""
    parse: Callable[[bytes], Any] = json.loads
    return {key: parse(bytes(raw)) for key, raw in raws.items()}


def first_of_a_chunk(name: str, extension: str) -> str:
    """The file name of a package at which a chunk of a repodata.json begins."""
    filenames = (f"{name}-{version}-0{extension}" for version in itertools.count())
    return next(filename for filename in filenames if begins_chunk(filename))
