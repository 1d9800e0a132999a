"""What a channel publishes at its root, once for all its subdirs, as `render` has it for a subdir."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from indexer.core import names
from indexer.core.artifact import Artifact, Publication, Rank, mutable, with_digest
from indexer.core.channel_info import notices_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from indexer.core.channel_info import Notice
    from indexer.core.model import ETag, Outputs
    from indexer.core.pages.catalog import Catalog


def channel_publication(
    catalogs: Mapping[str, Catalog], outputs: Outputs, notices: tuple[Notice, ...] | None = None
) -> Publication:
    """Every artifact of a channel's root, from the catalog of each subdir; unwanted files as deletions.

    `notices.json` is written if notices, or an empty list of them, are configured; else the file is not touched.  The
    module that makes a file is imported only if the file is wanted.
    """
    artifacts = []
    if outputs.channeldata:
        from indexer.core.pages.channeldata import encode_channeldata

        artifacts.append(_artifact(names.CHANNELDATA, encode_channeldata(catalogs), outputs, "application/json"))
    if outputs.rss:
        from indexer.core.pages.rss import encode_feed

        content = encode_feed(catalogs, outputs.title, outputs.address)
        artifacts.append(_artifact(names.RSS, content, outputs, "application/rss+xml"))
    if outputs.html:
        from indexer.core.pages.root_page import root_page

        artifacts.append(_artifact(names.INDEX_HTML, root_page(catalogs, outputs), outputs, "text/html; charset=utf-8"))
    if notices is not None:
        artifacts.append(_artifact(names.NOTICES, notices_file(notices), outputs, "application/json"))
    wanted = {artifact.key for artifact in artifacts}
    return Publication((*(Artifact(key, Rank.DERIVED) for key in names.CHANNEL_FILES if key not in wanted), *artifacts))


def _artifact(key: str, content: bytes, outputs: Outputs, content_type: str) -> Artifact:
    return with_digest(Artifact(key, Rank.DERIVED, content, headers=mutable(outputs, content_type)))


def sources_digest(subdirs: Mapping[str, ETag], notices: tuple[Notice, ...] | None = None) -> str:
    """A digest of all that the files are made from: the notices, and for each subdir the ETag of its source."""
    lines = "".join(f"{subdir}\0{subdirs[subdir]}\n" for subdir in sorted(subdirs)).encode()
    return hashlib.sha256(lines if notices is None else lines + notices_file(notices)).hexdigest()
