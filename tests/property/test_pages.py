"""A listing, whatever its pages look like: all that is there, or an error; never a part of it, never for ever."""

from __future__ import annotations

import itertools
import re
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.core.errors import IndexerError
from indexer.lister.listing import listed
from tests.support.listing_pages import PREFIX, Paged
from tests.support.memory_channel import Inline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from indexer.core.model import Stat

_UNDER = f"{PREFIX}/noarch/"
NAMES = [f"p{letter}+{number}-1-0.conda" for letter in "abcd" for number in range(3)]
FOLDERS = ["pb/", "shards/"]
CUTS: list[list[str]] = [[], NAMES[3:9:5]]


def _entry(name: str) -> str:
    if name.endswith("/"):
        return f"<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>"
    when = "<LastModified>2026-11-22T12:00:00.000Z</LastModified>"
    return f"<Contents><Key>{name}</Key>{when}<ETag>&quot;e&quot;</ETag><Size>7</Size></Contents>"


def page(url: str, size: int) -> str:
    """The page that a URL asks for, as AWS writes it."""
    query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    after = query.get("continuation-token") or query.get("marker") or query.get("start-after", "")
    names = sorted(_UNDER + name for name in (*NAMES, *FOLDERS) if _UNDER + name > after)
    shown, more = names[:size], len(names) > size
    parts = ["<Name>bucket</Name><EncodingType>url</EncodingType>", f"<IsTruncated>{str(more).lower()}</IsTruncated>"]
    if more:
        parts.append(f"<NextContinuationToken>{shown[-1]}</NextContinuationToken>")
    parts += [_entry(quote(name)) for name in shown]
    return f'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{"".join(parts)}</ListBucketResult>'


def _without(name: str) -> Callable[[str], str]:
    return lambda text: re.sub(f"<{name}>.*?</{name}>", "", text)


def _in_reverse(text: str) -> str:
    entries = re.findall("<(?:Contents|CommonPrefixes)>.*?</(?:Contents|CommonPrefixes)>", text)
    return text.replace("".join(entries), "".join(entries[::-1]))


def _unquoted(text: str) -> str:
    return text.replace("<EncodingType>url</EncodingType>", "").replace("%2B", "+")


def _folders_in_one(text: str) -> str:
    result = re.findall("<CommonPrefixes>(.*?)</CommonPrefixes>", text)
    rest = re.sub("<CommonPrefixes>.*?</CommonPrefixes>", "", text)
    return rest.replace("</ListB", f"<CommonPrefixes>{''.join(result)}</CommonPrefixes></ListB") if result else text


SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "True": lambda text: text.replace(">true<", ">True<"),
    "1 and 0": lambda text: text.replace(">true<", ">1<").replace(">false<", "> 0 <"),
    "nothing of whether it goes on": _without("IsTruncated"),
    "no namespace": lambda text: re.sub(" xmlns=.*?>", ">", text),
    "keys as they are": _unquoted,
    "entities": lambda text: text.replace("/p", "&#47;&#x70;"),
    "sections": lambda text: re.sub("<Key>(.*?)</Key>", r"<Key><![CDATA[\1]]></Key>", text),
    "comments": lambda text: text.replace("<Key>", "<!-- <Key>x</Key> --><Key><!-- y -->"),
    "lines": lambda text: re.sub("(<[A-Z])", r"\n  \1", text),
    "other elements": lambda text: text.replace("<Key>", "<Owner><Key>x</Key></Owner><Key>"),
    "folders on every page": lambda text: text.replace("</ListB", f"{_entry(f'{_UNDER}shards/')}</ListB"),
    "the first form's": lambda text: text.replace("NextContinuationToken", "NextMarker").replace("+", "%2B"),
    "nothing to go on with": _without("NextContinuationToken"),
    "an empty token": lambda text: re.sub("(<NextC.*?>).*?(</NextC)", r"\1\2", text),
    "no order": _in_reverse,
    "folders in one": _folders_in_one,
    "objects twice": lambda text: re.sub("(<Contents>.*?</Contents>)", r"\1\1", text),
}
"""What mere spelling is, or what a store may do: the listing must be whole."""


ODDITIES: dict[str, Callable[[str], str]] = {
    "broken off": lambda text: text[: len(text) * 2 // 3],
    "nothing": lambda _: "",
    "a page for people": lambda _: "<html><body>Sign in</body></html>",
    "an error": lambda _: "<Error><Code>InternalError</Code></Error>",
    "maybe more": lambda text: text.replace(">true<", ">maybe<"),
    "back to the first page": lambda text: re.sub("(<NextC.*?>).*?(</NextC)", r"\1a\2", text),
    "no sizes": lambda text: text.replace("<Size>7<", "<Size>seven<"),
    "no versions": lambda text: text.replace("&quot;e&quot;", ""),
    "no times": lambda text: text.replace("2026-", "99999-"),
    "no keys": _without("Key"),
    "two keys": lambda text: text.replace("</Key>", f"</Key><Key>{_UNDER}x-1-0.conda</Key>"),
    "other objects": lambda text: text.replace(f"<Key>{_UNDER}", "<Key>other/"),
    "other folders": lambda text: text.replace(f"<Prefix>{_UNDER}", "<Prefix>other/"),
    "folders without a slash": lambda text: text.replace("/</Prefix>", "</Prefix>"),
    "files": lambda text: f"<!DOCTYPE r [<!ENTITY a SYSTEM 'file:///etc/hosts'>]>{text.replace('/p', '/&a;p')}",
}
"""What no store should say: the listing is whole, or an error is raised that names it."""


@cache
def paged() -> Paged:
    return Paged()


def files(stats: Iterable[Stat]) -> set[str]:
    """Names without those of folders, which only a listing in one piece has."""
    return {stat.key for stat in stats if not stat.key.endswith("/")}


def found(odd: Callable[[str], str], which: set[int], size: int, cuts: list[str]) -> set[str]:
    """The names that are listed where some of the pages, in the order of requests, are odd."""
    count = itertools.count()
    store = paged().store(lambda url: (odd if next(count) in which else str)(page(url, size)).encode())
    return files(listed(store, "noarch/", cuts, Inline(), list))


def outcome(odd: Callable[[str], str], which: set[int], size: int, cuts: list[str]) -> set[str] | str:
    """The names, or the error in words."""
    try:
        return found(odd, which, size, cuts)
    except IndexerError as error:
        return str(error)


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
def test_a_listing_is_whole_however_its_pages_are_spelt(spelling: Callable[[str], str]) -> None:
    for size, cuts in itertools.product((1, 3, 1000), CUTS):
        assert found(spelling, {*range(99)}, size, cuts) == {*NAMES}


@pytest.mark.parametrize("oddity", ODDITIES.values(), ids=ODDITIES)
@settings(max_examples=10, deadline=None)
@given(which=st.sets(st.integers(0, 5)) | st.just({*range(99)}), size=st.integers(2, 6), cuts=st.sampled_from(CUTS))
def test_a_listing_with_odd_pages_is_whole_or_an_error_that_names_it(
    oddity: Callable[[str], str], which: set[int], size: int, cuts: list[str]
) -> None:
    result = outcome(oddity, which, size, cuts)
    assert result == {*NAMES} or (
        isinstance(result, str) and (result.startswith(f"s3://bucket/{_UNDER}: ") or "is not an S3 endpoint" in result)
    )


def test_a_token_may_be_the_key_that_the_next_page_begins_with() -> None:
    keys = sorted(_UNDER + name for name in (*NAMES, *FOLDERS))

    def answer(url: str) -> bytes:
        first = parse_qs(urlsplit(url).query).get("continuation-token", keys[:1])[0]
        before = keys[keys.index(first) - 1] if first != keys[0] else ""
        text = page(f"?continuation-token={quote(before)}" if before else "", 2)
        return re.sub(
            "(<NextC.*?>).*?(</NextC)", rf"\g<1>{keys[min(keys.index(first) + 2, len(keys) - 1)]}\2", text
        ).encode()

    assert files(listed(paged().store(answer), "noarch/", [], Inline(), list)) == {*NAMES}


@pytest.mark.parametrize("token", ["same", "{}"])
def test_a_listing_that_goes_round_in_a_circle_ends(token: str) -> None:
    count = itertools.count()

    def again(_: str) -> bytes:
        result = f"<NextContinuationToken>{token.format(next(count))}</NextContinuationToken>"
        return page("", 2).replace("<EncodingType>", f"{result}<EncodingType>").encode()

    store = paged().store(lambda url: _without_second_token(again(url)))
    with pytest.raises(IndexerError, match="repeats a page"):
        listed(store, "noarch/", [], Inline(), list)


def _without_second_token(body: bytes) -> bytes:
    first, end, rest = body.partition(b"</NextContinuationToken>")
    return first + end + re.sub(rb"<NextContinuationToken>.*?</NextContinuationToken>", b"", rest)
