"""A real reader in a process of its own: py-rattler, of which pixi is made, with an empty cache for each format.

One process imports py-rattler and forks for each errand, for the import takes longer than the errand. py-rattler 0.28
crashes now and then while the interpreter shuts down, so a fork never does that.
"""

from __future__ import annotations

import asyncio
import atexit
import faulthandler
import functools
import json
import os
import subprocess
import sys
import tempfile
import traceback
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from tests.support.command import LIMIT, ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import IO

FORMATS = {
    "shards": {"sharded_enabled": True, "zstd_enabled": False, "bz2_enabled": False},
    "zst": {"sharded_enabled": False, "zstd_enabled": True, "bz2_enabled": False},
    "bz2": {"sharded_enabled": False, "zstd_enabled": False, "bz2_enabled": True},
    "json": {"sharded_enabled": False, "zstd_enabled": False, "bz2_enabled": False},
}
"""Which of the client's switches are on; plain JSON cannot be switched off."""

FILE_OF = {
    "shards": "repodata_shards.msgpack.zst",
    "zst": "repodata.json.zst",
    "bz2": "repodata.json.bz2",
    "json": "repodata.json",
}


@dataclass(frozen=True)
class Errand:
    """What the reader is to do: read all records in each format, solve in each, install the last solution.

    `s3` is the endpoint and the region of a bucket; its keys come from the AWS variables.  A solve sees no package
    that came in the last `exclude_newer_days`.
    """

    channel: str
    formats: tuple[str, ...] = tuple(FORMATS)
    platforms: tuple[str, ...] = ("linux-64",)
    spec: str | None = None
    prefix: str | None = None
    s3: tuple[str, str] | None = None
    exclude_newer_days: int | None = None


@dataclass(frozen=True)
class Found:
    """What it saw: records by `subdir/filename` and solutions, each by format."""

    records: dict[str, dict[str, Any]]
    solutions: dict[str, list[str]]

    def without_twins(self, form: str) -> dict[str, Any]:
        """The records without each .tar.bz2 beside its .conda: only shards show a reader both."""
        result = self.records[form]
        return {
            key: record
            for key, record in result.items()
            if not (key.endswith(".tar.bz2") and f"{key.removesuffix('.tar.bz2')}.conda" in result)
        }


class ReaderError(Exception):
    """The reader gave up; the text is what it said."""


def send(errand: Errand, env: Mapping[str, str] | None = None) -> Found:
    """Have an errand done in a fork, with our environment and `env`.  Raises ReaderError."""
    direct = {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    asked = {"errand": asdict(errand), "environment": {**os.environ, **direct, **(env or {})}}
    questions, answers = _reader()
    questions.write(json.dumps(asked) + "\n")
    questions.flush()
    told = json.loads(answers.readline())
    if "error" in told:
        raise ReaderError(told["error"])
    return Found(**told)


@functools.cache
def _reader() -> tuple[IO[str], IO[str]]:
    """The standard input and output of the process that forks; it ends with this one."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.support.pixi"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        cwd=ROOT,
    )
    atexit.register(child.communicate)
    assert child.stdin is not None
    assert child.stdout is not None
    return child.stdin, child.stdout


async def _do(errand: Errand) -> dict[str, Any]:
    # Imported here, so that the process of the tests never has it.
    import rattler
    from rattler.networking import Client
    from rattler.networking.middleware import AuthenticationMiddleware, S3Config, S3Middleware

    bucket = errand.channel.removeprefix("s3://").partition("/")[0]
    s3 = S3Middleware({bucket: S3Config(errand.s3[0], errand.s3[1], "path")} if errand.s3 else None)
    client = Client([AuthenticationMiddleware(), s3])
    channel = rattler.Channel(f"{errand.channel}/")
    platforms = [rattler.Subdir(name) for name in (*errand.platforms, "noarch")]
    days = errand.exclude_newer_days
    records: dict[str, dict[str, Any]] = {}
    solutions: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for form in errand.formats:
            config = rattler.SourceConfig(cache_action="no-cache", **FORMATS[form])
            gateway = rattler.Gateway(cache_dir=Path(scratch, form), client=client, default_config=config)
            names = await gateway.names([channel], platforms)
            specs = [rattler.MatchSpec(name.normalized) for name in names]
            parts = await gateway.query([channel], platforms, specs, recursive=False)
            records[form] = {_where(record): _plain(record) for part in parts for record in part}
            if errand.spec is not None:
                solution = await rattler.solve(
                    [channel],
                    [errand.spec],
                    gateway=gateway,
                    platforms=platforms,
                    virtual_packages=[],
                    exclude_newer=None if days is None else timedelta(days=days),
                )
                solutions[form] = sorted(map(_where, solution))
        if errand.prefix is not None:
            await rattler.install(
                solution,
                Path(errand.prefix),
                cache_dir=Path(scratch, "packages"),
                platform=platforms[0],
                client=client,
                show_progress=False,
            )
    return {"records": records, "solutions": solutions}


def _where(record: Any) -> str:
    return unquote("/".join(record.url.rsplit("/", 2)[-2:]))


def _plain(record: Any) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(record.to_json())
    # Run exports are in the shards alone, as CEP 12 and CEP 21 have it.
    return {key: value for key, value in result.items() if key not in {"url", "channel", "run_exports"}}


def _answer(errand: Errand) -> dict[str, Any]:
    try:
        return asyncio.run(_do(errand))
    except Exception:  # noqa: BLE001  the fork has no other way to say what it is
        return {"error": traceback.format_exc()}


def _in_fork(asked: dict[str, Any]) -> None:
    """Write a line with the answer to a question, or with how its fork died."""
    child = os.fork()
    if child == 0:
        faulthandler.dump_traceback_later(LIMIT, exit=True)
        os.environ.clear()
        os.environ.update(asked["environment"])
        answer = _answer(Errand(**asked["errand"]))
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if status:
        sys.stdout.write(json.dumps({"error": f"the reader died, status {status}"}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    import rattler.networking.middleware  # noqa: F401  once for all forks

    for line in sys.stdin:
        _in_fork(json.loads(line))
