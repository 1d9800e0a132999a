"""Attestation sidecars: Sigstore bundles beside a package (CEP 27), and their digest in its record.

`<package>.sigs` is a JSON array and may be replaced; `<package>.sigs.<sha256>` is a copy of it, which readers
fetch by the digest in the record (conda/ceps 142, as in rattler-index).
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from indexer.core.formats.repodata import check_utf8
from indexer.core.listing_digest import digest_of
from indexer.core.model import UNREADABLE, Index
from indexer.core.names import parse_filename
from indexer.core.records.identity import altered, identity_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from indexer.core.known_packages import Attested
    from indexer.core.model import Raw, Stat
    from indexer.core.options import SentAttestations

FIELD = "attestations_sha256"
SUFFIX = ".sigs"
# Each bundle of a package has a few kilobytes.
MAX_SIZE = 2**24
_SIDECAR = re.compile(r"(?P<package>.+)\.sigs(?:\.[0-9a-f]{64})?")

_any = msgspec.json.Decoder(msgspec.Raw)
_BLANKS = b" \t\r\n"
_EMPTY = re.compile(rb"[ \t\r\n]*\[[ \t\r\n]*\][ \t\r\n]*")


class _Attested(msgspec.Struct):
    attestations_sha256: str | None = None


_attested = msgspec.json.Decoder(_Attested)


def package_of_sidecar(filename: str) -> str | None:
    """The package of a sidecar, None for any other file."""
    match = _SIDECAR.fullmatch(filename)
    return match["package"] if match and parse_filename(match["package"]) else None


def sidecars_by_package(sidecars: Mapping[str, Stat]) -> dict[str, dict[str, Stat]]:
    """The sidecars of each package that has a `.sigs`, by file name."""
    by_package: dict[str, dict[str, Stat]] = {}
    for filename, stat in sidecars.items():
        package = package_of_sidecar(filename)
        if package is not None and package + SUFFIX in sidecars:
            by_package.setdefault(package, {})[filename] = stat
    return by_package


def sidecars_digest(sidecars: Mapping[str, Stat]) -> str:
    """A digest of the names, sizes and ETags of one package's sidecars in a listing."""
    return digest_of(sidecars)


def bundles_digest(content: bytes) -> str:
    """The sha256 (hex) of a `.sigs`.  Raises ValueError if it is not an array, or is empty."""
    try:
        # Validated and not built: as objects, JSON may take thirty times its size.
        _any.decode(content)
        check_utf8(content)
    except (*UNREADABLE, UnicodeDecodeError) as error:
        raise ValueError(f"is not a JSON array ({error})") from error
    if not content.lstrip(_BLANKS).startswith(b"["):
        raise ValueError("is not a JSON array")
    if _EMPTY.fullmatch(content):
        raise ValueError("is an empty array")
    return hashlib.sha256(content).hexdigest()


def attestations_digest_in(record: Raw) -> str | None:
    """The sha256 of attestations in a record, None if it has none."""
    if FIELD.encode() in bytes(record):
        with contextlib.suppress(*UNREADABLE):
            return _attested.decode(record).attestations_sha256
    return None


def with_attestations(index: Index, attested: Mapping[str, Attested]) -> Index:
    """An index whose records have the digests in `attested` and no other digests of attestations.

    If attestations could not be read for a transient reason, the record stays as it is.
    """
    changed = {}
    for filename, record in index.records.items():
        known = attested.get(filename)
        if known is None and FIELD.encode() not in bytes(record):
            continue
        if known is None or not known.transient:
            changed[filename] = altered(record, {FIELD: (known and known.sha256) or None})
    return replace(index, records={**index.records, **changed}) if changed else index


def with_sent_attestations(index: Index, sent: Mapping[str, SentAttestations]) -> Index:
    """An index whose records have the digests in `sent`, by file name; a record of other package bytes stays."""
    changed = {
        filename: altered(index.records[filename], {FIELD: attestations.sha256})
        for filename, attestations in sent.items()
        if filename in index.records and identity_of(index.records[filename]).sha256 == attestations.package_sha256
    }
    return replace(index, records={**index.records, **changed}) if changed else index
