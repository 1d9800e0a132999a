"""Whether pixi's engine parses each record of a `repodata.json`, without a network or a process."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def read(folder: Path, data: bytes = b"", *, records: Mapping[str, str] | None = None) -> bool:
    """Whether it parses a document, or one with these records (JSON) under `packages.conda`."""
    import rattler

    if records is not None:
        members = ",".join(f'"{name}":{record}' for name, record in records.items())
        data = f'{{"info":{{"subdir":"linux-64"}},"packages":{{}},"packages.conda":{{{members}}}}}'.encode()
    path = folder / "repodata.json"
    path.write_bytes(data)
    try:
        with rattler.SparseRepoData(rattler.Channel("https://a.example/c"), "linux-64", path) as sparse:
            sparse.load_all_records()
    except Exception:  # noqa: BLE001  it has no class for it
        return False
    return True
