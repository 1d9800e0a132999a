"""The arguments of the commands: channels, packages and names; and the option of several commands for a reason."""

from __future__ import annotations

from typing import Annotated, Any

from typer import Argument, Option

from indexer.cli.options import Text

_CHANNEL = "s3://BUCKET[/PREFIX] or a folder"


def _argument(metavar: str, meaning: str) -> Any:
    return Argument(metavar=metavar, show_default=False, help=meaning)


Url = Annotated[str, _argument("s3://BUCKET[/PREFIX]", "The channel, for example s3://my-bucket/my-channel.")]
Folder = Annotated[
    str, _argument("DIR", "The folder of the channel; the packages are in its subdirs, such as noarch/.")
]
Channel = Annotated[str, _argument("TARGET", f"The channel: {_CHANNEL}.")]
From = Annotated[str, _argument("FROM", f"The channel that has the packages: {_CHANNEL}.")]
To = Annotated[str, _argument("TO", f"The channel that gets the packages: {_CHANNEL}.")]
Files = Annotated[list[str], _argument("FILE", "A package on this machine: .conda or .tar.bz2.")]
Packages = Annotated[
    list[str], _argument("SUBDIR/FILENAME", "A package of the channel, for example noarch/foo-1.0-0.conda.")
]
Selected = Annotated[
    list[str],
    _argument("PACKAGE", "SUBDIR/FILENAME, NAME, NAME=VERSION or NAME=VERSION=BUILD; * stands for any text."),
]
SnapshotName = Annotated[str, _argument("NAME", "The name of the snapshot.")]
NewName = Annotated[Text, _argument("NAME", "The name of a new snapshot.")]
Reason = Annotated[str, Option(metavar="TEXT", help="The reason; `indexer status` shows it.")]
