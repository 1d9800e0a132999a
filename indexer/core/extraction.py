"""What a run read from packages and from their attestations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import field

from indexer.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from indexer.core.known_packages import Attested
    from indexer.core.metadata import Metadata
    from indexer.core.model import Extracted, Raw, Rejected


class Extraction(Value, frozen=True):
    """The results for the packages of `to_read`, and the missing data of other packages that were read.

    `run_exports` has those of packages whose record stays, `metadata` those of all packages that were read, by file
    name.  `attestations` is None if the run did not look at attestations.
    """

    results: tuple[Extracted | Rejected, ...] = ()
    run_exports: Mapping[str, Raw] = field(default_factory=dict)
    metadata: Mapping[str, Metadata] = field(default_factory=dict)
    attestations: Mapping[str, Attested] | None = None
