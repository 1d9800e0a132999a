"""The options that choose which files a run publishes, and how."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Struct
from msgspec.structs import asdict
from typer import Option

from indexer.cli.options import Switch, Text
from indexer.core.model import Outputs
from indexer.settings.outputs import outputs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from indexer.settings.files import FileValue

_OUTPUTS = Outputs()


class Files(Struct, frozen=True):
    """Which files a run publishes, and how."""

    zst: Annotated[
        Switch,
        Option(
            "--zst/--no-zst",
            "--write-zst/--no-write-zst",
            help="Also publish the JSON files as .zst. [default: zst]",
        ),
    ] = None
    shards: Annotated[
        Switch,
        Option(
            "--shards/--no-shards",
            "--write-shards/--no-write-shards",
            help="Publish sharded repodata. [default: shards]",
        ),
    ] = None
    run_exports: Annotated[
        Switch,
        Option("--run-exports/--no-run-exports", help="Publish run_exports.json. [default: run-exports]"),
    ] = None
    bz2: Annotated[bool, Option("--bz2/--no-bz2", help="Also publish the JSON files as .bz2.")] = _OUTPUTS.bz2
    current_repodata: Annotated[
        bool,
        Option(
            "--current-repodata/--no-current-repodata",
            help="Publish current_repodata.json: the newest versions, for conda's classic solver.",
        ),
    ] = _OUTPUTS.current_repodata
    channeldata: Annotated[
        bool,
        Option(
            "--channeldata/--no-channeldata",
            help="Publish channeldata.json (CEP 38). With this, --html or --rss, each known package is read once more.",
        ),
    ] = _OUTPUTS.channeldata
    html: Annotated[
        bool, Option("--html/--no-html", help="Publish an index.html for people, for the channel and for each subdir.")
    ] = _OUTPUTS.html
    rss: Annotated[bool, Option("--rss/--no-rss", help="Publish rss.xml, a feed of the newest releases.")] = (
        _OUTPUTS.rss
    )
    monolithic: Annotated[
        bool,
        Option(
            "--monolithic/--no-monolithic",
            help="Publish repodata.json and run_exports.json; otherwise only shards, which mamba 1.x cannot read.",
        ),
    ] = _OUTPUTS.monolithic
    zst_level: Annotated[int, Option(min=1, max=22, metavar="N", help="Compression level of .zst files.")] = (
        _OUTPUTS.zst_level
    )
    base_url: Annotated[
        Text,
        Option(
            metavar="URL",
            help="Where clients download packages; /SUBDIR/ is appended. Later runs keep the URL until '' removes it.",
        ),
    ] = None
    base_url_verbatim: Annotated[
        Switch,
        Option(
            "--base-url-verbatim/--no-base-url-verbatim",
            help="Do not append /SUBDIR/ to the base URL. [default: append, except to a URL from a configuration file]",
        ),
    ] = None
    public_url: Annotated[
        Text,
        Option(
            metavar="URL",
            help="The channel's address for people, used in index.html and rss.xml. [default: the base URL]",
        ),
    ] = None
    cache_control: Annotated[str, Option(metavar="VALUE", help="Cache-Control header of all files except shards.")] = (
        _OUTPUTS.cache_control
    )
    shard_cache_control: Annotated[str, Option(metavar="VALUE", help="Cache-Control header of shards.")] = (
        _OUTPUTS.shard_cache_control
    )

    def outputs(self, from_files: Mapping[str, FileValue]) -> Outputs:
        """The outputs from options and, if an option is not given, from configuration files.  Raises BadConfig."""
        return outputs(asdict(self), from_files)
