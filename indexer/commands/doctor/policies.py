"""The least rights of each user of a channel, from the indexer to the public, as each provider grants them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from indexer.core import names
from indexer.core.attestations import SUFFIX
from indexer.store.s3.providers import AWS, PROVIDERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Policy(NamedTuple):
    """One policy: the user it is for, where to put it, and its text."""

    user: str
    where: str
    text: str


_OF_SUBDIR = (*names.TRACKED, *names.OVERLAY_FILES, names.STATE_FILE, names.GC_MARKER, names.LEASE)
_OF_CHANNEL = (
    *names.CHANNEL_FILES,
    *(names.NOTICES, names.SETTINGS, names.REMOVAL, names.STATE_FILE, names.LEASE, names.PROBE),
    names.PAGES_STATE,
    f"{names.PAGES_FOLDER}/*.html",
)
# The files that an indexer writes and deletes, by exact name: `*/repodata*` would also match some packages.
_WRITTEN = (
    *sorted(f"*/{name}" for name in _OF_SUBDIR),
    f"*/{names.SHARDS_FOLDER}*{names.SHARD_SUFFIX}",
    *sorted(_OF_CHANNEL),
    f"{names.SCRATCH_PREFIX}*/*",
)
# The files that `indexer publish` and `promote` write besides, and only `indexer prune` deletes.
_SENT = tuple(f"*/*{extension}{end}" for extension in names.EXTENSIONS for end in ("", SUFFIX, f"{SUFFIX}.*"))
# The files that `indexer snapshot` writes and deletes besides.
_SNAPSHOTS = tuple(f"{names.SNAPSHOTS_FOLDER}*/{name}" for name in (names.SNAPSHOT_CONTENTS, names.SNAPSHOT_MARKER))
_IAM = frozenset({"aws", "minio", "wasabi", "ceph", "seaweedfs", "hetzner", "other"})


def policies(provider: str, bucket: str, prefix: str) -> list[Policy]:
    """The policies for a channel at `prefix` (empty, or ending in `/`) of a bucket."""
    if provider in _IAM:
        return list(_iam(provider, bucket, prefix))
    return list({"r2": _r2, "b2": _b2, "gcs": _gcs}[provider](bucket, prefix))


def text(listed: Iterable[Policy]) -> str:
    """The policies as text for a person."""
    return "\n".join(f"# {policy.user}: {policy.where}\n{policy.text}\n" for policy in listed)


def _statement(actions: list[str], resources: list[str], **more: object) -> dict[str, object]:
    return {"Effect": "Allow", **more, "Action": actions, "Resource": resources}


def _document(*statements: dict[str, object]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=2)


def _listing(bucket: str, prefix: str, **more: object) -> dict[str, object]:
    condition = {"Condition": {"StringLike": {"s3:prefix": [f"{prefix}*"]}}} if prefix else {}
    return {**_statement(["s3:ListBucket"], [f"arn:aws:s3:::{bucket}"], **more), **condition}


def _iam(provider: str, bucket: str, prefix: str) -> Iterator[Policy]:
    here = f"arn:aws:s3:::{bucket}/{prefix}"
    places = {
        "aws": "an IAM policy of the indexer's role or user",
        "minio": "`mc admin policy create STORE indexer FILE`",
        "wasabi": "an IAM policy of the indexer's user",
        "hetzner": "keys give access to all buckets of a project; a bucket policy that names a key restricts the key",
    }
    where = places.get(provider, "a user policy or a bucket policy, if the store has one")
    written = [here + pattern for pattern in _WRITTEN]
    yield Policy(
        "indexer",
        where,
        _document(
            _listing(bucket, prefix),
            _statement(["s3:GetObject"], [f"{here}*"]),
            # To begin an upload in parts, to send parts and to join them is s3:PutObject too.
            _statement(["s3:PutObject", "s3:AbortMultipartUpload", "s3:DeleteObject"], written),
        ),
    )
    sent = _statement(["s3:PutObject", "s3:AbortMultipartUpload"], [here + pattern for pattern in _SENT])
    yield Policy(
        "publisher (`indexer publish`, `indexer promote` to this channel)",
        "besides that of the indexer",
        _document(sent),
    )
    pruned = _statement(["s3:DeleteObject"], [here + pattern for pattern in _SENT])
    yield Policy("pruner (`indexer prune --yes`)", "besides that of the indexer", _document(pruned))
    frozen = _statement(["s3:PutObject", "s3:DeleteObject"], [here + pattern for pattern in _SNAPSHOTS])
    yield Policy("snapshots (`indexer snapshot`)", "besides that of the indexer", _document(frozen))
    yield Policy(
        "reader",
        where.replace("the indexer's", "the reader's").replace(" indexer ", " reader "),
        _document(_listing(bucket, prefix), _statement(["s3:GetObject"], [f"{here}*"])),
    )
    anyone: dict[str, object] = {"Principal": "*"}
    yield Policy(
        "the public",
        "the bucket's policy; with the right to list, the answer for a missing file is 404 and not 403",
        _document(_listing(bucket, prefix, **anyone), _statement(["s3:GetObject"], [f"{here}*"], **anyone)),
    )


def _r2(bucket: str, _prefix: str) -> Iterator[Policy]:
    yield Policy("indexer", "an R2 API token", f"Object Read & Write, applied to the bucket {bucket} only")
    yield Policy("reader", "an R2 API token", f"Object Read only, applied to the bucket {bucket} only")
    yield Policy(
        "the public",
        "the bucket's settings",
        "a custom domain; its cache also keeps 404 answers: exclude */repodata*, or let 404 answers expire in minutes",
    )


def _b2(bucket: str, prefix: str) -> Iterator[Policy]:
    prefix_option = f" --name-prefix {prefix}" if prefix else ""
    key = f"b2 key create --bucket {bucket}{prefix_option}"
    yield Policy(
        "indexer", "an application key", f"{key} indexer listBuckets,listFiles,readFiles,writeFiles,deleteFiles"
    )
    yield Policy("reader", "an application key", f"{key} reader listBuckets,listFiles,readFiles")
    yield Policy("the public", "the bucket's type", f"b2 bucket update {bucket} allPublic")
    yield Policy(
        "versions",
        "the bucket's lifecycle; without a rule B2 keeps every version",
        f"b2 bucket update {bucket} --lifecycle-rule "
        f'\'{{"fileNamePrefix": "{prefix}", "daysFromHidingToDeleting": 1}}\'',
    )


def _gcs(bucket: str, _prefix: str) -> Iterator[Policy]:
    grant = f"gcloud storage buckets add-iam-policy-binding gs://{bucket} --member"
    yield Policy(
        "indexer",
        "a service account with an HMAC key (`gcloud storage hmac create ACCOUNT`)",
        f"{grant} serviceAccount:ACCOUNT --role roles/storage.objectUser",
    )
    yield Policy(
        "reader",
        "a service account with an HMAC key",
        f"{grant} serviceAccount:ACCOUNT --role roles/storage.objectViewer",
    )
    yield Policy("the public", "the bucket", f"{grant} allUsers --role roles/storage.objectViewer")


def page() -> Iterator[tuple[str, str]]:
    """The name of each provider and its policies for an example channel, for docs/providers.md."""
    for provider in (AWS, *PROVIDERS[1:]):
        yield provider.name, text(policies(provider.name, "my-bucket", "my-channel/"))
