"""pixi's engine and this tool find the same keys in the same store, and read and index a bucket with the same files."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from urllib.parse import unquote

from fixtures.bucket import REGION, Bucket
from indexer.settings.locations import Environment
from indexer.settings.resolve import resolve
from indexer.store.target import S3Options
from tests.support.channels import PACKAGES, lay_up
from tests.support.command import run, spawn
from tests.support.http_servers import Server, an_empty_bucket, answering
from tests.support.pixi import Errand, send

# Asks for each channel once; what comes back does not matter.  See tests/support/pixi.py for the end.
READER = """
import asyncio, json, os, sys, tempfile
import rattler
from rattler.networking import Client
from rattler.networking.middleware import AuthenticationMiddleware, S3Config, S3Middleware

async def ask(endpoint, bucket):
    client = Client([AuthenticationMiddleware(), S3Middleware({bucket: S3Config(endpoint, "us-east-1", "path")})])
    with tempfile.TemporaryDirectory() as scratch:
        gateway = rattler.Gateway(cache_dir=scratch, client=client)
        try:
            await gateway.names([rattler.Channel(f"s3://{bucket}/a/ch/")], [rattler.Subdir("noarch")])
        except Exception:
            pass

async def ask_all(endpoint, *buckets):
    for bucket in buckets:
        await ask(endpoint, bucket)

asyncio.run(ask_all(*sys.argv[1:]))
os._exit(0)
"""

# By bucket: the entries of the file that a variable names, those of the user's own file, and whose keys are taken.
STORES: dict[str, tuple[list[str], list[str], str]] = {
    "bucket": (["bucket"], [], "named bucket"),
    "url": (["s3://url/a/ch"], [], "named s3://url/a/ch"),
    "above": ([], ["s3://above/a"], "own s3://above/a"),
    "root": ([], ["s3://root"], "own s3://root"),
    "wide-wins": (["s3://wide-wins/a/ch", "wide-wins"], [], "named wide-wins"),
    "near-wins": (["s3://near-wins", "s3://near-wins/a/ch"], [], "named s3://near-wins/a/ch"),
    "key-before-file": (["s3://key-before-file/a/ch"], ["key-before-file"], "own key-before-file"),
    "named-before-own": (["named-before-own"], ["named-before-own"], "named named-before-own"),
    "sibling": (["s3://sibling/b", "s3://sibling/a/chx"], [], "aws"),
}


def write(path: Path, entries: list[str], store: str) -> None:
    """A file of keys as rattler writes it, each with an id that says which it is."""
    path.parent.mkdir(exist_ok=True)
    keys = {
        key: {
            "S3Credentials": {
                "access_key_id": re.sub(r"\W", "-", f"{store} {key}"),
                "secret_access_key": "hush",
                "session_token": None,
            }
        }
        for key in entries
    }
    path.write_text(json.dumps(keys))


def signers(server: Server) -> dict[str, str]:
    """The id that the first presigned request for each bucket was signed with."""
    results: dict[str, str] = {}
    for request in server.requests:
        match = re.match(r"/([^/]+)/.*X-Amz-Credential=([^/&]+)/", unquote(request.path))
        if match:
            results.setdefault(match[1], match[2])
    return results


def test_both_find_the_same_keys_whatever_their_names_and_files(tmp_path: Path) -> None:
    write(tmp_path / "named.json", [key for named, _, _ in STORES.values() for key in named], "named")
    write(tmp_path / ".rattler" / "credentials.json", [key for _, own, _ in STORES.values() for key in own], "own")
    ours = {"RATTLER_AUTH_FILE": str(tmp_path / "named.json"), "HOME": str(tmp_path)}
    aws = {"AWS_ACCESS_KEY_ID": "aws", "AWS_SECRET_ACCESS_KEY": "hush", "NO_PROXY": "127.0.0.1"}
    with answering(an_empty_bucket) as server:
        assert run([sys.executable, "-c", READER, server.url, *STORES], env={**ours, **aws}).code == 0
        theirs = signers(server)
    env = Environment(ours, tmp_path, tmp_path, system=tmp_path)
    for bucket, (_, _, expected) in STORES.items():
        settled = resolve(f"s3://{bucket}/a/ch", S3Options(endpoint_url=server.url), None, env)
        result = settled.target.s3.access_key_id or "aws"
        assert (bucket, result) == (bucket, re.sub(r"\W", "-", expected))
        assert (bucket, theirs.get(bucket)) == (bucket, result)


def test_what_reads_with_pixis_files_indexes_with_them(moto_server: Bucket) -> None:
    home = Path(os.environ["HOME"])
    url = lay_up(moto_server, "pixis/files", sorted(PACKAGES.glob("noarch/*.conda")))
    options = f'endpoint-url = "{moto_server.endpoint}"\nregion = "{REGION}"\nforce-path-style = true\n'
    (home / ".pixi").mkdir()
    (home / ".pixi" / "config.toml").write_text(f"[s3-options.{moto_server.bucket}]\n{options}")
    write(home / ".rattler" / "credentials.json", [f"s3://{moto_server.bucket}"], "own")
    done = spawn("s3", url, "--no-progress")
    assert (done.code, done.err) == (0, "")
    result = send(Errand(url, formats=("shards",), s3=(moto_server.endpoint, REGION)))
    assert "noarch/reedbed-1.1.0-0.conda" in result.records["shards"]
