"""Writes the pages of packages and their state, so that the next run knows all pages of a killed run."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from indexer.core import names
from indexer.core.pages.pages_state import PublishedPage, encode_pages
from indexer.core.progress import Phase, Step
from indexer.core.state import PublishedFile
from indexer.core.value import Value
from indexer.store import Expect
from indexer.store.concurrent import Limits, bounded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from indexer.core.artifact import Artifact
    from indexer.core.model import ETag
    from indexer.core.pages_plan import PagesPlan
    from indexer.store.channel_folder import ChannelFolder

_LIMITS: Limits[tuple[str, Artifact]] = Limits(32)


class WrittenPages(Value, frozen=True):
    """The pages after a run has written them: by package name, and the ETag of the file with their state.

    `names` has the names of those whose content has changed.
    """

    pages: dict[str, PublishedPage]
    names: tuple[str, ...]
    state_etag: ETag | None


def write_pages(root: ChannelFolder, plan: PagesPlan, state_etag: ETag | None) -> WrittenPages:
    """Write the pages of a plan whose content has changed; first the names of new ones into the state of the pages.

    `state_etag` is the ETag of the published state of the pages.  Raises Conflict.
    """
    found = plan.found
    new = [name for name in plan.write if name not in found.announced]
    if new:
        announced = {**found.known, **dict.fromkeys((found.announced | set(new)) - found.known.keys(), PublishedPage())}
        state_etag = _put_state(root, encode_pages(announced), state_etag)
    pages = {name: page for name, page in found.known.items() if name in plan.wanted.sources}
    written: list[str] = []
    total = len(plan.write)

    def changed() -> Iterator[tuple[str, Artifact]]:
        for name in plan.write:
            page = plan.wanted.make(name)
            before = pages.get(name)
            if before is not None and before.digest == page.digest:
                pages[name] = PublishedPage(before.etag, before.digest, plan.wanted.sources[name])
            else:
                yield name, page

    def put(job: tuple[str, Artifact]) -> tuple[str, PublishedPage]:
        name, page = job
        expect = _expected(plan, name)
        etag = root.store.put(page.key, page.content or b"", expect=expect, headers=page.headers)
        return name, PublishedPage(etag, page.digest, plan.wanted.sources[name])

    for name, published in bounded(root.executor, put, changed(), _LIMITS):
        pages[name] = published
        written.append(name)
        root.progress(Step(Phase.WRITING, root.name, len(written), total))
    if len(written) < total:
        root.progress(Step(Phase.WRITING, root.name, total, total))  # the others have the right content
    return WrittenPages(pages, tuple(sorted(written)), state_etag)


def _expected(plan: PagesPlan, name: str) -> Expect | ETag:
    if name in plan.found.known:
        return plan.found.known[name].etag
    return plan.found.others[name].etag if name in plan.found.others else Expect.ABSENT


def finish_pages(root: ChannelFolder, plan: PagesPlan, written: WrittenPages) -> dict[str, PublishedFile]:
    """Delete the pages of packages that are gone, then write their state; without pages delete the state too.

    Returns the file of the state, for the state of the root.  Raises Conflict.
    """

    def delete(name: str) -> None:
        root.store.delete(f"{names.page_key(name)}", expect=plan.delete[name])

    for _ in bounded(root.executor, delete, plan.delete, Limits(_LIMITS.jobs)):
        pass
    if not written.pages:
        if written.state_etag is not None:
            root.store.delete(names.PAGES_STATE, expect=written.state_etag)
        return {}
    content = encode_pages(written.pages)
    etag = written.state_etag
    is_published = written.pages == plan.found.known and written.pages.keys() == plan.found.announced
    if etag is None or not is_published:
        etag = _put_state(root, content, etag)
    return {names.PAGES_STATE: PublishedFile(etag, hashlib.sha256(content).hexdigest())}


def _put_state(root: ChannelFolder, content: bytes, before: ETag | None) -> ETag:
    return root.store.put(names.PAGES_STATE, content, expect=before or Expect.ABSENT)
