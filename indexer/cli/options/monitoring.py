"""The options for monitoring the runs on a channel."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Struct
from typer import Option

from indexer.cli.options import MONITORING, File


class MonitoringOptions(Struct, frozen=True):
    """How runs are monitored."""

    HEADING: ClassVar[str] = MONITORING

    metrics_file: Annotated[
        File,
        Option(
            metavar="FILE",
            help="Write the metrics of the run for Prometheus into this file, also if the run fails.",
        ),
    ] = None
