"""The options of the commands, in groups: each group is a value, its fields are options on the command line."""

from __future__ import annotations

import logging
import re
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

from typer import Option

from indexer.core import events
from indexer.core.model import Outputs, Rules
from indexer.core.names import parse_filename
from indexer.errors import BadConfig
from indexer.options import Options
from indexer.places import Surroundings
from indexer.settings import outputs, resolve
from indexer.store.providers import NAMES
from indexer.store.target import S3Options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from indexer.config import Found
    from indexer.settings import Resolved
    from indexer.store.target import Target

_log = logging.getLogger(__name__)

# typer reads these annotations at run time, and on Python 3.10 it knows `Optional`, not `X | None`.
_Text = Optional[str]  # noqa: UP045
_Parallel = Optional[int]  # noqa: UP045
# None where a configuration file may still say it.
_Switch = Optional[bool]  # noqa: UP045

_OUTPUTS = Outputs()


@dataclass(frozen=True)
class Selection:
    """Which packages and subdirs a run looks at."""

    force: Annotated[
        bool, Option("--force", "-f", help="Read every package again. The date of first indexing is kept.")
    ] = False
    subdirs: Annotated[
        Optional[list[str]],  # noqa: UP045  see _Text
        Option(
            "--target-platform",
            "--subdir",
            metavar="SUBDIR",
            help="Index only this subdir; repeatable. noarch/repodata.json is always made sure of.",
        ),
    ] = None
    packages: Annotated[
        Optional[list[str]],  # noqa: UP045  see _Text
        Option(
            "--package",
            metavar="SUBDIR/FILENAME",
            help="Look only at this package; repeatable. Nothing is listed, and nothing removed unless it is "
            "named and gone.",
        ),
    ] = None
    packages_from: Annotated[
        Optional[Path],  # noqa: UP045  see _Text
        Option(metavar="FILE", help="The same for the packages named in a file, one a line; - is standard input."),
    ] = None
    event: Annotated[
        Optional[Path],  # noqa: UP045  see _Text
        Option(
            metavar="FILE",
            help="The same for the packages that an event notification is about: of S3, also wrapped in SQS, SNS or "
            "EventBridge, of R2 or of Pub/Sub; - is standard input.",
        ),
    ] = None

    def named_packages(self, channel: Target) -> frozenset[str] | None:
        """The packages to look at, None for all.  Raises BadConfig."""
        if not self.packages and self.packages_from is None and self.event is None:
            return None
        named = list(self.packages or ())
        if self.packages_from is not None:
            lines = _text_of(self.packages_from, "name a text file with one package a line").splitlines()
            named += [line for line in map(str.strip, lines) if line]
        if self.event is not None:
            named += _named_by_event(self.event, channel)
        for package in named:
            if package.count("/") != 1 or parse_filename(package.partition("/")[2]) is None:
                raise BadConfig(package, "is not of the form SUBDIR/FILENAME", "name it like noarch/foo-1.0-0.conda")
        return frozenset(named)


def _named_by_event(path: Path, channel: Target) -> frozenset[str]:
    """The packages of a channel that a notification names; whatever else it names is none of ours."""
    place = channel.bucket_and_prefix
    found = events.named(events.places(_text_of(path, "name a file with a notification")), *place)
    if found.others:
        _log.info("passed over %d objects of the event that are no packages of %s", found.others, channel.name)
    return found.packages


def _text_of(path: Path, next_step: str) -> str:
    try:
        return sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise BadConfig(str(path), reason, next_step) from error


@dataclass(frozen=True)
class Judgement:
    """What a run accepts."""

    verify_digests: Annotated[
        bool, Option("--verify-digests", help="Hash every byte even where the store vouches for the digests.")
    ] = False
    strict: Annotated[
        bool, Option("--strict", help="Warnings reject, and one rejected package stops the run before any write.")
    ] = False
    lenient: Annotated[
        bool,
        Option("--lenient", help="Index packages whose name or subdir disagrees with where they lie, with a warning."),
    ] = False
    allow_mass_removal: Annotated[
        bool,
        Option("--allow-mass-removal", help="Drop more than half of a subdir's records (and more than 10) if asked."),
    ] = False


@dataclass(frozen=True)
class Files:
    """Which files a run publishes, and how."""

    zst: Annotated[
        _Switch,
        Option(
            "--zst/--no-zst",
            "--write-zst/--no-write-zst",
            help="Publish the JSON files as .zst too. [default: zst]",
        ),
    ] = None
    shards: Annotated[
        _Switch,
        Option(
            "--shards/--no-shards",
            "--write-shards/--no-write-shards",
            help="Publish sharded repodata. [default: shards]",
        ),
    ] = None
    run_exports: Annotated[bool, Option("--run-exports/--no-run-exports", help="Publish run_exports.json.")] = (
        _OUTPUTS.run_exports
    )
    bz2: Annotated[bool, Option("--bz2/--no-bz2", help="Publish the JSON files as .bz2 too.")] = _OUTPUTS.bz2
    current_repodata: Annotated[
        bool,
        Option(
            "--current-repodata/--no-current-repodata",
            help="Publish current_repodata.json: the newest versions, for conda's classic solver.",
        ),
    ] = _OUTPUTS.current_repodata
    channeldata: Annotated[
        bool,
        Option(
            "--channeldata/--no-channeldata",
            help="Publish channeldata.json (CEP 38). This, --html and --rss read each package once more.",
        ),
    ] = _OUTPUTS.channeldata
    html: Annotated[
        bool, Option("--html/--no-html", help="Publish an index.html for people, of the channel and of each subdir.")
    ] = _OUTPUTS.html
    rss: Annotated[bool, Option("--rss/--no-rss", help="Publish rss.xml, a feed of the newest releases.")] = (
        _OUTPUTS.rss
    )
    monolithic: Annotated[
        bool,
        Option(
            "--monolithic/--no-monolithic", help="Publish repodata.json and run_exports.json; without them shards only."
        ),
    ] = _OUTPUTS.monolithic
    zst_level: Annotated[int, Option(min=1, max=22, metavar="N", help="Compression level of .zst files.")] = (
        _OUTPUTS.zst_level
    )
    base_url: Annotated[_Text, Option(metavar="URL", help="Where readers find the packages; /SUBDIR/ is appended.")] = (
        None
    )
    base_url_verbatim: Annotated[
        _Switch,
        Option(
            "--base-url-verbatim/--no-base-url-verbatim",
            help="Write the base URL as it is into every subdir. [default: only one of a configuration file]",
        ),
    ] = None
    cache_control: Annotated[str, Option(metavar="VALUE", help="Cache-Control of all files but shards.")] = (
        _OUTPUTS.cache_control
    )
    shard_cache_control: Annotated[str, Option(metavar="VALUE", help="Cache-Control of shards.")] = (
        _OUTPUTS.shard_cache_control
    )

    def outputs(self, said: Mapping[str, Found]) -> Outputs:
        """The value the engine takes, with what files say where no option does.  Raises BadConfig."""
        return outputs({field.name: getattr(self, field.name) for field in fields(self)}, said)


@dataclass(frozen=True)
class Patching:
    """What is laid over what the packages say."""

    repodata_patch: Annotated[
        _Text,
        Option(
            metavar="FILENAME",
            help="Patch package in noarch/ (.conda or .tar.bz2) whose instructions come into force, and stay so in "
            "later runs without this option.",
        ),
    ] = None
    no_repodata_patch: Annotated[
        bool, Option("--no-repodata-patch", help="End the patch that is in force: publish what the packages say.")
    ] = False

    def named(self) -> str | None:
        """The patch as the engine takes it.  Raises BadConfig."""
        if self.repodata_patch is None:
            return "" if self.no_repodata_patch else None
        if self.no_repodata_patch:
            raise BadConfig("--repodata-patch --no-repodata-patch", "ask for opposite things", "leave one of them out")
        if not self.repodata_patch:
            raise BadConfig("--repodata-patch", "is empty", "name a patch package in noarch/, or leave it out")
        return self.repodata_patch.removeprefix("noarch/")


@dataclass(frozen=True)
class Talk:
    """How a run talks."""

    verbose: Annotated[
        int, Option("--verbose", "-v", count=True, show_default=False, help="Say more; -vv also shows tracebacks.")
    ] = 0
    quiet: Annotated[int, Option("--quiet", "-q", count=True, show_default=False, help="Say less; only errors.")] = 0
    json: Annotated[bool, Option("--json", help="Print one JSON object and nothing else.")] = False
    no_progress: Annotated[
        bool, Option("--no-progress", help="No progress bars; without a terminal there are none anyway.")
    ] = False
    max_parallel: Annotated[
        _Parallel, Option(min=1, metavar="N", help="Packages read at once. [default: by where the channel lies]")
    ] = None


@dataclass(frozen=True)
class Writing:
    """What a run that writes can be told."""

    dry_run: Annotated[bool, Option("--dry-run", help="Only say what the run would do, as `indexer status`.")] = False
    disable_precondition_checks: Annotated[
        bool,
        Option(
            "--disable-precondition-checks",
            help="Write without conditions, for stores that know none; then only one indexer may run at a time.",
        ),
    ] = False


@dataclass(frozen=True)
class Scrutiny:
    """What a check looks at."""

    subdirs: Annotated[
        Optional[list[str]],  # noqa: UP045  see _Text
        Option("--subdir", metavar="SUBDIR", help="Look only at this subdir; repeatable."),
    ] = None
    deep: Annotated[bool, Option("--deep", help="Read every indexed package too, and compare digests and records.")] = (
        False
    )


@dataclass(frozen=True)
class Inquiry:
    """What a doctor tells instead of asking the store."""

    policy: Annotated[
        bool, Option("--policy", help="Print the least rights for indexer, readers and public, and ask nothing.")
    ] = False
    show_config: Annotated[
        bool, Option("--show-config", help="Print each setting, masked, and where it came from, and ask nothing.")
    ] = False


@dataclass(frozen=True)
class Sweeping:
    """What a gc deletes."""

    subdirs: Annotated[
        Optional[list[str]],  # noqa: UP045  see _Text
        Option("--subdir", metavar="SUBDIR", help="Look only at this subdir; repeatable."),
    ] = None
    older_than: Annotated[
        str,
        Option(
            metavar="AGE",
            help="How old a shard must be: 30m, 12h, 7d. Readers may hold an index of yesterday, and a run that is "
            "under way must be younger.",
        ),
    ] = "7d"
    yes: Annotated[bool, Option("--yes", "-y", help="Delete; without it only said what would go.")] = False

    def older_than_ms(self) -> int:
        """The age in milliseconds.  Raises BadConfig."""
        match = re.fullmatch(r"(\d{1,6})([smhd])", self.older_than)
        if match is None:
            raise BadConfig(f"--older-than {self.older_than}", "is not an age", "give one such as 30m, 12h or 7d")
        return int(match[1]) * {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}[match[2]]


@dataclass(frozen=True)
class Configuration:
    """Where settings come from beside options and variables."""

    config: Annotated[
        Optional[Path],  # noqa: UP045  see _Text
        Option(metavar="FILE", help="Configuration of pixi or rattler. [default: where pixi looks]"),
    ] = None

    def given(self) -> S3Options:
        """What was given here; the rest is settled by `settled`."""
        return S3Options()

    def settled(self, channel: str) -> Resolved:
        """How to reach a channel, and what files say of it.  Raises BadConfig."""
        return resolve(channel, self.given(), self.config, Surroundings.here())


@dataclass(frozen=True)
class Bucket(Configuration):
    """How to reach a bucket.  Each value stands on its own; what is missing comes from other places."""

    endpoint_url: Annotated[_Text, Option(metavar="URL", help="The store's endpoint. [env var: S3_ENDPOINT_URL]")] = (
        None
    )
    region: Annotated[_Text, Option(help="The bucket's region. [env var: S3_REGION]")] = None
    addressing_style: Annotated[
        _Text,
        Option(
            metavar="virtual-host|path",
            help="Whether the bucket is part of the host or of the path. "
            "[default: by the provider] [env var: S3_ADDRESSING_STYLE]",
        ),
    ] = None
    force_path_style: Annotated[bool, Option("--force-path-style", help="The same as --addressing-style path.")] = False
    provider: Annotated[
        _Text,
        Option(
            metavar="NAME",
            help=f"Whose store it is: {', '.join(NAMES)}. [default: by the endpoint] [env var: S3_PROVIDER]",
        ),
    ] = None
    access_key_id: Annotated[_Text, Option(help="Access key. [env var: S3_ACCESS_KEY_ID]")] = None
    secret_access_key: Annotated[_Text, Option(help="Secret key. [env var: S3_SECRET_ACCESS_KEY]")] = None
    session_token: Annotated[_Text, Option(help="Session token. [env var: S3_SESSION_TOKEN]")] = None
    profile: Annotated[_Text, Option(help="Profile of the AWS configuration. [env var: AWS_PROFILE]")] = None
    no_sign_request: Annotated[bool, Option("--no-sign-request", help="Ask as nobody.")] = False

    def given(self) -> S3Options:
        """What was given here; the rest is settled by `settled`."""
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


@dataclass(frozen=True)
class Asked:
    """What a run was asked to do, whatever the command."""

    selection: Selection
    judgement: Judgement
    files: Files
    patching: Patching
    writing: Writing

    def options(self, settled: Resolved) -> Options:
        """The value the engine takes, with what files say where no option does.  Raises BadConfig."""
        judgement = self.judgement
        packages = self.selection.named_packages(settled.target)
        if packages is not None and self.selection.subdirs:
            raise BadConfig("--package --subdir", "both say where to look", "leave one of them out")
        if judgement.strict and judgement.lenient:
            raise BadConfig("--strict --lenient", "ask for opposite things", "leave one of them out")
        return Options(
            outputs=self.files.outputs(settled.index),
            notices=settled.index["notices"].value if "notices" in settled.index else None,
            rules=Rules(judgement.strict, judgement.lenient),
            subdirs=tuple(self.selection.subdirs or ()),
            packages=packages,
            force=self.selection.force,
            repodata_patch=self.patching.named(),
            verify_digests=judgement.verify_digests,
            allow_mass_removal=judgement.allow_mass_removal,
            preconditions=not self.writing.disable_precondition_checks,
            dry_run=self.writing.dry_run,
        )
