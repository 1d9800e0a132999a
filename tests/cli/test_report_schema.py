"""What each command prints with --json has the form of docs/report.schema.json, with no key more and no key less."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from docs.schema import PAGE, page, schema
from indexer.cli.app import app, name_of
from tests.support.channels import BROKEN, copy, lay_out, write
from tests.support.command import invoke

if TYPE_CHECKING:
    from pathlib import Path

    from fixtures.bucket import Bucket

# {} is the channel, {new} a package file that the channel does not have, {prod} a second channel.
FORMS = {
    "fs {}": "Run",
    "fs {} --html": "Run",
    "fs {} --dry-run": "Run",
    "fs {}/nowhere": "Run",
    "fs {} --no-such-option": "Run",
    "status {}": "Run",
    "status {} --html": "Run",
    "publish {} {new}": "Publish",
    "publish {} {new} --dry-run": "Publish",
    "promote {} {prod} mire": "Promote",
    "promote {} {prod} mire --dry-run": "Promote",
    "prune {}": "Run",
    "prune {} --keep-newest 1": "Prune",
    "prune {} --keep-newest 1 --yes": "Prune",
    "check {}": "Check",
    "gc {}": "Gc",
    "gc {} --older-than 0s --yes": "Gc",
    "yank {} noarch/mire-1.0-0.conda --reason r": "Run",
    "unyank {} noarch/mire-1.0-0.conda": "Run",
    "ignore {} noarch/mire-1.0-0.conda --reason r": "Run",
    "unignore {} noarch/mire-1.0-0.conda": "Run",
    "snapshot {} --list": "Snapshots",
    "snapshot {} --delete v1": "Snapshots",
    "rollback {} v1": "Rollback",
    "rollback {} v1 --yes": "Rollback",
    "settings {} --set html=true": "Settings",
}
OF_BUCKETS = {
    "s3": "Run",
    "doctor": "Doctor",
    "doctor --policy": "DoctorPolicy",
    "doctor --show-config": "DoctorShowConfig",
}


def faults(report: Any, form: str) -> list[str]:
    """Where a report differs from its form; here a key that the form does not have is a fault, too."""
    whole = schema()
    for definition in whole["$defs"].values():
        if "properties" in definition:
            definition["additionalProperties"] = False
    strict = Draft202012Validator({"$ref": f"#/$defs/{form}", "$defs": whole["$defs"]})
    return [f"{fault.json_path}: {fault.message}" for fault in strict.iter_errors(report)]


@pytest.mark.parametrize("line", FORMS)
def test_a_report_has_the_form_of_the_schema(channel: Path, tmp_path: Path, line: str) -> None:
    copy(BROKEN / "linux-64" / "half-1.0-0.conda", channel)
    invoke("fs", channel)
    invoke("snapshot", channel, "v1")
    (channel / "osx-arm64" / "repodata.json").unlink()
    new = write(tmp_path / "built", "noarch/new-1.0-0.conda")
    prod = lay_out(tmp_path / "prod", [new])
    done = invoke(
        *line.replace("{new}", str(new)).replace("{prod}", str(prod)).replace("{}", str(channel)).split(), "--json"
    )
    assert faults(done.json, FORMS[line]) == []
    Draft202012Validator(schema()).validate(done.json)


@pytest.mark.parametrize("line", OF_BUCKETS)
def test_a_report_on_a_bucket_has_the_form_of_the_schema(bucket: Bucket, line: str) -> None:
    bucket.client.put_object(Bucket=bucket.bucket, Key="ch/noarch/repodata.json", Body=b'{"packages": {}}')
    name, *options = line.split()
    done = invoke(name, f"s3://{bucket.bucket}/ch", *options, "--json", env=bucket.environment())
    assert faults(done.json, OF_BUCKETS[line]) == []


def test_each_command_has_a_form() -> None:
    commands = {name_of(command) for command in app.registered_commands}
    assert commands == {line.split()[0] for line in (*FORMS, *OF_BUCKETS)}


def test_a_missing_key_and_an_unknown_key_are_faults(tmp_path: Path) -> None:
    report = invoke("fs", lay_out(tmp_path / "channel"), "--json").json
    del report["subdirs"]["noarch"]["added"]
    report["further"] = 1
    assert len(faults(report, "Run")) == 2


def test_the_file_of_the_schema_is_up_to_date() -> None:
    assert PAGE.read_text() == page()
    Draft202012Validator.check_schema(schema())


def test_no_key_of_a_plan_is_a_key_of_a_run(channel: Path) -> None:
    planned = invoke("status", channel, "--json").json["subdirs"]["noarch"]
    done = invoke("fs", channel, "--json").json["subdirs"]["noarch"]
    for key, would in (("added", "would_add"), ("written", "would_write")):
        assert (planned[key], done[would]) == ([], [])
        assert planned[would]
        assert len(planned[would]) == len(done[key])
