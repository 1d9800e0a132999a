"""pixi's engine sees the same channel in every format, over http, https and S3, and installs from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pytest

from fixtures.bucket import ACCESS_KEY, REGION, SECRET_KEY
from indexer import Options, Outputs, S3Options, Target, index
from tests.support import certificates
from tests.support.channels import PACKAGES, lay_up, records
from tests.support.http_servers import serving_folder
from tests.support.pixi import FILE_OF, FORMATS, Errand, Found, send

if TYPE_CHECKING:
    from pathlib import Path

    from fixtures.bucket import Bucket

SUBDIRS = ("linux-64", "noarch")
SOLUTION = [
    "linux-64/libreed-2.3.1-h0a1_0.conda",
    "noarch/reedbed-1.1.0-0.conda",
    "noarch/reedbed-data-2026.1-0.conda",
]
# A reader lowers the name that it looks for, so what is not lower-case is found in no format (CEP 26 forbids it).
UNFINDABLE = "linux-64/Mallard-1.0-0.conda"
TWIN = "noarch/reedbed-data-2026.1-0.tar.bz2"


@dataclass(frozen=True)
class Visit:
    """What a reader found, what it asked the server for, and the prefix that it installed into."""

    found: Found
    fetched: set[str]
    prefix: Path


def _over_http(indexed: Path, prefix: Path, scratch: Path, *, tls: bool) -> Visit:
    context, authority = certificates.for_loopback(scratch) if tls else (None, None)
    env = {"SSL_CERT_FILE": str(authority), "SSL_CERT_DIR": ""} if authority else {}
    with serving_folder(indexed, context) as server:
        result = send(Errand(server.url, spec="reedbed", prefix=str(prefix)), env)
    return Visit(result, {item.path.lstrip("/") for item in server.of("GET")}, prefix)


def _over_s3(served: Bucket, prefix: Path) -> Visit:
    url = lay_up(served, "a/channel")
    how = S3Options(
        endpoint_url=served.endpoint,
        region=REGION,
        addressing_style="path",
        access_key_id=ACCESS_KEY,
        secret_access_key=SECRET_KEY,
    )
    index(Target(url, how), Options(outputs=Outputs(bz2=True)))
    start = len(served.requests)
    keys = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
    errand = Errand(url, spec="reedbed", prefix=str(prefix), s3=(served.endpoint, REGION))
    result = send(errand, keys)
    root = f"/{served.bucket}/a/channel/"
    gets = (request for request in served.requests[start:] if request.method == "GET" and request.status == 200)
    return Visit(result, {unquote(urlsplit(get.path).path).removeprefix(root) for get in gets}, prefix)


@pytest.fixture(scope="session", params=["http", "https", "s3"])
def visit(
    request: pytest.FixtureRequest, indexed: Path, moto_server: Bucket, tmp_path_factory: pytest.TempPathFactory
) -> Visit:
    """One visit for all tests of a way: the reader's start takes longer than all of them."""
    scratch = tmp_path_factory.mktemp("visit")
    if request.param == "s3":
        return _over_s3(moto_server, scratch / "prefix")
    return _over_http(indexed, scratch / "prefix", scratch, tls=request.param == "https")


@pytest.mark.parametrize("form", FORMATS)
def test_each_format_was_really_read_in_every_subdir(visit: Visit, form: str) -> None:
    for subdir in SUBDIRS:
        assert f"{subdir}/{FILE_OF[form]}" in visit.fetched


@pytest.mark.parametrize("form", ["zst", "bz2", "json"])
def test_a_format_has_the_records_that_shards_have(visit: Visit, form: str) -> None:
    assert visit.found.records[form] == visit.found.without_twins("shards")


def test_shards_show_both_archives_of_one_build(visit: Visit) -> None:
    assert TWIN in visit.found.records["shards"]
    assert TWIN not in visit.found.records["json"]


def test_every_package_is_seen(visit: Visit) -> None:
    existing = {f"{path.parent.name}/{path.name}" for subdir in SUBDIRS for path in (PACKAGES / subdir).iterdir()}
    assert set(visit.found.records["shards"]) == existing - {UNFINDABLE}


@pytest.mark.parametrize("form", FORMATS)
def test_the_reader_sees_what_repodata_says(indexed: Path, visit: Visit, form: str) -> None:
    published = {f"{subdir}/{name}": value for subdir in SUBDIRS for name, value in records(indexed, subdir).items()}
    for key, seen in visit.found.records[form].items():
        for field in ("name", "version", "build", "build_number", "md5", "sha256", "size", "subdir"):
            assert seen[field] == published[key][field], (key, field)
        assert _spaceless(seen["depends"]) == _spaceless(published[key]["depends"]), key


def _spaceless(specs: Any) -> list[str]:
    """Specs without the spelling that a reader changes; test_real_packages.py tests their meaning."""
    return [spec.split("[")[0].split()[0].split("=")[0] for spec in specs]


@pytest.mark.parametrize("form", FORMATS)
def test_a_solution_is_the_same_in_every_format(visit: Visit, form: str) -> None:
    assert visit.found.solutions[form] == SOLUTION


def test_the_solution_was_downloaded_and_its_files_are_there(visit: Visit) -> None:
    assert set(SOLUTION) <= visit.fetched
    readme = visit.prefix / "share" / "reedbed-data" / "README.txt"
    assert readme.read_text() == "reedbed-data 2026.1\n"
    assert (visit.prefix / "share" / "reedbed" / "greeting.txt").is_file()
    assert (visit.prefix / "include" / "libreed" / "version.h").is_file()
    assert len(list((visit.prefix / "conda-meta").glob("*.json"))) == len(SOLUTION)


def test_versions_with_an_epoch_and_a_local_part_are_read(visit: Visit) -> None:
    for form in FORMATS:
        assert visit.found.records[form]["linux-64/marsh-1!2.0+local.3-h5_5.conda"]["version"] == "1!2.0+local.3"


def test_a_package_of_the_third_revision_keeps_its_conditions_and_extras(visit: Visit) -> None:
    for form in FORMATS:
        warbler = visit.found.records[form]["linux-64/warbler-3.0.0-h3_0.conda"]
        assert warbler["depends"] == ['libreed[version=">=2.3",when="__linux"]']
        assert list(warbler["extra_depends"]) == ["song"]
        assert warbler["flags"] == ["dawn"]
