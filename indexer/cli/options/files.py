"""The options that are settings of the channel: each has the name, the help and the default of its setting."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Optional

from msgspec import Struct
from msgspec.structs import asdict
from typer import Option

from indexer.cli.options import WHAT_TO_PUBLISH, Number, Switch, Text
from indexer.core.channel_settings import ChannelSettings, default_of, option_name
from indexer.settings.given import given_settings
from indexer.settings.schema import keys

if TYPE_CHECKING:
    from collections.abc import Mapping

    from indexer.settings.files import FileValue
    from indexer.settings.given import GivenSettings

_MEANINGS = {key.name.replace("-", "_"): key.meaning for key in keys(ChannelSettings)}
_OTHER_NAMES = {"write_zst": ["--write-zst/--no-write-zst"], "write_shards": ["--write-shards/--no-write-shards"]}


def setting(name: str, default: str | None = None, **more: Any) -> Any:
    """The option of a setting; `default` replaces its default in the help."""
    option, value = option_name(name), default_of(name)
    is_switch = isinstance(value, bool)
    shown = default or ((option if value else f"--no-{option[2:]}")[2:] if is_switch else value)
    declared = f"{option}/--no-{option[2:]}" if is_switch else option
    help_text = f"{_MEANINGS[name]} [default: {shown}]" if shown is not None else _MEANINGS[name]
    return Option(declared, *_OTHER_NAMES.get(name, ()), help=help_text, **more)


class FailOn(str, Enum):
    """Which rejected packages lead to exit code 3."""

    ANY = "any"
    NEW = "new"


_FailOn = Optional[FailOn]  # noqa: UP045  typer reads it


class Files(Struct, frozen=True):
    """The options that are settings of the channel, by the field of ChannelSettings."""

    HEADING: ClassVar[str] = WHAT_TO_PUBLISH

    write_zst: Annotated[Switch, setting("write_zst")] = None
    write_shards: Annotated[Switch, setting("write_shards")] = None
    run_exports: Annotated[Switch, setting("run_exports")] = None
    bz2: Annotated[Switch, setting("bz2")] = None
    current_repodata: Annotated[Switch, setting("current_repodata")] = None
    channeldata: Annotated[Switch, setting("channeldata")] = None
    html: Annotated[Switch, setting("html")] = None
    rss: Annotated[Switch, setting("rss")] = None
    monolithic: Annotated[Switch, setting("monolithic")] = None
    zst_level: Annotated[Number, setting("zst_level", min=1, max=22, metavar="N")] = None
    base_url: Annotated[Text, setting("base_url", metavar="URL")] = None
    base_url_verbatim: Annotated[
        Switch, setting("base_url_verbatim", "append, except to a URL from a configuration file")
    ] = None
    public_url: Annotated[Text, setting("public_url", "the base URL", metavar="URL")] = None
    cache_control: Annotated[Text, setting("cache_control", metavar="VALUE")] = None
    shard_cache_control: Annotated[Text, setting("shard_cache_control", metavar="VALUE")] = None
    strict: Annotated[Switch, setting("strict")] = None
    lenient: Annotated[Switch, setting("lenient")] = None
    fail_on: Annotated[_FailOn, setting("fail_on")] = None
    this_run_only: Annotated[
        bool, Option("--this-run-only", help="Do not save the settings above; the next run without them undoes them.")
    ] = False

    def given(self, from_files: Mapping[str, FileValue]) -> GivenSettings:
        """The settings of options and, if an option is not given, of configuration files."""
        options = asdict(self)
        del options["this_run_only"]
        options["fail_on"] = self.fail_on.value if self.fail_on else None
        return given_settings(options, from_files)
