"""Tables of index-config layer as rattler-index layers them, whatever their names and files."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from indexer.core.channel_settings import ChannelSettings
from indexer.settings.files import Config, File, Source

PARTS = st.lists(st.sampled_from(["a", "ab", "b"]), max_size=3)
CHANNELS = PARTS.map(lambda parts: "/".join(["s3://reeds", *parts]))
TABLES = st.builds(
    ChannelSettings,
    write_zst=st.none() | st.booleans(),
    write_shards=st.none() | st.booleans(),
    base_url=st.none() | st.sampled_from(["x", "y"]),
)
FILES = st.lists(st.tuples(TABLES, st.dictionaries(CHANNELS, TABLES, max_size=4)), max_size=3)


def config(files: list[tuple[ChannelSettings, dict[str, ChannelSettings]]]) -> Config:
    return Config(
        tuple(
            File(
                defaults=(Source(Path(str(at))), defaults),
                channels={name: (Source(Path(str(at)), name), table) for name, table in channels.items()},
            )
            for at, (defaults, channels) in enumerate(files)
        )
    )


def by_the_book(files: list[tuple[ChannelSettings, dict[str, ChannelSettings]]], channel: str) -> dict[str, object]:
    """One field after the other: the longest name that covers the channel and has it, else the defaults."""
    values: dict[str, object] = {}
    steps = channel.split("/")
    for field in ChannelSettings.__struct_fields__:
        for length in range(len(steps), -1, -1):
            tables = [
                defaults if not length else channels.get("/".join(steps[:length]), ChannelSettings())
                for defaults, channels in files
            ]
            results = [value for table in tables if (value := getattr(table, field)) is not None]
            if results:
                values[field] = results[-1]
                break
    return values


@given(FILES, CHANNELS)
def test_the_most_specific_table_wins_then_the_strongest_file(
    files: list[tuple[ChannelSettings, dict[str, ChannelSettings]]], channel: str
) -> None:
    results = {name: value.value for name, value in config(files).index(channel).items()}
    assert results == by_the_book(files, channel)


@given(FILES, CHANNELS)
def test_slashes_at_the_end_of_a_name_or_channel_mean_nothing(
    files: list[tuple[ChannelSettings, dict[str, ChannelSettings]]], channel: str
) -> None:
    slashed = [(defaults, {f"{name}/": table for name, table in channels.items()}) for defaults, channels in files]
    plain = {name: value.value for name, value in config(files).index(channel).items()}
    assert {name: item.value for name, item in config(slashed).index(f"{channel}/").items()} == plain


@given(FILES, CHANNELS)
def test_each_value_stands_where_its_place_says(
    files: list[tuple[ChannelSettings, dict[str, ChannelSettings]]], channel: str
) -> None:
    for field, result in config(files).index(channel).items():
        defaults, channels = files[int(result.source.file.name)]
        table = channels[result.source.table] if result.source.table else defaults
        assert getattr(table, field) == result.value
