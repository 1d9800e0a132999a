"""What pixi's and rattler's configuration files say together: found, read, layered.

Tables that are not ours are pixi's business and are passed over.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

import msgspec

from indexer.core.errors import BadConfig
from indexer.settings.locations import config_files, is_file, manifests
from indexer.settings.schema import BucketOptions, Concurrency, IndexConfig, ProxyConfig, Tls, table_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from indexer.settings.locations import Environment

_BARE = re.compile(r"[A-Za-z0-9_-]+")
# What holds a workspace's tables in a manifest, by the name of the file.
_MANIFESTS: dict[str, tuple[str, ...]] = {
    "pixi.toml": (),
    "mojoproject.toml": (),
    "pyproject.toml": ("tool", "pixi"),
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands: a file, and the table in it, empty for the top."""

    file: Path
    table: str = ""

    def __str__(self) -> str:
        return f"{self.file} [{self.table}]" if self.table else str(self.file)

    def within(self, name: str) -> Place:
        """A table in this one."""
        quoted = name if _BARE.fullmatch(name) else f'"{name}"'
        return Place(self.file, f"{self.table}.{quoted}".lstrip("."))


@dataclass(frozen=True, slots=True)
class Found:
    """A value of a file, and where it stands."""

    value: Any
    place: Place


@dataclass(frozen=True, slots=True)
class File:
    """What one file says: its tables, each with its place."""

    buckets: Mapping[str, tuple[Place, BucketOptions]] = field(default_factory=dict)
    defaults: tuple[Place, IndexConfig] | None = None
    channels: Mapping[str, tuple[Place, IndexConfig]] = field(default_factory=dict)
    downloads: Found | None = None
    auth_file: Found | None = None
    network: tuple[tuple[Place, Tls | ProxyConfig], ...] = ()


@dataclass(frozen=True, slots=True)
class Config:
    """What all files say, the weakest first."""

    files: tuple[File, ...] = ()

    def bucket(self, name: str) -> Found | None:
        """The options of a bucket.  The strongest file that has the bucket has all of them, as with pixi."""
        tables = [file.buckets[name] for file in self.files if name in file.buckets]
        return Found(tables[-1][1], tables[-1][0]) if tables else None

    def index(self, channel: str) -> dict[str, Found]:
        """What `[index-config]` says of a channel, by field, layered as rattler-index does.

        `channel` is a URL or an absolute path.  The defaults of all files come first, then the tables named
        like the channel or a path above it, the shortest name first; the last one that has a field wins.
        """
        tables = [file.defaults for file in self.files if file.defaults]
        names = {name for file in self.files for name in file.channels if _covers(name, channel)}
        for name in sorted(names, key=lambda name: (len(name.rstrip("/")), name)):
            tables += [file.channels[name] for file in self.files if name in file.channels]
        return _layered(tables)

    def downloads(self) -> Found | None:
        """How many packages are read at once."""
        return next((file.downloads for file in reversed(self.files) if file.downloads), None)

    def network(self) -> dict[str, Found]:
        """The keys of TLS and of `[proxy-config]`, by field; key by key the strongest file wins, as with pixi."""
        return _layered([table for file in self.files for table in file.network])

    def auth_file(self) -> Found | None:
        """A file of credentials that is looked into before the keyring."""
        return next((file.auth_file for file in reversed(self.files) if file.auth_file), None)


def _layered(tables: list[tuple[Place, Any]]) -> dict[str, Found]:
    return {
        name: Found(value, place)
        for place, table in tables
        for name in table.__struct_fields__
        if (value := getattr(table, name)) is not None
    }


def _covers(name: str, channel: str) -> bool:
    return f"{channel.rstrip('/')}/".startswith(f"{name.rstrip('/')}/")


def load(named: Path | None, around: Environment) -> Config:
    """What the named file says, else what pixi's own files say together.  Raises BadConfig.

    pixi's own are those of the machine and the user, then `.pixi/config.toml` beside the manifest of the
    workspace, then that manifest itself, which is looked for in the working folder and all above it.
    """
    if named is not None:
        file = _manifest(named) if named.name in _MANIFESTS else _config(named)
        if file is None:
            raise BadConfig(str(named), "has no workspace of pixi's", "name a file that says something of it")
        return Config((file,))
    paths = config_files(around)
    last = []
    for path in manifests(around):
        if (workspace := _manifest(path)) is not None:
            paths.append(path.parent / ".pixi" / "config.toml")
            last = [workspace]
            break
    return Config((*(_config(path) for path in paths if is_file(path)), *last))


def _config(path: Path) -> File:
    """What a configuration file of pixi or rattler says."""
    document = _toml(path)
    top = Place(path)
    index = top.within("index-config")
    tables = _tables(top, document, "index-config")
    channels = {name: table for name, table in tables.items() if _is_channel(name)}
    defaults = {name: value for name, value in tables.items() if name not in channels}
    concurrency = top.within("concurrency")
    downloads = table_of(str(concurrency), document.get("concurrency", {}), Concurrency).downloads
    return File(
        buckets=_buckets(top, document),
        defaults=(index, table_of(str(index), defaults, IndexConfig)),
        channels={
            name: (index.within(name), table_of(str(index.within(name)), table, IndexConfig))
            for name, table in channels.items()
        },
        downloads=Found(downloads, concurrency) if downloads else None,
        auth_file=_auth_file(top, document),
        network=_network(top, document),
    )


def _network(top: Place, document: dict[str, Any]) -> tuple[tuple[Place, Tls | ProxyConfig], ...]:
    """The settings of TLS, which stand at the top of a file, and those of proxies."""
    proxy = top.within("proxy-config")
    spelled = {key.replace("_", "-"): value for key, value in document.items() if key.startswith("tls")}
    known = {key: value for key, value in spelled.items() if key in {"tls-no-verify", "tls-root-certs"}}
    table = table_of(str(proxy), document.get("proxy-config", {}), ProxyConfig)
    return (top, table_of(str(top), known, Tls)), (proxy, table)


def _manifest(path: Path) -> File | None:
    """The options of buckets in a manifest, None where it has no workspace of pixi's."""
    inside = _MANIFESTS.get(path.name, ())
    if inside and ".".join(inside).encode() not in _bytes(path):
        return None  # somebody else's, whether it is well-formed or not
    place, table = Place(path), _toml(path)
    for name in inside:
        place, table = place.within(name), _tables(place, table, name)
    for name in ("workspace", "project"):  # its old name
        if name in table:
            return File(buckets=_buckets(place.within(name), _tables(place, table, name)))
    return None


def _buckets(above: Place, document: dict[str, Any]) -> dict[str, tuple[Place, BucketOptions]]:
    place = above.within("s3-options")
    buckets = {}
    for name, table in _tables(above, document, "s3-options").items():
        if not isinstance(table, dict):
            raise BadConfig(f"{place} {name}", "is not within the table of a bucket", f"write [{place.table}.BUCKET]")
        buckets[name] = (place.within(name), table_of(str(place.within(name)), table, BucketOptions))
    return buckets


def _auth_file(top: Place, document: dict[str, Any]) -> Found | None:
    for key in ("authentication-override-file", "authentication_override_file"):  # pixi takes both
        if key in document:
            if not isinstance(document[key], str) or not document[key]:
                raise BadConfig(f"{top} {key}", "is no path", "give the path of a file of credentials")
            return Found(Path(document[key]), top)
    return None


def _is_channel(name: str) -> bool:
    return "://" in name or PurePosixPath(name).is_absolute() or PureWindowsPath(name).is_absolute()


def _tables(above: Place, document: dict[str, Any], name: str) -> dict[str, Any]:
    """A table by its name, empty where there is none."""
    table = document.get(name, {})
    if not isinstance(table, dict):
        raise BadConfig(f"{above} {name}", "is no table", f"write [{above.within(name).table}]")
    return table


def _toml(path: Path) -> dict[str, Any]:
    try:
        return msgspec.toml.decode(_bytes(path), type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadConfig(str(path), f"is no TOML ({error})", "mend it") from error


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadConfig(str(path), error.strerror or str(error), "name a file of TOML that can be read") from error
