"""What each command prints with --json has the form of docs/report.schema.json, with no key more and no key less."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from docs.schema import FORMS, schema
from tests.support.channels import BROKEN, copy, lay_out, write
from tests.support.command import invoke

if TYPE_CHECKING:
    from pathlib import Path

    from fixtures.bucket import Bucket

# {} is the channel, {new} a package file that the channel does not have, {other} another channel.
LINES = (
    "fs {}",
    "fs {} --html",
    "fs {} --dry-run",
    "fs {}/nowhere",
    "fs {} --no-such-option",
    "status {}",
    "status {} --html",
    "publish {} {new}",
    "publish {} {new} --dry-run",
    "promote {} {other} linux-64/mist-1.0-0.conda --create",
    "promote {} {other} linux-64/mist-1.0-0.conda --create --dry-run",
    "prune {}",
    "prune {} --keep-newest 1",
    "prune {} --keep-newest 1 --yes",
    "check {}",
    "gc {}",
    "gc {} --older-than 0s --yes",
    "yank {} noarch/mire-1.0-0.conda --reason r",
    "unyank {} noarch/mire-1.0-0.conda",
    "ignore {} noarch/mire-1.0-0.conda --reason r",
    "unignore {} noarch/mire-1.0-0.conda",
    "snapshot {} --list",
    "snapshot {} --delete v1",
    "rollback {} v1",
    "rollback {} v1 --yes",
    "settings {} --set html=true",
    "remove {} --for rattler-index",
)
OF_BUCKETS = ("s3", "doctor", "doctor --policy", "doctor --show-config")


def faults(report: Any, command: str) -> list[str]:
    """Where a report differs from its form; here a key that the form does not have is a fault, too."""
    whole = schema()
    for definition in whole["$defs"].values():
        if "properties" in definition:
            definition["additionalProperties"] = False
    strict = Draft202012Validator({"$ref": f"#/$defs/{FORMS[command].__name__}", "$defs": whole["$defs"]})
    return [f"{fault.json_path}: {fault.message}" for fault in strict.iter_errors(report)]


@pytest.mark.parametrize("line", LINES)
def test_a_report_has_the_form_of_the_schema(channel: Path, tmp_path: Path, line: str) -> None:
    copy(BROKEN / "linux-64" / "half-1.0-0.conda", channel)
    invoke("fs", channel)
    invoke("snapshot", channel, "v1")
    (channel / "osx-arm64" / "repodata.json").unlink()
    new = write(tmp_path / "built", "noarch/new-1.0-0.conda")
    other = tmp_path / "other"
    other.mkdir()
    done = invoke(
        *line.replace("{new}", str(new)).replace("{other}", str(other)).replace("{}", str(channel)).split(), "--json"
    )
    # A command that fails as a whole prints the report of an empty run.
    assert faults(done.json, "fs" if "error" in done.json else line.split(maxsplit=1)[0]) == []
    Draft202012Validator(schema()).validate(done.json)


@pytest.mark.parametrize("line", OF_BUCKETS)
def test_a_report_on_a_bucket_has_the_form_of_the_schema(bucket: Bucket, line: str) -> None:
    bucket.client.put_object(Bucket=bucket.bucket, Key="ch/noarch/repodata.json", Body=b'{"packages": {}}')
    name, *options = line.split()
    done = invoke(name, f"s3://{bucket.bucket}/ch", *options, "--json", env=bucket.environment())
    assert faults(done.json, line) == []


def test_each_command_is_tested() -> None:
    assert {line.split()[0] for line in (*LINES, *OF_BUCKETS)} == {line.split()[0] for line in FORMS}


def test_a_missing_key_and_an_unknown_key_are_faults(tmp_path: Path) -> None:
    report = invoke("fs", lay_out(tmp_path / "channel"), "--json").json
    del report["subdirs"]["noarch"]["added"]
    report["further"] = 1
    assert len(faults(report, "fs")) == 2


def test_no_key_of_a_plan_is_a_key_of_a_run(channel: Path) -> None:
    planned = invoke("status", channel, "--json").json["subdirs"]["noarch"]
    done = invoke("fs", channel, "--json").json["subdirs"]["noarch"]
    for key, would in (("added", "would_add"), ("written", "would_write")):
        assert (planned[key], done[would]) == ([], [])
        assert planned[would]
        assert len(planned[would]) == len(done[key])
