"""What a store really guarantees, and what to tell the indexer and its readers about it."""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from indexer.commands.doctor.policies import policies, text
from indexer.commands.doctor.probes import GUARDS, Finding, examine
from indexer.commands.doctor.scratch import Scratch
from indexer.core import names
from indexer.core.exit_codes import ExitCode
from indexer.core.report import Page, json_object
from indexer.core.usage import Usage
from indexer.settings.provenance import lines
from indexer.settings.resolve import explain
from indexer.store.s3.client import connect
from indexer.store.s3.providers import AWS, OTHER, Conditions, Provider, addressing_of, provider_of
from indexer.store.s3.store import S3Store

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from indexer.settings.resolve import Resolved
    from indexer.store.target import Target

_THREADS = 8
# A row of plain S3: conditions by ETag, sent without a proof that they are heeded.
_PLAIN = "minio"
# The words of a verdict that several indexers can rest on, of one that they cannot, and of none.
SOUND, UNSAFE, UNKNOWN = "sound", "unsafe", "unknown"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found of a store, and what follows.

    `flags` are the options that reach it, `s3_options` the same for pixi (a table of TOML, empty for AWS),
    `advice` a line for each thing to do.  `left` has what could not be removed.
    """

    channel: str
    provider: str
    findings: tuple[Finding, ...]
    flags: tuple[str, ...] = ()
    s3_options: str = ""
    left: tuple[str, ...] = ()
    usage: Usage = field(default_factory=Usage)

    @property
    def outcome(self) -> str:
        """Whether several indexers may run at once: sound, unsafe, or unknown where nothing may be written."""
        return judge(self.findings)

    @property
    def exit_code(self) -> ExitCode:
        """FAULTS if a probe found a fault that a run would meet."""
        return ExitCode.FAULTS if any(finding.sound is False for finding in self.findings) else ExitCode.OK

    @property
    def advice(self) -> tuple[str, ...]:
        """What to do about the findings."""
        return tuple(advise(self.findings))

    def page(self) -> Page:
        """What the command shows."""
        said = {True: "ok", False: "fault", None: "-"}
        width = max((len(finding.probe) for finding in self.findings), default=0)
        shown = [
            f"{self.channel}: {self.outcome} for several indexers at once (provider {self.provider})",
            *(f"  {it.probe:<{width}}  {said[it.sound]:<5}  {it.found}" for it in self.findings),
            *(f"advice: {line}" for line in self.advice),
            *(f"left behind, delete it: {key}" for key in self.left),
            "options: " + " ".join(self.flags),
        ]
        if self.s3_options:
            shown += ["for pixi, in pixi.toml:", *self.s3_options.splitlines()]
        return Page(tuple(shown), self.as_json(), self.exit_code)

    def as_json(self) -> dict[str, object]:
        """The object that `--json` prints."""
        return json_object(
            self.channel,
            outcome=self.outcome,
            exit_code=self.exit_code,
            provider=self.provider,
            findings=[finding._asdict() for finding in self.findings],
            advice=self.advice,
            flags=self.flags,
            s3_options=self.s3_options,
            left=self.left,
        )


def examine_store(target: Target) -> Diagnosis:
    """Ask a store what it does, under a prefix that is cleared again.  Raises IndexerError where it is not reached."""
    bucket, prefix = target.bucket_and_prefix
    inner = f"{names.SCRATCH_PREFIX}{uuid.uuid4().hex}/"
    place = replace(target, location=f"s3://{bucket}/{prefix}{inner}")
    client, provider = connect(bucket, place)
    nobody = replace(place, s3=replace(place.s3, access_key_id=None, secret_access_key=None, session_token=None))
    anonymous, _ = connect(bucket, replace(nobody, s3=replace(nobody.s3, profile=None, anonymous=True)))
    reached = Endpoint(bucket, client.meta.endpoint_url, client.meta.region_name, provider)
    with ThreadPoolExecutor(_THREADS) as executor:
        store = S3Store(bucket, prefix + inner, _plainly(place, reached))
        scratch = Scratch(client, store, bucket, prefix + inner, executor, anonymous, time.sleep)
        try:
            # The first word with a store that is not there, or refuses the keys, is an error like any run's.
            next(iter(store.list("")), None)
            findings = tuple(examine(scratch))
        finally:
            left = tuple(scratch.clear())
    return Diagnosis(
        *(target.name, provider.name, findings), tuple(flags(reached, findings)), s3_options(reached), left, store.usage
    )


def _plainly(place: Target, reached: Endpoint) -> Target:
    """The same place, whose writes are conditional whatever the table says of its store: that is the question."""
    if reached.provider.conditions is Conditions.GENERATION:
        return place
    style = "path" if reached.path_style else "virtual-host"
    plain = replace(place.s3, region=reached.region, addressing_style=style, provider=_PLAIN)
    return replace(place, s3=plain)


def policy_page(target: Target) -> Page:
    """The least rights for a channel, in the terms of its provider.  Asks nothing of the store."""
    bucket, prefix = target.bucket_and_prefix
    provider = provider_of(target.s3.endpoint_url, target.s3.provider)
    found = policies(provider.name, bucket, prefix)
    value = json_object(target.name, provider=provider.name, policies=[policy._asdict() for policy in found])
    return Page(tuple(text(found).splitlines()), value)


def settings_page(resolved: Resolved) -> Page:
    """Every setting of a channel, masked, and where it came from.  May ask boto3's chain for keys, as a run would."""
    found = explain(resolved)
    settings = [{"name": it.name, "value": it.shown, "origin": str(it.origin)} for it in found]
    value = json_object(resolved.target.name, settings=settings)
    return Page(tuple(lines(found)), value)


def judge(findings: Sequence[Finding]) -> str:
    """Whether indexers that run at the same time can rest on a store."""
    said = {finding.probe: finding.sound for finding in findings if finding.probe in GUARDS}
    if False in said.values():
        return UNSAFE
    return SOUND if said == dict.fromkeys(GUARDS, True) else UNKNOWN


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The store that was reached."""

    bucket: str
    endpoint: str
    region: str
    provider: Provider

    @property
    def path_style(self) -> bool:
        """Whether the bucket goes into the path."""
        return addressing_of(self.provider, self.endpoint, self.bucket) == "path"


def flags(reached: Endpoint, findings: Sequence[Finding]) -> list[str]:
    """The options with which runs reach the store, and are careful where it must be."""
    found = [f"--region {reached.region}"]
    if reached.provider.name != AWS.name:
        found = [f"--endpoint-url {reached.endpoint}", *found]
        found.append(f"--addressing-style {'path' if reached.path_style else 'virtual-host'}")
    trusted = reached.provider.conditions in {Conditions.ETAG, Conditions.GENERATION}
    distrusted = reached.provider.conditions is Conditions.NONE
    if {UNSAFE: trusted, SOUND: distrusted}.get(judge(findings)):
        # The table is wrong about this store; of one that is not in it runs find out by themselves.
        found.append(f"--provider {OTHER.name}")
    return found


def s3_options(reached: Endpoint) -> str:
    """The table with which pixi reaches the store (`pixi.toml`); none for AWS, which pixi finds as the AWS tools do."""
    if reached.provider.name == AWS.name:
        return ""
    return (
        f"[workspace.s3-options.{_key(reached.bucket)}]\n"
        f'endpoint-url = "{reached.endpoint}"\n'
        f'region = "{reached.region}"\n'
        f"force-path-style = {str(reached.path_style).lower()}\n"
    )


def _key(bucket: str) -> str:
    return f'"{bucket}"' if "." in bucket else bucket


_ADVICE: Mapping[str, str] = {
    "write": "these credentials cannot index; look at `indexer doctor --policy` for the rights they need",
    "list": "without the right to list nothing can be indexed; look at `indexer doctor --policy`",
    "read after write": "wait between an upload and a run, and report this to whoever runs the store",
    "metadata": "packages are read whole, for their digests are not kept; uploads lose their Cache-Control",
    "range": "do not index here: the store answers with other bytes than it says",
    "list after write": "wait between an upload and a run: what is not listed is not indexed",
    "list in pages": "do not index here more than a thousand objects a subdir",
    "odd names": "packages with `!` or `+` in their version cannot be indexed here",
    "delete": "give the right to delete, or never switch an output off; look at `indexer doctor --policy`",
    "clock": "set this machine's clock: signatures are refused beyond 15 minutes",
    "missing object": "grant the right to list the bucket: 403 is not told from a wrong key",
    "anonymous reader": "let the public list the bucket, or answer 404 at the CDN: pixi fails on 403",
}
_UNSAFE = "let one indexer run at a time: what several write at once can be lost, and the tool can only lessen that"


def advise(findings: Sequence[Finding]) -> list[str]:
    """A line for each fault that was found; one for all that several indexers rest on."""
    faults = [finding.probe for finding in findings if finding.sound is False]
    found = [f"{probe}: {_ADVICE[probe]}" for probe in faults if probe in _ADVICE]
    return [*([_UNSAFE] if judge(findings) == UNSAFE else []), *found]
