"""The doctor finds the known properties of every kind of store, and deletes its test objects."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from indexer.commands.doctor.doctor import SOUND, UNKNOWN, UNSAFE, concurrency_outcome, examine_store
from indexer.commands.doctor.probes import CONCURRENCY_PROBES, PROBES, Finding
from indexer.settings.locations import Environment
from indexer.settings.resolve import resolve
from indexer.store.target import S3Options, Target
from tests.contract.test_provider_runs import KINDS
from tests.support.fake_s3 import ACCESS_KEY, BUCKET, PREFIX, SECRET_KEY, Behavior, FakeS3
from tests.support.fake_uploads import Refusal, Uploads

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from indexer.commands.doctor.doctor import Diagnosis
    from tests.support.fake_s3 import Request, Server


def diagnosis(served: Server, behavior: Behavior, provider: str | None = None, key: str = ACCESS_KEY) -> Diagnosis:
    """The diagnosis of a store with this behavior."""
    served.fake = FakeS3(behavior)
    served.fake.upload("linux-64/reed-1.0-0.conda", b"a package")
    options = S3Options(served.url, "us-east-1", "path", key, SECRET_KEY, provider=provider)
    found = examine_store(Target(f"s3://{BUCKET}/{PREFIX}", options))
    assert served.fake.bodies() == {"linux-64/reed-1.0-0.conda": b"a package"}
    assert found.not_deleted == ()
    return found


@pytest.mark.parametrize(
    ("name", "flag"),
    [
        ("minio", None),
        ("gcs", None),
        ("hetzner: quotes compared", None),
        ("b2: conditions refused", None),
        ("wasabi: conditions ignored", None),
        ("unknown: conditions refused with 400", None),
        ("unknown: only creations conditional", None),
        ("said to be minio, but refuses conditions", "--provider other"),
    ],
)
def test_a_store_with_conditional_writes_is_safe_for_several_indexers(
    served: Server, name: str, flag: str | None
) -> None:
    kind = KINDS[name]
    found = diagnosis(served, kind.behavior, kind.provider)
    assert found.outcome == (SOUND if kind.safe else UNSAFE)
    assert found.exit_code == (0 if kind.safe else 5)
    assert kind.safe is not any("one indexer" in line for line in found.advice)
    assert [finding.probe for finding in found.findings] == list(PROBES)
    assert [it for it in found.flags if "--provider" in it] == [flag] * (flag is not None)


def test_a_store_with_better_results_than_its_row_gets_provider_other(served: Server) -> None:
    assert "--provider other" in diagnosis(served, Behavior(), "wasabi").flags


@pytest.mark.parametrize(
    ("behavior", "expected"),
    [
        (
            Behavior(page=3),
            {
                "write": (True, "is accepted"),
                "read after write": (True, "at once"),
                "metadata": (True, "are kept"),
                "range": (True, "the requested part"),
                "suffix range": (None, "wrong or refused"),
                "If-Match on GET": (None, "supported"),
                "ETag": (None, "the MD5 of"),
                "SHA-256 checksum": (None, "refused on upload"),
                "list after write": (True, "is listed"),
                "list in pages": (None, "complete; StartAfter is supported"),
                "special characters": (True, "kept"),
                "replace with the current ETag": (True, "accepted"),
                "many create at once": (True, "1 of 8"),
                "many replace at once": (True, "1 of 8"),
                "compose": (None, "supported: of a large file"),
                "delete": (True, "deleted at once"),
                "clock": (True, " s "),
                "missing object": (True, "404"),
                "anonymous reader": (None, "a private channel"),
            },
        ),
        (
            Behavior(ranges=False, reads_refused=True, missing=403),
            {
                "range": (None, "ignored"),
                "If-Match on GET": (None, "not supported"),
                "missing object": (False, "403"),
            },
        ),
        (Behavior(etag=lambda md5: f'"{md5[::-1]}-2"'), {"ETag": (None, "not the MD5")}),
        (Behavior("quotes"), {"replace with the current ETag": (True, "without quotes")}),
        (
            Behavior("ignored"),
            {
                "create once": (False, "overwrites the first"),
                "many create at once": (False, "8 of 8"),
                "many replace at once": (False, "8 of 8"),
            },
        ),
        (Behavior(second_form_refused=True), {"list in pages": (None, "the first form")}),
    ],
)
def test_each_property_of_a_store_is_found(
    served: Server, behavior: Behavior, expected: dict[str, tuple[bool | None, str]]
) -> None:
    found = {finding.probe: finding for finding in diagnosis(served, behavior).findings}
    for probe, (passed, words) in expected.items():
        assert found[probe].passed is passed, found[probe]
        assert words in found[probe].detail


def test_without_the_right_to_write_only_listing_is_tested(served: Server) -> None:
    found = diagnosis(served, replace(Behavior(), conditions="read only"))
    assert [finding.probe for finding in found.findings] == ["write", "list"]
    assert (found.outcome, found.exit_code) == (UNKNOWN, 5)
    assert any("--policy" in line for line in found.advice)


def test_the_table_for_pixi_also_configures_indexer(served: Server, tmp_path: Path) -> None:
    found = diagnosis(served, Behavior())
    manifest = tmp_path / "pixi.toml"
    manifest.write_text(found.s3_options)
    env = Environment({}, tmp_path, tmp_path, system=tmp_path)
    options = resolve(f"s3://{BUCKET}/{PREFIX}", S3Options(), None, env).target.s3
    assert (options.endpoint_url, options.region, options.addressing_style) == (served.url, "us-east-1", "path")
    assert f"--endpoint-url {served.url}" in found.flags


@pytest.mark.parametrize("provider", [None, "hetzner", "minio"])
def test_a_bucket_with_object_lock_has_the_same_results(served: Server, provider: str | None) -> None:
    found = diagnosis(served, Behavior(locked=True), provider)
    assert [it for it in found.findings if it.passed is False or "not tested" in it.detail] == []
    assert (found.outcome, found.exit_code) == (SOUND, 0)


def test_a_probe_that_was_not_tested_has_no_result() -> None:
    assert concurrency_outcome([]) == UNKNOWN
    assert concurrency_outcome([Finding(guard, passed=True, detail="") for guard in CONCURRENCY_PROBES]) == SOUND
    assert (
        concurrency_outcome([Finding(guard, passed=None, detail="not tested") for guard in CONCURRENCY_PROBES])
        == UNKNOWN
    )
    for odd in CONCURRENCY_PROBES:
        assert (
            concurrency_outcome([Finding(guard, passed=guard != odd, detail="") for guard in CONCURRENCY_PROBES])
            == UNSAFE
        )
        assert (
            concurrency_outcome([Finding(guard, passed=True, detail="") for guard in CONCURRENCY_PROBES - {odd}])
            == UNKNOWN
        )


@pytest.mark.parametrize(("provider", "how"), [("r2", "heeded"), ("minio", "join ignored"), ("aws", "unknown")])
def test_a_store_that_cannot_compose_gets_large_files_whole(served: Server, provider: str, how: str) -> None:
    served.fake = FakeS3(Behavior(), uploads=Uploads(how))
    options = S3Options(served.url, "us-east-1", "path", ACCESS_KEY, SECRET_KEY, provider=provider)
    diagnosed = examine_store(Target(f"s3://{BUCKET}/{PREFIX}", options))
    (finding,) = [finding for finding in diagnosed.findings if finding.probe == "compose"]
    assert (finding.passed, finding.detail) == (None, "not supported: large files are sent whole")
    assert diagnosed.not_deleted == ()
    assert served.fake.bodies() == {}
    assert served.fake.uploads.begun == {}


def refused(
    served: Server, refuses: Callable[[Request], bool], status: int = 403, code: str = "AccessDenied"
) -> Diagnosis:
    """The diagnosis of a store that refuses some requests."""

    def hook(asked: Request) -> None:
        if refuses(asked):
            raise Refusal(status, code)

    served.fake = FakeS3(Behavior(), hook=hook)
    options = S3Options(served.url, "us-east-1", "path", ACCESS_KEY, SECRET_KEY)
    return examine_store(Target(f"s3://{BUCKET}/{PREFIX}", options))


def results(diagnosed: Diagnosis, *probes: str) -> list[tuple[bool | None, bool]]:
    """The result of each probe, and whether the probe was not tested."""
    by_name = {finding.probe: finding for finding in diagnosed.findings}
    return [(by_name[probe].passed, by_name[probe].detail.startswith("not tested: ")) for probe in probes]


PUTS = ["read after write", "list after write", "special characters", *sorted(CONCURRENCY_PROBES), "delete"]
READS = ["metadata", "ETag", "range", "suffix range", "If-Match on GET", "special characters"]


@pytest.mark.parametrize(("status", "code"), [(403, "AccessDenied"), (400, "InvalidRequest")])
def test_a_probe_whose_put_is_refused_is_not_tested(served: Server, status: int, code: str) -> None:
    found = refused(
        served, lambda it: it.method == "PUT" and not it.key.endswith(("first", "!2.0+local-0.conda")), status, code
    )
    asked = [probe for probe in PUTS if probe != "special characters"]
    assert results(found, *asked) == [(None, True)] * len(asked)
    assert (found.outcome, found.exit_code) == (UNKNOWN, 0)
    assert not any("one indexer" in line for line in found.advice)


def test_a_refused_put_of_a_special_name_is_failed_unless_denied(served: Server) -> None:
    def odd(asked: Request) -> bool:
        return asked.method == "PUT" and "local-0" in asked.key

    assert results(refused(served, odd), "special characters") == [(None, True)]
    assert results(refused(served, odd, 403, "SignatureDoesNotMatch"), "special characters") == [(False, False)]
    assert results(refused(served, odd, 400, "InvalidURI"), "special characters") == [(False, False)]


def test_without_the_right_to_read_only_that_right_is_a_fault(served: Server) -> None:
    found = refused(served, lambda it: it.method in {"GET", "HEAD"} and bool(it.key) and "nowhere" not in it.key)
    assert results(found, "read after write") == [(False, False)]
    assert results(found, *READS) == [(None, True)] * len(READS)
    assert {finding.probe for finding in found.findings if finding.passed is False} == {"read after write"}
    assert found.outcome == UNKNOWN


def test_without_the_right_to_delete_only_that_right_is_a_fault(served: Server) -> None:
    found = refused(served, lambda it: it.method == "DELETE")
    assert {finding.probe for finding in found.findings if finding.passed is False} == {"delete"}
    assert found.outcome == SOUND
    assert found.not_deleted


def test_keys_without_the_right_to_write_create_no_objects(served: Server) -> None:
    found = refused(served, lambda it: it.method in {"PUT", "DELETE"})
    assert [finding.probe for finding in found.findings] == ["write", "list"]
    assert found.not_deleted == ()
    assert not any("not deleted" in line for line in found.page().lines)
