"""The keys of configuration files that an indexer reads: what each holds and means.

The structs are the one table of keys: reading, messages and docs/configuration.md are made from it.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct

from indexer.core.channel_info import ChannelRelations, Notice, Revision
from indexer.core.errors import BadConfig

_Table = TypeVar("_Table", bound=Struct)
_Text = Annotated[str, Meta(min_length=1)]


class BucketOptions(Struct, frozen=True, rename="kebab"):
    """`[s3-options.BUCKET]`: how to reach a bucket.  pixi needs the first three, an indexer none."""

    endpoint_url: Annotated[_Text | None, Meta(description="The store's endpoint.")] = None
    region: Annotated[_Text | None, Meta(description="The bucket's region.")] = None
    force_path_style: Annotated[
        bool | None, Meta(description="Whether the bucket is part of the path (`true`) or of the host (`false`).")
    ] = None
    addressing_style: Annotated[
        Literal["virtual-host", "path"] | None, Meta(description="The same as rattler-index spells it.")
    ] = None

    def __post_init__(self) -> None:
        """Raise ValueError for two keys that ask for opposite things."""
        asked = {self.addressing_style, {True: "path", False: "virtual-host", None: None}[self.force_path_style]}
        if len(asked - {None}) > 1:
            raise ValueError("force-path-style and addressing-style ask for opposite things")

    @property
    def style(self) -> str | None:
        """The addressing style, whichever key has it."""
        if self.force_path_style is None:
            return self.addressing_style
        return "path" if self.force_path_style else "virtual-host"


class IndexConfig(Struct, frozen=True, rename="kebab"):
    """`[index-config]` and `[index-config."CHANNEL"]`: what a channel publishes, as rattler-index reads it."""

    write_zst: Annotated[bool | None, Meta(description="Publish the JSON files as `.zst` too.")] = None
    write_shards: Annotated[bool | None, Meta(description="Publish sharded repodata.")] = None
    base_url: Annotated[
        _Text | None, Meta(description="Where readers find the packages: written as it is into every subdir.")
    ] = None
    repodata_revisions: Annotated[
        tuple[Revision, ...] | None, Meta(description="Revisions to tell of: `v3`, with a `message` or without.")
    ] = None
    package_revision_assignment: Annotated[
        Literal["from-index-json", "latest"] | None, Meta(description="Which packages stand under `v3`.")
    ] = None
    notices: Annotated[tuple[Notice, ...] | None, Meta(description="What `notices.json` tells people (CEP 6).")] = None
    channel_relations: Annotated[
        ChannelRelations | None, Meta(description="The channels that this one builds on or overrides (CEP 42).")
    ] = None
    virtual_package_detectors: Annotated[
        dict[str, tuple[str, ...]] | None, Meta(description="Virtual packages by what detects them.")
    ] = None

    def __post_init__(self) -> None:
        """Raise ValueError for a revision that is named twice."""
        if self.repodata_revisions is not None and len(self.repodata_revisions) > 1:
            raise ValueError("repodata-revisions names v3 more than once")


class Concurrency(Struct, frozen=True, rename="kebab"):
    """`[concurrency]`: how much is done at once."""

    downloads: Annotated[
        Annotated[int, Meta(ge=1)] | None, Meta(description="Packages read at once, as `--max-parallel`.")
    ] = None
    solves: Annotated[int | None, Meta(description="pixi's; nothing is solved here.")] = None


class Tls(Struct, frozen=True, rename="kebab"):
    """Keys at the top of a file: how servers prove who they are."""

    tls_no_verify: Annotated[
        bool | None, Meta(description="Whether the certificate of the store is not checked (`true`). Insecure.")
    ] = None
    tls_root_certs: Annotated[
        Literal["webpki", "system", "native", "all"] | None,
        Meta(description="Whom to trust: certifi, or the system (so do the older words `native` and `all`)."),
    ] = None


class ProxyConfig(Struct, frozen=True, rename="kebab"):
    """`[proxy-config]`: used if no variable names a proxy."""

    https: Annotated[_Text | None, Meta(description="The proxy for `https` endpoints.")] = None
    http: Annotated[_Text | None, Meta(description="The proxy for `http` endpoints.")] = None
    non_proxy_hosts: Annotated[
        tuple[str, ...] | None, Meta(description="Hosts, domains, addresses and networks that are reached directly.")
    ] = None


def table_of(place: str, value: object, table: type[_Table]) -> _Table:
    """A table of a file as the value of its type.  Raises BadConfig, which names the place and what belongs there."""
    if not isinstance(value, dict):
        raise BadConfig(place, "is no table", f"give it keys, such as {keys(table)[0].name}")
    _refuse_unknown(place, value, table)
    if isinstance(value.get("repodata-revisions"), list):
        # rattler takes bare names too.
        revisions = [{"revision": it} if isinstance(it, str) else it for it in value["repodata-revisions"]]
        value = {**value, "repodata-revisions": revisions}
    try:
        return msgspec.convert(value, table)
    except msgspec.ValidationError as error:
        said, _, path = str(error).partition(" - at `$")
        path = path.strip(".`")
        reason = said.replace(" | null", "").replace("`", "")
        step = next((f"give {key.holds}" for key in keys(table) if key.name == path), "mend it")
        raise BadConfig(f"{place} {path}".rstrip(), f"{reason[:1].lower()}{reason[1:]}", step) from error


@dataclass(frozen=True, slots=True)
class Key:
    """What a person must know of a key: its name in a file, what it holds, what it means."""

    name: str
    holds: str
    meaning: str


def keys(table: type[Struct]) -> list[Key]:
    """The keys of a table, in the order of the struct."""
    hints = get_type_hints(table, include_extras=True)
    found = []
    for field in msgspec.structs.fields(table):
        kind, *notes = get_args(hints[field.name])
        meaning = "".join(note.description or "" for note in notes if isinstance(note, Meta))
        found.append(Key(field.encode_name, _holds(kind), meaning))
    return found


def _holds(kind: Any) -> str:
    """What a type looks like in TOML, in a person's words."""
    plain = {bool: "true or false", int: "a number from 1", str: "a text", dict: "a table"}
    origin, inside = get_origin(kind), get_args(kind)
    if origin is Literal:
        return " or ".join(inside)
    if origin is tuple:
        return f"a list, each {_holds(inside[0])}"
    if isinstance(kind, type) and issubclass(kind, Struct):
        return f"a table of {', '.join(kind.__struct_encode_fields__)}"
    # What is left may be absent, or has a bound.
    return plain.get(kind) or plain.get(origin) or _holds(inside[0])


def _refuse_unknown(place: str, value: dict[str, Any], table: type[Struct]) -> None:
    """Also in the tables within: msgspec would pass an unknown key over, or name no other."""
    within = {field.encode_name: field.type for field in msgspec.structs.fields(table)}
    for key, item in value.items():
        if key not in within:
            raise BadConfig(f"{place} {key}", "is no key that is known", _nearest(key, list(within)))
        inner = _struct(within[key])
        for one in item if isinstance(item, list) else [item]:
            if inner is not None and isinstance(one, dict):
                _refuse_unknown(f"{place} {key}", one, inner)


def _struct(kind: Any) -> type[Struct] | None:
    """The struct that a type is made of, if any."""
    if isinstance(kind, type) and issubclass(kind, Struct):
        return kind
    return next(filter(None, map(_struct, get_args(kind))), None)


def _nearest(key: str, known: list[str]) -> str:
    close = difflib.get_close_matches(key, known, 1, 0.5)
    return f"write {close[0]}" if close else f"write one of {', '.join(known)}"
