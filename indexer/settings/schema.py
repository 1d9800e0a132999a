"""The keys of configuration files: the type and the meaning of each.

Parsing, messages and docs/configuration.md all use these structs.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct

from indexer.core.errors import BadConfig
from indexer.core.similar import similar
from indexer.core.value import Value

_Table = TypeVar("_Table", bound=Struct)
# The types in msgspec's messages, in words.
_TYPES = {"str": "a text", "int": "a number", "bool": "true or false", "array": "a list", "object": "a table"}
_TYPE = re.compile(rf"\b({'|'.join(_TYPES)})\b(?!')")
_Text = Annotated[str, Meta(min_length=1)]


class BucketOptions(Struct, frozen=True, rename="kebab"):
    """`[s3-options.BUCKET]`: the settings to reach a bucket.  pixi requires the first three, an indexer none."""

    endpoint_url: Annotated[_Text | None, Meta(description="The store's endpoint.")] = None
    region: Annotated[_Text | None, Meta(description="The bucket's region.")] = None
    force_path_style: Annotated[
        bool | None, Meta(description="Whether the bucket is part of the path (`true`) or of the host (`false`).")
    ] = None
    addressing_style: Annotated[
        Literal["virtual-host", "path"] | None, Meta(description="The same setting, as rattler-index names it.")
    ] = None

    def __post_init__(self) -> None:
        """Raise ValueError for two keys that contradict each other."""
        styles = {self.addressing_style, {True: "path", False: "virtual-host", None: None}[self.force_path_style]}
        if len(styles - {None}) > 1:
            raise ValueError("force-path-style and addressing-style contradict each other")

    @property
    def style(self) -> str | None:
        """The addressing style, from either key."""
        if self.force_path_style is None:
            return self.addressing_style
        return "path" if self.force_path_style else "virtual-host"


class Concurrency(Struct, frozen=True, rename="kebab"):
    """`[concurrency]`: how many jobs run at the same time."""

    downloads: Annotated[
        Annotated[int, Meta(ge=1)] | None, Meta(description="Packages read at the same time, as `--max-parallel`.")
    ] = None
    solves: Annotated[int | None, Meta(description="Used by pixi only.")] = None


class Tls(Struct, frozen=True, rename="kebab"):
    """Keys at the top of a file: which certificates are trusted."""

    tls_no_verify: Annotated[
        bool | None, Meta(description="If `true`, the certificate of the store is not checked. Insecure.")
    ] = None
    tls_root_certs: Annotated[
        Literal["webpki", "system", "native", "all"] | None,
        Meta(description="The trusted certificates: of certifi, or of the system (older names: `native`, `all`)."),
    ] = None


class ProxyConfig(Struct, frozen=True, rename="kebab"):
    """`[proxy-config]`: used if no variable sets a proxy."""

    https: Annotated[_Text | None, Meta(description="The proxy for `https` endpoints.")] = None
    http: Annotated[_Text | None, Meta(description="The proxy for `http` endpoints.")] = None
    non_proxy_hosts: Annotated[
        tuple[str, ...] | None, Meta(description="Hosts, domains, addresses and networks that are reached directly.")
    ] = None


def table_of(source: str, value: object, table: type[_Table]) -> _Table:
    """A table of a file as the value of its type.  Raises BadConfig with the source, the key and its type."""
    if not isinstance(value, dict):
        raise BadConfig(source, "is not a table", f"write keys in it, such as {keys(table)[0].name}")
    _refuse_unknown(source, value, table)
    if isinstance(value.get("repodata-revisions"), list):
        # rattler accepts names without a table, too.
        revisions = [{"revision": each} if isinstance(each, str) else each for each in value["repodata-revisions"]]
        value = {**value, "repodata-revisions": revisions}
    try:
        return msgspec.convert(value, table)
    except msgspec.ValidationError as error:
        # msgspec's text is "Expected `str`, got `int` - at `$.region`".
        reason, _, path = str(error).partition(" - at `$")
        path = path.strip(".`")
        reason = _TYPE.sub(lambda match: _TYPES[match[0]], reason.replace(" | null", "").replace("`", ""))
        name = re.split(r"[.\[]", path)[0]
        step = next((f"set {key.holds}" for key in keys(table) if key.name == name), "correct it")
        raise BadConfig(f"{source} {path}".rstrip(), f"{reason[:1].lower()}{reason[1:]}", step) from error


class Key(Value, frozen=True):
    """A key for a person: its name in a file, its type and its meaning."""

    name: str
    holds: str
    meaning: str


def keys(table: type[Struct]) -> list[Key]:
    """The keys of a table, in the order of the struct."""
    hints = get_type_hints(table, include_extras=True)
    described = []
    for field in msgspec.structs.fields(table):
        kind, *notes = get_args(hints[field.name])
        meanings = [note for note in notes if isinstance(note, Meta)]
        example = "".join(f" such as {each}" for note in meanings for each in note.examples or ())
        described.append(
            Key(field.encode_name, _holds(kind) + example, "".join(note.description or "" for note in meanings))
        )
    return described


def _holds(kind: Any) -> str:
    """A type of TOML in words."""
    plain = {bool: "true or false", int: "a number from 1", str: "a text", dict: "a table"}
    origin, inside = get_origin(kind), get_args(kind)
    if origin is Literal:
        return " or ".join(inside)
    if origin is tuple:
        return f"a list, each {_holds(inside[0])}"
    if isinstance(kind, type) and issubclass(kind, Struct):
        return f"a table of {', '.join(kind.__struct_encode_fields__)}"
    if limit := next((each.le for each in inside if isinstance(each, Meta) and each.le), None):
        return f"{_holds(inside[0])} to {limit}"
    # The rest are optional values, and values with a limit.
    return plain.get(kind) or plain.get(origin) or _holds(inside[0])


def _refuse_unknown(source: str, value: dict[str, Any], table: type[Struct]) -> None:
    """Raise BadConfig for an unknown key of a table or of the tables in it.

    The message has the most similar known key, which msgspec's `forbid_unknown_fields` does not have.
    """
    known = {field.encode_name: field.type for field in msgspec.structs.fields(table)}
    for key, item in value.items():
        if key not in known:
            raise BadConfig(f"{source} {key}".lstrip(), "unknown key", nearest(key, list(known)))
        inner = _struct(known[key])
        for each in item if isinstance(item, list) else [item]:
            if inner is not None and isinstance(each, dict):
                _refuse_unknown(f"{source} {key}", each, inner)


def _struct(kind: Any) -> type[Struct] | None:
    """The struct in a type, if any."""
    if isinstance(kind, type) and issubclass(kind, Struct):
        return kind
    return next(filter(None, map(_struct, get_args(kind))), None)


def nearest(key: str, known: list[str]) -> str:
    """The next step after an unknown key: the most similar known key, or all known keys."""
    near = similar(key, known)
    return f"use {near}" if near else f"use one of {', '.join(known)}"
