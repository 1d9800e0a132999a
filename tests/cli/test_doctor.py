"""`indexer doctor` as a user calls it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from docs.providers import blocks
from indexer.commands.doctor.policies import policies
from indexer.core import names
from indexer.store.s3.providers import NAMES
from tests.support.channels import FEW, lay_up, objects
from tests.support.command import ROOT, invoke
from tests.support.http_servers import EMPTY, Request, Response, answering, refusal

if TYPE_CHECKING:
    from pathlib import Path

    from fixtures.bucket import Bucket


def test_a_sound_store_is_reported_and_keeps_no_test_object(bucket: Bucket) -> None:
    url = lay_up(bucket, "some/channel", FEW)
    before = objects(bucket, "some/channel")
    done = invoke("doctor", url, env=bucket.environment())
    assert done.code == 0, done.out
    assert done.out.startswith(f"{url}: sound for several indexers at once")
    assert "[workspace.s3-options." in done.out
    assert f"--endpoint-url {bucket.endpoint}" in done.out
    assert objects(bucket, "some/channel") == before


def test_the_findings_are_an_object_for_scripts(bucket: Bucket) -> None:
    done = invoke("doctor", f"s3://{bucket.bucket}/ch", "--json", env=bucket.environment())
    assert (done.json["outcome"], done.json["exit_code"], done.json["not_deleted"]) == ("sound", 0, [])
    assert {"probe": "delete", "passed": True, "detail": "deleted at once"} in [
        {**finding, "detail": finding["detail"].partition(";")[0]} for finding in done.json["findings"]
    ]


def test_a_missing_bucket_is_one_line(bucket: Bucket) -> None:
    done = invoke("doctor", "s3://nowhere/ch", env=bucket.environment())
    assert done.code == 2
    assert "the bucket does not exist" in done.error
    assert ".indexer-doctor-" not in done.error


def test_keys_that_may_only_read_are_named() -> None:
    def read_only(request: Request) -> Response:
        lists = request.method == "GET" and "list-type" in request.path
        return Response(200, EMPTY) if lists else refusal(403, "AccessDenied")

    with answering(read_only) as server:
        done = invoke("doctor", "s3://some-bucket/ch", env=server.environment())
    assert done.code == 5
    assert done.out.startswith("s3://some-bucket/ch: not known whether several indexers may run at once (provider ")
    assert "advice: write: these credentials cannot index" in done.out


def test_a_folder_is_refused_with_the_next_step(tmp_path: Path) -> None:
    assert "s3://" in invoke("doctor", tmp_path).error


def test_settings_are_shown_with_their_origin_and_without_secrets(bucket: Bucket) -> None:
    done = invoke("doctor", f"s3://{bucket.bucket}/ch", "--show-config", env=bucket.environment())
    assert done.code == 0
    assert "S3_ENDPOINT_URL" in done.out
    assert bucket.secret_key not in done.out
    shown = invoke("doctor", f"s3://{bucket.bucket}/ch", "--show-config", "--json", env=bucket.environment()).json
    assert {"name": "endpoint-url", "value": bucket.endpoint} in [
        {"name": setting["name"], "value": setting["value"]} for setting in shown["settings"]
    ]


@pytest.mark.parametrize("provider", NAMES)
def test_a_policy_is_printed_without_a_request(bucket: Bucket, provider: str) -> None:
    before = len(bucket.requests)
    words = ("doctor", "s3://some-bucket/ch", "--policy", "--provider", provider)
    assert "indexer" in invoke(*words, env=bucket.environment()).out
    assert invoke(*words, "--json", env=bucket.environment()).json["provider"] == provider
    assert len(bucket.requests) == before


def test_the_policy_lets_the_indexer_write_all_its_files_and_no_package() -> None:
    """In patterns of IAM `*` matches any text, also with slashes."""
    from fnmatch import fnmatchcase

    (statement,) = [
        statement
        for statement in json.loads(policies("aws", "b", "ch/")[0].text)["Statement"]
        if "s3:PutObject" in statement["Action"]
    ]
    patterns = [resource.removeprefix("arn:aws:s3:::b/ch/") for resource in statement["Resource"]]

    def may(key: str) -> bool:
        return any(fnmatchcase(key, pattern) for pattern in patterns)

    owned = {*names.OWNED, *names.TRACKED, *names.OVERLAY_FILES, names.STATE_FILE, names.GC_MARKER, names.LEASE}
    keys = {*(f"linux-64/{name}" for name in owned), "noarch/shards/0.msgpack.zst", ".indexer-probe"}
    assert {key for key in {*keys, *names.CHANNEL_FILES} if not may(key)} == set()
    assert may(f"{names.SCRATCH_PREFIX}0/linux-64/probe")
    packages = ("reed-1.0-0.conda", "repodata-patches-1-0.conda", "run_exports.json-1-0.tar.bz2", ".indexer-1-0.conda")
    assert not any(may(f"{subdir}/{name}") for subdir in ("linux-64", "noarch") for name in packages)


def test_the_page_on_providers_has_the_output_of_the_command() -> None:
    page = (ROOT / "docs" / "providers.md").read_text()
    assert [name for name, block in blocks() if block not in page] == []
