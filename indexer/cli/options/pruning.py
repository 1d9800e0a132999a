"""The options of `prune`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Struct
from typer import Option

from indexer.cli.options import Number, Text, Texts
from indexer.cli.options.files import setting
from indexer.core.ages import checked_ms

if TYPE_CHECKING:
    from indexer.core.pruning import PruneRequest
    from indexer.settings.resolve import Resolved


class PruneOptions(Struct, frozen=True):
    """The options of `prune`; the rules are settings of the channel too."""

    keep_newest: Annotated[Number, setting("keep_newest", min=1, metavar="N")] = None
    keep_newer_than: Annotated[Text, setting("keep_newer_than", metavar="AGE")] = None
    keep: Annotated[Texts, setting("keep", metavar="SPEC")] = None
    grace: Annotated[
        str,
        Option(
            metavar="AGE",
            help="Delete a package file this long after the package left the index: clients may use an older index.",
        ),
    ] = "1d"
    yes: Annotated[
        bool, Option("--yes", "-y", help="Remove the packages; without this option they are only listed.")
    ] = False

    def request(self, resolved: Resolved) -> PruneRequest:
        """What to do, with values of configuration files if an option is not given.  Raises BadConfig."""
        from indexer.core.pruning import PruneRequest
        from indexer.settings.given import check_settings, given_settings

        options = {"keep_newest": self.keep_newest, "keep_newer_than": self.keep_newer_than}
        given = given_settings({**options, "keep": tuple(self.keep) if self.keep else None}, resolved.index)
        check_settings(given.settings, given.origins)
        return PruneRequest(given.settings, checked_ms("--grace", self.grace), self.yes)
