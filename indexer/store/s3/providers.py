"""The table of S3-compatible stores: in which ways each differs, and its endpoints.

The source of each value is in docs/providers.md.  The rules for all stores have no column: objects are put whole with
their MD5, never with a checksum of botocore, and deleted one by one (ADR 3).
"""

from __future__ import annotations

import ipaddress
import re
from enum import Enum
from typing import Literal
from urllib.parse import urlsplit

from msgspec.structs import replace

from indexer.core.errors import BadConfig
from indexer.core.similar import similar
from indexer.core.value import Value

GOOGLE_MATCH = "x-goog-if-generation-match"
"""Google's header of a condition: a generation, or 0 for an absent object."""

Addressing = Literal["virtual", "path"]
"""botocore's names for a bucket that is part of the host, and one that is part of the path."""


class Conditions(Enum):
    """How a write to a store can depend on the existing object (docs/design/runs.md)."""

    ETAG = "etag"
    GENERATION = "generation"
    NONE = "none"
    # Documented as `etag`, or not documented: tested once a week, before the first write.
    UNPROVEN = "unproven"


class Provider(Value, frozen=True):
    """One row: `hosts` is a pattern of its endpoints, whose group `region` names theirs.

    `region` is the one that all requests are signed for, None if it may be any.  `checksums` is whether requests ask
    for the SHA-256 that the store has checked: some stores refuse such a request.  `absent` is the header by which a
    copy depends on the absence of its target; each run tests whether the store heeds it (store/s3/copying.py).
    `composes` is false if the store wants parts of one size, and else tested (store/s3/composing.py).
    """

    name: str
    hosts: str
    conditions: Conditions
    region: str | None = None
    addressing: Addressing = "path"
    checksums: bool = True
    absent: tuple[str, str] = ("If-None-Match", "*")
    composes: bool = True


AWS = Provider(
    "aws",
    r"(?:.*\.)?s3(?:-fips)?(?:\.dualstack)?(?:[.-](?P<region>[a-z]+(?:-[a-z]+)+-\d))?(?:\.vpce)?\.amazonaws\.com(?:\.cn)?",
    Conditions.ETAG,
    addressing="virtual",
)
OTHER = Provider("other", "", Conditions.UNPROVEN)
PROVIDERS = (
    AWS,
    Provider(
        "r2",
        r".*\.r2\.cloudflarestorage\.com",
        Conditions.ETAG,
        region="auto",
        absent=("cf-copy-destination-if-none-match", "*"),
        composes=False,
    ),
    Provider(
        "gcs",
        r"storage(?:\.[a-z0-9-]+\.rep)?\.googleapis\.com",
        Conditions.GENERATION,
        region="auto",
        checksums=False,
        absent=(GOOGLE_MATCH, "0"),
    ),
    Provider("b2", r"s3\.(?P<region>[a-z0-9-]+)\.backblazeb2\.com", Conditions.NONE, checksums=False),
    Provider("wasabi", r"s3\.(?:(?P<region>[a-z0-9-]+)\.)?wasabisys\.com", Conditions.NONE),
    Provider("hetzner", r"(?P<region>[a-z0-9]+)\.your-objectstorage\.com", Conditions.UNPROVEN),
    # These have no endpoint of their own, only a name.
    Provider("minio", "", Conditions.ETAG),
    Provider("ceph", "", Conditions.ETAG),
    Provider("seaweedfs", "", Conditions.ETAG),
    OTHER,
)
_BY_NAME = {provider.name: provider for provider in PROVIDERS}
NAMES = tuple(_BY_NAME)


def check_provider(name: str, setting: str = "--provider") -> None:
    """Raise BadConfig for a name that is not in the table; `setting` is the option or the variable that has it."""
    if name not in _BY_NAME:
        near = similar(name, _BY_NAME)
        step = f"did you mean {near}?" if near else f"use one of {', '.join(_BY_NAME)}"
        raise BadConfig(f"{setting} {name}", "is not a known provider", step)


def provider_of(endpoint: str | None, name: str | None = None) -> Provider:
    """The row of a store by its name, or else by its endpoint; with the region in the endpoint.

    No endpoint is AWS.  Raises BadConfig for a name that is not in the table.
    """
    if name is not None:
        check_provider(name)
    host = _host(endpoint)
    for provider in [_BY_NAME[name]] if name is not None else PROVIDERS:
        match = re.fullmatch(provider.hosts, host)
        if provider.hosts and match:
            return replace(provider, region=match.groupdict().get("region") or provider.region)
    return _BY_NAME[name] if name is not None else OTHER if endpoint else AWS


def addressing_of(provider: Provider, endpoint: str | None, bucket: str) -> Addressing:
    """Whether the bucket is in the host or the path: in the path if a host or certificate cannot have its name."""
    host = _host(endpoint)
    if host == "localhost" or _is_address(host) or not re.fullmatch(r"[a-z0-9][a-z0-9-]*[a-z0-9]", bucket):
        return "path"
    return provider.addressing


def _host(endpoint: str | None) -> str:
    return (urlsplit(endpoint).hostname or "") if endpoint else ""


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
