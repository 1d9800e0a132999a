"""The files that the recipes show are of the form that their readers want, and what they call is there."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from typer.testing import CliRunner

from indexer.cli.app import app
from indexer.commands.doctor.policies import policies
from tests.support.command import LIMIT, ROOT

if TYPE_CHECKING:
    from pathlib import Path

RECIPES = ROOT / "docs" / "recipes"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# file: (\S+)\n")


def blocks(recipe: str, language: str) -> list[str]:
    """The code blocks of a language in a recipe."""
    return [body for kind, body in _BLOCK.findall((RECIPES / recipe).read_text()) if kind == language]


def shown(recipe: str, name: str) -> str:
    """The file of a name that a recipe shows."""
    results: list[str] = [body for _, body in _BLOCK.findall((RECIPES / recipe).read_text()) if _named(body) == name]
    (body,) = results
    return body.split("\n", 1)[1]


def _named(body: str) -> str | None:
    result = _FILE.match(body)
    return result and result[1]


@pytest.mark.parametrize(
    ("recipe", "name", "schema"),
    [
        ("github-actions.md", ".github/workflows/publish.yml", "vendor.github-workflows"),
        ("gitlab-ci.md", ".gitlab-ci.yml", "vendor.gitlab-ci"),
    ],
)
def test_a_workflow_is_of_its_schema(tmp_path: Path, recipe: str, name: str, schema: str) -> None:
    pytest.importorskip("check_jsonschema", reason="check-jsonschema is not installed")
    file = tmp_path / "file.yml"
    file.write_text(shown(recipe, name))
    assert complaint(schema, file) == ""


def test_the_action_is_of_its_schema() -> None:
    pytest.importorskip("check_jsonschema", reason="check-jsonschema is not installed")
    assert complaint("vendor.github-actions", ROOT / "action.yml") == ""


def complaint(schema: str, file: Path) -> str:
    """What a schema that comes with check-jsonschema has to say of a file."""
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(file)],
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=LIMIT,
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def commands() -> list[tuple[str, str]]:
    """Every call of `indexer` in a recipe: in shells, crontabs, units, containers and workflows."""
    results = []
    for recipe in sorted(RECIPES.glob("*.md")):
        for _, body in _BLOCK.findall(recipe.read_text()):
            for line in body.splitlines():
                call = re.search(r"(?:^|/| )(indexer (?:s3|fs|status|publish|check|gc) .*)", line)
                if call:
                    results.append((recipe.name, call[1]))
                if args := re.search(r"args: \[(.*)\]", line):
                    results.append((recipe.name, f"indexer {args[1].replace(',', '')}"))
    return results


def test_every_recipe_but_the_lambda_calls_the_command() -> None:
    assert len({recipe for recipe, _ in commands()}) >= len(list(RECIPES.glob("*.md"))) - 1


@pytest.mark.parametrize(("recipe", "command"), commands())
def test_the_options_of_a_recipe_are_options_of_the_command(recipe: str, command: str) -> None:
    words = shlex.split(command.partition(" > ")[0])[1:]
    known = CliRunner().invoke(app, [words[0], "--help"], env={"COLUMNS": "200"}).stdout
    for word in words[1:]:
        if word.startswith("-") and word != "-":
            assert re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", known), f"{recipe}: {word}"


def lambda_function() -> Any:
    """The properties of the function in the template of the Lambda recipe."""
    template: Any = yaml.load(shown("aws-lambda.md", "template.yaml"), Loader=_Tagged)
    return template["Resources"]["Indexer"]["Properties"]


def test_the_lambda_template_names_a_handler_that_is_there() -> None:
    module, _, name = lambda_function()["Handler"].rpartition(".")
    assert callable(getattr(__import__(module, fromlist=[name]), name))


def test_the_rights_of_the_lambda_are_those_of_doctor_policy() -> None:
    statements = json.dumps(lambda_function()["Policies"][0]["Statement"])
    for variable, value in {"AWS::Partition": "aws", "BucketName": "bucket", "Prefix": "some/channel"}.items():
        statements = statements.replace(f"${{{variable}}}", value)
    (policy, *_) = policies("aws", "bucket", "some/channel/")
    assert json.loads(statements) == json.loads(policy.text)["Statement"], "`make docs` writes the rights anew"


class _Tagged(yaml.SafeLoader):
    """A loader that replaces CloudFormation's tags, such as `!Ref`, by their arguments."""


_Tagged.add_multi_constructor("!", lambda loader, _suffix, node: loader.construct_scalar(node))


def test_python_in_a_recipe_runs() -> None:
    (body,) = blocks("aws-lambda.md", "python")
    space: dict[str, Any] = {}
    exec(compile(body, "app.py", "exec"), space)
    assert callable(space["handler"])
