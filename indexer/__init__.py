"""Index a static conda channel in an S3 bucket or a folder.

    from indexer import Options, check, index

    report = index("s3://bucket/channel", Options())
    check_report = check("s3://bucket/channel")

Each function is the command of the same name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from indexer.core.release import __version__

if TYPE_CHECKING:
    from indexer.commands.api import (
        change_settings,
        check,
        delete_snapshot,
        gc,
        get_settings,
        ignore,
        index,
        list_snapshots,
        promote,
        prune,
        publish,
        remove,
        rollback,
        snapshot,
        status,
        unignore,
        unyank,
        yank,
    )
    from indexer.commands.context import WorkerOptions
    from indexer.commands.gc import GcRequest
    from indexer.commands.rollback import RollbackRequest
    from indexer.core.channel_settings import ChannelSettings
    from indexer.core.errors import IndexerError
    from indexer.core.exit_codes import ExitCode
    from indexer.core.gc_report import GcReport
    from indexer.core.model import Outputs, Rules
    from indexer.core.options import Options
    from indexer.core.progress import Phase, Step
    from indexer.core.pruning import PruneReport, PruneRequest
    from indexer.core.publishing import PromoteReport, PublishReport, PublishRequest
    from indexer.core.removal import RemovalReport, RemovalRequest, Successor
    from indexer.core.report import CheckReport, Outcome, Report, SettingsReport
    from indexer.core.rollback import RollbackReport
    from indexer.core.snapshot_report import SnapshotReport
    from indexer.store.target import S3Options, Target


__all__ = [
    "ChannelSettings",
    "CheckReport",
    "ExitCode",
    "GcReport",
    "GcRequest",
    "IndexerError",
    "Options",
    "Outcome",
    "Outputs",
    "Phase",
    "PromoteReport",
    "PruneReport",
    "PruneRequest",
    "PublishReport",
    "PublishRequest",
    "RemovalReport",
    "RemovalRequest",
    "Report",
    "RollbackReport",
    "RollbackRequest",
    "Rules",
    "S3Options",
    "SettingsReport",
    "SnapshotReport",
    "Step",
    "Successor",
    "Target",
    "WorkerOptions",
    "__version__",
    "change_settings",
    "check",
    "delete_snapshot",
    "gc",
    "get_settings",
    "ignore",
    "index",
    "list_snapshots",
    "promote",
    "prune",
    "publish",
    "remove",
    "rollback",
    "snapshot",
    "status",
    "unignore",
    "unyank",
    "yank",
]

_HOMES = {
    "ChannelSettings": "indexer.core.channel_settings",
    "CheckReport": "indexer.core.report",
    "ExitCode": "indexer.core.exit_codes",
    "GcReport": "indexer.core.gc_report",
    "GcRequest": "indexer.commands.gc",
    "IndexerError": "indexer.core.errors",
    "Options": "indexer.core.options",
    "Outcome": "indexer.core.report",
    "Outputs": "indexer.core.model",
    "Phase": "indexer.core.progress",
    "PromoteReport": "indexer.core.publishing",
    "PruneReport": "indexer.core.pruning",
    "PruneRequest": "indexer.core.pruning",
    "PublishReport": "indexer.core.publishing",
    "PublishRequest": "indexer.core.publishing",
    "RemovalReport": "indexer.core.removal",
    "RemovalRequest": "indexer.core.removal",
    "Report": "indexer.core.report",
    "RollbackReport": "indexer.core.rollback",
    "RollbackRequest": "indexer.commands.rollback",
    "Rules": "indexer.core.model",
    "SettingsReport": "indexer.core.report",
    "SnapshotReport": "indexer.core.snapshot_report",
    "Step": "indexer.core.progress",
    "S3Options": "indexer.store.target",
    "Successor": "indexer.core.removal",
    "Target": "indexer.store.target",
    "WorkerOptions": "indexer.commands.context",
    "change_settings": "indexer.commands.api",
    "check": "indexer.commands.api",
    "delete_snapshot": "indexer.commands.api",
    "gc": "indexer.commands.api",
    "get_settings": "indexer.commands.api",
    "ignore": "indexer.commands.api",
    "index": "indexer.commands.api",
    "list_snapshots": "indexer.commands.api",
    "promote": "indexer.commands.api",
    "prune": "indexer.commands.api",
    "publish": "indexer.commands.api",
    "remove": "indexer.commands.api",
    "rollback": "indexer.commands.api",
    "snapshot": "indexer.commands.api",
    "status": "indexer.commands.api",
    "unignore": "indexer.commands.api",
    "unyank": "indexer.commands.api",
    "yank": "indexer.commands.api",
}


def __getattr__(name: str) -> Any:
    """Import on first use: `indexer --help` must not wait for the modules of a run (PEP 562)."""
    from importlib import import_module

    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
