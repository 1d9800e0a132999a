"""A real reader in a process of its own: py-rattler, of which pixi is made, with an empty cache for each format.

py-rattler 0.28 crashes now and then while the interpreter shuts down, so this process never does that.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import traceback
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from tests.support.command import run

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    """Have an errand done in a child process.  Raises ReaderError."""
    direct = {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    words = [sys.executable, "-m", "tests.support.pixi", json.dumps(asdict(errand))]
    done = run(words, env={**direct, **(env or {})})
    if done.code:
        raise ReaderError(done.err)
    return Found(**done.json)


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


def _main() -> int:
    errand = Errand(**json.loads(sys.argv[1]))
    try:
        json.dump(asyncio.run(_do(errand)), sys.stdout)
    except Exception:  # noqa: BLE001  os._exit below would swallow whatever it is
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    code = _main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
