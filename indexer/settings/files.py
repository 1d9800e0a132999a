"""Reads pixi's and rattler's configuration files, and merges them.

Tables that an indexer does not need are ignored.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import field

from indexer.core.channel_settings import ChannelSettings
from indexer.core.errors import BadConfig
from indexer.core.value import Value
from indexer.settings.locations import config_files, is_file, manifests
from indexer.settings.schema import BucketOptions, Concurrency, ProxyConfig, Tls, table_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from indexer.settings.locations import Environment

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
# The path of the workspace's tables in a manifest, by the name of the file.
_MANIFESTS: dict[str, tuple[str, ...]] = {
    "pixi.toml": (),
    "mojoproject.toml": (),
    "pyproject.toml": ("tool", "pixi"),
}


class Source(Value, frozen=True):
    """A file, and a table in it; the empty table is the top of the file."""

    file: Path
    table: str = ""

    def __str__(self) -> str:
        return f"{self.file} [{self.table}]" if self.table else str(self.file)

    def within(self, name: str) -> Source:
        """A table in this one."""
        quoted = name if _BARE_KEY.fullmatch(name) else f'"{name}"'
        return Source(self.file, f"{self.table}.{quoted}".lstrip("."))


class FileValue(Value, frozen=True):
    """A value of a configuration file, and its source."""

    value: Any
    source: Source


class File(Value, frozen=True):
    """The tables of one file, each with its source."""

    buckets: Mapping[str, tuple[Source, BucketOptions]] = field(default_factory=dict)
    defaults: tuple[Source, ChannelSettings] | None = None
    channels: Mapping[str, tuple[Source, ChannelSettings]] = field(default_factory=dict)
    downloads: FileValue | None = None
    auth_file: FileValue | None = None
    network: tuple[tuple[Source, Tls | ProxyConfig], ...] = ()


class Config(Value, frozen=True):
    """All files, the weakest first."""

    files: tuple[File, ...] = ()

    def bucket(self, name: str) -> FileValue | None:
        """The options of a bucket.  All come from the strongest file that has the bucket, as in pixi."""
        tables = [file.buckets[name] for file in self.files if name in file.buckets]
        return FileValue(tables[-1][1], tables[-1][0]) if tables else None

    def index(self, channel: str) -> dict[str, FileValue]:
        """The values of `[index-config]` for a channel, by field, merged as in rattler-index.

        `channel` is a URL or an absolute path.  The defaults of all files come first, then the tables named
        like the channel or a path above it, the shortest name first; the last one that has a field wins.
        """
        tables = [file.defaults for file in self.files if file.defaults]
        names = {name for file in self.files for name in file.channels if _covers(name, channel)}
        for name in sorted(names, key=lambda name: (len(name.rstrip("/")), name)):
            tables += [file.channels[name] for file in self.files if name in file.channels]
        return _merged(tables)

    def downloads(self) -> FileValue | None:
        """How many packages are read at the same time."""
        return next((file.downloads for file in reversed(self.files) if file.downloads), None)

    def network(self) -> dict[str, FileValue]:
        """The keys of TLS and of `[proxy-config]`, by field; for each key the strongest file wins, as in pixi."""
        return _merged([table for file in self.files for table in file.network])

    def auth_file(self) -> FileValue | None:
        """A file of credentials that is searched before the keyring."""
        return next((file.auth_file for file in reversed(self.files) if file.auth_file), None)


def _merged(tables: list[tuple[Source, Any]]) -> dict[str, FileValue]:
    return {
        name: FileValue(value, source)
        for source, table in tables
        for name in table.__struct_fields__
        if (value := getattr(table, name)) is not None
    }


def _covers(name: str, channel: str) -> bool:
    return f"{channel.rstrip('/')}/".startswith(f"{name.rstrip('/')}/")


def load(config: Path | None, env: Environment) -> Config:
    """The configuration in the file `config`; if that is None, in pixi's own files together.  Raises BadConfig.

    pixi's own files are those of the machine and the user, then `.pixi/config.toml` beside the manifest of the
    workspace, then that manifest itself, which is searched in the working folder and all folders above it.
    """
    if config is not None:
        file = _manifest(config) if config.name in _MANIFESTS else _config(config)
        if file is None:
            raise BadConfig(str(config), "has no workspace of pixi", "name a pixi configuration file or a manifest")
        return Config((file,))
    paths = config_files(env)
    last = []
    for path in manifests(env):
        if (workspace := _manifest(path)) is not None:
            paths.append(path.parent / ".pixi" / "config.toml")
            last = [workspace]
            break
    return Config((*(_config(path) for path in paths if is_file(path)), *last))


def _config(path: Path) -> File:
    """The tables of a configuration file of pixi or rattler."""
    document = _toml(path)
    top = Source(path)
    index = top.within("index-config")
    tables = _table(top, document, "index-config")
    channels = {name: table for name, table in tables.items() if _is_channel(name)}
    defaults = {name: value for name, value in tables.items() if name not in channels}
    concurrency = top.within("concurrency")
    downloads = table_of(str(concurrency), document.get("concurrency", {}), Concurrency).downloads
    return File(
        buckets=_buckets(top, document),
        defaults=(index, table_of(str(index), defaults, ChannelSettings)),
        channels={
            name: (index.within(name), table_of(str(index.within(name)), table, ChannelSettings))
            for name, table in channels.items()
        },
        downloads=FileValue(downloads, concurrency) if downloads else None,
        auth_file=_auth_file(top, document),
        network=_network(top, document),
    )


def _network(top: Source, document: dict[str, Any]) -> tuple[tuple[Source, Tls | ProxyConfig], ...]:
    """The settings of TLS, which are at the top of a file, and those of proxies."""
    proxy = top.within("proxy-config")
    # pixi accepts `tls_no_verify`, too.
    tls = {key.replace("_", "-"): value for key, value in document.items() if key.startswith("tls")}
    known = {key: value for key, value in tls.items() if key in {"tls-no-verify", "tls-root-certs"}}
    table = table_of(str(proxy), document.get("proxy-config", {}), ProxyConfig)
    return (top, table_of(str(top), known, Tls)), (proxy, table)


def _manifest(path: Path) -> File | None:
    """The options of buckets in a manifest, None if the manifest has no workspace of pixi."""
    inside = _MANIFESTS.get(path.name, ())
    if inside and ".".join(inside).encode() not in _bytes(path):
        return None  # another tool's file, which need not be valid
    source, table = Source(path), _toml(path)
    for name in inside:
        source, table = source.within(name), _table(source, table, name)
    for name in ("workspace", "project"):  # its old name
        if name in table:
            return File(buckets=_buckets(source.within(name), _table(source, table, name)))
    return None


def _buckets(above: Source, document: dict[str, Any]) -> dict[str, tuple[Source, BucketOptions]]:
    source = above.within("s3-options")
    buckets = {}
    for name, table in _table(above, document, "s3-options").items():
        if not isinstance(table, dict):
            raise BadConfig(f"{source} {name}", "is not in the table of a bucket", f"write [{source.table}.BUCKET]")
        buckets[name] = (source.within(name), table_of(str(source.within(name)), table, BucketOptions))
    return buckets


def _auth_file(top: Source, document: dict[str, Any]) -> FileValue | None:
    for key in ("authentication-override-file", "authentication_override_file"):  # pixi accepts both
        if key in document:
            if not isinstance(document[key], str) or not document[key]:
                raise BadConfig(f"{top} {key}", "is not a path", "set the path of a file of credentials")
            return FileValue(Path(document[key]), top)
    return None


def _is_channel(name: str) -> bool:
    return "://" in name or PurePosixPath(name).is_absolute() or PureWindowsPath(name).is_absolute()


def _table(above: Source, document: dict[str, Any], name: str) -> dict[str, Any]:
    """A table by its name, empty if it is missing."""
    table = document.get(name, {})
    if not isinstance(table, dict):
        raise BadConfig(f"{above} {name}", "is not a table", f"write [{above.within(name).table}]")
    return table


def _toml(path: Path) -> dict[str, Any]:
    try:
        return msgspec.toml.decode(_bytes(path), type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadConfig(str(path), f"is not valid TOML ({error})", "correct the file") from error


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadConfig(str(path), error.strerror or str(error), "name a TOML file that can be read") from error
