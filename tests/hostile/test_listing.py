"""Hostile names in a listing: such a package is refused in one printable line, and the rest is published."""

from __future__ import annotations

import hashlib
import io
import zipfile

import orjson
import pytest

from tests.support.memory_channel import channel, index, keys, only, package, packages_read, records, sharded

NAMES = [
    "a\nb-1.0-0.conda",
    "a\x1b[2Jb-1.0-0.conda",
    "a\x00b-1.0-0.conda",
    "a\x7fb-1.0-0.conda",
    "a\x9bb-1.0-0.conda",
    "\u202eb-1.0-0.conda",
    "re\u0301ed-1.0-0.conda",
    "r\u00e9ed-1.0-0.conda",
    "a\ufffdb-1.0-0.conda",
    "a\\b-1.0-0.conda",
    "<b>-1.0-0.conda",
    "a b-1.0-0.conda",
    "x" * 1000 + "-1.0-0.conda",
    "a-1..0-0.conda",
    "..-..-...conda",
    "short.conda",
    "-1-0.conda",
    "--.tar.bz2",
    ".conda",
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_hostile_name_is_refused_and_the_rest_is_published(name: str) -> None:
    store = channel(*keys(2))
    index(store)
    store.upload(f"linux-64/{name}", package(f"linux-64/{name}") if name.count("-") > 1 and name[0] != "-" else b"x")
    report = index(store)
    assert report.exit_code == (3 if name[:5] != "xxxxx" else 0)
    assert all(note.reason.isprintable() and len(note.reason) < 500 for note in only(report).rejected)
    expected = {"p00-1.0-0.conda", "p01-1.0-0.conda", *([name] if name[:5] == "xxxxx" else [])}
    assert set(records(store)) == sharded(store) == expected
    orjson.dumps(report.as_json())


def large() -> bytes:
    """A package of which only a part is read where its digests are vouched for."""
    good = package("linux-64/big-1.0-0.conda")
    with zipfile.ZipFile(out := io.BytesIO(good), "a") as archive:
        archive.writestr(zipfile.ZipInfo("pkg-big-1.0-0.tar.zst"), bytes(300_000))  # of a fixed time
    return out.getvalue()


def test_names_that_differ_by_case_alone_are_two_packages() -> None:
    both = ["linux-64/Reed-1.0-0.conda", "linux-64/reed-1.0-0.conda"]
    store = channel(*both)
    assert index(store).exit_code == 0
    assert set(records(store)) == sharded(store) == {"Reed-1.0-0.conda", "reed-1.0-0.conda"}


def test_what_looks_like_a_path_is_not_read() -> None:
    store = channel(*keys(1))
    for key in ("linux-64/../etc/a-1-0.conda", "linux-64/./a-1-0.conda", "linux-64//a-1-0.conda", "../a-1-0.conda"):
        store.upload(key, package("linux-64/a-1-0.conda"))
    assert index(store).exit_code == 0
    assert packages_read(store.calls) == keys(1)
    assert list(records(store)) == ["p00-1.0-0.conda"]


@pytest.mark.parametrize(
    "metadata",
    [
        {"package-sha256": "A" * 64, "package-md5": "0" * 32},
        {"package-sha256": "0" * 64 + "\n", "package-md5": "0" * 32},
        {"package-sha256": "../../" + "0" * 58, "package-md5": "0" * 32},
        {"package-sha256": "x" * 2000, "package-md5": "\x00"},
        {"package-sha256": "", "package-md5": ""},
    ],
    ids=ascii,
)
def test_digests_that_are_none_are_not_taken_from_metadata(metadata: dict[str, str]) -> None:
    store = channel(*keys(1))
    index(store)
    good = records(store)
    store.upload("linux-64/big-1.0-0.conda", large(), metadata)
    assert index(store).exit_code == 0
    assert records(store)["p00-1.0-0.conda"] == good["p00-1.0-0.conda"]
    assert records(store)["big-1.0-0.conda"]["sha256"] == hashlib.sha256(large()).hexdigest()
