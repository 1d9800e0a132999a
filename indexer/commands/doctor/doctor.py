"""Diagnoses a store: runs the probes, and derives advice and options for indexer and pixi."""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from msgspec import field

from indexer.commands.doctor.policies import policies, text
from indexer.commands.doctor.probes import CONCURRENCY_PROBES, Finding, run_probes
from indexer.commands.doctor.scratch import Scratch
from indexer.core import names
from indexer.core.errors import IndexerError
from indexer.core.exit_codes import ExitCode
from indexer.core.report import Page, json_object
from indexer.core.usage import Usage
from indexer.core.value import Value
from indexer.settings.provenance import lines
from indexer.settings.resolve import explain
from indexer.store.s3.connect import connect
from indexer.store.s3.providers import AWS, OTHER, Conditions, addressing_of, provider_of
from indexer.store.s3.retry import Retries
from indexer.store.s3.store import S3Store

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from indexer.settings.resolve import Resolved
    from indexer.store.s3.endpoint import Endpoint
    from indexer.store.target import Target

_THREADS = 8
# A provider with writes conditional on the ETag, without a test of the store before the first write.
_PLAIN = "minio"
# The outcomes: several indexers may run at once, may not, or the probes could not be tested.
SOUND, UNSAFE, UNKNOWN = "sound", "unsafe", "unknown"
_IN_WORDS = {
    SOUND: "sound for several indexers at once",
    UNSAFE: "unsafe for several indexers at once",
    UNKNOWN: "not known whether several indexers may run at once",
}


class Diagnosis(Value, frozen=True):
    """The findings about a store, and the conclusions.

    `flags` are the options of indexer for this store, `s3_options` those of pixi (a table of TOML, empty for AWS),
    `advice` a line for each next step.  `not_deleted` has the keys that could not be deleted.
    """

    channel: str
    provider: str
    findings: tuple[Finding, ...]
    flags: tuple[str, ...] = ()
    s3_options: str = ""
    not_deleted: tuple[str, ...] = ()
    usage: Usage = field(default_factory=Usage)

    @property
    def outcome(self) -> str:
        """Whether several indexers may run at once: sound, unsafe, or unknown if a probe could not be tested."""
        return concurrency_outcome(self.findings)

    @property
    def exit_code(self) -> ExitCode:
        """FAULTS if a probe failed."""
        return ExitCode.FAULTS if any(finding.passed is False for finding in self.findings) else ExitCode.OK

    @property
    def advice(self) -> tuple[str, ...]:
        """A line for each next step."""
        return tuple(advise(self.findings))

    def page(self) -> Page:
        """The output of the command."""
        words = {True: "passed", False: "failed", None: "info"}
        width = max((len(finding.probe) for finding in self.findings), default=0)
        shown = [
            f"{self.channel}: {_IN_WORDS[self.outcome]} (provider {self.provider})",
            *(f"  {probe:<{width}}  {words[passed]:<6}  {detail}" for probe, passed, detail in self.findings),
            *(f"advice: {line}" for line in self.advice),
            *(f"test object not deleted: {key}; delete it" for key in self.not_deleted),
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
            not_deleted=self.not_deleted,
        )


def examine_store(target: Target) -> Diagnosis:
    """The diagnosis of a store, tested under a temporary prefix.  Raises IndexerError if the store is not reachable."""
    try:
        return _examine(target)
    except IndexerError as error:  # it names the temporary prefix
        raise type(error)(target.name, error.reason, error.next_step) from error


def _examine(target: Target) -> Diagnosis:
    bucket, prefix = target.bucket_and_prefix
    folder = f"{names.SCRATCH_PREFIX}{uuid.uuid4().hex}/"
    scratch_target = replace(target, location=f"s3://{bucket}/{prefix}{folder}")
    client = connect(bucket, scratch_target, Retries())
    without_keys = replace(scratch_target.s3, access_key_id=None, secret_access_key=None, session_token=None)
    unsigned = replace(without_keys, profile=None, anonymous=True)
    anonymous = connect(bucket, replace(scratch_target, s3=unsigned), Retries())
    endpoint = client.endpoint
    with ThreadPoolExecutor(_THREADS) as executor:
        store = S3Store(bucket, prefix + folder, _with_conditions(scratch_target, endpoint))
        scratch = Scratch(client, store, prefix + folder, executor, anonymous, time.sleep)
        try:
            # A missing bucket or refused keys end the command with the same error as a run.
            next(iter(store.list("")), None)
            findings = tuple(run_probes(scratch))
        finally:
            remaining = tuple(scratch.clear())
    return Diagnosis(
        channel=target.name,
        provider=endpoint.provider.name,
        findings=findings,
        flags=tuple(flags(endpoint, findings)),
        s3_options=s3_options(endpoint),
        not_deleted=remaining,
        usage=store.usage,
    )


def _with_conditions(target: Target, endpoint: Endpoint) -> Target:
    """The target with conditional writes, even if the table of providers has none for this store: they are tested."""
    if endpoint.provider.conditions is Conditions.GENERATION:
        return target
    style = "path" if _is_path_style(endpoint) else "virtual-host"
    plain = replace(target.s3, region=endpoint.region, addressing_style=style, provider=_PLAIN)
    return replace(target, s3=plain)


def policy_page(target: Target) -> Page:
    """The least rights for a channel, as its provider grants them.  Sends no request."""
    bucket, prefix = target.bucket_and_prefix
    provider = provider_of(target.s3.endpoint_url, target.s3.provider)
    listed = policies(provider.name, bucket, prefix)
    value = json_object(target.name, provider=provider.name, policies=[policy._asdict() for policy in listed])
    return Page(tuple(text(listed).splitlines()), value)


def settings_page(resolved: Resolved) -> Page:
    """Every setting of a channel with its source, secrets masked.  May request keys through boto3, as a run."""
    explained = explain(resolved)
    settings = [{"name": setting.name, "value": setting.shown, "origin": str(setting.origin)} for setting in explained]
    value = json_object(resolved.target.name, settings=settings)
    return Page(tuple(lines(explained)), value)


def concurrency_outcome(findings: Sequence[Finding]) -> str:
    """Whether several indexers may run at once on a store: sound, unsafe or unknown."""
    results = {finding.probe: finding.passed for finding in findings if finding.probe in CONCURRENCY_PROBES}
    if False in results.values():
        return UNSAFE
    return SOUND if results == dict.fromkeys(CONCURRENCY_PROBES, True) else UNKNOWN


def _is_path_style(endpoint: Endpoint) -> bool:
    return addressing_of(endpoint.provider, endpoint.url, endpoint.bucket) == "path"


def flags(endpoint: Endpoint, findings: Sequence[Finding]) -> list[str]:
    """The options of indexer for a store."""
    options = [f"--region {endpoint.region}"]
    if endpoint.provider.name != AWS.name:
        options = [f"--endpoint-url {endpoint.url}", *options]
        options.append(f"--addressing-style {'path' if _is_path_style(endpoint) else 'virtual-host'}")
    trusted = endpoint.provider.conditions in {Conditions.ETAG, Conditions.GENERATION}
    distrusted = endpoint.provider.conditions is Conditions.NONE
    if {UNSAFE: trusted, SOUND: distrusted}.get(concurrency_outcome(findings)):
        # The table of providers is wrong about this store; with `other` a run tests the store itself.
        options.append(f"--provider {OTHER.name}")
    return options


def s3_options(endpoint: Endpoint) -> str:
    """The table of `pixi.toml` for a store; empty for AWS, which pixi configures like the AWS tools."""
    if endpoint.provider.name == AWS.name:
        return ""
    return (
        f"[workspace.s3-options.{_key(endpoint.bucket)}]\n"
        f'endpoint-url = "{endpoint.url}"\n'
        f'region = "{endpoint.region}"\n'
        f"force-path-style = {str(_is_path_style(endpoint)).lower()}\n"
    )


def _key(bucket: str) -> str:
    return f'"{bucket}"' if "." in bucket else bucket


_ADVICE: Mapping[str, str] = {
    "write": "these credentials cannot index; `indexer doctor --policy` prints all rights",
    "list": "nothing can be indexed without the right to list; `indexer doctor --policy` prints all rights",
    "read after write": "wait between an upload and a run, and report this to the operator of the store",
    "metadata": "packages are read whole, because their digests are lost; uploads lose Cache-Control",
    "range": "do not index here: the store answers with wrong bytes",
    "list after write": "wait between an upload and a run: an object that is not listed is not indexed",
    "list in pages": "index at most a thousand objects per subdir here",
    "special characters": "packages with `!` or `+` in their version cannot be indexed here",
    "delete": "grant the right to delete, or never disable an output; `indexer doctor --policy` prints all rights",
    "clock": "set the clock of this machine: stores refuse signatures that are off by more than 15 minutes",
    "missing object": "grant the right to list the bucket: the answer 403 can also mean a wrong key",
    "anonymous reader": "let the public list the bucket, or answer 404 at the CDN: pixi fails on 403",
}
_UNSAFE = "run one indexer at a time: concurrent writes can be lost, and a lease only makes this less likely"


def advise(findings: Sequence[Finding]) -> list[str]:
    """A line for each failed probe with a next step, after one line if concurrent indexers are unsafe."""
    failed = [finding.probe for finding in findings if finding.passed is False]
    next_steps = [f"{probe}: {_ADVICE[probe]}" for probe in failed if probe in _ADVICE]
    return [*([_UNSAFE] if concurrency_outcome(findings) == UNSAFE else []), *next_steps]
