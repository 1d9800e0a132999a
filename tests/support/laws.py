"""What each client must find in a channel, by each protocol and in each format.

The channel has a patch, a yank, a revoked package, a twin and a v3 package.  Distributions are told by
`subdir/name-version-build`, because some clients show one of two archives only.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from fixtures.bucket import ACCESS_KEY, REGION, SECRET_KEY, Bucket
from indexer import Options, Outputs, S3Options, Target, index, yank
from tests.support import certificates, conda, pixi
from tests.support.channels import PACKAGES, lay_out, lay_up
from tests.support.http_servers import serving_folder
from tests.support.pixi import FILE_OF

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    Told = tuple[Mapping[str, Mapping[str, Any]], Mapping[str, list[str]]]
    """Records by `subdir/filename`, and by spec the keys of a solution."""

WAYS = ("http", "https", "s3")
SUBDIRS = ("linux-64", "noarch")
YANKED = "noarch/reedbed-1.0.0-0"
REMOVED = "linux-64/mist-1.0-0"
REVOKED = "linux-64/dew-1.0-0"
PATCHED = "noarch/reedbed-1.1.0-0"
REVISED = "linux-64/warbler-3.0.0-h3_0"
UNFINDABLE = "linux-64/Mallard-1.0-0"
"""Readers lower the name that they look for, so what is not lower-case is found by none (CEP 26 forbids it)."""
SOLUTION = ["noarch/mire-1.0-0", PATCHED, "noarch/reedbed-data-2026.1-0"]
INSTALLED = {"share/reedbed/greeting.txt", "share/reedbed-data/README.txt", "share/mire/README.txt"}
PATCH = {
    "noarch": {"packages.conda": {"reedbed-1.1.0-0.conda": {"depends": ["mire", "reedbed-data >=2026"]}}},
    "linux-64": {"remove": ["mist-1.0-0.conda"], "revoke": ["dew-1.0-0.conda"]},
}
_ALL = Options(outputs=Outputs(bz2=True))
_PREFIX = "a/channel"


@dataclass(frozen=True)
class Place:
    """A channel that is served: where, what clients have fetched of it so far, and what they need to reach it."""

    url: str
    fetched: Callable[[], list[str]]
    authority: Path | None = None
    bucket: Bucket | None = None


@dataclass(frozen=True)
class Seen:
    """What a client saw of a channel in one format."""

    form: str
    fetched: frozenset[str]
    offered: dict[str, Mapping[str, Any]]
    solutions: dict[str, list[str]]
    installed: frozenset[str]


@dataclass(frozen=True)
class Client:
    """A client, the formats that it can be made to read, and which laws it is known not to follow in which formats."""

    name: str
    formats: tuple[str, ...]
    ask: Callable[[Place, str, Path], Told]
    gaps: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def visit(self, place: Place, form: str, prefix: Path) -> Seen:
        """Have it read the channel with an empty cache, solve, and install into a new prefix."""
        start = len(place.fetched())
        records, solutions = self.ask(place, form, prefix)
        offered = {_stem(key): record for key, record in records.items()}
        stems = {spec: [_stem(key) for key in keys] for spec, keys in solutions.items()}
        files = frozenset(path.relative_to(prefix).as_posix() for path in prefix.rglob("*") if path.is_file())
        return Seen(form, frozenset(place.fetched()[start:]), offered, stems, files)


@contextlib.contextmanager
def served(way: str, bucket: Bucket, scratch: Path) -> Iterator[Place]:
    """The channel, written by us and served by one of the ways; the bucket is for s3."""
    if way == "s3":
        yield _in_bucket(bucket)
        return
    context, authority = certificates.for_loopback(scratch) if way == "https" else (None, None)
    folder = lay_out(scratch / "channel")
    for subdir, result in PATCH.items():
        (folder / subdir / "patch_instructions.json").write_text(json.dumps(result))
    _publish(str(folder))
    with serving_folder(folder, context) as server:
        yield Place(server.url, lambda: [item.path.lstrip("/") for item in server.of("GET")], authority)


def _in_bucket(bucket: Bucket) -> Place:
    url = lay_up(bucket, _PREFIX)
    for subdir, result in PATCH.items():
        key = f"{_PREFIX}/{subdir}/patch_instructions.json"
        bucket.client.put_object(Bucket=bucket.bucket, Key=key, Body=json.dumps(result).encode())
    how = S3Options(bucket.endpoint, REGION, "path", ACCESS_KEY, SECRET_KEY)
    _publish(Target(url, how))
    root = f"/{bucket.bucket}/{_PREFIX}/"

    def fetched() -> list[str]:
        gets = (request for request in bucket.requests if request.method == "GET" and request.status == 200)
        return [unquote(urlsplit(get.path).path).removeprefix(root) for get in gets]

    return Place(url, fetched, bucket=bucket)


def _publish(target: str | Target) -> None:
    index(target, _ALL)
    yank(target, [f"{YANKED}.conda"], "broken")


def _by_pixi(place: Place, form: str, prefix: Path) -> Told:
    env = _aws(place) | ({"SSL_CERT_FILE": str(place.authority), "SSL_CERT_DIR": ""} if place.authority else {})
    s3 = (place.bucket.endpoint, REGION) if place.bucket else None
    result = pixi.send(pixi.Errand(place.url, (form,), spec="reedbed", prefix=str(prefix), s3=s3), env)
    also = pixi.send(pixi.Errand(place.url, (form,), spec="warbler", s3=s3), env)
    return result.records[form], {"reedbed": result.solutions[form], "warbler": also.solutions[form]}


def _by_conda(place: Place, form: str, prefix: Path, *, solver: str) -> Told:
    env = _aws(place)
    if place.authority:  # requests heeds the second before what conda asks of it
        env |= dict.fromkeys(("CONDA_SSL_VERIFY", "REQUESTS_CA_BUNDLE"), str(place.authority))
    if place.bucket:
        env |= {"AWS_ENDPOINT_URL": place.bucket.endpoint, "AWS_DEFAULT_REGION": REGION}
    names = tuple(sorted({_name(key) for key in distributions()}))
    errand = conda.Errand(place.url, form, solver, names, solve=("warbler",), install="reedbed", prefix=str(prefix))
    result = conda.send(errand, env)
    return result.records, result.solutions


def _aws(place: Place) -> dict[str, str]:
    return {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY} if place.bucket else {}


def distributions() -> set[str]:
    """Every distribution that lies in the channel."""
    return {_stem(f"{subdir}/{path.name}") for subdir in SUBDIRS for path in (PACKAGES / subdir).iterdir()}


def _stem(key: str) -> str:
    return key.removesuffix(".conda").removesuffix(".tar.bz2")


def _name(key: str) -> str:
    return key.partition("/")[2].rsplit("-", 2)[0]


def _reads(seen: Seen) -> bool:
    return {f"{subdir}/{FILE_OF[seen.form]}" for subdir in SUBDIRS} <= seen.fetched


def _offers_all(seen: Seen) -> bool:
    return seen.offered.keys() | {REVISED} >= distributions() - {YANKED, REMOVED, UNFINDABLE}


def _offers_nothing_withdrawn(seen: Seen) -> bool:
    return bool(seen.offered) and not {YANKED, REMOVED} & seen.offered.keys()


def _sees_patches(seen: Seen) -> bool:
    patched, revoked = (list(seen.offered.get(key, {}).get("depends", ())) for key in (PATCHED, REVOKED))
    return patched == ["mire", "reedbed-data >=2026"] and "package_has_been_revoked" in revoked


def _solves_by_patches(seen: Seen) -> bool:
    return seen.solutions["reedbed"] == SOLUTION


def _installs(seen: Seen) -> bool:
    return seen.installed >= INSTALLED


LAWS: dict[str, Callable[[Seen], bool]] = {
    "reads the format": _reads,
    "offers all": _offers_all,
    "nothing withdrawn": _offers_nothing_withdrawn,
    "sees the patch": _sees_patches,
    "solves by it": _solves_by_patches,
    "installs": _installs,
    "offers v3": lambda seen: REVISED in seen.offered,
    "solves v3": lambda seen: REVISED in seen.solutions["warbler"],
}


def verdicts(seen: Seen) -> dict[str, bool]:
    """Which of the laws hold."""
    return {name: holds(seen) for name, holds in LAWS.items()}


def expected(client: Client, form: str) -> dict[str, bool]:
    """Which of the laws hold where the client does what it is known to do."""
    return {name: form not in client.gaps.get(name, ()) for name in LAWS}


_WITHOUT_SHARDS = frozenset({"json", "zst"})
CLIENTS = (
    Client("py-rattler", tuple(pixi.FORMATS), _by_pixi),
    Client(
        "conda, classic solver",
        tuple(conda.FORMATS),
        lambda *visit: _by_conda(*visit, solver="classic"),
        {"offers v3": _WITHOUT_SHARDS, "solves v3": frozenset(conda.FORMATS)},
    ),
    Client(
        "conda, rattler solver",
        tuple(conda.FORMATS),
        lambda *visit: _by_conda(*visit, solver="rattler"),
        {"offers v3": _WITHOUT_SHARDS},
    ),
)
