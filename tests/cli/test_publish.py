"""`indexer publish` as a user types it, in a folder and in a bucket; its objects, its report and its memory."""

from __future__ import annotations

import json
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

import pytest

import indexer
from fixtures.bucket import upload
from tests.support.archives import END, MIB, index_json, member, zst
from tests.support.channels import BROKEN, FEW, PACKAGES, files, lay_up, objects, records, records_of, write
from tests.support.command import invoke, run
from tests.support.http_servers import LOOPBACK, Listening

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fixtures.bucket import Bucket

DEW = PACKAGES / "linux-64" / "dew-1.0-0.conda"
MIRE = PACKAGES / "noarch" / "mire-1.0-0.conda"
HALF = BROKEN / "linux-64" / "half-1.0-0.conda"
SIZE = 300 * MIB

# Runs the command line, then prints how much memory it took.
MEASURED = """
import sys
from pathlib import Path
from indexer.__main__ import main
try:
    main()
finally:
    print(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0], file=sys.stderr)
"""
# Puts a file into a bucket, in one request or in parts, then prints how much memory it took.
PUT = """
import sys
from pathlib import Path
from indexer.commands.publish.local_files import read_file
from indexer.core.model import Rules
from indexer.store import Expect
from indexer.store.s3.multipart import Limits
from indexer.store.s3.store import S3Store
from indexer.store.target import S3Options, Target
endpoint, file, one_put = sys.argv[1:]
options = S3Options(endpoint, "us-east-1", "path", "key", "secret", provider="minio")
store = S3Store("bucket", "ch", Target("s3://bucket/ch", options))
store.writes.limits = Limits(one_put=int(one_put))
found = read_file(Path(file), Rules(), 1_800_000_000_000)
store.put(found.package.key, found.content(lambda: None), expect=Expect.NEW, headers=found.package.headers)
print(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
"""


# Of moto's answers: it invents a Content-Type, and keeps Content-MD5.
SEEN = ("ContentLength", "ContentDisposition", "CacheControl", "ContentEncoding", "ETag", "Metadata")


def seen(bucket: Bucket, key: str) -> dict[str, Any]:
    """The headers of an object."""
    answer = bucket.client.head_object(Bucket=bucket.bucket, Key=key)
    return {name: answer.get(name) for name in SEEN}


def test_objects_equal_those_of_rattler_build(bucket: Bucket) -> None:
    url = lay_up(bucket, "ch", FEW)
    env = bucket.environment()
    invoke("s3", url, env=env)
    done = invoke("publish", url, PACKAGES / "linux-64" / "mist-1.0-0.conda", env=env)
    assert (done.code, done.err) == (0, "")
    upload(bucket, "other", PACKAGES / "linux-64" / "mist-1.0-0.conda", "linux-64")
    assert seen(bucket, "ch/linux-64/mist-1.0-0.conda") == seen(bucket, "other/linux-64/mist-1.0-0.conda")
    assert "mist-1.0-0.conda" in records_of(json.loads(objects(bucket, "ch")["linux-64/repodata.json"]))


def test_a_bucket_gets_the_requests_of_the_uploads_and_of_a_package_run(bucket: Bucket) -> None:
    env = {**bucket.environment(), "S3_PROVIDER": "minio"}  # a store that is known to have conditions
    counts = []
    mist = PACKAGES / "linux-64" / "mist-1.0-0.conda"
    for prefix in ("one", "two"):
        url = lay_up(bucket, prefix, FEW)
        invoke("s3", url, env=env)
        if prefix == "one":
            done = invoke("publish", url, mist, "--json", env=env)
        else:
            upload(bucket, prefix, mist, "linux-64")
            done = invoke("s3", url, "--package", "linux-64/mist-1.0-0.conda", "--json", env=env)
        assert done.code == 0, done.err
        counts.append(done.json["store"]["requests"])
    assert counts[0] == {**counts[1], "PUT": counts[1]["PUT"] + 1}


def test_the_report_for_scripts_has_a_result_for_each_file(channel: Path, tmp_path: Path) -> None:
    invoke("fs", channel)
    changed = write(tmp_path, "linux-64/mist-1.0-0.conda", license="other")
    done = invoke("publish", channel, DEW, changed, HALF, "--partial", "--json")
    assert (done.code, done.json["exit_code"], done.json["outcome"]) == (6, 6, "refused")
    assert [(result["file"], result["result"], result["key"]) for result in done.json["packages"]] == [
        (str(DEW), "already there", "linux-64/dew-1.0-0.conda"),
        (str(changed), "different", "linux-64/mist-1.0-0.conda"),
        (str(HALF), "rejected", ""),
    ]
    assert "the archive is incomplete" in done.json["packages"][2]["reason"]
    assert set(done.json["subdirs"]) == {"linux-64"}


def test_a_new_channel_is_created_on_request_only(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    refused = invoke("publish", folder, DEW, MIRE)
    assert refused.code == 2
    assert "--create" in refused.error
    assert files(folder) == {}
    assert invoke("publish", folder, DEW, MIRE, "--create").code == 0
    assert [*records(folder, "linux-64"), *records(folder, "noarch")] == [DEW.name, MIRE.name]
    assert invoke("check", folder).code == 0


def test_a_rejected_file_asks_only_for_the_rules_of_the_channel(bucket: Bucket) -> None:
    before = len(bucket.requests)
    done = invoke("publish", f"s3://{bucket.bucket}/ch", DEW, HALF, env=bucket.environment())
    assert done.code == 1
    assert "half-1.0-0.conda" in done.error
    assert [request.path.rpartition("/")[2] for request in bucket.requests[before:]] == [".indexer-settings.json"]


def test_python_has_the_same_function(channel: Path) -> None:
    indexer.index(channel)
    report = indexer.publish(channel, [DEW], indexer.PublishRequest(), indexer.Options(dry_run=True))
    assert [package.result.value for package in report.packages] == ["already there"]
    with pytest.raises(indexer.IndexerError, match="is one text"):
        indexer.publish(channel, str(DEW))


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A valid package of some hundred MB; a file with holes would be refused."""
    path = tmp_path_factory.mktemp("large") / "large-1.0-0.conda"
    info = zst(member("info/index.json", index_json("linux-64/large-1.0-0.conda")) + END)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", b'{"conda_pkg_format_version": 2}')
        with archive.open("pkg-large-1.0-0.tar.zst", "w", force_zip64=True) as part:
            for _ in range(SIZE // MIB):
                part.write(bytes(MIB))
        archive.writestr("info-large-1.0-0.tar.zst", info)
    return path


@pytest.mark.xdist_group("large")
def test_a_large_package_takes_little_memory_in_a_folder(tmp_path: Path, large: Path) -> None:
    done = run([sys.executable, "-c", MEASURED, "publish", str(tmp_path), str(large), "--create"])
    assert done.code == 0, done.err
    assert (tmp_path / "linux-64" / large.name).stat().st_size > SIZE
    assert int(done.err.split()[-1]) < 100_000


@pytest.mark.xdist_group("large")
@pytest.mark.parametrize("one_put", [5 * 10**9, 20 * MIB])
def test_a_large_package_takes_little_memory_for_a_bucket(
    large: Path, one_put: int, sink: tuple[str, list[int]]
) -> None:
    endpoint, sizes = sink
    done = run([sys.executable, "-c", PUT, endpoint, str(large), str(one_put)])
    assert done.code == 0, done.err
    assert int(done.out) < 100_000
    assert sum(sizes) >= large.stat().st_size
    assert len(sizes) == (1 if one_put > SIZE else 2 + -(-large.stat().st_size // (8 * MIB)))


@pytest.fixture
def sink() -> Iterator[tuple[str, list[int]]]:
    """A store that takes everything and keeps nothing: its URL, and the sizes of the bodies that it got."""
    sizes: list[int] = []
    text = b'<R><UploadId>some</UploadId><ETag>"0123"</ETag></R>'

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def _answer(self) -> None:
            left = int(self.headers.get("Content-Length") or 0)
            sizes.append(left)
            while left:
                left -= len(self.rfile.read(min(left, MIB)))
            body = text if self.command == "POST" else b""
            self.send_response(200)
            self.send_header("ETag", '"0123"')
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_HEAD(self) -> None:
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_PUT = do_POST = _answer  # noqa: N815  the base class calls them so

    server = Listening((LOOPBACK, 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://{LOOPBACK}:{server.server_port}", sizes
    server.shutdown()
    thread.join()
    server.server_close()
