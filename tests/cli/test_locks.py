"""The image and the action install exactly what locks/ names, each file by its hash."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
import yaml

from tests.support.command import ROOT

LOCKS = sorted((ROOT / "locks").glob("*.lock"))
_ENTRY = re.compile(r"^([a-z0-9-]+)==\S+", re.MULTILINE)


def project() -> dict[str, Any]:
    return msgspec.toml.decode((ROOT / "pyproject.toml").read_bytes(), type=dict[str, Any])


def locked(name: str) -> set[str]:
    return set(_ENTRY.findall((ROOT / "locks" / name).read_text()))


def names_of(requirements: list[str]) -> set[str]:
    return {re.split(r"[><=; ]", requirement)[0].lower() for requirement in requirements}


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_each_locked_package_has_a_hash_and_no_address(path: Any) -> None:
    text = path.read_text()
    entries = re.split(r"\n(?=[a-z])", text.strip())
    assert all("==" in entry and "--hash=sha256:" in entry for entry in entries)
    assert "://" not in text


def test_the_locks_have_each_dependency_of_the_project() -> None:
    assert names_of(project()["project"]["dependencies"]) <= locked("runtime.lock")
    assert names_of(project()["build-system"]["requires"]) <= locked("build.lock")


def test_image_and_action_install_by_hash_and_nothing_else() -> None:
    action = yaml.safe_load((ROOT / "action.yml").read_text())["runs"]["steps"][0]["run"]
    for text in (action, (ROOT / "Dockerfile").read_text()):
        installs = re.findall(r"install\s+(--\S.*)", text)
        assert installs
        assert all("--require-hashes" in line or "--no-deps" in line or "--quiet" in line for line in installs)


def test_the_image_takes_its_base_as_an_argument() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert {line.split()[1] for line in lines if line.startswith("FROM")} == {"${BASE}"}
