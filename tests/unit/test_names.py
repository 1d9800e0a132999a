"""File names of packages, subdirs, and our own files."""

from __future__ import annotations

import pytest

from indexer.core import names
from indexer.core.names import PackageName, extension_of, is_subdir, parse_filename


def test_rattlers_34_subdirs_are_known() -> None:
    assert len(names.KNOWN_SUBDIRS) == 34
    assert {"noarch", "linux-64", "osx-arm64", "win-64", "zos-z", "emscripten-wasm32"} <= names.KNOWN_SUBDIRS
    assert all(is_subdir(subdir) for subdir in names.KNOWN_SUBDIRS)
    assert "espidf-xtensa" not in names.KNOWN_SUBDIRS


@pytest.mark.parametrize(
    ("filename", "parts"),
    [
        ("t-epoch-1!2.0.0+local.1-h_0.conda", ("t-epoch", "1!2.0.0+local.1", "h_0", ".conda")),
        ("a-1-0.conda", ("a", "1", "0", ".conda")),
        ("a-1-0.tar.bz2", ("a", "1", "0", ".tar.bz2")),
        ("p-1.0-0-extra.conda", ("p-1.0", "0", "extra", ".conda")),
        ("a-b-c-d-1-0.conda", ("a-b-c-d", "1", "0", ".conda")),
        ("a-1-0.tar.bz2.conda", ("a", "1", "0.tar.bz2", ".conda")),
    ],
)
def test_a_file_name_is_split_from_the_right(filename: str, parts: tuple[str, str, str, str]) -> None:
    parsed = parse_filename(filename)
    assert parsed == PackageName(*parts)
    assert parsed.stem + parsed.extension == filename


@pytest.mark.parametrize(
    "filename",
    ["p.conda", "p-1.conda", "-1-0.conda", "p--0.conda", "p-1-.conda", "--.conda", ".conda", "p-1-0.whl", "p-1-0", ""],
)
def test_a_file_name_that_is_not_name_version_build_has_no_parts(filename: str) -> None:
    assert parse_filename(filename) is None


@pytest.mark.parametrize(
    ("filename", "extension"),
    [("p.conda", ".conda"), ("p.tar.bz2", ".tar.bz2"), ("repodata.json.bz2", None), ("p.whl", None), ("p.CONDA", None)],
)
def test_only_conda_and_tar_bz2_are_packages(filename: str, extension: str | None) -> None:
    assert extension_of(filename) == extension


@pytest.mark.parametrize("name", ["noarch", "linux-64", "espidf-xtensa", "my-channel", "a" * 16 + "-" + "b" * 15])
def test_two_lower_case_words_are_a_subdir(name: str) -> None:
    assert is_subdir(name)


@pytest.mark.parametrize(
    "name", ["", "linux", "Linux-64", "linux-64-x", "linux_64", "../x-y", "linux-64\n", "a" * 16 + "-" + "b" * 16]
)
def test_anything_else_is_no_subdir(name: str) -> None:
    assert not is_subdir(name)


def test_packages_and_the_ledger_are_not_among_the_files_we_delete() -> None:
    assert not [name for name in names.OWNED if extension_of(name) or name == names.STATE_FILE]
    assert len(set(names.OWNED)) == len(names.OWNED)
