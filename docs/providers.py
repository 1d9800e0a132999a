"""Writes the policies of `indexer doctor --policy` into docs/providers.md and the recipe for AWS Lambda."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from indexer.commands.doctor.policies import page, policies

if TYPE_CHECKING:
    from collections.abc import Iterator

_PAGE = Path(__file__).parent / "providers.md"
_HEADING = "## Least rights"
_RECIPE = _PAGE.parent / "recipes" / "aws-lambda.md"
_POLICIES = re.compile(r"(?<=^      Policies:\n)(?:^        .*\n)+", re.MULTILINE)
_VARIABLES = {"arn:aws:": "arn:${AWS::Partition}:", "my-bucket": "${BucketName}", "my-channel": "${Prefix}"}


def blocks() -> Iterator[tuple[str, str]]:
    """The name of each provider, with its block."""
    for name, text in page():
        yield name, f"<details><summary>{name}</summary>\n\n```text\n{text.rstrip()}\n```\n\n</details>\n"


def lambda_policy() -> str:
    """The policy of an indexer on AWS, as a CloudFormation template has it."""
    (policy, *_) = policies("aws", "my-bucket", "my-channel/")
    statements = yaml.safe_dump([{"Statement": json.loads(policy.text)["Statement"]}], sort_keys=False, width=1000)
    for value, variable in _VARIABLES.items():
        statements = statements.replace(value, variable)
    with_tags = re.sub(r"- (?=.*\$\{)(\S+)", r"- !Sub \1", statements)
    return "".join(f"        {line}\n" for line in with_tags.splitlines())


def main() -> None:
    """Replace the section of the policies, or append it; replace the policy of the recipe."""
    _RECIPE.write_text(_POLICIES.sub(lambda_policy().replace("\\", r"\\"), _RECIPE.read_text(), count=1))
    before = re.split(rf"^{_HEADING}$", _PAGE.read_text(), flags=re.MULTILINE)[0].rstrip("\n")
    lead = (
        "`indexer doctor s3://my-bucket/my-channel --policy` prints these policies. "
        "Only the policy of a publisher allows to write packages. At R2, Backblaze and Google the rights of an indexer "
        "are those of a publisher, too."
    )
    _PAGE.write_text("\n".join([before, "", _HEADING, "", lead, "", *(block for _, block in blocks())]))


if __name__ == "__main__":
    main()
