"""Knows the address of a bucket: by the rules of AWS as botocore has them, for AWS and for all other stores."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from botocore.endpoint_provider import EndpointProvider
from botocore.exceptions import BotoCoreError
from botocore.loaders import create_loader
from msgspec import field

from indexer.core.errors import BadConfig
from indexer.core.value import Value
from indexer.store.redact import masked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from indexer.store.s3.providers import Provider

_RULES = "s3/2006-03-01/endpoint-rule-set-1"
_STEP = "check the settings; `indexer doctor --show-config` shows where each comes from"
# The algorithm and the service of signatures.  Directory buckets (S3 Express) need a session for each bucket and list
# in no order; Outposts and Object Lambda are services of their own.
_SIGNED = ("sigv4", "s3")


class Address(NamedTuple):
    """Where the requests for a bucket go: the origin, the path of the bucket, and the region of the signatures."""

    origin: str
    path: str
    region: str


class Endpoint(Value, frozen=True):
    """An endpoint, a bucket, and the values that decide the bucket's address.

    `url` is empty for AWS.  `setting` is the name of the setting that has the URL.  `rules` has the parameters of
    botocore's rules that are not of their default, such as `ForcePathStyle`.
    """

    bucket: str
    url: str
    region: str
    provider: Provider
    setting: str = ""
    rules: Mapping[str, bool] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The endpoint in messages, with the setting that has it."""
        origin = f" ({self.setting})" if self.setting else ""
        return f"{masked(self.url or f'https://s3.{self.region}.amazonaws.com')}{origin}"

    def address(self, region: str = "") -> Address:
        """The address of the bucket in a region, by default in that of the settings.  Raises BadConfig."""
        parameters: dict[str, Any] = {"Bucket": self.bucket, "Region": region or self.region, **self.rules}
        if self.url:
            parameters["Endpoint"] = self.url
        try:
            resolved = _rules().resolve_endpoint(**parameters)
        except (BotoCoreError, ValueError) as error:
            raise BadConfig(f"s3://{self.bucket}", masked(error), _STEP) from error
        scheme = resolved.properties.get("authSchemes", [{}])[0]
        signed = (scheme.get("name", _SIGNED[0]), scheme.get("signingName", _SIGNED[1]))
        if signed != _SIGNED:
            reason = f"is a kind of bucket that is not supported ({' for '.join(signed)})"
            raise BadConfig(f"s3://{self.bucket}", reason, "use a general purpose bucket")
        parts = urlsplit(resolved.url)
        signed_for = scheme.get("signingRegion", parameters["Region"])
        return Address(f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/"), signed_for)


@functools.cache
def _rules() -> EndpointProvider:
    """The rules of botocore for S3, made once in a process: reading them takes 15 ms."""
    loader = create_loader()
    rules = loader.load_data(_RULES)  # load_service_model lists all services first
    return EndpointProvider(rules, loader.load_data("partitions"))
