"""Index a static conda channel in an S3 bucket or a folder.

from indexer import Options, check, index
report = index("s3://bucket/channel", Options())
verdict = check("s3://bucket/channel")

`index`, `status`, `check`, `gc`, `yank` and `unyank` do what the commands of these names do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from indexer.core.release import __version__

if TYPE_CHECKING:
    from indexer.commands.api import check, gc, ignore, index, status, unignore, unyank, yank
    from indexer.commands.context import WorkerOptions
    from indexer.commands.gc import Sweep
    from indexer.core.errors import IndexerError
    from indexer.core.model import Outputs, Rules
    from indexer.core.options import Options
    from indexer.core.report import Collected, Report, Verdict
    from indexer.store.target import S3Options, Target


__all__ = [
    "Collected",
    "IndexerError",
    "Options",
    "Outputs",
    "Report",
    "Rules",
    "S3Options",
    "Sweep",
    "Target",
    "Verdict",
    "WorkerOptions",
    "__version__",
    "check",
    "gc",
    "ignore",
    "index",
    "status",
    "unignore",
    "unyank",
    "yank",
]

_HOMES = {
    "check": "indexer.commands.api",
    "gc": "indexer.commands.api",
    "ignore": "indexer.commands.api",
    "index": "indexer.commands.api",
    "status": "indexer.commands.api",
    "unignore": "indexer.commands.api",
    "unyank": "indexer.commands.api",
    "yank": "indexer.commands.api",
    "Collected": "indexer.core.report",
    "IndexerError": "indexer.core.errors",
    "WorkerOptions": "indexer.commands.context",
    "Options": "indexer.core.options",
    "Outputs": "indexer.core.model",
    "Report": "indexer.core.report",
    "Rules": "indexer.core.model",
    "S3Options": "indexer.store.target",
    "Sweep": "indexer.commands.gc",
    "Target": "indexer.store.target",
    "Verdict": "indexer.core.report",
}


def __getattr__(name: str) -> Any:
    """Import on first use: `indexer --help` must not wait for what a run needs (PEP 562)."""
    from importlib import import_module

    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
