"""What a release names in several files is the same in all of them; `make release-check` builds and uses it."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import msgspec
import pytest
import yaml

from indexer.core.release import __version__
from tests.support.command import LIMIT, ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
CLASSIFIER = "Programming Language :: Python :: 3."


def project() -> dict[str, Any]:
    result: dict[str, Any] = msgspec.toml.decode((ROOT / "pyproject.toml").read_bytes())["project"]
    return result


def recipe() -> dict[str, Any]:
    result: dict[str, Any] = yaml.safe_load((ROOT / "recipe" / "recipe.yaml").read_text())
    return result


def oldest_python() -> str:
    (oldest,) = yaml.safe_load((ROOT / "recipe" / "variants.yaml").read_text())["python_min"]
    return str(oldest)


def conda_dependency(requirement: str) -> str:
    """A dependency as conda writes it: no condition on Python, which a noarch package cannot have."""
    name, version = re.fullmatch(r"([\w-]+)(>=[\w.]+)(?:;.*)?", requirement).groups()  # type: ignore[union-attr]
    return f"{name.lower()} {version}"


def test_workflows_are_of_their_schema() -> None:
    pytest.importorskip("check_jsonschema", reason="check-jsonschema is not installed")
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS],
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=LIMIT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(WORKFLOWS) == 2


def test_only_the_job_that_publishes_gets_an_identity_and_no_job_a_secret() -> None:
    for path in WORKFLOWS:
        workflow = yaml.safe_load(path.read_text())
        assert workflow["permissions"] == {"contents": "read"}
        allowed = {name: job["permissions"] for name, job in workflow["jobs"].items() if "permissions" in job}
        assert allowed == ({"publish": {"id-token": "write"}} if path.stem == "release" else {})
        assert "secrets." not in path.read_text()


def test_the_targets_that_workflows_call_exist() -> None:
    targets = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
    called = {target for path in WORKFLOWS for target in re.findall(r"\bmake ([a-z-]+)", path.read_text())}
    assert called == {"test", "test-lowest", "release-check"}
    assert called <= set(targets)


def test_the_recipe_has_the_version_the_dependencies_and_the_command_of_the_project() -> None:
    conda, python = recipe(), project()
    assert conda["context"]["version"] == __version__
    assert conda["package"]["name"] == python["name"]
    first, *run = conda["requirements"]["run"]
    assert run == [conda_dependency(requirement) for requirement in python["dependencies"]]
    assert first == "python >=${{ python_min }}"
    assert f">={oldest_python()}" == python["requires-python"]
    (entry_point,) = conda["build"]["python"]["entry_points"]
    assert dict([entry_point.split(" = ")]) == python["scripts"]
    assert conda["about"]["summary"] == python["description"]
    assert conda["about"]["license"] == python["license"]


def test_the_pythons_of_the_classifiers_are_those_that_the_workflow_tests() -> None:
    named = [word.removeprefix(CLASSIFIER) for word in project()["classifiers"] if word.startswith(CLASSIFIER)]
    tests = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text())["jobs"]["test"]
    assert [f"3.{minor}" for minor in named] == tests["strategy"]["matrix"]["python"]
    assert f"3.{named[0]}" == oldest_python()


def test_the_changelog_has_the_version() -> None:
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0].startswith(f"{__version__} - ")


def test_make_test_s3_names_each_folder_that_has_a_test_of_a_real_server() -> None:
    command = next(line for line in (ROOT / "Makefile").read_text().splitlines() if " -m s3 " in line)
    mark = "mark" + ".s3"
    files = [path for path in (ROOT / "tests").rglob("*.py") if mark in path.read_text()]
    assert {f"tests/{path.relative_to(ROOT / 'tests').parts[0]}" for path in files} == {
        word for word in command.split() if word.startswith("tests/")
    }
