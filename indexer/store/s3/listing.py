"""The pages of a listing or of a part of one, from stores with ListObjectsV2 or only with ListObjects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from indexer.core.errors import RangeRefused, Unavailable
from indexer.store import within
from indexer.store.s3.answers import Refused
from indexer.store.s3.client import Request
from indexer.store.s3.entries import page_of
from indexer.store.s3.errors import is_unknown
from indexer.store.s3.strict import BadAnswer, field_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from indexer.store import Part
    from indexer.store.s3.client import Client

# An empty body, or any other XML, has none of them.
_OF_A_LISTING = {"Name", "KeyCount", "IsTruncated", "Contents", "CommonPrefixes"}


def pages(client: Client, query: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
    """The pages of a listing, as `entries` parses them.

    A store that has only ListObjects answers ListObjectsV2 with it: the page is truncated and has no continuation
    token, which botocore's own paginator takes for the last page.  A listing that goes round in a circle would never
    end: no page may begin with the same object as an earlier page, and no token may come twice.
    """
    token: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    while True:
        try:
            page = _page(client, {"list-type": "2", **query, **token})
        except Refused as error:
            if token or not is_unknown(error):
                raise
            page = _list_objects(client, query)
        yield _checked(client, query, page)
        following = page.get("NextContinuationToken")
        if not _has_more(page):
            return
        if following is None:
            break
        # Marked as a token or a key, for a token may well be the key that the next page begins with.
        marks = {("token", following), *(("key", entry["Key"]) for entry in page.get("Contents", ())[:1])}
        if marks & seen:
            raise _endless(client, query)
        seen |= marks
        token = {"continuation-token": following}
    yield from _by_marker(client, query, page)


def pages_of(part: Part, client: Client, query: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
    """The objects of a part of a listing, page by page.

    The first key after the part shows that the part is complete.  This holds only if the store starts at the key that
    the request names and lists in order: if not, raises RangeRefused.  Folders are left out, for stores do not agree on
    their order: SeaweedFS sorts them by their names without the slash.
    """
    reached, last = part
    for page in pages(client, {**query, "start-after": reached} if reached else query):
        keys = [entry["Key"] for entry in page.get("Contents", ())]
        if keys and (keys[0] <= reached or keys != sorted(keys)):
            raise RangeRefused(_name(client, query), "the store does not list in order from a given key")
        yield {"Contents": [entry for entry in page.get("Contents", ()) if within(entry["Key"], part)]}
        reached = keys[-1] if keys else reached
        if last and reached >= last:
            return


def _by_marker(client: Client, query: Mapping[str, str], page: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The pages after `page`, by ListObjects."""
    marker = ""
    while _has_more(page):
        following = page.get("NextMarker") or _last(page)
        if following <= marker:
            raise _endless(client, query)
        marker = following
        page = _list_objects(client, {**query, "marker": marker})
        yield _checked(client, query, page)


def _list_objects(client: Client, query: Mapping[str, str]) -> Mapping[str, Any]:
    """A page by ListObjects."""
    if "start-after" in query:
        raise RangeRefused(_name(client, query), "the store's form of listing has no start-after")
    return _page(client, query)


def _page(client: Client, query: Mapping[str, str]) -> Mapping[str, Any]:
    """A page of a listing.  Raises Refused, and BadAnswer."""
    # XML cannot have all characters of keys, so keys are percent-encoded.
    page = page_of(client.ask(Request("GET", query={**query, "encoding-type": "url"})).content)
    if page is None:
        raise BadAnswer("it is not XML")
    return decoded(page)


def decoded(page: Mapping[str, Any]) -> Mapping[str, Any]:
    """A page with the plain form of its keys, if the store has percent-encoded them."""
    if page.get("EncodingType") != "url":
        return page
    decoders = {"Contents": _decoded_key, "CommonPrefixes": _decoded_prefix}
    lists = {name: list(map(decode, page[name])) for name, decode in decoders.items() if name in page}
    marker = {"NextMarker": unquote_plus(page["NextMarker"])} if "NextMarker" in page else {}
    return {**page, **lists, **marker}


def _decoded_key(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**entry, "Key": unquote_plus(field_of(entry, "Key"))}


def _decoded_prefix(entry: Mapping[str, str]) -> Mapping[str, str]:
    return {"Prefix": unquote_plus(entry["Prefix"])}


def _checked(client: Client, query: Mapping[str, str], page: Mapping[str, Any]) -> Mapping[str, Any]:
    """The page, if it is one of the requested listing.  Raises Unavailable: missing objects would count as deleted."""
    if not page.keys() & _OF_A_LISTING:
        raise Unavailable(_name(client, query), "the answer of the store is not a listing", "run again later")
    folders = [entry["Prefix"] for entry in page.get("CommonPrefixes", ())]
    keys = [*(field_of(entry, "Key") for entry in page.get("Contents", ())), *folders]
    in_prefix = all(key.startswith(query["prefix"]) for key in keys)
    if not in_prefix or not all(folder.endswith("/") for folder in folders):
        reason = "the store listed objects outside of the requested prefix"
        raise Unavailable(_name(client, query), reason, "report this with the name of the store")
    return page


def _has_more(page: Mapping[str, Any]) -> bool:
    """Whether more pages follow: by IsTruncated, or if that is missing, by whether there is a token or a marker."""
    return bool(page.get("IsTruncated", page.keys() & {"NextContinuationToken", "NextMarker"}))


def _endless(client: Client, query: Mapping[str, str]) -> Unavailable:
    return Unavailable(_name(client, query), "the listing repeats a page instead of the next one", "run again later")


def _name(client: Client, query: Mapping[str, str]) -> str:
    return f"s3://{client.endpoint.bucket}/{query['prefix']}"


def _last(page: Mapping[str, Any]) -> str:
    """The last key or prefix of a page.  Not all stores send NextMarker, and those that do only with a delimiter."""
    keys = [entry["Key"] for entry in page.get("Contents", ())]
    prefixes = [entry["Prefix"] for entry in page.get("CommonPrefixes", ())]
    return max([*keys, *prefixes], default="")
