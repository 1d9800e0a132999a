"""The README shows what the first run over the channel of `make demo` prints."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fixtures.bucket import upload
from fixtures.demo import NEWER, PACKAGES, PREFIX
from tests.support.command import ROOT, invoke

if TYPE_CHECKING:
    from fixtures.bucket import Bucket

_EXAMPLE = re.compile(r"^(s3://my-bucket/my-channel: published.*?)^```$", re.MULTILINE | re.DOTALL)
# The state names the bucket, so the bytes can differ; a busy machine needs more time.
_VARIES = re.compile(r"\d+\.\d (?=s$)|[\d.]+ (?=kB (?:read|written))", re.MULTILINE)


def test_the_example_is_what_a_first_run_prints(bucket: Bucket) -> None:
    for path in sorted(PACKAGES.glob("*/*")):
        if path != NEWER:
            upload(bucket, PREFIX, path, path.parent.name)
    channel = f"s3://{bucket.bucket}/{PREFIX}"
    ran = invoke("s3", channel, env=bucket.environment())
    assert ran.code == 0
    shown = _EXAMPLE.findall((ROOT / "README.md").read_text())
    assert [_compared(text) for text in shown] == [_compared(ran.out.replace(channel, "s3://my-bucket/my-channel"))]


def _compared(text: str) -> str:
    return _VARIES.sub("", text)
