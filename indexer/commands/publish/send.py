"""Sends one package and its attestations: never over other bytes, unless they are to be replaced."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from indexer.core.errors import Conflict, Missing, Refused
from indexer.core.publishing import Existing, Sending
from indexer.extractor.extract import stored_digests
from indexer.store import Expect
from indexer.store.read import ResumingReader, read_whole

if TYPE_CHECKING:
    from indexer.core.publishing import LocalPackage, PublishRequest
    from indexer.core.stream import Stream
    from indexer.store import Store

_STEP = 2**20
_HEADERS = {"Content-Type": "application/json"}


def send(store: Store, package: LocalPackage, content: Stream, request: PublishRequest) -> Sending:
    """Send a package with this content, then its attestations, if it is not in the channel.

    The package comes first: attestations of a package that does not exist are of no use.  Raises Conflict if another
    program changes an object at the same time: then try again.
    """
    result = _send_package(store, package, content, request)
    if result.is_in_channel and package.attestations is not None:
        copy, alias = package.sidecars
        send_copy(store, copy, package.attestations.content)
        _send_alias(store, alias, package.attestations.content)
    return result


def existing_package(store: Store, package: LocalPackage) -> Existing | None:
    """The object under the key of a package, None if there is none.

    Its bytes are read only if neither its size nor its ETag nor its metadata decide.
    """
    try:
        reader = store.open(package.key)
    except Missing:
        return None
    stat = reader.opened.stat
    with ResumingReader(store, stat, reader) as stream:
        if stat.size != package.size:
            return Existing(stat.etag, is_same=False)
        if stat.md5 == package.md5:  # an ETag that is no MD5 proves nothing
            return Existing(stat.etag, is_same=True)
        digests = stored_digests(stream.opened)
        sha256 = _sha256_of(stream) if digests is None else digests.sha256
        return Existing(stat.etag, is_same=sha256 == package.sha256)


def _send_package(store: Store, package: LocalPackage, content: Stream, request: PublishRequest) -> Sending:
    try:
        store.put(package.key, content, expect=Expect.NEW, headers=package.headers)
    except Conflict:
        existing = existing_package(store, package)
        if existing is None:  # deleted meanwhile
            raise
    else:
        return Sending.SENT
    if existing.is_same:
        return Sending.THERE
    if not request.replace:
        return Sending.DIFFERENT
    store.put(package.key, content, expect=existing.etag, headers=package.headers)
    return Sending.REPLACED


def send_copy(store: Store, key: str, content: bytes) -> None:
    """Send the copy of attestations whose name has their digest; it is never replaced.  Raises Refused."""
    try:
        store.put(key, content, expect=Expect.ABSENT, headers=_HEADERS)
    except Conflict:
        if read_whole(store, key)[0] != content:
            raise Refused(key, "has other bytes than its name says", "delete the object, then repeat") from None


def _send_alias(store: Store, key: str, content: bytes) -> None:
    """Send the attestations under the name that readers know; newer ones replace older ones."""
    try:
        store.put(key, content, expect=Expect.ABSENT, headers=_HEADERS)
    except Conflict:
        before, stat = read_whole(store, key)
        if before != content:
            store.put(key, content, expect=stat.etag, headers=_HEADERS)


def _sha256_of(stream: ResumingReader) -> str:
    digest = hashlib.sha256()
    while data := stream.read(_STEP):
        digest.update(data)
    return digest.hexdigest()
