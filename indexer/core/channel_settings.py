"""The settings of a channel: all that shapes what the channel publishes or keeps.

This table is the only one: the options of the command line, the keys of `[index-config]`, the file of settings in the
channel and docs/configuration.md are made from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field
from msgspec.structs import asdict, replace

from indexer.core.channel_info import ChannelInfo, ChannelRelations, Notice, Revision
from indexer.core.model import Outputs, Rules
from indexer.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# A key whose option has another name than the key itself: rattler-index has both names.
_OPTIONS = {"write_zst": "zst", "write_shards": "shards"}


class ChannelSettings(Struct, frozen=True, rename="kebab", omit_defaults=True):
    """The settings of a channel.  None means that a setting is not set."""

    write_zst: Annotated[bool | None, Meta(description="Also publish the JSON files as .zst.")] = None
    write_shards: Annotated[bool | None, Meta(description="Publish sharded repodata.")] = None
    run_exports: Annotated[bool | None, Meta(description="Publish run_exports.json.")] = None
    bz2: Annotated[bool | None, Meta(description="Also publish the JSON files as .bz2.")] = None
    current_repodata: Annotated[
        bool | None,
        Meta(description="Publish current_repodata.json: the newest versions, for conda's classic solver."),
    ] = None
    channeldata: Annotated[
        bool | None,
        Meta(
            description="Publish channeldata.json (CEP 38). With this, --html or --rss, each known package is read "
            "once more."
        ),
    ] = None
    html: Annotated[
        bool | None,
        Meta(
            description="Publish pages for people: of the channel, its subdirs and its packages (packages/NAME.html)."
        ),
    ] = None
    rss: Annotated[bool | None, Meta(description="Publish rss.xml, a feed of the newest releases.")] = None
    monolithic: Annotated[
        bool | None,
        Meta(
            description="Publish repodata.json and run_exports.json; otherwise only shards, which mamba 1.x cannot "
            "read."
        ),
    ] = None
    zst_level: Annotated[
        Annotated[int, Meta(ge=1, le=22)] | None, Meta(description="Compression level of .zst files.")
    ] = None
    base_url: Annotated[
        str | None, Meta(description="Where clients download packages; /SUBDIR/ is appended. '' removes it.")
    ] = None
    base_url_verbatim: Annotated[bool | None, Meta(description="Do not append /SUBDIR/ to the base URL.")] = None
    public_url: Annotated[
        str | None, Meta(description="The channel's address for people, used in the pages and in rss.xml.")
    ] = None
    cache_control: Annotated[str | None, Meta(description="Cache-Control header of all files except shards.")] = None
    shard_cache_control: Annotated[str | None, Meta(description="Cache-Control header of shards.")] = None
    strict: Annotated[
        bool | None, Meta(description="Treat warnings as errors; write nothing if any package is rejected.")
    ] = None
    lenient: Annotated[
        bool | None,
        Meta(description="Index packages whose file name or folder contradicts their metadata, with a warning."),
    ] = None
    fail_on: Annotated[
        Literal["any", "new"] | None,
        Meta(description="Which rejected packages lead to exit code 3: any, or new (not reported by the last run)."),
    ] = None
    repodata_revisions: Annotated[
        tuple[Revision, ...] | None, Meta(description="Revisions to announce: `v3`, with or without a `message`.")
    ] = None
    package_revision_assignment: Annotated[
        Literal["from-index-json", "latest"] | None, Meta(description="Which packages are listed under `v3`.")
    ] = None
    notices: Annotated[tuple[Notice, ...] | None, Meta(description="The notices in `notices.json` (CEP 6).")] = None
    channel_relations: Annotated[
        ChannelRelations | None, Meta(description="The channels that this one builds on or overrides (CEP 42).")
    ] = None
    virtual_package_detectors: Annotated[
        dict[str, tuple[str, ...]] | None, Meta(description="Virtual packages by their detector.")
    ] = None

    keep_newest: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Meta(description="`prune` keeps this many versions of each package name."),
    ] = None
    keep_newer_than: Annotated[
        str | None,
        Meta(description="`prune` keeps versions that were indexed within this time: 12h, 30d.", examples=["30d"]),
    ] = None
    keep: Annotated[
        tuple[str, ...] | None, Meta(description="`prune` keeps packages that match one of these specs.")
    ] = None

    def __post_init__(self) -> None:
        """Raise ValueError for a revision that is listed twice."""
        if self.repodata_revisions is not None and len(self.repodata_revisions) > 1:
            raise ValueError("repodata-revisions lists v3 more than once")

    def given(self) -> dict[str, Any]:
        """The settings that are set, by field."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def changed_by(self, other: ChannelSettings) -> ChannelSettings:
        """These settings with those that `other` sets."""
        return replace(self, **other.given())

    def without(self, fields: Iterable[str]) -> ChannelSettings:
        """These settings, in which some fields are not set any more.

        The value of some fields stays in a published index until an empty value removes it: these fields become empty.
        """
        return replace(self, **{name: _EMPTY.get(name) if getattr(self, name) is not None else None for name in fields})


class KnownSettings(Value, frozen=True):
    """The settings of a channel as one run saw them: the ETag of their file, empty if there was none."""

    etag: str = ""
    settings: ChannelSettings = field(default_factory=ChannelSettings)


class SettingChange(Value, frozen=True):
    """A setting that a run or a person changes: its key, the value before and after as JSON, and the reason.

    `saved` is false if the change is for one run only; a plan saves nothing.
    """

    key: str
    before: Any
    after: Any
    reason: str
    saved: bool = True


class SettingRow(Value, frozen=True):
    """A setting for a person: its key, its value as JSON, and its origin."""

    key: str
    value: Any
    origin: str


KEYS: dict[str, str] = dict(
    zip(ChannelSettings.__struct_fields__, ChannelSettings.__struct_encode_fields__, strict=True)
)
"""The key of each field: `base-url` of `base_url`."""

_OF_INFO = {
    "channel_relations": "relations",
    "repodata_revisions": "revisions",
    "package_revision_assignment": "assignment",
    "virtual_package_detectors": "detectors",
}
_OF_RULES = ("strict", "lenient")
_OTHERS = ("fail_on", "notices", "keep_newest", "keep_newer_than", "keep")
_OF_OUTPUTS = {name: _OPTIONS.get(name, name) for name in KEYS if name not in {*_OF_INFO, *_OF_RULES, *_OTHERS}}
# A published index keeps these values until an empty one removes them.
_EMPTY: Mapping[str, Any] = {
    "base_url": "",
    "repodata_revisions": (),
    "notices": (),
    "channel_relations": ChannelRelations(),
    "virtual_package_detectors": {},
}


def option_name(name: str) -> str:
    """The name of the option of a field: `--base-url` of `base_url`, `--zst` of `write_zst`."""
    return f"--{_OPTIONS.get(name, name).replace('_', '-')}"


def option_of(name: str, value: object) -> str:
    """The option that sets a field to a value, for messages: `--html`, `--no-html`, `--zst-level`."""
    option = option_name(name)
    if name == "fail_on":
        return f"{option} {value}"
    return f"--no-{option[2:]}" if value is False else option


def default_of(name: str) -> Any:
    """The value of a setting that is not set; None if there is none."""
    if name in _OF_OUTPUTS:
        return getattr(Outputs(), _OF_OUTPUTS[name])
    if name in _OF_RULES:
        return getattr(Rules(), name)
    return {"fail_on": "any", "package_revision_assignment": "from-index-json"}.get(name)


def outputs_of(settings: ChannelSettings) -> Outputs:
    """The files that a channel with these settings has."""
    given = settings.given()
    info = {field: given[key] for key, field in _OF_INFO.items() if key in given}
    values = {field: given[key] for key, field in _OF_OUTPUTS.items() if key in given}
    return Outputs(**values, info=ChannelInfo(**info))


def rules_of(settings: ChannelSettings) -> Rules:
    """How strictly packages of a channel with these settings are judged."""
    return Rules(bool(settings.strict), bool(settings.lenient))


def settings_of(outputs: Outputs, rules: Rules) -> ChannelSettings:
    """The settings that differ from the defaults in these outputs and rules."""
    values = {
        **{key: getattr(outputs, field) for key, field in _OF_OUTPUTS.items()},
        **{key: getattr(outputs.info, field) for key, field in _OF_INFO.items()},
        **{key: getattr(rules, key) for key in _OF_RULES},
    }
    return ChannelSettings(**{key: value for key, value in values.items() if value != default_of(key)})


def union_of(known: Iterable[ChannelSettings]) -> ChannelSettings:
    """The settings that keep every format that one of several subdirs publishes.

    A format is on if one subdir has it; of any other setting the first value counts.  `strict` is not taken over: a
    strict run of the past says nothing about later runs.
    """
    every = list(known)
    merged: dict[str, Any] = {}
    for name in KEYS:
        values = [getattr(settings, name) for settings in every]
        if isinstance(default_of(name), bool):
            published = [default_of(name) if value is None else value for value in values]
            if any(published) != default_of(name) and published:
                merged[name] = any(published)
        else:
            merged[name] = next((value for value in values if value is not None), None)
    return ChannelSettings(**{**merged, "strict": None})


def changes_between(
    before: ChannelSettings, after: ChannelSettings, reasons: Mapping[str, str], *, saved: bool
) -> tuple[SettingChange, ...]:
    """What differs between the effective values of two settings, in the order of the table."""
    return tuple(
        SettingChange(KEYS[name], as_json(name, before), as_json(name, after), reasons.get(name, ""), saved)
        for name in KEYS
        if effective(name, before) != effective(name, after)
    )


def effective(name: str, settings: ChannelSettings) -> Any:
    """The value of a field, its default if it is not set."""
    value = getattr(settings, name)
    return default_of(name) if value is None else value


def as_json(name: str, settings: ChannelSettings) -> Any:
    """The effective value of a field as a value of JSON."""
    return msgspec.to_builtins(effective(name, settings))


def in_words(value: object) -> str:
    """A value of JSON for a person: on, off, a text, a number, or JSON."""
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, str) and value:
        return value
    return msgspec.json.encode(value).decode()
