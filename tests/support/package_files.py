"""Package files as a build leaves them, outside of any channel, and attestations beside them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from tests.support.memory_channel import package

if TYPE_CHECKING:
    from pathlib import Path

SIGS = b'[{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"}]'


def build(folder: Path, key: str, **fields: object) -> Path:
    """Write a small package of this key into a folder, which is made if it is missing."""
    folder.mkdir(exist_ok=True)
    file = folder / key.rpartition("/")[2]
    file.write_bytes(package(key, **fields))
    return file


def attest(file: Path, content: bytes = SIGS) -> str:
    """Write attestations beside a package file, and return their sha256."""
    file.with_name(f"{file.name}.sigs").write_bytes(content)
    return hashlib.sha256(content).hexdigest()
