"""The options that set where settings come from and how to reach a bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from msgspec import Struct
from typer import Option

from indexer.cli.options import CONNECTION, File, Text
from indexer.settings.locations import Environment
from indexer.settings.resolve import resolve
from indexer.store.s3.providers import NAMES
from indexer.store.target import S3Options

if TYPE_CHECKING:
    from indexer.settings.resolve import Resolved


class Configuration(Struct, frozen=True):
    """Where settings come from, besides options and variables."""

    HEADING: ClassVar[str] = CONNECTION

    config: Annotated[
        File,
        Option(metavar="FILE", help="Configuration of pixi or rattler. [default: where pixi looks]"),
    ] = None

    def given(self) -> S3Options:
        """The options that were given; `resolve` adds the other settings."""
        return S3Options()

    def resolve(self, channel: str) -> Resolved:
        """All settings of a channel, from options, variables and files.  Raises BadConfig."""
        return resolve(channel, self.given(), self.config, Environment.here())


class Bucket(Configuration, frozen=True):
    """How to reach a bucket.  Each missing value comes from variables or files, independent of the others."""

    endpoint_url: Annotated[Text, Option(metavar="URL", help="The store's endpoint. [env var: S3_ENDPOINT_URL]")] = None
    region: Annotated[Text, Option(metavar="REGION", help="The bucket's region. [env var: S3_REGION]")] = None
    addressing_style: Annotated[
        Text,
        Option(
            metavar="virtual-host|path",
            help="Put the bucket into the host name or into the path. "
            "[default: by the provider] [env var: S3_ADDRESSING_STYLE]",
        ),
    ] = None
    force_path_style: Annotated[bool, Option("--force-path-style", help="The same as --addressing-style path.")] = False
    provider: Annotated[
        Text,
        Option(
            metavar="NAME",
            help=f"Storage provider: {', '.join(NAMES)}. [default: by the endpoint] [env var: S3_PROVIDER]",
        ),
    ] = None
    access_key_id: Annotated[Text, Option(metavar="KEY", help="Access key. [env var: S3_ACCESS_KEY_ID]")] = None
    secret_access_key: Annotated[Text, Option(metavar="SECRET", help="Secret key. [env var: S3_SECRET_ACCESS_KEY]")] = (
        None
    )
    session_token: Annotated[Text, Option(metavar="TOKEN", help="Session token. [env var: S3_SESSION_TOKEN]")] = None
    profile: Annotated[
        Text, Option(metavar="NAME", help="Profile of the AWS configuration files. [env var: AWS_PROFILE]")
    ] = None
    no_sign_request: Annotated[bool, Option("--no-sign-request", help="Send unsigned (anonymous) requests.")] = False

    def given(self) -> S3Options:
        """The options that were given; `resolve` adds the other settings."""
        return S3Options(
            endpoint_url=self.endpoint_url,
            region=self.region,
            addressing_style="path" if self.force_path_style else self.addressing_style,
            access_key_id=self.access_key_id,
            secret_access_key=self.secret_access_key,
            session_token=self.session_token,
            profile=self.profile or None,
            provider=self.provider,
            anonymous=self.no_sign_request,
        )
