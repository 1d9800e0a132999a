"""Brings one package and its attestations from one channel to another: the store copies, or the bytes pass through."""

from __future__ import annotations

import hashlib
import logging
from contextlib import closing
from typing import TYPE_CHECKING

from indexer.commands.publish.send import existing_package, send_copy
from indexer.core.attestations import MAX_SIZE, bundles_digest
from indexer.core.errors import Conflict, CopyRefused, OneUnavailable
from indexer.core.publishing import Attestations, Sending
from indexer.core.stream import Stream
from indexer.core.value import Value
from indexer.store import CHANGED, Expect
from indexer.store.read import ResumingReader, read_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from indexer.commands.promote.source import SourcePackage
    from indexer.core.model import ETag, Stat
    from indexer.store import Opened, Reader, Store

_log = logging.getLogger(__name__)

_STEP = 512 * 2**10
_REPEAT = "index the channel FROM, then repeat"


class Transferred(Value, frozen=True):
    """What happened to a package, the ETag that it has now, and the sha256 of its attestations, empty without any."""

    result: Sending
    etag: ETag
    attestations: str = ""


def transfer(source: Store, found: SourcePackage, store: Store, check: Callable[[], None]) -> Transferred:
    """Bring a package to the channel in `store` if that does not have it, then its attestations.

    Raises Conflict if another program changes an object at the same time: then try again; OneUnavailable if the package
    is not the one that was found any more.
    """
    try:
        result, etag = Sending.PROMOTED, _bring(source, found, store, check)
    except Conflict:
        existing = existing_package(store, found.package)
        if existing is None:
            _check_unchanged(source, found.stat)
            raise
        result, etag = Sending.THERE if existing.is_same else Sending.DIFFERENT, existing.etag
    if found.sidecar is None or not result.is_in_channel:
        return Transferred(result, etag)
    return Transferred(result, etag, _bring_attestations(source, found.sidecar, store))


def _bring(source: Store, found: SourcePackage, store: Store, check: Callable[[], None]) -> ETag:
    try:
        return store.copy(source.place, found.stat, expect=Expect.NEW)
    except CopyRefused as error:
        _log.debug("%s", error)
    reader = source.open(found.stat.key, etag=found.stat.etag)
    with closing(reader):
        content = _passing_through(source, found, reader, check)
        headers = {**found.package.headers, **_metadata_headers(reader.opened)}
        return store.put(found.stat.key, content, expect=Expect.NEW, headers=headers)


def _check_unchanged(source: Store, stat: Stat) -> None:
    now = source.stat(stat.key)
    if now is None or now.etag != stat.etag:
        raise OneUnavailable(stat.key, "was replaced while it was copied", _REPEAT)


def _metadata_headers(opened: Opened) -> dict[str, str]:
    return {f"x-amz-meta-{name}": value for name, value in opened.metadata.items()}


def _passing_through(source: Store, found: SourcePackage, first: Reader, check: Callable[[], None]) -> Stream:
    """The content of a package, which is read while it is written; `first` is an open reader of it.

    Reading raises OneUnavailable if the package has changed, or if its bytes are not those of its record.
    """
    stat, package = found.stat, found.package
    readers = [first]

    def opened() -> Reader:
        try:
            return readers.pop() if readers else source.open(stat.key, etag=stat.etag)
        except Conflict as error:  # would be taken for one of the other store
            raise OneUnavailable(stat.key, CHANGED, _REPEAT) from error

    def chunks() -> Iterator[bytes]:
        digest = hashlib.sha256()
        with ResumingReader(source, stat, opened()) as stream:
            while data := stream.read(_STEP):
                check()
                digest.update(data)
                yield data
        if digest.hexdigest() != package.sha256:
            raise OneUnavailable(stat.key, "has other bytes than its record says", _REPEAT)

    md5 = bytes.fromhex(package.md5) if package.md5 else None
    return Stream(chunks, package.size, bytes.fromhex(package.sha256), md5)


def _bring_attestations(source: Store, sidecar: Stat, store: Store) -> str:
    """Write the attestations of a package, first the copy whose name has their digest; the sha256 of those there now.

    Attestations that the channel has already stay: they can be newer, or its own.  Invalid ones are not copied.
    """
    if sidecar.size > MAX_SIZE:
        _log.warning("%s: has more than %s bytes, so it is not copied", sidecar.key, MAX_SIZE)
        return ""
    content = read_whole(source, sidecar.key)[0]
    try:
        sent = Attestations(content, bundles_digest(content))
    except ValueError as error:
        _log.warning("%s: %s, so it is not copied", sidecar.key, error)
        return ""
    send_copy(store, f"{sidecar.key}.{sent.sha256}", content)
    try:
        store.put(sidecar.key, content, expect=Expect.ABSENT, headers={"Content-Type": "application/json"})
    except Conflict:
        if read_whole(store, sidecar.key)[0] != content:
            _log.warning("%s: the channel has other attestations of this package, which stay", sidecar.key)
            return ""
    return sent.sha256
