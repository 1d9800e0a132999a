"""The options of `promote`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Struct
from msgspec.structs import replace
from typer import Option

from indexer.cli.options import Create, DryRun, Text
from indexer.cli.options.bucket import Bucket
from indexer.core.options import Options
from indexer.settings.given import given_settings
from indexer.settings.locations import Environment
from indexer.settings.resolve import resolve
from indexer.store.target import S3Options

if TYPE_CHECKING:
    from indexer.settings.resolve import Resolved
    from indexer.store.target import Target


class SourceOptions(Struct, frozen=True):
    """How to reach the bucket that packages are copied from, if not as the other one."""

    from_endpoint_url: Annotated[
        Text,
        Option(
            metavar="URL",
            help="The endpoint of FROM. With any --from- option, the other options and S3_ variables reach TO only.",
        ),
    ] = None
    from_region: Annotated[Text, Option(metavar="REGION", help="The region of FROM.")] = None
    from_profile: Annotated[
        Text, Option(metavar="NAME", help="The profile of the AWS configuration files for FROM.")
    ] = None
    from_no_sign_request: Annotated[
        bool, Option("--from-no-sign-request", help="Read FROM with unsigned (anonymous) requests.")
    ] = False

    def resolve(self, channel: str, shared: Bucket) -> Resolved:
        """All settings of FROM: its own options and the configuration files, or else those of both.

        Raises BadConfig.
        """
        own = S3Options(
            endpoint_url=self.from_endpoint_url,
            region=self.from_region,
            profile=self.from_profile or None,
            anonymous=self.from_no_sign_request,
        )
        if own == S3Options():
            return shared.resolve(channel)
        here = Environment.here()
        environ = {name: value for name, value in here.environ.items() if not name.startswith("S3_")}
        return resolve(channel, own, shared.config, replace(here, environ=environ))


class Promoting(Struct, frozen=True):
    """Which packages are promoted, and how."""

    with_dependencies: Annotated[
        bool,
        Option("--with-dependencies", help="Also promote the packages that these need, that FROM has and TO lacks."),
    ] = False
    dry_run: DryRun = False
    create: Create = False

    def options(self, resolved: Resolved) -> Options:
        """The options of the run over TO, with the values of its configuration files.  Raises BadConfig."""
        given = given_settings({}, resolved.index)
        return Options(
            settings=given.settings,
            origins=tuple(given.origins.items()),
            unless_set=given.unless_set,
            dry_run=self.dry_run,
            create=self.create,
        )


class PromoteOptions(Struct, frozen=True):
    """The options of `promote`."""

    promoting: Promoting
    source: SourceOptions
    bucket: Bucket

    def resolve(self, source: str, channel: str) -> tuple[Target, Resolved]:
        """The channel that packages are copied from, and all settings of the other one.  Raises BadConfig."""
        return self.source.resolve(source, self.bucket).target, self.bucket.resolve(channel)
