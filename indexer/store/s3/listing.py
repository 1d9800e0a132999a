"""The pages of a listing or of a part of one, from stores that know ListObjectsV2 or only the first form of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from indexer.core.errors import RangeRefused, Unavailable
from indexer.store import within
from indexer.store.s3.errors import is_unknown
from indexer.store.s3.strict import told

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from indexer.store import Part

# An empty body, or any other XML, has none of them.
_OF_A_LISTING = {"Name", "KeyCount", "IsTruncated", "Contents", "CommonPrefixes"}


def pages(client: Any, asked: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
    """The pages of a listing, as `entries` reads them.

    A store that knows only the first form takes the second for it: its page is truncated and has no token
    to go on with, which botocore's own paginator takes for the last.  One that goes round in a circle would keep
    a run for ever: no page begins with an object that another began with, and no token is told twice.
    """
    token: dict[str, str] = {}
    begun: set[tuple[str, str]] = set()
    while True:
        try:
            page = client.list_objects_v2(**asked, **token)
        except ClientError as error:
            if token or not is_unknown(error):
                raise
            page = _first_form(client, asked)
        yield _checked(asked, page)
        following = page.get("NextContinuationToken")
        if not _goes_on(page):
            return
        if following is None:
            break
        # Told apart, for a token may well be the key that the next page begins with.
        marks = {("token", following), *(("key", entry["Key"]) for entry in page.get("Contents", ())[:1])}
        if marks & begun:
            raise _stuck(asked)
        begun |= marks
        token = {"ContinuationToken": following}
    yield from _by_marker(client, asked, page)


def pages_of(part: Part, client: Any, asked: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
    """The objects of a part of a listing, page by page.

    Where the part ends is known by the first key beyond it.  That tells nothing where a store does not begin
    where it was asked to, or does not go on in order: then raises RangeRefused.  Folders are left out, for
    stores do not agree on where they stand: SeaweedFS sorts them by their names without the slash.
    """
    reached, last = part
    for page in pages(client, {**asked, "StartAfter": reached} if reached else asked):
        keys = [entry["Key"] for entry in page.get("Contents", ())]
        if keys and (keys[0] <= reached or keys != sorted(keys)):
            raise RangeRefused(_name(asked), "the store does not list in order from a key on")
        yield {"Contents": [entry for entry in page.get("Contents", ()) if within(entry["Key"], part)]}
        reached = keys[-1] if keys else reached
        if last and reached >= last:
            return


def _by_marker(client: Any, asked: Mapping[str, str], page: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The pages after one, in the first form of listing."""
    marker = ""
    while _goes_on(page):
        following = page.get("NextMarker") or _last(page)
        if following <= marker:
            raise _stuck(asked)
        marker = following
        page = _first_form(client, asked, Marker=marker)
        yield _checked(asked, page)


def _first_form(client: Any, asked: Mapping[str, str], **more: str) -> Mapping[str, Any]:
    if "StartAfter" in asked:
        raise RangeRefused(_name(asked), "the store's form of listing has no StartAfter")
    page: Mapping[str, Any] = client.list_objects(**asked, **more)
    return page


def _checked(asked: Mapping[str, str], page: Mapping[str, Any]) -> Mapping[str, Any]:
    """A page that is one.  Raises Unavailable: whatever it lacks would be taken for deleted."""
    if not page.keys() & _OF_A_LISTING:
        raise Unavailable(_name(asked), "the store answered something else than a listing", "repeat later")
    folders = [entry["Prefix"] for entry in page.get("CommonPrefixes", ())]
    keys = [*(told(entry, "Key") for entry in page.get("Contents", ())), *folders]
    if not all(key.startswith(asked["Prefix"]) for key in keys) or not all(it.endswith("/") for it in folders):
        raise Unavailable(
            _name(asked), "the store listed other objects than it was asked for", "report this with its name"
        )
    return page


def _goes_on(page: Mapping[str, Any]) -> bool:
    """Whether there are more pages: as it is told, else by whether it is told how to ask for them."""
    return bool(page.get("IsTruncated", page.keys() & {"NextContinuationToken", "NextMarker"}))


def _stuck(asked: Mapping[str, str]) -> Unavailable:
    return Unavailable(_name(asked), "the store's listing does not go on", "repeat later")


def _name(asked: Mapping[str, str]) -> str:
    return f"s3://{asked['Bucket']}/{asked['Prefix']}"


def _last(page: Mapping[str, Any]) -> str:
    """The last key or prefix of a page: only with a delimiter, and not by every store, it is told."""
    keys = [entry["Key"] for entry in page.get("Contents", ())]
    prefixes = [entry["Prefix"] for entry in page.get("CommonPrefixes", ())]
    return max([*keys, *prefixes], default="")
