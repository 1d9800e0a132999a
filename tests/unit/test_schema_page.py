"""docs/report.schema.json is up to date, and has the report of each command."""

from __future__ import annotations

from jsonschema import Draft202012Validator

from docs.schema import FORMS, PAGE, page, schema
from indexer.cli.app import app


def test_the_file_of_the_schema_is_up_to_date() -> None:
    assert PAGE.read_text() == page(), "run `make docs`"
    Draft202012Validator.check_schema(schema())


def test_each_command_has_a_form_in_docs_schema() -> None:
    commands = app.names
    hint = "add the form of its report to docs/schema.py, and a line to tests/cli/test_report_schema.py"
    assert commands == {line.split()[0] for line in FORMS}, hint
