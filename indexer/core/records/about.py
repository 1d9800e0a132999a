"""Reads the metadata of a package: `info/about.json`, the sources of its recipe, and the traits of its paths.

All of it is for people and may be hostile: characters that no page or feed can show are removed from texts, and only
addresses of the common schemes are kept.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
import orjson

from indexer.core.printable import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from indexer.core.metadata import Metadata

_MAX_TEXT = 16 * 2**10
_MAX_ITEMS = 100
_ADDRESS = re.compile(r"(?:https?|ftp|git|ssh)://[^\s<>\"'`\\^{|}]+")
_LINK = re.compile(r"https?://[^\s<>\"'`\\^{|}]+")

# The traits of CEP 38, each with the form of a path in paths.json that shows the trait.  Quotes inside a JSON text are
# escaped, so none of these forms matches inside a file name.
_PATH_TRAITS = {
    "activate.d": re.compile(rb'"_path"\s*:\s*"etc/conda/activate\.d/'),
    "deactivate.d": re.compile(rb'"_path"\s*:\s*"etc/conda/deactivate\.d/'),
    "post_link": re.compile(rb'"_path"\s*:\s*"(?:bin|Scripts)/\.[^/"]+-post-link\.(?:sh|bat)"'),
    "pre_link": re.compile(rb'"_path"\s*:\s*"(?:bin|Scripts)/\.[^/"]+-pre-link\.(?:sh|bat)"'),
    "pre_unlink": re.compile(rb'"_path"\s*:\s*"(?:bin|Scripts)/\.[^/"]+-pre-unlink\.(?:sh|bat)"'),
}
_PREFIX_TRAITS = ("binary_prefix", "text_prefix")
TRAITS = tuple(sorted((*_PATH_TRAITS, *_PREFIX_TRAITS)))
# Longer than any match of a form above; file names have up to 255 bytes.
_OVERLAP = 512
# A JSON object up to the next brace outside its texts, or to the end.  It always matches, so it never backtracks.
_ENTRY = re.compile(rb'\{(?:[^{}"]|"(?:[^"\\]|\\.)*(?:"|\\?\Z))*', re.DOTALL)
_BINARY = re.compile(rb'"file_mode"\s*:\s*"binary"')
# An entry without a placeholder, or with an empty one, has no prefix to replace, whatever its mode (CEP 34).
_PLACEHOLDER = re.compile(rb'"prefix_placeholder"\s*:\s*"[^"]')
# Longer than any real entry: a path and a placeholder, both of some hundred bytes, and digests.
_MAX_ENTRY = 16 * 2**10


def metadata_of(
    about_json: bytes | None, recipe: bytes, path_traits: Iterable[str], known: Metadata
) -> tuple[Metadata, tuple[str, ...]]:
    """`known` with the metadata of `info/about.json`, of the rendered recipe and of the paths, and the warnings.

    Metadata that cannot be read is left out: it is no reason to reject a package.
    """
    from indexer.core.records.recipe import sources_of  # imports YAML, which only runs that read packages need

    fields, warnings = _fields(about_json)
    sources = sources_of(recipe)
    return msgspec.structs.replace(
        known,
        summary=_text(fields.get("summary")),
        description=_text(fields.get("description")),
        home=_first(fields.get("home")),
        dev_url=_first(fields.get("dev_url")),
        doc_url=_first(fields.get("doc_url")),
        doc_source_url=_first(fields.get("doc_source_url")),
        license=_text(fields.get("license")),
        source_url=_addresses(sources.get("url", ())),
        source_git_url=_addresses((*sources.get("git_url", ()), *sources.get("git", ()))),
        identifiers=_texts(fields.get("identifiers")),
        keywords=_texts(fields.get("keywords")),
        tags=_texts(fields.get("tags")),
        traits=tuple(sorted(set(path_traits) & set(TRAITS))),
    ), warnings


def _fields(about_json: bytes | None) -> tuple[dict[str, Any], tuple[str, ...]]:
    if about_json is None:
        return {}, ()
    try:
        fields = orjson.loads(about_json)
    except orjson.JSONDecodeError as error:
        return {}, (f"info/about.json is left out: it is not JSON ({error})",)
    return (fields, ()) if isinstance(fields, dict) else ({}, ("info/about.json is left out: it is not a JSON object",))


def link_of(address: str) -> str:
    """An address that may be a link for people; empty for any other address, such as `javascript:`."""
    return address if _LINK.fullmatch(address) and not has_user(address) else ""


def has_user(address: str) -> bool:
    """Whether an address names a user, as in `https://conda.org@evil.example/`, which people take for another host."""
    return "@" in address.partition("://")[2].partition("/")[0].partition("?")[0].partition("#")[0]


def _text(value: object) -> str:
    return clean(value) if isinstance(value, str) and len(value) <= _MAX_TEXT else ""


def _listed(value: object) -> Sequence[object]:
    return value[:_MAX_ITEMS] if isinstance(value, list | tuple) else () if value is None else (value,)


def _texts(value: object) -> tuple[str, ...]:
    return tuple(text for item in _listed(value) if (text := _text(item)))


def _addresses(value: object) -> tuple[str, ...]:
    return tuple(text for text in _texts(value) if _ADDRESS.fullmatch(text))


def _first(value: object) -> str:
    """The first valid link of a value, which is one address or a list."""
    return next(filter(None, map(link_of, _texts(value))), "")


def traits(chunks: Iterable[bytes]) -> list[str]:
    """The traits that a `paths.json` shows; the file comes in chunks and need not fit into memory."""
    missing = dict(_PATH_TRAITS)
    prefixes: set[str] = set()
    before = entry = b""
    for chunk in chunks:
        window = before + chunk
        missing = {trait: form for trait, form in missing.items() if not form.search(window)}
        before = window[-_OVERLAP:]
        entry = _add_prefix_traits(entry + chunk, prefixes)
    _add_prefix_traits(entry + b"}", prefixes)
    return [trait for trait in TRAITS if trait in prefixes or trait in _PATH_TRAITS.keys() - missing.keys()]


def _add_prefix_traits(window: bytes, prefixes: set[str]) -> bytes:
    """Add the traits of complete entries to `prefixes`; returns the rest, which may be the start of one more entry."""
    for match in _ENTRY.finditer(window):
        if match.end() == len(window):
            return match[0] if len(match[0]) <= _MAX_ENTRY else b""
        if _PLACEHOLDER.search(match[0]):
            prefixes.add("binary_prefix" if _BINARY.search(match[0]) else "text_prefix")
    return b""
