"""Which files a run publishes, and how."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated

from typer import Option

from indexer.cli.options import Switch, Text
from indexer.core.model import Outputs
from indexer.settings.outputs import outputs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from indexer.settings.files import FileValue

_OUTPUTS = Outputs()


@dataclass(frozen=True)
class Files:
    """Which files a run publishes, and how."""

    zst: Annotated[
        Switch,
        Option(
            "--zst/--no-zst",
            "--write-zst/--no-write-zst",
            help="Publish the JSON files as .zst too. [default: zst]",
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
    bz2: Annotated[bool, Option("--bz2/--no-bz2", help="Publish the JSON files as .bz2 too.")] = _OUTPUTS.bz2
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
            help="Publish channeldata.json (CEP 38). This, --html and --rss read each package once more.",
        ),
    ] = _OUTPUTS.channeldata
    html: Annotated[
        bool, Option("--html/--no-html", help="Publish an index.html for people, of the channel and of each subdir.")
    ] = _OUTPUTS.html
    rss: Annotated[bool, Option("--rss/--no-rss", help="Publish rss.xml, a feed of the newest releases.")] = (
        _OUTPUTS.rss
    )
    monolithic: Annotated[
        bool,
        Option(
            "--monolithic/--no-monolithic",
            help="Publish repodata.json and run_exports.json; otherwise shards only, which mamba 1.x cannot read.",
        ),
    ] = _OUTPUTS.monolithic
    zst_level: Annotated[int, Option(min=1, max=22, metavar="N", help="Compression level of .zst files.")] = (
        _OUTPUTS.zst_level
    )
    base_url: Annotated[
        Text,
        Option(
            metavar="URL",
            help="Where readers find the packages; /SUBDIR/ is appended. An earlier URL stays until '' removes it.",
        ),
    ] = None
    base_url_verbatim: Annotated[
        Switch,
        Option(
            "--base-url-verbatim/--no-base-url-verbatim",
            help="Write the base URL as it is into every subdir. [default: only one of a configuration file]",
        ),
    ] = None
    public_url: Annotated[
        Text,
        Option(
            metavar="URL", help="Where people read the channel, for index.html and rss.xml. [default: the base URL]"
        ),
    ] = None
    cache_control: Annotated[str, Option(metavar="VALUE", help="Cache-Control of all files but shards.")] = (
        _OUTPUTS.cache_control
    )
    shard_cache_control: Annotated[str, Option(metavar="VALUE", help="Cache-Control of shards.")] = (
        _OUTPUTS.shard_cache_control
    )

    def outputs(self, said: Mapping[str, FileValue]) -> Outputs:
        """The value the engine takes, with what files say where no option does.  Raises BadConfig."""
        return outputs({field.name: getattr(self, field.name) for field in fields(self)}, said)
