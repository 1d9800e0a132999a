"""Channels in memory: made of small packages, indexed in one thread with a fake clock, and read back."""

from __future__ import annotations

import bz2
import functools
import hashlib
import io
import json
import tarfile
import zipfile
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import zstandard
from msgspec.structs import replace

from indexer.commands.context import Context
from indexer.commands.index import index_channel
from indexer.commands.with_settings import index_with_settings
from indexer.core import names
from indexer.core.model import Outputs
from indexer.core.options import Options
from indexer.extractor.workers import in_threads
from indexer.store.clock import Clock
from tests.support.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from typing_extensions import ParamSpec

    from indexer.core.report import Report, SubdirReport
    from indexer.store import Store
    from tests.support.memory import Call

    P = ParamSpec("P")
T = TypeVar("T")

FIXTURES = Path(__file__).parents[2] / "fixtures"
NOW_MS = 1_800_000_000_000
DAY_MS = 86_400_000
FAST = Outputs(zst_level=1)
PLAIN = Options(outputs=FAST)


class Inline(Executor):
    """Does each job where it is handed in, so that a run makes the same calls in the same order every time."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Do it now."""
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001  the caller's to raise, as of any executor
            future.set_exception(error)
        return future


@dataclass
class FakeClock:
    """Time that passes only while somebody sleeps."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def monotonic(self) -> float:
        """The time now."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.slept.append(seconds)
        self.now += seconds


def fake_context(now_ms: int = NOW_MS, clock: FakeClock | None = None) -> Context:
    """A context without threads, with this time, without random waits."""
    inline, clock = Inline(), clock or FakeClock()
    times = Clock(lambda: now_ms, clock.monotonic, clock.sleep)
    return Context(in_threads(inline, 4), inline, times, jitter=lambda pause: pause, subdir_executor=inline)


def index(store: Store, options: Options = PLAIN, *, now_ms: int = NOW_MS, clock: FakeClock | None = None) -> Report:
    """One run over a channel."""
    return index_channel(store, options, fake_context(now_ms, clock))


def follow(store: Store, options: Options = PLAIN, *, now_ms: int = NOW_MS, clock: FakeClock | None = None) -> Report:
    """One run that follows the settings of the channel, as a command does."""
    return index_with_settings(store, options, fake_context(now_ms, clock))


def only(report: Report, subdir: str = "linux-64") -> SubdirReport:
    """What a run says of one subdir."""
    return report.subdirs[subdir]


def with_outputs(**shape: Any) -> Options:
    """Options for other outputs than the usual ones."""
    return replace(PLAIN, outputs=replace(FAST, **shape))


@functools.cache
def _package(filename: str, subdir: str, fields: str) -> bytes:
    parsed = names.parse_filename(filename)
    assert parsed is not None
    index_json = {
        "name": parsed.name,
        "version": parsed.version,
        "build": parsed.build,
        "build_number": 0,
        "depends": [],
        "subdir": subdir,
        **json.loads(fields),
    }
    recipe = index_json.pop("recipe", None)
    others = {name: index_json.pop(name, None) for name in ("run_exports", "about", "paths")}
    files = {"index": index_json, **{name: value for name, value in others.items() if value is not None}}
    info = {f"info/{name}.json": json.dumps(value).encode() for name, value in files.items()}
    return archive(filename, info | ({"info/recipe/meta.yaml": recipe.encode()} if recipe else {}))


def archive(filename: str, info: Mapping[str, bytes], content: Mapping[str, bytes] | None = None) -> bytes:
    """A package archive of these info files and this content, in the format that its name asks for."""
    if filename.endswith(names.TAR_BZ2):
        return bz2.compress(_tar({**info, **(content or {})}))
    zipped = io.BytesIO()
    stem = filename.removesuffix(names.CONDA)
    with zipfile.ZipFile(zipped, "w") as opened:
        parts = {"metadata.json": b'{"conda_pkg_format_version": 2}'}
        if content is not None:
            parts[f"pkg-{stem}.tar.zst"] = zstandard.compress(_tar(content))
        parts[f"info-{stem}.tar.zst"] = zstandard.compress(_tar(info))
        for name, data in parts.items():
            opened.writestr(zipfile.ZipInfo(name), data)  # of no time, so that its bytes are the same every time
    return zipped.getvalue()


def _tar(files: Mapping[str, bytes]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return content.getvalue()


PATCH = "patch-1-0.conda"


def upload_patch(store: MemoryStore, instructions: Mapping[str, object], filename: str = PATCH) -> str:
    """Upload a patch package with these instructions for linux-64."""
    index = {"name": "patch", "version": "1", "build": "0", "build_number": 0, "depends": [], "subdir": "noarch"}
    content = {"linux-64/patch_instructions.json": json.dumps(instructions).encode()}
    store.upload(f"noarch/{filename}", archive(filename, {"info/index.json": json.dumps(index).encode()}, content))
    return filename


def package(key: str, **fields: object) -> bytes:
    """A package of this key whose index.json says also this."""
    subdir, _, filename = key.partition("/")
    return _package(filename, subdir, json.dumps(fields, sort_keys=True))


def keys(count: int, subdir: str = "linux-64", start: int = 0) -> list[str]:
    """The keys of some packages, each of a name of its own."""
    return [f"{subdir}/p{number:02d}-1.0-0.conda" for number in range(start, start + count)]


def fill(store: MemoryStore, *wanted: str) -> MemoryStore:
    """Upload a package for every key."""
    for key in wanted:
        store.upload(key, package(key))
    return store


def channel(*wanted: str) -> MemoryStore:
    """A channel with these packages."""
    return fill(MemoryStore(), *wanted)


def fixture(key: str, kind: str = "packages") -> bytes:
    """One of the committed packages."""
    return (FIXTURES / kind / key).read_bytes()


def is_package(key: str) -> bool:
    """Whether a key names a package."""
    return key.endswith(names.EXTENSIONS)


def packages_read(calls: list[Call], since: int = 0) -> list[str]:
    """The keys of the packages whose content was asked for."""
    return [call.key for call in calls[since:] if call.verb == "GET" and is_package(call.key)]


def changes(calls: list[Call], since: int = 0) -> list[tuple[str, str]]:
    """The calls that write, in order."""
    return [(call.verb, call.key) for call in calls[since:] if call.verb in {"PUT", "DELETE"}]


def repodata(bodies: Mapping[str, bytes] | MemoryStore, subdir: str = "linux-64") -> dict[str, Any]:
    """What repodata.json says."""
    content: dict[str, Any] = json.loads(_bodies(bodies)[f"{subdir}/repodata.json"])
    return content


def records(bodies: Mapping[str, bytes] | MemoryStore, subdir: str = "linux-64") -> dict[str, Any]:
    """The records of repodata.json by file name."""
    result = repodata(bodies, subdir)
    return {**result["packages"], **result["packages.conda"]}


def unpacked(data: bytes) -> Any:
    """What a file in msgpack and zstd says."""
    return msgspec.msgpack.decode(zstandard.ZstdDecompressor().decompress(data))


def shards(bodies: Mapping[str, bytes] | MemoryStore, subdir: str = "linux-64") -> dict[str, str]:
    """The keys of the shards that a subdir's shard index names, by package name; none where it has none."""
    data = _bodies(bodies).get(f"{subdir}/{names.SHARD_INDEX}")
    if data is None:
        return {}
    return {name: f"{subdir}/shards/{sha.hex()}.msgpack.zst" for name, sha in unpacked(data)["shards"].items()}


def sharded(bodies: Mapping[str, bytes] | MemoryStore, subdir: str = "linux-64") -> set[str]:
    """The file names that a reader of shards finds."""
    result = _bodies(bodies)
    whole = (unpacked(result[key]) for key in shards(result, subdir).values())
    return {name for shard in whole for section in ("packages", "packages.conda") for name in shard[section]}


def missing_shards(bodies: Mapping[str, bytes] | MemoryStore) -> set[str]:
    """The shards that a shard index names and that are not there, or are not what their name says."""
    result = _bodies(bodies)
    named = {key for subdir in ("linux-64", "noarch", "osx-arm64") for key in shards(result, subdir).values()}
    return {key for key in named if key not in result or hashlib.sha256(result[key]).hexdigest() not in key}


def published(store: MemoryStore) -> dict[str, bytes]:
    """Everything that readers see besides packages: not the states."""
    states = (names.STATE_FILE, names.PAGES_STATE)
    return {key: body for key, body in store.bodies().items() if not is_package(key) and not key.endswith(states)}


def _bodies(bodies: Mapping[str, bytes] | MemoryStore) -> Mapping[str, bytes]:
    return bodies.bodies() if isinstance(bodies, MemoryStore) else bodies
